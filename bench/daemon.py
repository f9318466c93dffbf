"""What `agent daemon` costs with many peers: memory, and CPU as share of one core, between dials and with them.

Usage: python3 -m bench.daemon [N [SECONDS]]   (1000 600; as root; builds two lab hosts)
The records are real and trusted.  Their peers are one host that answers at all their addresses: dials are Nova's own lines over
real ssh.  Rows of the report are those of dials that count, as after a sweep.  First the daemon runs as it is, then with dials
left out, so that what remains is the cost of its own looks.  bench.exporter measures who serves what it writes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from agent.formats import record
from agent.model import PublicKey
from bench.records import PEERS
from tests.hosts import a_peer
from tests.lab import setup_by_hand
from tests.lab.fleet import Fleet
from tests.lab.host import AGENT_HOME, Host, end

INTERVAL = 60
INSTALLED = "/opt/resize-agent"
REPORT = "/var/lib/resize-agent/report.json"
PATIENCE = 300.0
CONFIG = f"interval: {INTERVAL}\n"
# As after a sweep: every peer has been dialled, the last one just now.
SWEPT = """
from datetime import timedelta
from agent import pipeline, probes, state
from agent.configuration import load
from agent.host import Host
from agent.model import Attempt
from agent.probes import Kept

host = Host()
want = load(host, None)
looked = pipeline.weighed(pipeline.look(host, want), want, {})
stages = ("resolve", "connect", "banner", "host_key", "auth", "shell", "directory", "copy")
kept = {}
for number, each in enumerate(looked.peers):
    at = host.now() - timedelta(seconds=5 * number)
    met = Attempt(each.name, each.address, each.port, stages, None, None, "", 0.4, at)
    kept[each.name] = Kept(met, looked.facts[each.name])
