"""One run by the number of peer records: CPU, clock, memory, and the programs it starts.

Usage: python3 -m bench.records [ROUNDS [N ...]]   (3; 10 100 1000 5000 20000; as root; builds one lab host)
Three jobs, nobody dialled: `check` where all is as it should be, `one` (--fix with one new record among N), `all` (--fix where
nothing is trusted yet).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from bench import ground, single
from bench.charts import Lines
from bench.figures import (
    Case,
    Chart,
    Figures,
    Goal,
    Part,
    Table,
    counted,
    cpu,
    median,
    number,
    over,
    peak,
    spread,
    wall,
)
from bench.local_check import BENEATH, FLOOR
from bench.meter import Job, interleaved
from tests.lab import setup_by_hand
from tests.lab.fleet import Fleet
from tests.lab.host import Host

NUMBERS = (10, 100, 1000, 5000, 20000)
CHECK, ONE, ALL = "check", "fix, one new record", "fix from nothing"
STATES = {CHECK: "check", ONE: "one", ALL: "nothing"}
GOAL_AT, GOAL_CHECK, GOAL_ALL, GOAL_MIB = 5000, 1.0, 2.0, 100.0
LINEAR = 1.5  # what one more record may cost at the most, beside what it costs in the middle


def measure(rounds: int, numbers: Sequence[int] = NUMBERS) -> Figures:
    with Fleet(["compute1"], progress=single.quiet) as fleet:
        fleet.start_sshd()
        setup_by_hand.key_per_host(fleet)
        host = fleet["compute1"]
        ground.install(host)
        ground.restore(host, "nothing")
        return {str(each): case(host, each, rounds) for each in numbers}


def case(host: Host, number: int, rounds: int) -> Case:
    """More rounds where one takes little."""
    furnish(host, number)
    jobs = {BENEATH: Job(FLOOR)}
    for name, state in STATES.items():
        line = "--no-probe" if name == CHECK else "--fix --no-probe"
        jobs[name] = Job(f"{ground.AGENT} {line}", before=restoring(host, state))
    some = max(1, rounds - 1) if number > GOAL_AT else rounds if number >= 1000 else 2 * rounds
    return interleaved(host, jobs, some, f"{number} records:")


def restoring(host: Host, state: str) -> Callable[[], None]:
    return lambda: ground.restore(host, state)


def furnish(host: Host, number: int) -> None:
    """Records of N peers; what is trusted when all are known, and when the last one is not there yet."""
    every = ground.made_up(number)
    ground.put_records(host, every)
    last = f"{ground.PEERS}/{every[-1].name}.yaml"
    ground.restore(host, "nothing")
    host.sh(f"mv {last} /opt/last")
    ground.fixed(host)
    ground.keep(host, "one")
    host.sh(f"mv /opt/last {last}")
    ground.fixed(host)
    ground.keep(host, "check")


def above(case: Case, job: str) -> list[float]:
    """Seconds of CPU over the floor."""
    return [one - beneath for one, beneath in zip(cpu(case[job]), cpu(case[BENEATH]), strict=True)]


def part(figures: Figures) -> Part:
    return Part(
        "Scale in records",
        "How many times the floor a run takes by the number of peer records, nobody dialled: a check where all is as it should be,"
        " `--fix` with one new record among them, `--fix` where nothing is trusted yet. *Each more* is what one more record costs,"
        " beside what one more costs between 100 and 1000: 1 is linear.",
        (
            Table(("records", "", "CPU", "clock", "each more", "programs and threads"), rows(figures)),
            Table(("records", "check, peak memory", "fix from nothing, peak memory"), memory(figures),
                  "Memory as a multiple of what the smallest number takes:"),
        ),
        goals(figures),
        charts(figures),
        "`bench/records.py`: the records are generated, with one host key and one user key each; the state a job starts from is put"
        " back before each round and not measured. Peak memory is that of the largest process.",
    )  # fmt: skip


def rows(figures: Figures) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            count,
            job,
            str(over(cpu(jobs[job]), cpu(jobs[BENEATH]))),
            str(over(wall(jobs[job]), wall(jobs[BENEATH]))),
            slope(figures, int(count), job),
            f"{spread(counted(jobs[job], 'started')).median:.0f}",
        )
        for count, jobs in figures.items()
        for job in STATES
    )


def memory(figures: Figures) -> tuple[tuple[str, ...], ...]:
    least = next(iter(figures.values()))
    return tuple(
        (
            count,
            number(peak(jobs[CHECK]) / peak(least[CHECK])),
            number(peak(jobs[ALL]) / peak(least[ALL])),
        )
        for count, jobs in figures.items()
    )


def slope(figures: Figures, count: int, job: str) -> str:
    """What each more record costs since the size before, beside that between 100 and 1000."""
    sizes = sorted(map(int, figures))
    if count <= 100 or not {100, 1000} <= {*sizes}:
        return ""
    before = sizes[sizes.index(count) - 1]
    return number(each(figures, before, count, job) / each(figures, 100, 1000, job))


def each(figures: Figures, low: int, high: int, job: str) -> float:
    few, many = figures[str(low)][job], figures[str(high)][job]
    return (median(cpu(many)) - median(cpu(few))) / (high - low)


def goals(figures: Figures) -> tuple[Goal, ...]:
    told: tuple[Goal, ...] = ()
    at = figures.get(str(GOAL_AT))
    if at is not None:
        check, every = median(above(at, CHECK)), median(above(at, ALL))
        mib = max(peak(at[job]) for job in STATES)
        told += (
            Goal(
                f"{GOAL_AT} records: checked in about {GOAL_CHECK:.0f} s of CPU over the floor",
                f"{check:.2f} s",
                check <= 1.15 * GOAL_CHECK,
                "libyaml through PyYAML alone takes half of that second, before anybody has looked at what a record says",
            ),
            Goal(
                f"{GOAL_AT} records: trusted from nothing in about {GOAL_ALL:.0f} s of CPU over the floor",
                f"{every:.2f} s",
                every <= 1.15 * GOAL_ALL,
                "a fix from nothing looks twice, before and after, and judges both looks",
            ),
            Goal(
                f"{GOAL_AT} records: under {GOAL_MIB:.0f} MiB",
                f"{mib:.0f} MiB",
                mib < GOAL_MIB,
                "every record is kept with what is trusted of it",
            ),
        )
    sizes = sorted(map(int, figures))
    if {100, 1000} <= {*sizes} and sizes[-1] > 1000:
        worst = max(
            each(figures, sizes[-2], sizes[-1], job) / each(figures, 100, 1000, job)
            for job in STATES
        )
        told += (
            Goal(
                f"linear: the last of {sizes[-1]} records costs what one of 1000 does",
                f"{number(worst)} times at most",
                worst <= LINEAR,
                "with so many objects the processor's caches and Python's collector have more to do",
            ),
        )
    return (*told, no_programs(figures))


def no_programs(figures: Figures) -> Goal:
    sizes = sorted(map(int, figures))
    started = [
        median(counted(figures[str(size)][CHECK], "started")) for size in (sizes[0], sizes[-1])
    ]
    return Goal(
        "no program is started for a peer that is not dialled",
        f"{started[0]:.0f} processes and threads at {sizes[0]} records, {started[1]:.0f} at {sizes[-1]}",
        started[1] - started[0] < 10,
        "something is started a peer",
    )


def charts(figures: Figures) -> tuple[Chart, ...]:
    series = tuple(
        (
            job,
            tuple(
                (float(count), over(cpu(jobs[job]), cpu(jobs[BENEATH])).median)
                for count, jobs in figures.items()
            ),
        )
        for job in STATES
    )
    words = "CPU of a check and of two kinds of fix by the number of records, as a multiple of the floor"
    drawing = Lines("CPU by number of records", "peer records", "times the floor", series)
    return (Chart("records", words, drawing),)


if __name__ == "__main__":
    wanted = tuple(map(int, sys.argv[2:])) or NUMBERS
    sys.exit(single.run(lambda rounds: measure(rounds, wanted), part, 3))
