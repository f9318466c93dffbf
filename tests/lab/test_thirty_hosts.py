"""Thirty real hosts whose daemons find each other: who is visited when, what their sshds say of it, and what one dead host makes.

About a quarter of an hour, most of it waiting for turns: python3 -m pytest -s tests/lab/test_thirty_hosts.py
The hosts run Debian 13, whose sshd has both of the limits: MaxStartups and PerSourcePenalties.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from agent import schedule
from tests.lab import setup_by_hand
from tests.lab.fleet import Fleet
from tests.lab.host import AGENT_HOME, Host, end
from tests.lab.provision import PEERS, on_each, record
from tests.prometheus import monitoring
from tests.prometheus.monitoring import Monitoring

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and mounts: needs root"),
    pytest.mark.skipif(bool(monitoring.MISSING), reason=f"not here: {monitoring.MISSING}"),
]

NAMES = [f"compute{n:02}" for n in range(1, 31)]
PAIRS = len(NAMES) * (len(NAMES) - 1)
DEAD = "compute17"
INTERVAL = 30
SWEEP = schedule.sweep_seconds(len(NAMES), INTERVAL)
STARVED = (
    10.0  # seconds; a look takes a few tenths, with its dials some seconds where all start at once
)
PORT = 19122
LOG = "/var/log/daemon.log"
ENVIRONMENT = {"PYTHONPATH": AGENT_HOME, "PYTHONDONTWRITEBYTECODE": "1"}
PATIENCE = 3.0 * SWEEP  # seconds for anything here
# What sshd 10.0 says of a client that it turned away before asking who it is (sshd.c, srclimit.c).  A "deferred" penalty is a
# second in its books, which turns nobody away before fifteen of them have come together (PerSourcePenalties, min).
TURNED_AWAY = re.compile(
    r"MaxStartups|drop connection|active penalty|Timeout before authentication|Not allowed at this time"
)


@dataclass
class Watched:
    """The fleet with a daemon on each host that serves its report too."""

    fleet: Fleet
    started: float
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    first: dict[tuple[str, str], float] = field(default_factory=dict)

    def look(self) -> None:
        """Keeps when a pair was seen to pass first: its turn comes again and again."""
        for host in self.fleet:
            for row in report(host).get("peers", []):
                if row["outcome"] == "pass":
                    at = datetime.strptime(row["checked_at"], "%Y-%m-%dT%H:%M:%SZ")
                    stamp = at.replace(tzinfo=timezone.utc).timestamp()
                    self.first.setdefault((host.name, row["name"]), stamp)


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with Fleet(NAMES, suite="trixie") as fleet, ExitStack() as stack:
        on_each(fleet, prepare)
        fleet.start_sshd()
        setup_by_hand.key_per_host(fleet)
        hand_round(fleet)
        watched = Watched(fleet, time.time())
        for host in fleet:
            watched.daemons[host.name] = start(host, stack)
        yield watched


def prepare(host: Host) -> None:
    host.sh(f"mkdir -p {PEERS} /etc/resize-agent/conf.d")
    host.write("/etc/resize-agent/conf.d/10-lab.yaml", f"interval: {INTERVAL}\n")
    host.write("/etc/ssh/sshd_config.d/10-lab.conf", "LogLevel VERBOSE\n")


def hand_round(fleet: Fleet) -> None:
    for name, text in on_each(fleet, record).items():
        for host in fleet:
            Path(f"/proc/{host.pid}/root{PEERS}/{name}.yaml").write_text(text)


def start(host: Host, stack: ExitStack) -> subprocess.Popen[bytes]:
    line = f'exec /usr/bin/python3 -m agent daemon --listen "[::]:{PORT}" 2>>{LOG}'
    process = host.spawn(["/bin/sh", "-c", line], env=ENVIRONMENT)
    stack.callback(end, process)
    return process


def report(host: Host) -> dict[str, Any]:
    with suppress(FileNotFoundError):
        text = Path(f"/proc/{host.pid}/root/var/lib/resize-agent/report.json").read_text()
        found: dict[str, Any] = json.loads(text)
        return found
    return {}


def said(host: Host, path: str) -> str:
    return Path(f"/proc/{host.pid}/root{path}").read_text(errors="replace")


@pytest.fixture(scope="module")
def visited(watched: Watched) -> dict[tuple[str, str], float]:
    """When every ordered pair had been dialled, by pair, in seconds since the last daemon was started."""
    deadline = time.monotonic() + PATIENCE
    watched.look()
    while len(watched.first) < PAIRS:
        assert all(process.poll() is None for process in watched.daemons.values())
        missing = PAIRS - len(watched.first)
        assert time.monotonic() < deadline, f"{missing} pairs were not visited"
        time.sleep(1)
        watched.look()
    return {pair: at - watched.started for pair, at in watched.first.items()}


def test_every_ordered_pair_is_visited_within_the_stated_time(
    watched: Watched, visited: dict[tuple[str, str], float]
) -> None:
    print(f"\n{PAIRS} pairs, the last after {max(visited.values()):.0f} s of {SWEEP} s")
    print(f"memory of a daemon: {memory(watched)} MiB")
    assert set(visited) == {(a, b) for a in NAMES for b in NAMES if a != b}
    looks = [report(host)["duration_seconds"] for host in watched.fleet]
    if max(visited.values()) > SWEEP and max(looks) > STARVED:
        pytest.skip(f"one look takes {max(looks):.0f} s here: the machine is too busy to tell")
    assert max(visited.values()) <= SWEEP
    assert all(report(host)["ready"] is True for host in watched.fleet)


def memory(watched: Watched) -> list[int]:
    """VmRSS, the smallest and the largest."""
    found = []
    for host in watched.fleet:
        line = host.sh("grep VmRSS /proc/$(pgrep -o -f 'agent daemon')/status").stdout
        found.append(int(line.split()[1]) // 1024)
    return [min(found), max(found)]


def test_no_sshd_turned_anybody_away(
    watched: Watched, visited: dict[tuple[str, str], float]
) -> None:
    logins = deferred = 0
    for host in watched.fleet:
        log = said(host, host.sshd_log)
        deferred += log.count("deferred penalty")
        logins += log.count("Accepted publickey for nova")
        assert [line for line in log.splitlines() if TURNED_AWAY.search(line)] == []
        turns = [line for line in said(host, LOG).splitlines() if ": peer " in line]
        assert [line for line in turns if "peer_busy" in line] == []
        for line in turns:  # too slow, where sixty programs share two processors
            print(line)
    print(f"\n{logins} logins, {deferred} of them with a deferred penalty of a second")
    assert logins >= 3 * len(visited)  # mkdir, copy, rm; VERBOSE reached every sshd


@pytest.fixture(scope="module")
def prometheus(
    watched: Watched, visited: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Monitoring]:
    first = watched.fleet[NAMES[0]]
    with monitoring.running(
        tmp_path_factory.mktemp("monitoring"),
        [f"{name}:{PORT}" for name in NAMES],
        namespace=first.pid,
        hosts=first.read("/etc/hosts").decode(),
        faster=40,
        shrunk=20,
    ) as running:
        whole = "sum(instance_role:resize_agent_ready:fresh)"
        running.await_that(lambda: value(running, whole) == 60, "thirty hosts are ready", PATIENCE)
        yield running


def value(watch: Monitoring, expression: str) -> float:
    found = watch.query(expression)
    return float(found[0]["value"][1]) if found else -1.0


def change_its_record(fleet: Fleet) -> None:
    """What is said of its Nova changes nothing but that every other host dials it anew."""
    text = record(fleet[DEAD])
    changed = re.sub(r'(release: "?[0-9.]+)', r"\g<1>.9", text, count=1)
    assert changed != text
    for host in fleet:
        if host.name != DEAD:
            Path(f"/proc/{host.pid}/root{PEERS}/{DEAD}.yaml").write_text(changed)


def test_one_dead_host_is_one_alert_about_that_host(
    watched: Watched, prometheus: Monitoring
) -> None:
    host = watched.fleet[DEAD]
    # What sshd answers to the others is thrown away; what stays inside the host is not.
    rule = ["nsenter", "-t", str(host.pid), "-n", "ip", "rule"]
    subprocess.run([*rule, "add", "ipproto", "tcp", "sport", "22", "blackhole"], check=True)
    change_its_record(watched.fleet)  # so that nobody waits for the turn
    bad = [("ResizeAgentBadDestination", DEAD)]
    failing = f'count(resize_agent_peer_failing{{peer="{DEAD}"}})'
    prometheus.await_that(lambda: value(prometheus, failing) == 29, "all 29 meet it", PATIENCE)
    prometheus.await_that(lambda: prometheus.webhook.told("firing") == bad, "one alert", PATIENCE)
    assert value(prometheus, "sum(instance_role:resize_agent_ready:fresh)") == 60
    assert {(name, about) for name, about, _ in prometheus.alerts()} == set(bad)
    # The host goes altogether: its silence is told, and nothing else is.
    port = f"p{NAMES.index(DEAD)}"
    switch = ["nsenter", "-t", str(watched.fleet.switch), "-n", "ip", "link", "set", port]
    subprocess.run([*switch, "down"], check=True)
    down = [*bad, ("ResizeAgentDown", DEAD)]
    prometheus.await_that(lambda: prometheus.webhook.told("firing") == down, "its end", PATIENCE)
    assert value(prometheus, "sum(instance_role:resize_agent_ready:fresh)") == 58
    others = f'resize_agent_ready{{instance!="{DEAD}"}} == 0'
    assert prometheus.query(others) == []
    assert {about for _, about, _ in prometheus.alerts()} == {DEAD}
