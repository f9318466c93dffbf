"""What `agent daemon` and the exporter cost with many peers while nothing happens, beside prometheus-node-exporter.

Usage: python3 -m bench.daemon [MINUTES [N ...]]   (2; 10 1000 5000; as root; builds a lab host for each N and kind, and one more)
The records are real and trusted.  Their peers are one host that answers at all their addresses: dials are Nova's own lines over
real ssh.  Rows of the report are those of dials that count, as after a sweep.  Of each size one daemon runs as it is, and one with
dials left out, so that what remains is the cost of its own looks.  All run at the same time, and the exporters are scraped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import ground, single
from bench.exporter import (
    NODE_EXPORTER,
    Subject,
    free_port,
    node_exporter,
    rss,
    scrape,
    subject,
    used,
)
from bench.figures import Case, Figures, Goal, Part, Spent, Table, number
from bench.local_check import its_record
from bench.meter import progress
from tests.hosts import a_peer
from tests.lab import setup_by_hand
from tests.lab.fleet import Fleet
from tests.lab.host import Host, end

PEERS = (10, 1000, 5000)
INTERVAL, SCRAPING = 60, 15.0
REPORT = "/var/lib/resize-agent/report.json"
PATIENCE = 300.0
CONFIG = f"interval: {INTERVAL}\n"
AS_IT_IS, QUIET, SERVING = "daemon", "daemon, between dials", "exporter"
GOAL = 0.01  # of one core
GOAL_MIB = 60, 30  # daemon and exporter, up to GOAL_PEERS
GOAL_PEERS = 1000
# As after a sweep: every peer has been dialled, the last one just now.
SWEPT = """
from datetime import timedelta
from agent import pipeline, probes, state
from agent.configuration import load
from agent.host import Host
from agent.looked import weighed
from agent.model import Attempt
from agent.probes import Kept