state.save(host, state.PROBES, probes.dump(kept))
"""
WITHOUT_DIALS = """
import sys
from agent import cli, pipeline
pipeline.dial = lambda *_: pipeline.Dialled()
sys.exit(cli.main(["daemon"]))
"""


@dataclass(frozen=True)
class Spent:
    """Seconds: of the process itself, of its children that have ended, of the clock."""

    own: float
    children: float
    wall: float


@dataclass(frozen=True)
class Seen:
    share: float  # of one core, children included
    own: float  # the same of the process alone
    rss: float  # MiB at the end
    peak: float  # MiB
    rounds: float
    dials: int


def main() -> int:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 600.0
    if os.geteuid() != 0:
        print("bench: lab hosts need root", file=sys.stderr)
        return 2
    with Fleet(["compute1", "compute2"]) as fleet:
        fleet.start_sshd()
        setup_by_hand.key_per_host(fleet)
        one = fleet["compute1"]
        furnish(one, fleet["compute2"], number)
        print(f"{number} peers, a look each {INTERVAL} s, {seconds:.0f} s each")
        print(f"{'':16}{'CPU':>10}{'own':>10}{'RSS MiB':>10}{'peak':>8}{'looks':>8}{'dials':>8}")
        for words, program in (("with dials", "as it is"), ("between dials", WITHOUT_DIALS)):
            one.sh(f"cd {INSTALLED} && python3 -c '{SWEPT}'", timeout=PATIENCE)
            show(words, measured(one, program, seconds))
    return 0


def furnish(one: Host, peer: Host, number: int) -> None:
    """Records of `number` peers, all of them `peer`, and trust in them."""
    addresses = [f"10.{128 + n // 62500}.{n // 250 % 250}.{n % 250 + 1}" for n in range(number)]
    _ip(peer, "route add local 10.128.0.0/9 dev lo")
    _ip(one, f"route add 10.128.0.0/9 via {peer.address}")
    told = json.loads(
        peer.sh("agent() { cd /usr/share/resize-agent; python3 -m agent facts; }; agent | python3 -c 'import sys, yaml, json; print(json.dumps(yaml.safe_load(sys.stdin)))'").stdout
    )  # fmt: skip
    keys = tuple(PublicKey(*line.split()[:2]) for line in told["host_keys"])
    one.sh(f"mkdir -p {PEERS} /etc/resize-agent/conf.d")
    one.write("/etc/resize-agent/conf.d/10-bench.yaml", CONFIG)
    for n, address in enumerate(addresses):
        each = a_peer(f"node{n}", address=address, host_keys=keys)
        with open(f"/proc/{one.pid}/root{PEERS}/node{n}.yaml", "wb") as stream:
            stream.write(record.render(each).encode())
    # As a package leaves it: byte code beside the modules.
    one.sh(f"mkdir -p {INSTALLED} && cp -r {AGENT_HOME}/agent {INSTALLED}")
    one.sh(f"python3 -m compileall -q -f {INSTALLED}", timeout=PATIENCE)
    one.sh(f"cd {INSTALLED} && python3 -m agent --fix --no-probe", check=False, timeout=PATIENCE)


def _ip(host: Host, line: str) -> None:
    enter = ["nsenter", "-t", str(host.pid), "-n", "ip", *line.split()]
    subprocess.run(enter, check=True)


def measured(host: Host, program: str, seconds: float) -> Seen:
    with daemon(host, program) as pid:
        first = report(host)["taken_at"]
        until(lambda: report(host)["taken_at"] > first, "a second look")
        began, seen = spent(host, pid), report(host)
        dialled = {row["name"]: row["checked_at"] for row in seen["peers"]}
        time.sleep(seconds)
        ended, last = spent(host, pid), report(host)
        dials = sum(1 for r in last["peers"] if r["checked_at"] != dialled.get(r["name"]))
        wall = ended.wall - began.wall
        own, children = ended.own - began.own, ended.children - began.children
        memory = status(host, pid)
    looks = wall / INTERVAL
    return Seen((own + children) / wall, own / wall, memory[0], memory[1], looks, dials)


@contextmanager
def daemon(host: Host, program: str) -> Iterator[int]:
    """Its pid, once it has said something."""
    host.sh(f"rm -f {REPORT}")
    words = ["-c", program] if program == WITHOUT_DIALS else ["-m", "agent", "daemon"]
    line = f'cd {INSTALLED}; echo $$ >/run/daemon.pid; exec /usr/bin/python3 "$@" 2>>/var/log/daemon.log'
    process = host.spawn(["/bin/sh", "-c", line, "sh", *words])
    try:
        until(lambda: bool(report(host)), "a report")
        yield int(host.sh("cat /run/daemon.pid").stdout)
    finally:
        host.sh("kill $(cat /run/daemon.pid)", check=False)
        end(process)


def report(host: Host) -> dict[str, object]:
    try:
        with open(f"/proc/{host.pid}/root{REPORT}") as stream:
            found: dict[str, object] = json.load(stream)
    except FileNotFoundError:
        return {}
    return found


def until(condition, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"never: {what}")
        time.sleep(0.5)


def spent(host: Host, pid: int) -> Spent:
    """proc_pid_stat(5): utime, stime, cutime, cstime are fields 14 to 17."""
    fields = host.sh(f"cat /proc/{pid}/stat").stdout.rpartition(") ")[2].split()
    ticks = [int(field) / os.sysconf("SC_CLK_TCK") for field in fields[11:15]]
    return Spent(ticks[0] + ticks[1], ticks[2] + ticks[3], time.monotonic())


def status(host: Host, pid: int) -> tuple[float, float]:
    """MiB now and at most."""
    lines = dict(
        line.split(":", 1) for line in host.sh(f"cat /proc/{pid}/status").stdout.splitlines()
    )
    return int(lines["VmRSS"].split()[0]) / 1024, int(lines["VmHWM"].split()[0]) / 1024


def show(words: str, seen: Seen) -> None:
    print(
        f"{words:16}{seen.share:10.2%}{seen.own:10.2%}{seen.rss:10.1f}{seen.peak:8.1f}"
        f"{seen.rounds:8.1f}{seen.dials:8}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
