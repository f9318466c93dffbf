"""Our own state: locks, backups of what was changed, and what one run leaves for the next.

Only root's files count: what somebody else could have written is as good as not there.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Optional

from agent.host import CannotStart, Host
from agent.host.descend import parent_of
from agent.model import Fixes
from agent.settings import STATE

LOCK = PurePosixPath("/run/lock/resize-agent.lock")
DAEMON = PurePosixPath("/run/resize-agent/daemon.lock")  # in a directory of root's alone
BACKUPS = STATE / "backups"
REPORT = STATE / "report.json"
PROBES = STATE / "probes.json"
FIXES = STATE / "fixes.json"
_KEPT = 50  # files in backups/, the newest
_LARGEST = 32 << 20  # bytes; 5000 peers need about two million
_TRIES = 100  # to make a lock where somebody else makes it too
_PATIENCE = 5.0  # seconds that another run may take for one file
_FLOCK = "hhqqi"  # struct flock of fcntl(2) on Linux: type, whence, start, length, pid


class Locked(OSError):
    """Another agent has the lock; `args[0]` says which."""


@contextmanager
def fixing(host: Host) -> Iterator[None]:
    """One `--fix` at a time.  Raises Locked, CannotStart."""
    path = host.inside(LOCK)
    descriptor = _lock_file(path, 0o755)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(f"{path} is held by another agent --fix") from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def watching(host: Host) -> Iterator[None]:
    """One daemon at a time.  Raises Locked, CannotStart.

    A record lock (fcntl(2)) and not flock(2): a child that outlives a killed daemon must not hold it.
    """
    path = host.inside(DAEMON)
    descriptor = _lock_file(path, 0o700)
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Locked(f"{path} is held by another agent daemon") from None
        yield
    finally:
        os.close(descriptor)


def ask_daemon(host: Host) -> bool:
    """Tell the running daemon, if there is one, to look again now.

    Who holds the lock is the kernel's word, so the signal goes to nobody else.
    """
    try:
        descriptor = os.open(host.inside(DAEMON), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            return False
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(
            _FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked)[: struct.calcsize(_FLOCK)]
        )
        if kind == fcntl.F_UNLCK or pid <= 0:
            return False
        os.kill(pid, signal.SIGUSR1)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _lock_file(path: str, mode: int) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    why: Optional[str] = "somebody else makes it again and again"
    try:
        os.makedirs(os.path.dirname(path), mode=mode, exist_ok=True)
        for _ in range(_TRIES):
            _clear(path)
            try:
                descriptor = os.open(path, flags, 0o600)
            except OSError as error:  # a link, or fs.protected_regular: made in this very moment
                why = error.strerror
                continue
            if os.fstat(descriptor).st_uid == os.geteuid():
                return descriptor
            os.close(descriptor)
    except OSError as error:
        why = error.strerror
    raise CannotStart(f"the lock {path} cannot be taken: {why}")


def _clear(path: str) -> None:
    """Make way: /run/lock is everybody's, and who made our file there first could keep us out for ever.  Raises OSError."""
    with suppress(FileNotFoundError):
        found = os.lstat(path)
        if found.st_uid == os.geteuid() and stat.S_ISREG(found.st_mode):
            return
        if stat.S_ISDIR(found.st_mode):
            os.rename(path, f"{path}.{found.st_ino}.not-a-lock")
        else:
            os.unlink(path)


