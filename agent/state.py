"""Our own state: the lock of `--fix`, backups of what it changed, the probes and the report that the daemon keeps."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import PurePosixPath
from typing import Optional

from agent.host import Host
from agent.host.descend import parent_of
from agent.settings import STATE

LOCK = PurePosixPath("/run/lock/resize-agent.lock")
BACKUPS = STATE / "backups"
_KEPT = 50  # files in backups/, the newest


class Locked(OSError):
    """Another `agent --fix` is at work on this host."""


@contextmanager
def fixing(host: Host) -> Iterator[None]:
    """One `--fix` at a time.  Raises Locked, OSError."""
    path = host.inside(LOCK)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(f"{path} is held by another agent --fix") from None
        yield
    finally:
        os.close(descriptor)


def keep(host: Host, path: PurePosixPath, old: bytes, now: datetime) -> Optional[PurePosixPath]:
    """A copy of what `path` held, readable by root alone; the name says when and which.  Raises OSError."""
    for directory, mode in ((STATE.parent, 0o755), (STATE, 0o755), (BACKUPS, 0o700)):
        with parent_of(host.root, directory) as (parent, name):
            try:
                os.mkdir(name, mode, dir_fd=parent)
            except FileExistsError:
                continue
    stamp = now.strftime("%Y%m%dT%H%M%S.%fZ")
    backup = BACKUPS / f"{stamp}{str(path).replace('/', '!')}"
    with parent_of(host.root, backup) as (directory_fd, name):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o600, dir_fd=directory_fd)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(old)
            stream.flush()
            os.fsync(stream.fileno())
        for stale in sorted(os.listdir(directory_fd))[:-_KEPT]:
            os.unlink(stale, dir_fd=directory_fd)
    return backup
