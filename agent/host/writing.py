"""Changing files so that a crash, a full disk or a hostile owner of the directory costs nothing.

Whole replacement for files that are ours alone; one append and one-byte writes for files shared with ssh and people.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Optional

from agent.formats import lines
from agent.host import appending, landing
from agent.host.descend import Refused, opened, parent_of

_MAX_BYTES = 8 << 20
_TRIES = 5
_IGNORED = (errno.ENOTSUP, errno.EPERM, errno.EACCES, errno.ENODATA)


class Stale(OSError):
    """What the step relies on is no longer what was observed; nothing was written."""

    def __init__(self, path: PurePosixPath) -> None:
        super().__init__(errno.ESTALE, f"{path} changed since it was looked at")


def make_directory(root: str, path: PurePosixPath, mode: int, uid: int, gid: int) -> None:
    """With its owner and mode from the first moment on, where the file system can rename without replacing."""
    with parent_of(root, path) as (directory, name):
        temporary = landing.name_beside(name)
        try:
            _make(directory, temporary, path, mode, (uid, gid))
            try:
                if not landing.renamed(directory, temporary, name):
                    os.rmdir(temporary, dir_fd=directory)
                    _make(directory, name, path, mode, (uid, gid))
            except BaseException:
                with suppress(OSError):
                    os.rmdir(temporary, dir_fd=directory)
                raise
        except FileExistsError:
            raise Stale(path) from None
        os.fsync(directory)


def _make(
    directory: int, name: str, path: PurePosixPath, mode: int, owner: tuple[int, int]
) -> None:
    before = os.umask(0o7777 & ~mode)
    try:
        os.mkdir(name, mode, dir_fd=directory)
    finally:
        os.umask(before)
    made = opened(directory, name, path, os.O_RDONLY | os.O_DIRECTORY, (os.geteuid(),))
    try:
        _give(made, *owner, mode)
    finally:
        os.close(made)


def set_owner(root: str, path: PurePosixPath, uid: int, gid: int, was: tuple[int, int]) -> None:
    with parent_of(root, path) as (directory, name):
        owner = os.lstat(name, dir_fd=directory).st_uid
        descriptor = opened(directory, name, path, os.O_RDONLY, (owner,))
        try:
            found = os.fstat(descriptor)
            if (found.st_uid, found.st_gid) != was:
                raise Stale(path)
            os.fchown(descriptor, uid, gid)
        finally:
            os.close(descriptor)


def set_mode(root: str, path: PurePosixPath, mode: int, was: int) -> None:
    """Never widens: a bit that is not set stays so."""
    if mode & ~was:
        raise Refused(f"mode {mode:o} of {path} would widen {was:o}")
    with parent_of(root, path) as (directory, name):
        owner = os.lstat(name, dir_fd=directory).st_uid
        descriptor = opened(directory, name, path, os.O_RDONLY, (owner,))
        try:
            if stat.S_IMODE(os.fstat(descriptor).st_mode) != was:
                raise Stale(path)
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)


def replace_file(
    root: str,
    path: PurePosixPath,
    content: bytes,
    *,
    mode: int,
    owner: tuple[int, int],
    replaces: Optional[bytes],
) -> None:
    """The whole text at once: temporary file beside it, fsync, rename, fsync of the directory.

    An existing file keeps its owner, mode, ACL and label, but root's is made as readable as `mode` says; `owner` is for a
    new one.
    """
    with parent_of(root, path) as (directory, name):
        old = _same(directory, name, path, replaces)
        if old is None:
            _create(directory, name, path, content, mode, owner)
            return
        try:
            descriptor, temporary = landing.beside(directory, name)
            try:
                try:
                    _write_all(descriptor, content)
                    _copy_attributes(old, descriptor, mode if owner[0] == 0 else 0)
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                again = _same(directory, name, path, replaces)
                if again is not None:
                    os.close(again)
                landing.in_place_of(directory, temporary, name)
            except BaseException:
                landing.remove(directory, temporary)
                raise
        finally:
            os.close(old)
        os.fsync(directory)


def holds(root: str, path: PurePosixPath, text: bytes) -> bool:
    """Whether nothing of a step that failed has reached the file.  Where that cannot be seen it may have."""
    try:
        with parent_of(root, path) as (directory, name):
            descriptor = _same(directory, name, path, text)
    except OSError:
        return False
    if descriptor is not None:
        os.close(descriptor)
    return True


def have_lines(
    root: str,
    path: PurePosixPath,
    present: Sequence[bytes],
    absent: Sequence[bytes],
    *,
    mode: int,
    owner: tuple[int, int],
    existed: bool,
) -> None:
    """Add and withdraw our lines in a shared file; one that is in both lists stays (formats.lines.result).

    Nothing is ever truncated or moved, so a line that ssh appends meanwhile is kept; a file that was replaced meanwhile is
    done again.  Raises Stale where the file came or went since it was observed.
    """
    with parent_of(root, path) as (directory, name):
        if not existed:
            _create(directory, name, path, b"".join(line + b"\n" for line in present), mode, owner)
            return
        unwanted = [line for line in absent if line not in present]
        for _ in range(_TRIES):
            try:
                if _edit(directory, name, path, present, unwanted, owner[0]):
                    return
            except FileNotFoundError:
                raise Stale(path) from None
    raise Stale(path)


def _edit(
    directory: int,
    name: str,
    path: PurePosixPath,
    present: Sequence[bytes],
    absent: Sequence[bytes],
    owner: int,
) -> bool:
    """Whether the file that was edited is still the one at `path`."""
    descriptor = opened(directory, name, path, os.O_RDWR, (0, owner))
    # pwrite(2) on an O_APPEND descriptor appends, so appending has a descriptor of its own.
    appender = opened(directory, name, path, os.O_WRONLY | os.O_APPEND, (0, owner))
    try:
        if not os.path.samestat(os.fstat(descriptor), os.fstat(appender)):
            return False
        old = _read_all(descriptor, path)
        torn = lines.torn(old, present)
        addition = lines.appended(old, present)
        appending.reserve(descriptor, len(old), len(addition))
        appending.append(appender, descriptor, addition, path)
        for offset, length in lines.withdrawals(old, absent):
            if os.pread(descriptor, length, offset) == old[offset : offset + length]:
                os.pwrite(descriptor, b"#", offset)
        if torn is not None:
            os.pwrite(descriptor, b"#", torn)
        os.fsync(descriptor)
        now = os.lstat(name, dir_fd=directory)
        return os.path.samestat(now, os.fstat(descriptor))
    finally:
        os.close(descriptor)
        os.close(appender)


def _create(
    directory: int, name: str, path: PurePosixPath, text: bytes, mode: int, owner: tuple[int, int]
) -> None:
    """A new file with its whole text or none."""
    descriptor, temporary = landing.beside(directory, name)
    try:
        try:
            _write_all(descriptor, text)
            _give(descriptor, *owner, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        landing.where_nothing_is(directory, temporary, name)
    except BaseException as error:
        landing.remove(directory, temporary)
        if not isinstance(error, FileExistsError):
            raise
        if stat.S_ISLNK(os.lstat(name, dir_fd=directory).st_mode):
            raise Refused(f"{path} is a symbolic link") from None
        raise Stale(path) from None
    os.fsync(directory)


def _same(
    directory: int, name: str, path: PurePosixPath, replaces: Optional[bytes]
) -> Optional[int]:
    """A descriptor of the file that still has the text that was observed, None where it is still not there."""
    try:
        descriptor = opened(
            directory, name, path, os.O_RDONLY, (0, os.lstat(name, dir_fd=directory).st_uid)
        )
    except FileNotFoundError:
        if replaces is None:
            return None
        raise Stale(path) from None
    if replaces is None or _read_all(descriptor, path) != replaces:
        os.close(descriptor)
        raise Stale(path)
    return descriptor


def _read_all(descriptor: int, path: PurePosixPath) -> bytes:
    """Its size says nothing: whoever owns it can let it grow as fast as we read."""
    chunks: list[bytes] = []
    offset = 0
    while offset <= _MAX_BYTES:
        chunk = os.pread(descriptor, 1 << 20, offset)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        offset += len(chunk)
    raise Refused(f"{path} is larger than {_MAX_BYTES} bytes")


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _give(descriptor: int, uid: int, gid: int, mode: int) -> None:
    found = os.fstat(descriptor)
    if (found.st_uid, found.st_gid) != (uid, gid):
        os.fchown(descriptor, uid, gid)
    if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
        os.fchmod(descriptor, mode)


def _copy_attributes(old: int, new: int, least: int) -> None:
    """Owner, mode (with the bits of `least` at least), then ACL and label, which are extended attributes."""
    found = os.fstat(old)
    there = os.listxattr(old)
    for name in os.listxattr(new):
        if name not in there and name.startswith("system."):
            # The directory's default ACL, which the old file did not have.
            os.removexattr(new, name)
    _give(new, found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode))
    for name in there:
        try:
            os.setxattr(new, name, os.getxattr(old, name))
        except OSError as error:
            if error.errno not in _IGNORED:
                raise
    mode = stat.S_IMODE(found.st_mode)
    if least & ~mode:
        os.fchmod(new, mode | least)
