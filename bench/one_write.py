"""A fix that writes one file, beside one write with its fsync.

Usage: python3 -m bench.one_write [ROUNDS]   (7; as root; builds one lab host)
The host's /etc/ssh lies on this machine's disk (a loop device), for the lab's own file system is memory, where fsync is free.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from bench import ground, single
from bench.figures import Figures, Goal, Part, Table, cpu, over, spread, wall
from bench.meter import Job, interleaved
from tests.lab import setup_by_hand
from tests.lab.fleet import Fleet
from tests.lab.host import Host

FIX, DRY, CHECK, WRITE = "fix, one file", "the same, --dry-run", "check", "write and fsync"
FILE = "/etc/ssh/ssh_known_hosts.nova"
PEERS = 10
# As every careful program writes: beside the old one, fsync, rename, fsync of the directory.
LIMIT = f"""
import os
data = open("{FILE}.kept", "rb").read()
new = os.open("{FILE}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
os.write(new, data)
os.fsync(new)
os.rename("{FILE}.new", "{FILE}")
os.fsync(os.open("/etc/ssh", os.O_RDONLY))
"""
GOAL = 3.0


def measure(rounds: int) -> Figures:
    with Fleet(["compute1"], progress=single.quiet) as fleet, disk(fleet["compute1"]):
        host = fleet["compute1"]
        fleet.start_sshd()
        setup_by_hand.key_per_host(fleet)
        ground.install(host)
        ground.put_records(host, ground.made_up(PEERS))
        ground.fixed(host)
        host.sh(f"cp -p {FILE} {FILE}.kept; head -n -1 {FILE}.kept >{FILE}.short")
        host.write("/opt/limit.py", LIMIT)
        jobs = {
            FIX: Job(f"{ground.AGENT} --fix --no-probe", before=lambda: one_missing(host)),
            DRY: Job(f"{ground.AGENT} --fix --dry-run", 4, before=lambda: one_missing(host)),
            CHECK: Job(f"{ground.AGENT} --no-probe", before=lambda: all_there(host)),
            WRITE: Job("exec python3 -I -S /opt/limit.py", before=lambda: all_there(host)),
            "nothing": Job("exec python3 -I -S -c pass"),
        }
        return {str(PEERS): interleaved(host, jobs, rounds, "one write:")}


def one_missing(host: Host) -> None:
    host.sh(f"cp {FILE}.short {FILE}; sync {FILE}")


def all_there(host: Host) -> None:
    host.sh(f"cp {FILE}.kept {FILE}; sync {FILE}")


@contextmanager
def disk(host: Host) -> Iterator[None]:
    """The host's /etc/ssh on a file system of its own, in a file of this machine."""
    with tempfile.NamedTemporaryFile(dir="/var/tmp", prefix="bench-disk-") as image:
        os.truncate(image.name, 64 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", image.name], check=True)
        name = said("losetup", "--find", "--show", image.name)
        try:
            number = os.stat(name).st_rdev
            host.sh(f"mknod /dev/bench b {os.major(number)} {os.minor(number)}; mkdir /opt/disk")
            host.sh("mount /dev/bench /opt/disk; cp -a /etc/ssh/. /opt/disk/; umount /opt/disk")
            host.sh("mount /dev/bench /etc/ssh")
            yield
            host.sh("umount --lazy /etc/ssh")
        finally:
            # With a mount still there the kernel detaches it when that goes, with the host at the latest.
            said("losetup", "--detach", name)


def said(*argv: str) -> str:
    done = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def beyond(figures: Figures) -> list[float]:
    """Seconds of the clock that the fix takes over a check, beside what one write takes over nothing, round by round."""
    jobs = figures[str(PEERS)]
    return [fix - check for fix, check in zip(wall(jobs[FIX]), wall(jobs[CHECK]), strict=True)]


def part(figures: Figures) -> Part:
    jobs = figures[str(PEERS)]
    to_check = over(wall(jobs[FIX]), wall(jobs[CHECK]))
    write = [a - b for a, b in zip(wall(jobs[WRITE]), wall(jobs["nothing"]), strict=True)]
    share = spread(one / fix for one, fix in zip(write, wall(jobs[FIX]), strict=True))
    rows = tuple(
        (name, str(over(cpu(runs), cpu(jobs[CHECK]))), str(over(wall(runs), wall(jobs[CHECK]))))
        for name, runs in jobs.items()
        if name != "nothing"
    )
    return Part(
        "A fix that writes one file",
        "`agent --fix --no-probe` where one host key is missing of ten, on a real disk, beside a check and beside the one write it"
        " needs (temporary file, fsync, rename, fsync of the directory) in a bare Python. As multiples of the check:",
        (Table(("", "CPU", "clock"), rows),),
        (
            Goal(
                f"a fix costs at most {GOAL:.0f} checks: it looks, writes, looks again and judges twice",
                f"{to_check} times the clock of a check; the write itself is {share.median:.1%} of the fix",
                to_check.median <= GOAL,
                "it looks at the host more than twice",
            ),
        ),
        (),
        "`bench/one_write.py`: the host's /etc/ssh lies on ext4 in a file of the machine's disk, since the lab's own file system is"
        " memory and its fsync is free.",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(single.run(measure, part, 7))
