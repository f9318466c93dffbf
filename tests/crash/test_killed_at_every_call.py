"""`--fix` is killed at every system call that changes something; nothing is lost, the next one finishes the work.

`all` kills every process of the run, as a machine or a service manager does; `self` the process that makes the call, be it the
agent, its child that acts as nova, or a tool; `main` the agent while a child or tool goes on; `torn` all of them, half of the
bytes of a write being on the disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.crash import judge
from tests.crash.ground import FIX, Ground, changed, ground, look, raw
from tests.lab.provision import agent

pytestmark = pytest.mark.lab

WAYS = ["all", "self", "main", "torn"]
EACH = [pytest.param([way], id=way, marks=pytest.mark.slow) for way in WAYS]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(raw, id="raw"),
        pytest.param(changed, id="changed", marks=pytest.mark.slow),
    ],
)
def host(request: pytest.FixtureRequest) -> Iterator[Ground]:
    with ground(request.param) as stand:
        yield stand


def wanted(stand: Ground, how: str) -> list[int]:
    """Numbers of the points at which this way to die is another one than "all"."""
    points = enumerate(stand.points)
    if how == "torn":
        return [n for n, point in points if " write " in f" {point.split(': ')[1]} "]
    if how in ("self", "main"):
        return [n for n, point in points if not point.startswith("agent: ")]
    return [n for n, _ in points]


def some(stand: Ground, ways: list[str]) -> list[tuple[int, str]]:
    """All points for one way; every tenth for several, which take turns."""
    if len(ways) == 1:
        return [(point, ways[0]) for point in wanted(stand, ways[0])]
    tenth = range(4, len(stand.points), 10)
    turns = ((point, ways[n % len(ways)]) for n, point in enumerate(tenth))
    return [(point, how if point in wanted(stand, how) else "all") for point, how in turns]


@pytest.mark.parametrize("ways", [pytest.param(WAYS, id="every-tenth-point"), *EACH])
def test_a_kill_costs_nothing_and_the_next_run_finishes(host: Ground, ways: list[str]) -> None:
    broken, struck = [], 0
    for point, how in some(host, ways):
        run = host.driven(point, how)
        struck += run.struck
        problems = list(judge.at_once(host, look(host.host), torn=how == "torn"))
        problems += judge.in_the_end(host, point)
        broken += [f"{how} at {point}, {host.points[point]}: {problem}" for problem in problems]
    print(f"{', '.join(ways)}: {struck} kills at {len(host.points)} points")
    assert struck == len(some(host, ways))
    assert not broken, "\n".join(broken)


def test_the_run_that_is_disturbed_is_the_same_each_time(host: Ground) -> None:
    """Or else the N-th call would not be the N-th."""
    again = host.driven(0, "count")
    assert list(map(kind, again.points)) == list(map(kind, host.points))


def kind(point: str) -> str:
    """Without the numbers and times in temporary names."""
    return re.sub(r"[0-9]+", "N", point)


def test_a_run_from_the_command_line_comes_to_the_same(host: Ground) -> None:
    """What is disturbed here is forked from a process that has loaded the program."""
    host.restore()
    run = agent(host.host, *FIX)
    assert (run.status, run.steps) == (0, []), run
    assert list(judge.at_once(host, look(host.host))) == []
    assert list(judge.in_the_end(host)) == []
