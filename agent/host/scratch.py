"""Directories for what others must read while a run lasts; those of a killed run are removed by the next one."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

# /tmp may be full, or closed to nova, which Nova's own copy would not notice.
PARENTS = ("/run", "/tmp", "/var/tmp")
_PREFIX = "resize-agent-"
_OLD = 3600.0  # seconds


@contextmanager
def directory(parents: Sequence[str]) -> Iterator[str]:
    """In the first of `parents` that has room; everybody may pass through and read.  Gone afterwards.  Raises OSError."""
    made = _made(parents)
    held = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_SH)  # as long as we live, whatever kills us
        os.chmod(made, 0o755)
        _sweep(os.path.dirname(made), os.fstat(held).st_mtime)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(held)


def make(parents: Sequence[str]) -> str:
    """The same for a child that ends at once and so can hold nothing: what was left is removed when it is old."""
    made = _made(parents)
    os.chmod(made, 0o755)
    return made


def remove(made: str) -> None:
    shutil.rmtree(made, ignore_errors=True)


def put(path: str, content: bytes, mode: int) -> None:
    """A file in such a directory, for others to read.  Raises OSError."""
    with open(path, "wb") as stream:
        stream.write(content)
        os.fchmod(stream.fileno(), mode)


def _made(parents: Sequence[str]) -> str:
    for parent in parents:
        try:
            return tempfile.mkdtemp(prefix=_PREFIX, dir=parent)
        except OSError as error:
            failure = error
    raise failure


def _sweep(parent: str, now: float) -> None:
    """Ours that nobody holds.  One that another agent has just made and not yet locked is told by its mode, still 0700."""
    try:
        names = [name for name in os.listdir(parent) if name.startswith(_PREFIX)]
    except OSError:
        return
    for name in names:
        path = os.path.join(parent, name)
        try:
            held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue  # no directory of ours
        try:
            found = os.fstat(held)
            ready = found.st_mode & 0o777 == 0o755 or found.st_mtime < now - _OLD
            if found.st_uid == os.geteuid() and ready:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            pass  # its run goes on
        finally:
            os.close(held)
