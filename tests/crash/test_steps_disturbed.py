"""Every kind of action, disturbed at every system call that changes something: killed, torn, refused by the disk."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.crash import work
from tests.crash.driving import Driven, Driver, driver
from tests.host.ground import ground

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it acts as another user"),
]

HERE = Path(__file__).parent
IN_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
KILLS = ("all", "self", "main", "torn")
ERRORS = tuple(f"{e}{more}" for e in ("ENOSPC", "EDQUOT", "EROFS", "EIO") for more in ("", "+"))
PUBLIC = re.compile(rb"ssh-ed25519 AAAA[A-Za-z0-9+/]{64} nova@compute1\n")
TOOLS = re.compile(
    r"etc/(passwd|shadow|group|gshadow|subuid|subgid)([-+]|\.lock|\.\d+)|etc/\.pwd\.lock"
)


@dataclass(frozen=True)
class Tree:
    """`points` are those of an undisturbed run, `after` the names it leaves."""

    root: Path
    driver: Driver
    points: tuple[str, ...]
    after: frozenset[str]

    def driven(self, at: int, how: str) -> Driven:
        return self.driver.run([str(self.root)], at, how)

    def again(self) -> Driven:
        return self.driver.run([str(self.root)])

    def put_back(self) -> None:
        for each in self.root.iterdir():
            shutil.rmtree(each)
        work.plant(self.root)


@pytest.fixture(scope="module")
def tree(driving: Driver) -> Iterator[Tree]:
    with ground(IN_MEMORY) as root:  # a thousand runs on a disk are a hundred thousand times fsync
        work.plant(root)
        run = driving.run([str(root)], 0, "count")
        assert run.status == 0, run
        yield Tree(root, driving, tuple(run.points), listed(root))


@pytest.fixture(scope="module")
def driving() -> Iterator[Driver]:
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(HERE.parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-B", str(HERE / "driver.py"), "agent", "tests.crash.work"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd="/",
        start_new_session=True,
    )
    with driver(process, "tests.crash.work:main", environment) as each:
        yield each


def listed(root: Path) -> frozenset[str]:
    names = []
    for path in root.rglob("*"):
        name, found = str(path.relative_to(root)), path.lstat()
        if not TOOLS.fullmatch(name) and "/backups/" not in name:
            links = found.st_nlink if path.is_file() else 0
            names.append(f"{name} {found.st_mode:o} {found.st_uid}:{found.st_gid} {links}")
    return frozenset(names)


def at_once(root: Path) -> Iterator[str]:
    for name in ("authorized_keys", "known_hosts"):
        text = (root / "home/.ssh" / name).read_bytes()
        if work.FOREIGN not in (
            text[: len(work.FOREIGN)],
            text[len(work.GONE) + 1 :][: len(work.FOREIGN)],
        ):
            yield f"{name}: {text!r}"
    for name, texts in (
        ("etc/new", (work.MADE, None)),
        ("etc/replaced", (work.OLD, work.NEW)),
        ("home/.ssh/stale", (work.OLD, work.NEW)),
        ("home/.ssh/wide", (b"x",)),
    ):
        if work.read(root / name) not in texts:
            yield f"{name} is {work.read(root / name)!r}"
    public = work.read(root / "home/.ssh/id.pub")
    if public is not None and not PUBLIC.fullmatch(public):
        yield f"half a key: {public!r}"
    passwd = (root / "etc/passwd").read_text()
    if passwd not in (work.PASSWD, work.PASSWD.replace("/bin/false", "/bin/bash")):
        yield f"passwd: {passwd!r}"
    if (root / "etc/shadow").read_text() != work.SHADOW:
        yield "shadow is damaged"


def in_the_end(tree: Tree) -> Iterator[str]:
    done = tree.again()
    if done.status:
        yield f"the next run does not finish: {done.stdout}{done.stderr}"
    yield from at_once(tree.root)
    left = listed(tree.root)
    if left != tree.after:
        yield f"other than undisturbed: {sorted(left - tree.after)} for {sorted(tree.after - left)}"
    yield from keys(tree.root)
    quiet = tree.again()
    if quiet.stdout or quiet.status:
        yield f"another run is not quiet: {quiet.stdout}{quiet.stderr}"


def keys(root: Path) -> Iterator[str]:
    derived = subprocess.run(
        ["ssh-keygen", "-y", "-f", str(root / "home/.ssh/id")], capture_output=True, check=False
    )
    text = (root / "home/.ssh/authorized_keys").read_bytes()
    live = [line for line in text.split(b"\n") if b"resize-agent:" in line and line[:1] != b"#"]
    blob = (derived.stdout.split() or [b"", b""])[1]
    if len(live) != 3 or not blob or sum(blob in line for line in live) != 1:
        yield f"accepted are {live}, the key is {derived}"
    for name in ("known_hosts", "fresh"):
        found = (root / "home/.ssh" / name).read_bytes().split(b"\n")
        if any(found.count(line) != 1 for line in work.OURS):
            yield f"{name}: {found}"


def wanted(tree: Tree, how: str) -> list[int]:
    """The points at which this disturbance is another one than the others."""
    points = enumerate(tree.points)
    if how == "torn":
        return [n for n, point in points if ": write " in point]
    if how in ("self", "main"):
        return [n for n, point in points if not point.startswith("agent: ")]
    if how[0] == "E":
        return [n for n, point in points if ": execve " not in point]
    return [n for n, _ in points]


EACH = [pytest.param([way], id=way, marks=pytest.mark.slow) for way in KILLS + ERRORS]
SOME = [pytest.param(KILLS, id="every-tenth-kill"), pytest.param(ERRORS, id="every-tenth-error")]


def some(tree: Tree, ways: Sequence[str]) -> list[tuple[int, str]]:
    """All points for one way; every tenth of all points for several, the ways taking turns."""
    if len(ways) == 1:
        return [(point, ways[0]) for point in wanted(tree, ways[0])]
    taken = [ways[n % len(ways)] for n in range(len(tree.points))]
    return [(p, how if p in wanted(tree, how) else "all") for p, how in enumerate(taken)][4::9]


@pytest.mark.parametrize("ways", [*SOME, *EACH])
def test_no_byte_is_lost_and_the_next_run_finishes(tree: Tree, ways: Sequence[str]) -> None:
    broken, points = [], some(tree, ways)
    for point, how in points:
        tree.put_back()
        run = tree.driven(point, how)
        problems = list(at_once(tree.root)) if how != "torn" else []
        if how[0] == "E" and run.status not in (0, 1):
            problems.append(f"status {run.status}: {run.stderr[-800:]}")
        problems += in_the_end(tree)
        broken += [f"{how} at {point}, {tree.points[point]}: {problem}" for problem in problems]
    print(f"{', '.join(ways)}: {len(points)} disturbances at {len(tree.points)} points")
    assert points
    assert not broken, "\n".join(broken)