host = Host()
want = load(host, None)
looked = weighed(pipeline.look(host, want), want, {})
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
from agent.looked import Dialled
pipeline.dial = lambda *_: Dialled()
sys.exit(cli.main(["daemon"]))
"""


@dataclass(frozen=True)
class Used:
    """Seconds of CPU of a process and of its children that have ended."""

    own: float
    children: float


@dataclass(frozen=True)
class Watched:
    case: str
    job: str
    host: Host
    pid: int


def measure(rounds: int, sizes: Sequence[int] = PEERS) -> Figures:
    """`rounds` are minutes."""
    names = {
        (size, job): f"{'ab'[job == QUIET]}{size}" for size in sizes for job in (AS_IT_IS, QUIET)
    }
    with Fleet(["peer", *names.values()], progress=single.quiet) as fleet, ExitStack() as stack:
        fleet.start_sshd()
        setup_by_hand.key_per_host(fleet)
        peer = fleet["peer"]
        ip(peer, "route add local 10.128.0.0/9 dev lo")
        for (size, _), name in names.items():
            progress(f"{size} records are made and trusted")
            furnish(fleet[name], peer, size)
        daemons = [
            Watched(str(size), job, fleet[name], stack.enter_context(daemon(fleet[name], job)))
            for (size, job), name in names.items()
        ]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        serving = [subject(stack, folder, size) for size in sizes]
        node = Subject(NODE_EXPORTER, free_port(), 0)
        node.pid = stack.enter_context(node_exporter(node.port))
        await_second_looks(daemons)
        return watched(daemons, [*serving, node], 60.0 * rounds)


def furnish(one: Host, peer: Host, size: int) -> None:
    """Records of `size` peers, all of them `peer`, trust in them, and the report of a sweep."""
    ip(one, f"route add 10.128.0.0/9 via {peer.address}")
    keys = its_record(peer).host_keys
    ground.install(one)
    ground.put_records(
        one,
        [
            a_peer(f"node{each}", address=ground.address(each), host_keys=keys)
            for each in range(size)
        ],
    )
    one.sh("mkdir -p /etc/resize-agent/conf.d")
    one.write("/etc/resize-agent/conf.d/10-bench.yaml", CONFIG)
    ground.fixed(one)
    one.sh(f"cd {ground.INSTALLED} && python3 -c '{SWEPT}'", timeout=PATIENCE)


def ip(host: Host, line: str) -> None:
    subprocess.run(["nsenter", "-t", str(host.pid), "-n", "ip", *line.split()], check=True)


@contextmanager
def daemon(host: Host, job: str) -> Iterator[int]:
    """Its pid."""
    words = ["-c", WITHOUT_DIALS] if job == QUIET else ["-m", "agent", "daemon"]
    line = f'cd {ground.INSTALLED}; echo $$ >/run/daemon.pid; exec /usr/bin/python3 "$@" 2>>/var/log/daemon.log'
    process = host.spawn(["/bin/sh", "-c", line, "sh", *words])
    try:
        until(lambda: host.exists("/run/daemon.pid"), "it runs")
        yield int(host.read("/run/daemon.pid"))
    finally:
        host.sh("kill $(cat /run/daemon.pid)", check=False)
        end(process)


def await_second_looks(daemons: Sequence[Watched]) -> None:
    first = {}
    for each in daemons:
        until(lambda: bool(report(each.host)), "a report")  # noqa: B023 (it is called here and now)
        first[each.host.name] = report(each.host)["taken_at"]
    for each in daemons:
        until(lambda: report(each.host)["taken_at"] > first[each.host.name], "a second look")  # noqa: B023


def watched(daemons: Sequence[Watched], serving: Sequence[Subject], seconds: float) -> Figures:
    began = [spent(each.host, each.pid) for each in daemons]
    served = [used(each.pid) for each in serving]
    dials = [dialled(each.host) for each in daemons]
    took = scraping(serving, seconds)
    figures: Figures = {}
    for each, before, earlier in zip(daemons, began, dials, strict=True):
        after, now = spent(each.host, each.pid), dialled(each.host)
        own, children = after.own - before.own, after.children - before.children
        current, most = memory(each.host, each.pid)
        more = {"own": own, "rss": current, "dials": sum(now[n] != earlier.get(n) for n in now)}
        figures.setdefault(each.case, {})[each.job] = [Spent(own + children, took, most, more)]
    for one, at_first in zip(serving, served, strict=True):
        case, job = as_a_job(one)
        cpu, mib = used(one.pid) - at_first, rss(one.pid)
        figures.setdefault(case, {})[job] = [Spent(cpu, took, mib, {"own": cpu, "rss": mib})]
    return figures


def as_a_job(one: Subject) -> tuple[str, str]:
    if one.name == NODE_EXPORTER:
        return NODE_EXPORTER, NODE_EXPORTER
    return one.name.split()[0], SERVING


def scraping(serving: Sequence[Subject], seconds: float) -> float:
    """As Prometheus does, once in SCRAPING seconds each; how long it was."""
    began = time.monotonic()
    turns = int(seconds / SCRAPING)
    for turn in range(turns):
        progress(f"at rest: {turn * SCRAPING:.0f} of {seconds:.0f} s")
        for one in serving:
            scrape(one.port)
        time.sleep(max(0.0, began + (turn + 1) * SCRAPING - time.monotonic()))
    return time.monotonic() - began


def report(host: Host) -> dict[str, Any]:
    try:
        with open(ground.outside(host, REPORT)) as stream:
            found: dict[str, Any] = json.load(stream)
    except FileNotFoundError:
        return {}
    return found


def dialled(host: Host) -> dict[str, str]:
    """By peer, when it was dialled last."""
    return {row["name"]: row["checked_at"] for row in report(host)["peers"]}


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"never: {what}")
        time.sleep(0.5)


def spent(host: Host, pid: int) -> Used:
    """proc_pid_stat(5): utime, stime, cutime, cstime are fields 14 to 17."""
    text = ground.outside(host, f"/proc/{pid}/stat").read_text()
    ticks = [
        int(word) / os.sysconf("SC_CLK_TCK") for word in text.rpartition(") ")[2].split()[11:15]
    ]
    return Used(ticks[0] + ticks[1], ticks[2] + ticks[3])


def memory(host: Host, pid: int) -> tuple[float, float]:
    """MiB now and at most."""
    text = ground.outside(host, f"/proc/{pid}/status").read_text()
    lines = dict(line.split(":", 1) for line in text.splitlines())
    return int(lines["VmRSS"].split()[0]) / 1024, int(lines["VmHWM"].split()[0]) / 1024


def part(figures: Figures) -> Part:
    [node] = figures[NODE_EXPORTER][NODE_EXPORTER]
    sizes = {case: jobs for case, jobs in figures.items() if case != NODE_EXPORTER}
    rows = tuple(
        (case, job, number(run.cpu / node.cpu) if node.cpu else "", number(run.counted["rss"] / node.counted["rss"]),
         number(run.mib / node.mib), f"{run.counted['dials']:.0f}" if job == AS_IT_IS else "")
        for case, jobs in sizes.items()
        for job, [run] in sorted(jobs.items())
    )  # fmt: skip
    largest = list(sizes)[-1]
    return Part(
        "At rest",
        f"The daemon looks once in {INTERVAL} s and dials whose turn it is; exporters and node_exporter are scraped once in"
        f" {SCRAPING:.0f} s. CPU (with all programs a daemon starts) and memory over the same {node.wall / 60:.0f} minutes, as"
        " multiples of node_exporter:",
        (Table(("peers", "", "CPU", "memory", "memory, most", "dials"), rows),),
        tuple(goal(case, sizes[case]) for case in sizes) + tuple(small_enough(sizes)),
        (),
        f"`bench/daemon.py`: the peers are one host that answers at all their addresses, every row that of a dial that counts. With"
        f" {largest} peers one takes its turn each ten seconds, which is most of what the daemon costs there.",
    )  # fmt: skip


def goal(case: str, jobs: Case) -> Goal:
    [quiet] = jobs[QUIET]
    share = quiet.cpu / quiet.wall
    return Goal(
        f"{case} peers: between dials the daemon takes less than {GOAL:.0%} of one core",
        f"{share:.2%}",
        share < GOAL,
        "every minute all records and all that is trusted are read and compared anew",
    )


def small_enough(sizes: Mapping[str, Case]) -> Iterator[Goal]:
    """The most that each process ever had."""
    small = [jobs for case, jobs in sizes.items() if int(case) <= GOAL_PEERS]
    for job, limit in zip((AS_IT_IS, SERVING), GOAL_MIB):
        most = max(run.mib for jobs in small for run in jobs[job])
        text = f"up to {GOAL_PEERS} peers: the {job} takes less than {limit} MiB"
        yield Goal(text, f"{most:.0f} MiB", most < limit, "the records and the report in memory")


if __name__ == "__main__":
    wanted = tuple(map(int, sys.argv[2:])) or PEERS
    sys.exit(single.run(lambda minutes: measure(minutes, wanted), part, 2))
