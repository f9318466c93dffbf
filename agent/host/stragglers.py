"""Processes that outlive a program we ran, also those that left its session or forked twice.

Such a process loses its parent and so becomes our child.  Only while nothing of ours runs is every unknown child known to
be one: an ssh of another thread may have its shared connection (ControlPersist) in the background.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from agent.host import kernel

_ENDING = 2.0  # seconds for all of them; one that forks faster than we kill, or hangs in the kernel, stays
_PAUSE = 0.001


@dataclass
class _Brood:
    """`known` are the children there were before the first of those who now run."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    running: int = 0
    known: frozenset[int] = frozenset()


_BROOD = _Brood()


@contextmanager
def ended() -> Iterator[None]:
    """Whoever leaves last ends what all left behind."""
    with _BROOD.lock:
        if not _BROOD.running:
            kernel.adopt_orphans()
            _BROOD.known = _children()
        _BROOD.running += 1
    try:
        yield
    finally:
        with _BROOD.lock:
            _BROOD.running -= 1
            if not _BROOD.running:
                _end_all_but(_BROOD.known)


def _end_all_but(known: frozenset[int]) -> None:
    """Again and again: the children of one that is killed become ours in turn."""
    deadline = time.monotonic() + _ENDING
    while strays := [pid for pid in _children() - known if _left_our_session(pid)]:
        for pid in strays:
            _kill(pid)
        if time.monotonic() > deadline:
            return
        select.select([], [], [], _PAUSE)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, os.WNOHANG)
    except (ProcessLookupError, PermissionError, ChildProcessError):
        pass  # gone, or it has become somebody else


def _left_our_session(pid: int) -> bool:
    """Every program is started in a session of its own, and no process can ever enter another's."""
    try:
        return os.getsid(pid) != os.getsid(0)
    except ProcessLookupError:
        return False


def _children() -> frozenset[int]:
    """Of every thread of this process (proc_pid_task(5)); none where the kernel does not list them."""
    found: set[int] = set()
    for thread in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{thread}/children", "rb") as stream:
                found.update(map(int, stream.read().split()))
        except FileNotFoundError:
            continue  # the thread has ended, or CONFIG_PROC_CHILDREN is off
    return frozenset(found)
