"""CPU and memory of one run by the number of peer records, beside the floor of any run.

Usage: python3 -m bench.records [N ...]   (10 100 1000 5000 20000; as root; builds one lab host; BENCH_ROUNDS=3)
Three jobs, nobody dialled: `check` where all is as it should be, `one` (--fix with one new record among N), `all` (--fix where
nothing is trusted yet).  Medians of interleaved rounds; ratios are to the floor, absolute figures those of the machine at hand.
"""

from __future__ import annotations

import os
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from agent.formats import record
from bench.local_check import FLOOR
from tests.hosts import a_peer
from tests.lab import setup_by_hand
from tests.lab.fleet import Fleet
from tests.lab.host import Host

PEERS = "/etc/resize-agent/peers.d"
KEPT = "/opt/kept"
FILES = "/etc/ssh/ssh_known_hosts.nova /etc/ssh/ssh_config.d/50-resize-agent.conf /var/lib/nova/.ssh/authorized_keys"
CHECK = "/usr/bin/python3 -m agent --no-probe"
FIX = "/usr/bin/python3 -m agent --fix --no-probe"
# Runs a shell text and says what it and its children spent: seconds of CPU, peak KiB of the largest process.
METER = """
import os, resource, subprocess, sys
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
subprocess.run(["sh", "-c", sys.argv[1]], cwd="/usr/share/resize-agent", **quiet)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


@dataclass(frozen=True)
class Spent:
    seconds: float
    mib: float


def main() -> int:
    numbers = [int(word) for word in sys.argv[1:]] or [10, 100, 1000, 5000, 20000]
    rounds = int(os.environ.get("BENCH_ROUNDS", "3"))
    if os.geteuid() != 0:
        print("bench: a lab host needs root", file=sys.stderr)
        return 2
    print("records  job      CPU   of the floor   over it, a record   peak")
    with Fleet(["compute1"]) as fleet:
        fleet.start_sshd()
        setup_by_hand.key_per_host(fleet)
        host = fleet["compute1"]
        for number in numbers:
            furnish(host, number)
            show(number, measured(host, number, rounds))
    return 0


def furnish(host: Host, number: int) -> None:
    """N records, trusted; and a copy of what is trusted when the last one is not there yet."""
    host.sh(f"rm -rf {PEERS} {KEPT} {FILES}; mkdir -p {PEERS} {KEPT}/one {KEPT}/check {KEPT}/all")
    inbox = Path(f"/proc/{host.pid}/root{PEERS}")
    for each in range(number):
        (inbox / f"node{each}.yaml").write_bytes(text(each))
    last = f"{PEERS}/node{number - 1}.yaml"
    inside = f"cd /usr/share/resize-agent; {FIX} >/dev/null"
    host.sh(
        f"mv {last} /opt/last; {inside}; cp -p {FILES} {KEPT}/one; mv /opt/last {last}", check=False
    )
    host.sh(f"{inside}; cp -p {FILES} {KEPT}/check", check=False)


def text(each: int) -> bytes:
    address = f"10.{128 + each // 62500}.{each // 250 % 250}.{each % 250 + 1}"
    return record.render(a_peer(f"node{each}", address=address)).encode()


def restore(host: Host, job: str) -> None:
    """The trust a job starts from."""
    names = " ".join(f"{KEPT}/{job}/{path.rpartition('/')[2]}:{path}" for path in FILES.split())
    host.sh(
        f"for each in {names}; do rm -f ${{each#*:}}; cp -p ${{each%:*}} ${{each#*:}} 2>/dev/null || true; done"
    )


def measured(host: Host, number: int, rounds: int) -> dict[str, list[Spent]]:
    jobs = {"floor": FLOOR, "check": CHECK, "one": FIX, "all": FIX}
    found: dict[str, list[Spent]] = {job: [] for job in jobs}
    for _ in range(rounds):
        for job, command in jobs.items():
            if job != "floor":
                restore(host, job)
            words = host.run(["/usr/bin/python3", "-c", METER, command]).stdout.split()
            found[job].append(Spent(float(words[0]), int(words[1]) / 1024))
    return found


def show(number: int, found: dict[str, list[Spent]]) -> None:
    floor = statistics.median(each.seconds for each in found["floor"])
    for job, spent in found.items():
        seconds = statistics.median(each.seconds for each in spent)
        over = (seconds - floor) / number * 1e6
        peak = max(each.mib for each in spent)
        print(
            f"{number:7}  {job:5} {seconds:7.2f} s   {seconds / floor:9.1f}   {over:12.0f} us   {peak:6.0f} MiB",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
