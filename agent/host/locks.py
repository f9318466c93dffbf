"""Locks that all agents on this machine share."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable

_LOCKS = "/run/resize-agent"  # root's alone: nobody else can hold one of these
_GLANCE = 0.1  # seconds between two tries for a lock


@contextmanager
def held(name: str, left: Callable[[], float]) -> Iterator[bool]:
    """Whether it was to be had in the seconds that are left.  Raises OSError."""
    os.makedirs(_LOCKS, mode=0o700, exist_ok=True)
    path = os.path.join(_LOCKS, hashlib.sha256(name.encode()).hexdigest()[:32])
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield locked(descriptor, left)
    finally:
        os.close(descriptor)


def locked(descriptor: int, left: Callable[[], float]) -> bool:
    """flock(2) has no time limit of its own."""
    pause = threading.Event()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if left() <= 0:
                return False
            pause.wait(_GLANCE)
        else:
            return True
