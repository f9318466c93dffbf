"""One dial beside Nova's own sequence, run by its own driver: logins, CPU and clock, over ssh and over rsync.

Usage: python3 -m bench.dials [ROUNDS]   (9; as root; builds two lab hosts)
Each of them runs in a process that has everything loaded already: Nova's driver as in nova-compute, ours as in the daemon.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from bench import ground, single
from bench.charts import Bar, Bars
from bench.figures import (
    Case,
    Chart,
    Figures,
    Goal,
    Part,
    Spent,
    Table,
    counted,
    cpu,
    median,
    over,
    wall,
)
from bench.meter import METER, Failed, progress
from bench.server import Server, of_children
from tests.lab import setup_by_hand
from tests.lab.fleet import Fleet
from tests.lab.host import Host, end
from tests.lab.oracle_disk import Disk
from tests.lab.oracle_session import Session

T = TypeVar("T")

OURS, NOVA, LINES, LOGIN = (
    "our dial",
    "Nova's own driver",
    "the three lines by hand",
    "one ssh true",
)
TRANSPORTS = ("ssh", "rsync")
GOAL = 3
# Beside each disk Nova keeps what format it has, and copies that too.
INFO = """
echo '{{"{folder}/disk": "qcow2"}}' >{folder}/disk.info
chown nova:nova {folder}/disk.info
"""
PATIENCE = 30.0
# A prober as the daemon is one: it has looked, and dials whoever it is told to, with the transport it is told.
PROBER = """
import json, os, resource, sys, time
from dataclasses import replace
from agent import probe, rounds
from agent.configuration import load
from agent.host import Host
from agent.observe import observe
def spent():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used), time.perf_counter()
host = Host()
want = load(host, None)
snapshot = observe(host, want)
with host.scratch() as scratch:
    payload = os.path.join(scratch, "disk")
    host.put(payload, os.urandom(probe.SIZE))
    words = rounds.environment(host, snapshot.account, snapshot.nova)
    print("{}", flush=True)
    for line in sys.stdin:
        transport, address = line.split()
        config = replace(snapshot.nova, transport=transport)
        dialer = probe.Dialer(host, snapshot.account, config, payload, words, 60.0, lambda: 60.0)
        before = spent()
        attempt = probe.dial(dialer, probe.Target("peer", address))
        after = spent()
        print(json.dumps([after[0] - before[0], after[1] - before[1], attempt.reason]), flush=True)
"""


def measure(rounds: int) -> Figures:
    with Fleet(["compute1", "compute2"], progress=single.quiet) as fleet:
        fleet.start_sshd()
        setup_by_hand.key_per_host(fleet)
        here, peer = fleet["compute1"], Server(fleet["compute2"])
        ground.install(here)
        with prober(here) as dial, Session(here) as nova:
            payload(here)
            return {each: case(here, peer, dial, nova, each, rounds) for each in TRANSPORTS}


def payload(host: Host) -> None:
    host.sh("head -c 524288 /dev/urandom >/tmp/payload; chmod 644 /tmp/payload")


def case(
    here: Host,
    peer: Server,
    dial: Callable[[str, str], Spent],
    nova: Session,
    transport: str,
    rounds: int,
) -> Case:
    address = peer.host.address
    jobs: dict[str, Callable[[], Spent]] = {
        OURS: lambda: dial(transport, address),
        NOVA: lambda: moved(nova, peer.host, transport),
        LOGIN: lambda: shell(here, f"ssh -o BatchMode=yes {address} true"),
    }
    if transport == "ssh":
        jobs[LINES] = lambda: shell(here, f"/opt/dial.sh {address}")
        script = Path(__file__).parent / "others" / "dial.sh"
        here.write("/opt/dial.sh", script.read_bytes(), mode=0o755)
    found: Case = {name: [] for name in jobs}
    for turn in range(rounds + 1):
        progress(f"dials over {transport}: round {turn} of {rounds}")
        for name, job in jobs.items():
            before = peer.logins(), peer.spent()
            spent = job()
            there = peer.spent() - before[1]
            more = {"logins": peer.logins() - before[0], "there": there, **spent.counted}
            if turn:
                found[name].append(Spent(spent.cpu, spent.wall, spent.mib, more))
    return found


def shell(host: Host, line: str) -> Spent:
    argv = ["/usr/bin/python3", "-I", "-S", "-c", METER, line]
    told = json.loads(host.run(argv, user="nova", env={"HOME": "/var/lib/nova"}).stdout)
    if told["status"]:
        raise Failed(f"{line!r} ended with {told['status']}: {told['said']}")
    return Spent(told["cpu"], told["wall"], told["mib"])


@contextmanager
def prober(host: Host) -> Iterator[Callable[[str, str], Spent]]:
    argv = ["/usr/bin/python3", "-c", PROBER]
    process = host.spawn(
        argv,
        env={"PYTHONPATH": ground.INSTALLED},
        stdin=subprocess.PIPE,
        stderr=sys.stderr.fileno(),
    )
    assert process.stdin is not None and process.stdout is not None
    says, hears = process.stdout, process.stdin
    if not says.readline():
        raise Failed(f"{host.name}: the prober did not start")

    def dial(transport: str, address: str) -> Spent:
        hears.write(f"{transport} {address}\n".encode())
        hears.flush()
        used, seconds, reason = json.loads(says.readline())
        if reason:
            raise Failed(f"{host.name}: the dial met {reason}")
        return Spent(used, seconds)

    try:
        yield dial
    finally:
        end(process)


def moved(nova: Session, there: Host, transport: str) -> Spent:
    """One cold migration by Nova's driver, without what the lab spends to have the driver read nova.conf anew."""
    facts, idle = spent_by(nova, lambda: nova.facts(transport))
    disk = Disk(nova.host, there, str(uuid.uuid4()), facts.instances_path, facts.instances_path)
    disk.create()
    nova.host.sh(INFO.format(folder=f"{facts.instances_path}/{disk.uuid}"))
    try:
        answer, busy = spent_by(
            nova, lambda: nova.move(disk.uuid, there.address, transport, PATIENCE)
        )
        if answer.verdict != "OK" or not disk.arrived():
            raise Failed(f"Nova's driver: {answer.verdict} {answer.message}")
    finally:
        disk.clean_up()
    return Spent(max(0.0, busy.cpu - idle.cpu), busy.wall - idle.wall)