def read(host: Host, path: PurePosixPath) -> Optional[dict[str, Any]]:
    """The JSON object in a file of our own; None where there is none that counts, whatever the reason."""
    try:
        with parent_of(host.root, path) as (directory, name):
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            descriptor = os.open(name, flags, dir_fd=directory)
        with os.fdopen(descriptor, "rb") as stream:
            if not _is_ours(os.fstat(stream.fileno())):
                return None
            text = stream.read(_LARGEST + 1)
        value = json.loads(text) if len(text) <= _LARGEST else None
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_ours(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_uid == 0 and not found.st_mode & 0o022


def save(host: Host, path: PurePosixPath, text: str) -> None:
    """A file of our own, as a whole, readable by everybody.  Raises OSError."""
    _make_home(host)
    publish(host.root, path, text)


def publish(root: str, path: PurePosixPath, text: str) -> None:
    """A whole file at once, mode 0644 whatever the umask: temporary file beside it, fsync, rename.  Raises OSError.

    The temporary name starts with a dot and ends otherwise, so that whoever collects `*.prom` does not see it.
    """
    with parent_of(root, path) as (directory, name):
        temporary = f".{name}.new"
        with os.fdopen(_to_ourselves(directory, temporary), "wb") as stream:
            try:
                stream.truncate()
                stream.write(text.encode())
                stream.flush()
                os.fchmod(stream.fileno(), 0o644)
                os.fsync(stream.fileno())
                os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                os.unlink(temporary, dir_fd=directory)  # while the lock is held: it is still ours
                raise
        os.fsync(directory)


def _to_ourselves(directory: int, name: str) -> int:
    """A descriptor of the temporary file, locked: two runs may publish one file, and a killed one leaves it behind.

    Whoever waited here finds that the name has gone, and makes a new one.  What a killed run left may be open to everybody,
    and anybody who can read a file can lock it: nobody is waited for without end.
    """
    from agent.host import locks  # brings OpenSSL with it

    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    while True:
        with suppress(FileNotFoundError):
            if not _is_our_plain_file(os.lstat(name, dir_fd=directory)):
                os.unlink(name, dir_fd=directory)
        descriptor = os.open(name, flags, 0o600, dir_fd=directory)
        try:
            until = time.monotonic() + _PATIENCE
            ours = locks.locked(descriptor, partial(_left, until))
            with suppress(FileNotFoundError):
                found = os.lstat(name, dir_fd=directory)
                if _is_our_plain_file(found) and os.path.samestat(found, os.fstat(descriptor)):
                    if ours:
                        return descriptor
                    os.unlink(name, dir_fd=directory)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _left(until: float) -> float:
    return until - time.monotonic()


def _is_our_plain_file(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1


def fixes(host: Host) -> Fixes:
    """What `--fix` did here so far.  An image has no past of its own."""
    value = (read(host, FIXES) if host.live else None) or {}
    return Fixes(_count(value.get("done")), _count(value.get("failed")))


def count(host: Host, done: int, failed: int) -> None:
    """Add to them.  Raises OSError."""
    before = fixes(host)
    value = {"done": before.done + done, "failed": before.failed + failed}
    save(host, FIXES, json.dumps(value) + "\n")


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def keep(host: Host, path: PurePosixPath, old: bytes, now: datetime) -> PurePosixPath:
    """A copy of what `path` held, readable by root alone; the name says when and which.  Raises OSError."""
    from agent.host import writing  # a plain check replaces nothing

    _make_home(host)
    _make_directory(host, BACKUPS, 0o700)
    stamp = now.strftime("%Y%m%dT%H%M%S.%fZ")
    backup = BACKUPS / f"{stamp}{str(path).replace('/', '!')}"
    us = (os.geteuid(), os.getegid())
    writing.replace_file(host.root, backup, old, mode=0o600, owner=us, replaces=None)
    with parent_of(host.root, backup) as (directory_fd, _):
        for stale in sorted(os.listdir(directory_fd))[:-_KEPT]:
            os.unlink(stale, dir_fd=directory_fd)
    return backup


def _make_home(host: Host) -> None:
    for directory in (STATE.parent, STATE):
        _make_directory(host, directory, 0o755)


def _make_directory(host: Host, path: PurePosixPath, mode: int) -> None:
    with parent_of(host.root, path) as (parent, name):
        try:
            os.mkdir(name, mode, dir_fd=parent)
        except FileExistsError:
            return
        os.chmod(name, mode, dir_fd=parent)  # whatever the umask


def forget(host: Host, backup: PurePosixPath) -> None:
    """Take back a backup of what was not changed after all."""
    with parent_of(host.root, backup) as (directory, name):
        os.unlink(name, dir_fd=directory)
