"""A full disk, an exhausted quota, a read-only remount and a broken device at every call that changes something.

The step says so, the exit status is 1, nothing is half-written, and the next run on a sound disk finishes the work.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash import judge
from tests.crash.driving import Driven
from tests.crash.ground import FIX, Ground, changed, ground, look, raw
from tests.lab.provision import NOVA_HOME, agent

pytestmark = pytest.mark.lab

ERRORS = ("ENOSPC", "EDQUOT", "EROFS", "EIO")
WAYS = [error + lasting for lasting in ("", "+") for error in ERRORS]
"""Once, or from that call on (a disk that stays full lets files be removed and given away, a broken one nothing)."""
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


def wanted(stand: Ground) -> list[int]:
    return [n for n, point in enumerate(stand.points) if ": execve " not in point]


@pytest.mark.parametrize("ways", [pytest.param(WAYS, id="every-tenth-point"), *EACH])
def test_an_error_is_told_and_leaves_nothing_half_written(host: Ground, ways: list[str]) -> None:
    broken, told = [], 0
    points = wanted(host) if len(ways) == 1 else wanted(host)[5::10]
    for number, point in enumerate(points):
        how = ways[number % len(ways)]
        run = host.driven(point, how)
        problems = [
            *judge.at_once(host, look(host.host)),
            *_told(run),
            *judge.in_the_end(host, point),
        ]
        told += run.status == 1
        broken += [f"{how} at {point}, {host.points[point]}: {problem}" for problem in problems]
    print(f"{told} failed steps at {len(points)} of {len(host.points)} points")
    assert told > 0
    assert not broken, "\n".join(broken)


def _told(run: Driven) -> Iterator[str]:
    """1 with a failed step that has a text; 3 where not even the lock could be had; 0 where the call was not needed."""
    if run.status == 3 and "lock" in run.stderr:
        return
    if run.status not in (0, 1) or "Traceback" in run.stderr:
        yield f"ended with {run.status}: {run.stderr}"
        return
    failed = [step for step in run.report["applied"] if step["result"] != "done"]
    if run.status == 0 and failed:
        yield f"a failed step and exit status 0: {failed}"
    if run.status == 1 and not any(step["message"] for step in failed):
        yield f"exit status 1 and no step that says why: {run.report['applied']}, {run.stderr}"


FILL = "dd if=/dev/zero of={0}/filler bs=4k 2>/dev/null || true; df --output=avail {0} | tail -n 1"
ON_ITS_OWN = """
cp -a {0} /root/home
mount -t tmpfs -o size={1},mode=755,uid=$(id -u nova),gid=$(id -g nova) none {0}
cp -a /root/home/. {0}/; rm -r /root/home
"""


@pytest.mark.parametrize("size", ["64k", "192k"])
def test_a_disk_that_is_really_full_keeps_every_line(host: Ground, size: str) -> None:
    """Nova's home on a file system of its own."""
    machine = host.restore()
    machine.sh(ON_ITS_OWN.format(NOVA_HOME, size) + FILL.format(NOVA_HOME))
    try:
        run = agent(machine, *FIX)
        assert run.status == 1, run
        assert not list(judge.at_once(host, look(machine))), run
        assert any("No space left" in step["message"] for step in run.report["applied"]), run
        machine.sh(f"rm {NOVA_HOME}/filler")
        done = agent(machine, *FIX)
        assert (done.status, done.steps) == (0, []), done
        assert not list(judge.at_once(host, look(machine))), done
    finally:
        machine.sh(f"umount -l {NOVA_HOME}")


@pytest.mark.parametrize("where", ["/etc/ssh", f"{NOVA_HOME}/.ssh", "/etc", "/var/lib"])
def test_a_directory_that_is_really_read_only_is_told(host: Ground, where: str) -> None:
    machine = host.restore()
    machine.sh(f"mount --bind {where} {where}; mount -o remount,bind,ro {where}")
    try:
        run = agent(machine, *FIX)
        assert run.status == 1, run
        assert "Read-only" in run.stdout, run
        assert not list(judge.at_once(host, look(machine))), run
    finally:
        machine.sh(f"umount -l {where}")
    assert not list(judge.in_the_end(host))
