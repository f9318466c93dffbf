"""A round over thirty real hosts beside `xargs -P` of Nova's lines, and both from all thirty hosts at once.

Usage: python3 -m bench.thirty_hosts [ROUNDS]   (3; as root; builds thirty lab hosts of Debian 13)
Their sshds have both limits, MaxStartups and PerSourcePenalties, and are asked afterwards whom they turned away.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import ground, others, single
from bench.dials import payload
from bench.figures import Case, Figures, Goal, Part, Spent, Table, counted, cpu, median, over, wall
from bench.local_check import its_record
from bench.meter import METER, Failed, progress
from bench.server import ACCEPTED
from tests.lab import setup_by_hand
from tests.lab.fleet import Fleet
from tests.lab.host import Host
from tests.lab.provision import on_each

NAMES = tuple(f"compute{n:02}" for n in range(1, 31))
PARALLEL = 4  # as agent/settings.py has it
OURS, XARGS = "agent", f"xargs -P {PARALLEL}"
LOOP = "shell loop of ssh-keyscan and ssh"
ALONE, TOGETHER = "one host dials the others", "all hosts dial all others at once"
# What sshd 10.0 says of a client that it turned away before asking who it is (sshd.c, srclimit.c).
TURNED_AWAY = re.compile(
    r"MaxStartups|drop connection|active penalty|Timeout before authentication|Not allowed at this time"
)
ADDRESSES = "/opt/addresses"
AGENT = f"cd {ground.INSTALLED} && python3 -m agent --format json >/tmp/report.json"
HANDED = f"rm -f /tmp/failed; xargs -P {PARALLEL} -n 1 /opt/dial.sh <{ADDRESSES}"
PATIENCE = 900.0


def measure(rounds: int, names: Sequence[str] = NAMES) -> Figures:
    with Fleet(list(names), suite="trixie", progress=single.quiet) as fleet:
        progress("thirty hosts are made ready")
        on_each(fleet, prepare)
        fleet.start_sshd()
        setup_by_hand.key_per_host(fleet)
        records = list(on_each(fleet, its_record).values())
        for host in fleet:
            ground.put_records(host, records)
            rest = [each.address for each in fleet if each is not host]
            host.write(ADDRESSES, "".join(f"{address}\n" for address in rest))
        first = fleet[names[0]]
        others.install(first)
        others.tell(first, 0, [each for each in records if each.name != first.name])
        first.sh("cp -p /var/lib/nova/.ssh/known_hosts /etc/ssh/ssh_known_hosts")
        alone = {OURS: AGENT, XARGS: HANDED, LOOP: others.loop(0, "dial")}
        return {
            ALONE: in_turns(fleet, [first], alone, rounds),
            TOGETHER: in_turns(fleet, list(fleet), {OURS: AGENT, XARGS: HANDED}, 1),
        }


def prepare(host: Host) -> None:
    host.write("/etc/ssh/sshd_config.d/10-bench.conf", "LogLevel VERBOSE\n")
    ground.install(host)
    payload(host)
    script = Path(__file__).parent / "others" / "dial.sh"
    host.write("/opt/dial.sh", script.read_bytes(), mode=0o755)


def in_turns(fleet: Fleet, sources: Sequence[Host], jobs: dict[str, str], rounds: int) -> Case:
    found: Case = {name: [] for name in jobs}
    for turn in range(rounds):
        for name, line in jobs.items():
            progress(f"{len(sources)} hosts dial {len(fleet.hosts) - 1}: {name}, round {turn + 1}")
            before = heard(fleet)
            spent = at_once(sources, line, "nova" if name == XARGS else None)
            if name == LOOP and spent.counted["failed"]:
                raise Failed("the shell loop finds something wrong where all is well")
            after = heard(fleet)
            more = {key: after[key] - before[key] for key in after}
            if name in (OURS, XARGS):
                more["missed"] = missed(sources, name)
            found[name].append(Spent(spent.cpu, spent.wall, spent.mib, {**more, **spent.counted}))
    return found


def heard(fleet: Fleet) -> dict[str, int]:
    """What all sshds have said so far: logins, and who was turned away."""
    logs = [
        (ground.outside(host, host.sshd_log)).read_text(errors="replace").splitlines()
        for host in fleet
    ]
    return {
        "logins": sum(ACCEPTED in line for log in logs for line in log),
        "refused": sum(bool(TURNED_AWAY.search(line)) for log in logs for line in log),
    }


def at_once(hosts: Sequence[Host], line: str, user: str | None) -> Spent:
    """The same line on all of them; CPU is the sum, the clock that of the last one.  `failed`: how many ended badly."""
    argv = ["/usr/bin/python3", "-I", "-S", "-c", METER, line]
    began = time.perf_counter()
    running = [
        host.spawn(argv, user=user, env={"HOME": "/var/lib/nova" if user else "/root"})
        for host in hosts
    ]
    told = []
    for process in running:
        out, err = process.communicate(timeout=PATIENCE)
        if process.returncode:
            raise Failed(f"{line!r}: {err.decode(errors='replace')}")
        told.append(json.loads(out))
    seconds = time.perf_counter() - began
    failed = sum(each["status"] != 0 for each in told)
    return Spent(
        sum(each["cpu"] for each in told),
        seconds,
        max(each["mib"] for each in told),
        {"failed": failed},
    )


def missed(hosts: Sequence[Host], name: str) -> int:
    """Dials that did not go through, though nothing was wrong."""
    if name == XARGS:
        return sum(int(host.sh("cat /tmp/failed 2>/dev/null | wc -l").stdout) for host in hosts)
    reports = [json.loads(ground.outside(host, "/tmp/report.json").read_text()) for host in hosts]
    return sum(row["outcome"] != "pass" for report in reports for row in report["peers"])


def part(figures: Figures) -> Part:
    rows = tuple(
        (
            case,
            name,
            str(over(cpu(runs), cpu(jobs[XARGS]))),
            str(over(wall(runs), wall(jobs[XARGS]))),
            f"{median(counted(runs, 'logins')):.0f}",
            f"{sum(counted(runs, 'refused')):.0f}",
            f"{sum(counted(runs, 'missed')):.0f}" if name != LOOP else "",
        )
        for case, jobs in figures.items()
        for name, runs in jobs.items()
    )
    alone, together = figures[ALONE][OURS], figures[TOGETHER][OURS]
    refused = sum(counted([*alone, *together], "refused"))
    theirs = [run for jobs in figures.values() for run in jobs[XARGS]]
    xargs = f"{sum(counted(theirs, 'refused')):.0f}, and {sum(counted(theirs, 'missed')):.0f} dials failed"
    return Part(
        "A round over thirty hosts",
        "Plain `agent` (it looks at its own host, dials itself and the 29 others, and judges) beside `xargs -P` of the same lines of"
        " Nova's (`mkdir`, `scp`, `rm`), and beside a loop of `ssh-keyscan` and `ssh ... true`; then the first two from all thirty"
        " hosts at the same moment. As multiples of xargs:",
        (Table(("", "", "CPU of who dials", "clock", "logins", "connections refused", "dials that failed"), rows),),
        (
            Goal("a round over 30 hosts, no connection refused", f"{refused:.0f} refused; of xargs {xargs}", refused == 0,
                 "thirty hosts that begin at once meet at some sshd; the daemon's turns avoid it"),
        ),
        (),
        "`bench/thirty_hosts.py`: thirty hosts of Debian 13, whose sshd has MaxStartups 10:30:100 and PerSourcePenalties; refused is"
        " what their logs say. All run on the same cores as those who dial.",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(single.run(measure, part, 3))