def spent_by(nova: Session, ask: Callable[[], T]) -> tuple[T, Spent]:
    pid = int(nova.host.sh("pgrep -o -u nova -f 'json.loads.sys.stdin.readline'").stdout)
    before, began = of_children(nova.host, pid), time.perf_counter()
    answer = ask()
    return answer, Spent(of_children(nova.host, pid) - before, time.perf_counter() - began)


def part(figures: Figures) -> Part:
    rows = tuple(
        (
            transport,
            name,
            f"{median(counted(runs, 'logins')):.0f}",
            str(over(cpu(runs), cpu(jobs[NOVA]))),
            str(over(wall(runs), wall(jobs[NOVA]))),
            str(over(counted(runs, "there"), counted(jobs[NOVA], "there"))),
        )
        for transport, jobs in figures.items()
        for name, runs in jobs.items()
    )
    return Part(
        "One dial",
        "What is spent to learn from the real ssh, scp or rsync whether a disk would arrive, beside what Nova's own"
        " `LibvirtDriver.migrate_disk_and_power_off` spends to move one of the same size (with its disk.info). As a share of Nova's:",
        (Table(("transport", "", "logins", "CPU here", "clock", "CPU of the peer's sshd"), rows),),
        tuple(goal(transport, jobs) for transport, jobs in figures.items()),
        (chart(figures),),
        "Both run in a process that has everything loaded (`bench/dials.py`). Of Nova's figures what the lab's harness spends on"
        " reading nova.conf anew is taken off, measured beside each move. That a dial says what Nova meets is the subject of"
        " [truth.md](truth.md), for each fault of the scenario table.",
    )  # fmt: skip


def goal(transport: str, jobs: Case) -> Goal:
    ours, novas = (median(counted(jobs[name], "logins")) for name in (OURS, NOVA))
    return Goal(
        f"{GOAL} logins a dial over {transport}",
        f"{ours:.0f}; Nova's driver {novas:.0f}",
        ours <= GOAL,
        "a login more is needed",
    )


def chart(figures: Figures) -> Chart:
    groups = []
    for transport, jobs in figures.items():
        bars = []
        for name, runs in jobs.items():
            seen = over(cpu(runs), cpu(jobs[NOVA]))
            bars.append(Bar(name, seen.low, seen.median, seen.high, ours=name == OURS))
        groups.append((f"transport {transport}", tuple(bars)))
    drawing = Bars("One dial: CPU here, Nova's driver is 1", "times Nova's driver", tuple(groups))
    return Chart("dial", "CPU of one dial, as a share of what Nova's driver spends", drawing)


if __name__ == "__main__":
    sys.exit(single.run(measure, part, 9))
