"""Runs jobs on a lab host in turns, and says what each of them and all its children spent."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Optional

from bench.figures import Case, Spent
from tests.lab.host import Host

# Runs one shell text without a terminal.  The numbers that its PID namespace has given away meanwhile are the processes and
# threads that were started; 0 where the kernel does not tell.
METER = """
import json, resource, subprocess, sys, time
def given():
    try:
        return int(open("/proc/sys/kernel/ns_last_pid").read())
    except OSError:
        return 0
quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
first, began = given(), time.perf_counter()
done = subprocess.run(["/bin/sh", "-c", sys.argv[1]], **quiet)
wall, last = time.perf_counter() - began, given()
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({
    "status": done.returncode, "said": done.stderr.decode(errors="replace")[-2000:], "wall": wall,
    "cpu": used.ru_utime + used.ru_stime, "mib": used.ru_maxrss / 1024, "started": last - first,
}))
"""
PATIENCE = 900.0


class Failed(RuntimeError):
    """A job did not do what it is measured for."""


@dataclass(frozen=True)
class Job:
    """A shell text; `before` puts the host into the state it starts from and is not measured.

    `status` is the one it must end with: what fails is quick and means nothing.  `elsewhere` tells the seconds of CPU that were
    spent for it so far by what is not its child; `host` is where it runs, if not where the others do.
    """

    line: str
    status: int = 0
    user: Optional[str] = None
    before: Callable[[], object] = bool
    elsewhere: Callable[[], float] = float
    host: Optional[Host] = None


def measured(host: Host, job: Job) -> Spent:
    """Raises Failed."""
    job.before()
    spent_before = job.elsewhere()
    argv = ["/usr/bin/python3", "-I", "-S", "-c", METER, job.line]
    ran = host.run(argv, user=job.user, timeout=PATIENCE)
    if ran.returncode:
        raise Failed(f"{host.name}: the meter: {ran.stderr}")
    told = json.loads(ran.stdout)
    if told["status"] != job.status:
        raise Failed(f"{host.name}: {job.line!r} ended with {told['status']}: {told['said']}")
    more = job.elsewhere() - spent_before
    return Spent(
        told["cpu"] + more, told["wall"], told["mib"], {"started": max(0, told["started"])}
    )


def interleaved(host: Host, jobs: Mapping[str, Job], rounds: int, words: str = "") -> Case:
    """Each job once in each round, in another order each time; one round before them warms caches."""
    found: Case = {name: [] for name in jobs}
    names = list(jobs)
    for turn in range(rounds + 1):
        progress(f"{words} round {turn} of {rounds}")
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            spent = measured(jobs[name].host or host, jobs[name])
            if turn:
                found[name].append(spent)
    return found


def progress(words: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{words:<60}", end="", file=sys.stderr, flush=True)
