"""`agent explain` on a large nova-compute.log beside `grep -c` on the same.

Usage: python3 -m bench.log_reading [ROUNDS]   (3; as root; builds one lab host)
The log is generated: what a busy nova-compute says every minute, and now and then a resize that failed, as recorded from Nova.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from uuid import UUID

from bench import ground, single
from bench.charts import Bar, Bars
from bench.figures import Chart, Figures, Goal, Part, Table, cpu, number, over, peak, wall
from bench.meter import Job, interleaved
from tests.formats.nova_recordings import FAILED, GUEST, recording
from tests.lab.fleet import Fleet
from tests.lab.host import Host

SIZES = (10, 40, 160)  # MiB
LOG = "/tmp/nova-compute.log"
EXPLAIN, GREP, LINES = "agent explain", "grep -c", "Python, line by line"
PATTERN = "Resize error|migrate_disk_and_power_off"
# The least a program in this language can do: look at each line.
READ = f"import re; w = re.compile(rb'{PATTERN}'); print(sum(1 for x in open('{LOG}', 'rb') if w.search(x)))"
CONSTANT = 1.2
ORDINARY = (
    "INFO nova.compute.resource_tracker [None {request} - - - - - -] Final resource view: name=compute1"
    " phys_ram=257641MB used_ram=86528MB phys_disk=1758GB used_disk=560GB total_vcpus=64 used_vcpus=38 pci_stats=[]",
    "INFO nova.compute.manager [None {request} - - - - - -] [instance: {uuid}] VM Resumed (Lifecycle Event)",
    "DEBUG oslo_service.periodic_task [None {request} - - - - - -] Running periodic task"
    " ComputeManager._sync_scheduler_instance_info run_periodic_tasks /usr/lib/python3/dist-packages/oslo_service/periodic_task.py:210",
    "DEBUG oslo_concurrency.lockutils [None {request} - - - - - -] Lock \"compute_resources\" acquired by"
    " \"nova.compute.resource_tracker.ResourceTracker.update_usage\" :: waited 0.000s inner"
    " /usr/lib/python3/dist-packages/oslo_concurrency/lockutils.py:386",
    "DEBUG oslo_concurrency.processutils [None {request} - - - - - -] Running cmd (subprocess): /usr/bin/python3 -m"
    " oslo_concurrency.prlimit --as=1073741824 --cpu=30 -- env LC_ALL=C LANG=C qemu-img info"
    " /var/lib/nova/instances/{uuid}/disk --force-share --output=json execute"
    " /usr/lib/python3/dist-packages/oslo_concurrency/processutils.py:384",
    "INFO nova.virt.libvirt.driver [None {request} - - - - - -] [instance: {uuid}] Instance destroyed successfully.",
    "WARNING nova.compute.manager [None {request} - - - - - -] While synchronizing instance power states, found 41 instances in"
    " the database and 40 instances on the hypervisor.",
)  # fmt: skip


def measure(rounds: int, sizes: tuple[int, ...] = SIZES) -> Figures:
    with Fleet(["compute1"], progress=single.quiet) as fleet:
        host = fleet["compute1"]
        ground.install(host)
        jobs = {
            EXPLAIN: Job(f"{ground.AGENT} explain {LOG}"),
            LINES: Job(f'exec python3 -I -c "{READ}"'),
            GREP: Job(f"exec grep -cE '{PATTERN}' {LOG}"),
        }
        found: Figures = {}
        for size in sizes:
            write(host, size)
            found[str(size)] = interleaved(host, jobs, rounds, f"a log of {size} MiB:")
        return found


def write(host: Host, mib: int) -> None:
    left = mib << 20
    with open(ground.outside(host, LOG), "wb") as stream:
        for text in blocks():
            stream.write(text)
            left -= len(text)
            if left <= 0:
                return


def blocks(seed: int = 1) -> Iterator[bytes]:
    """About a megabyte of ordinary lines each, then one failed resize; the same for the same seed."""
    chance = random.Random(seed)
    moment = 1_795_000_000_000
    while True:
        lines = []
        for _ in range(4500):
            moment += chance.randrange(400)
            words = chance.choice(ORDINARY)
            told = words.format(request=f"req-{some_uuid(chance)}", uuid=some_uuid(chance))
            lines.append(f"{stamp(moment)} 4242 {told}\n")
        failed = recording(chance.choice(FAILED)).log.replace(GUEST[:-2], some_uuid(chance)[:-2])
        yield ("".join(lines) + failed.rstrip("\n") + "\n").encode()


def some_uuid(chance: random.Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))


def stamp(milliseconds: int) -> str:
    from datetime import datetime, timezone

    at = datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
    return f"{at:%Y-%m-%d %H:%M:%S}.{milliseconds % 1000:03}"


def part(figures: Figures) -> Part:
    sizes = list(figures)
    first, last = figures[sizes[0]], figures[sizes[-1]]
    grown = peak(last[EXPLAIN]) / peak(first[EXPLAIN])
    linear = over(cpu(last[EXPLAIN]), cpu(first[EXPLAIN])).median / (int(sizes[-1]) / int(sizes[0]))
    rows = tuple(
        (
            f"{size} MiB",
            str(over(cpu(jobs[EXPLAIN]), cpu(jobs[GREP]))),
            str(over(wall(jobs[EXPLAIN]), wall(jobs[GREP]))),
            str(over(cpu(jobs[EXPLAIN]), cpu(jobs[LINES]))),
            number(peak(jobs[EXPLAIN]) / peak(first[EXPLAIN])),
        )
        for size, jobs in figures.items()
    )
    return Part(
        "Reading a log",
        "`agent explain nova-compute.log` tells the story of every failed resize in it. Beside it `grep -cE` counts two words of"
        " them, and three lines of Python do the same line by line, which is the least that anything in Python can take.",
        (Table(("log", "CPU, of grep", "clock, of grep", "CPU, of Python by lines", "peak memory, of the smallest"), rows),),
        (
            Goal(f"memory does not grow with the log ({sizes[0]} to {sizes[-1]} MiB)", f"{number(grown)} times", grown <= CONSTANT,
                 "what is remembered is bounded, but not reached by the smallest log"),
            Goal("time is linear in its size", f"{number(linear)} times", linear <= CONSTANT, "something is looked up by size"),
        ),
        (chart(figures),),
        f"`bench/log_reading.py` generates the log: what a busy nova-compute writes, and about each MiB one of {len(FAILED)} failed"
        " resizes as recorded from Nova's own driver.",
    )  # fmt: skip


def chart(figures: Figures) -> Chart:
    size, jobs = list(figures.items())[-1]
    bars = []
    for name, runs in jobs.items():
        seen = over(cpu(runs), cpu(jobs[GREP]))
        bars.append(Bar(name, seen.low, seen.median, seen.high, ours=name == EXPLAIN))
    title = f"Reading a log of {size} MiB: CPU, grep -c is 1"
    drawing = Bars(title, "times grep -c (logarithmic)", (("", tuple(bars)),), logarithmic=True)
    return Chart("log", "CPU of reading a log, as a multiple of grep -c", drawing)


if __name__ == "__main__":
    sys.exit(single.run(measure, part, 3))
