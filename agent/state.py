"""Our own state: the lock of `--fix`, backups of what it changed, the probes and the report that the daemon keeps."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import PurePosixPath

from agent.host import CannotStart, Host, Locked
from agent.host.descend import parent_of
from agent.settings import STATE

LOCK = PurePosixPath("/run/lock/resize-agent.lock")
BACKUPS = STATE / "backups"
_KEPT = 50  # files in backups/, the newest


@contextmanager
def fixing(host: Host) -> Iterator[None]:
    """One `--fix` at a time.  Raises Locked, CannotStart."""
    path = host.inside(LOCK)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise CannotStart(f"the lock {path} cannot be taken: {error.strerror}") from None
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            # The directory is everybody's: who made the file first could keep us out for ever.
            raise CannotStart(
                f"the lock {path} belongs to uid {os.fstat(descriptor).st_uid}: remove it"
            )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(f"{path} is held by another agent --fix") from None
        yield
    finally:
        os.close(descriptor)


def keep(host: Host, path: PurePosixPath, old: bytes, now: datetime) -> PurePosixPath:
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


def forget(host: Host, backup: PurePosixPath) -> None:
    """Take back a backup of what was not changed after all."""
    with parent_of(host.root, backup) as (directory, name):
        os.unlink(name, dir_fd=directory)
