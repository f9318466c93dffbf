"""A directory of root's that other users may pass through, and people without an account."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Optional

import pytest

from agent.model import Account

NOVA_ID, OTHER_ID = 64060, 64061


@contextmanager
def ground(where: Optional[str] = None) -> Iterator[Path]:
    """Not under pytest's own directory, which only its owner may enter, and itself without the sticky bit: in a sticky
    directory the kernel (fs.protected_regular) refuses what is refused nowhere else.
    """
    place = Path(os.path.realpath(tempfile.mkdtemp(prefix="resize-agent-test-", dir=where)))
    place.chmod(0o755)
    try:
        yield place
    finally:
        shutil.rmtree(place)


def needs_root(test: Callable[..., object]) -> object:
    skipped = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it acts as another user")
    return pytest.mark.root(skipped(test))


def a_user(uid: int = NOVA_ID, *groups: int) -> Account:
    home, shell = PurePosixPath("/nonexistent"), PurePosixPath("/bin/sh")
    return Account("somebody", uid, uid, home, shell, (uid, *groups))


def a_home(place: Path, uid: int = NOVA_ID) -> Path:
    """A directory that belongs to the user."""
    home = place / "home"
    home.mkdir(mode=0o755)
    os.chown(home, uid, uid)
    return home


def contents(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


@contextmanager
def just_before(call: object, happens: Callable[[], object]) -> Iterator[None]:
    """Let something happen once, right before the first time that this thread calls a built-in function."""
    waiting = [happens]

    def listen(_frame: object, event: str, called: object) -> None:
        if event == "c_call" and called == call and waiting:
            waiting.pop()()

    sys.setprofile(listen)
    try:
        yield
    finally:
        sys.setprofile(None)
    assert not waiting, f"{call} was never called"
