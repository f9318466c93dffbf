"""What a benchmark measures and what it says of it: plain values, kept as JSON between measuring and writing the page."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Union

from bench.charts import Bars, Lines


@dataclass(frozen=True)
class Spent:
    """One run of one job: seconds of CPU (user and system, children included) and of the clock, peak MiB of its largest process.

    `counted`: whatever else a part counts, by name (logins, programs, megabytes).
    """

    cpu: float
    wall: float
    mib: float = 0.0
    counted: Mapping[str, float] = field(default_factory=dict)


Case = dict[str, list[Spent]]
"""By job its runs, in the order of the rounds."""
Figures = dict[str, Case]
"""By case (a number of records, a transport) its jobs."""


@dataclass(frozen=True)
class Spread:
    """A median between its quartiles."""

    low: float
    median: float
    high: float

    def __str__(self) -> str:
        if number(self.low) == number(self.high):
            return number(self.median)
        return f"{number(self.median)} ({number(self.low)} .. {number(self.high)})"


@dataclass(frozen=True)
class Table:
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclass(frozen=True)
class Goal:
    """`why`: the reason where it is not met."""

    text: str
    measured: str
    met: bool
    why: str = ""


@dataclass(frozen=True)
class Chart:
    """`name` is that of its file, `words` stand in for it where it cannot be seen."""

    name: str
    words: str
    drawing: Union[Bars, Lines]


@dataclass(frozen=True)
class Part:
    """One section of the page.  `method` is told at the end of it."""

    title: str
    lead: str
    tables: tuple[Table, ...] = ()
    goals: tuple[Goal, ...] = ()
    charts: tuple[Chart, ...] = ()
    method: str = ""


def spread(values: Iterable[float]) -> Spread:
    """Raises ValueError where there is none."""
    every = sorted(values)
    if not every:
        raise ValueError("nothing was measured")
    if len(every) == 1:
        return Spread(every[0], every[0], every[0])
    low, median, high = statistics.quantiles(every, n=4, method="inclusive")
    return Spread(low, median, high)


def over(values: Sequence[float], base: Sequence[float]) -> Spread:
    """How many times `base`, round by round: what disturbs the machine disturbs both."""
    return spread(value / beneath for value, beneath in zip(values, base, strict=True))


def cpu(runs: Iterable[Spent]) -> list[float]:
    return [run.cpu for run in runs]


def wall(runs: Iterable[Spent]) -> list[float]:
    return [run.wall for run in runs]


def counted(runs: Iterable[Spent], name: str) -> list[float]:
    return [run.counted[name] for run in runs]


def peak(runs: Iterable[Spent]) -> float:
    """MiB."""
    return max(run.mib for run in runs)


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def number(value: float) -> str:
    """Three figures, or as many as a whole number has."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def dumped(figures: Figures) -> dict[str, Any]:
    """As JSON has it."""
    return {
        case: {job: [asdict(run) for run in runs] for job, runs in jobs.items()}
        for case, jobs in figures.items()
    }


def loaded(kept: Mapping[str, Any]) -> Figures:
    return {
        case: {job: [Spent(**run) for run in runs] for job, runs in jobs.items()}
        for case, jobs in kept.items()
    }
