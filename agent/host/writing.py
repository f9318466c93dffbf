"""Changing files so that a crash, a full disk or a hostile owner of the directory costs nothing.

Whole replacement for files that are ours alone; one append and one-byte writes for files shared with ssh and people.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Optional

from agent.formats import lines
from agent.host.descend import Refused, opened, parent_of

_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE, fallocate(2)
_MAX_BYTES = 8 << 20
_TRIES = 5
_IGNORED = (errno.ENOTSUP, errno.EPERM, errno.EACCES, errno.ENODATA)


class Stale(OSError):
    """What the step relies on is no longer what was observed; nothing was written."""

    def __init__(self, path: PurePosixPath) -> None:
        super().__init__(errno.ESTALE, f"{path} changed since it was looked at")


def make_directory(root: str, path: PurePosixPath, mode: int, uid: int, gid: int) -> None:
    with parent_of(root, path) as (directory, name):
        try:
            os.mkdir(name, 0o700, dir_fd=directory)
        except FileExistsError:
            raise Stale(path) from None
        made = opened(directory, name, path, os.O_RDONLY | os.O_DIRECTORY, (os.geteuid(),))
        try:
            _give(made, uid, gid, mode)
        finally:
            os.close(made)
        os.fsync(directory)


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

    An existing file keeps its owner, ACL and label, and in a user's directory its mode; `owner` is for a new one.
    """
    with parent_of(root, path) as (directory, name):
        old = _same(directory, name, path, replaces)
        temporary = f".{name}.resize-agent.{os.getpid()}"
        descriptor = os.open(
            temporary,
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o600,
            dir_fd=directory,
        )
        try:
            try:
                _write_all(descriptor, content)
                if old is None:
                    _give(descriptor, *owner, mode)
                else:
                    _copy_attributes(old, descriptor)
                    if owner[0] == 0 == os.fstat(old).st_uid:
                        os.fchmod(descriptor, mode)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
                if old is not None:
                    os.close(old)
            recheck = _same(directory, name, path, replaces)
            if recheck is not None:
                os.close(recheck)
            os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            _unlink(temporary, directory)
            raise
        os.fsync(directory)


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
        _reserve(descriptor, len(old), len(addition))
        if addition and os.write(appender, addition) != len(addition):
            raise OSError(errno.ENOSPC, f"{path}: only a part could be written")
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
    """A new file with its whole text or none: written beside, then linked, which replaces nothing."""
    temporary = f".{name}.resize-agent.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=directory)
    try:
        try:
            _write_all(descriptor, text)
            _give(descriptor, *owner, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
    except FileExistsError:
        if stat.S_ISLNK(os.lstat(name, dir_fd=directory).st_mode):
            raise Refused(f"{path} is a symbolic link") from None
        raise Stale(path) from None
    finally:
        _unlink(temporary, directory)
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
    if os.fstat(descriptor).st_size > _MAX_BYTES:
        raise Refused(f"{path} is larger than {_MAX_BYTES} bytes")
    chunks: list[bytes] = []
    offset = 0
    while True:
        chunk = os.pread(descriptor, 1 << 20, offset)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        offset += len(chunk)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _give(descriptor: int, uid: int, gid: int, mode: int) -> None:
    found = os.fstat(descriptor)
    if (found.st_uid, found.st_gid) != (uid, gid):
        os.fchown(descriptor, uid, gid)
    os.fchmod(descriptor, mode)


def _copy_attributes(old: int, new: int) -> None:
    """Owner, mode, then ACL and label, which are extended attributes."""
    found = os.fstat(old)
    _give(new, found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode))
    for name in os.listxattr(old):
        try:
            os.setxattr(new, name, os.getxattr(old, name))
        except OSError as error:
            if error.errno not in _IGNORED:
                raise


def _reserve(descriptor: int, offset: int, length: int) -> None:
    """Room for the append, so that it is whole or does not happen.  File systems that cannot say so are trusted."""
    if not length:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    off_t = ctypes.c_int64
    libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, off_t, off_t]
    if libc.fallocate(descriptor, _KEEP_SIZE, offset, length) != 0:
        code = ctypes.get_errno()
        if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS):
            raise OSError(code, os.strerror(code))


def _unlink(name: str, directory: int) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        pass


def scratch_directory(root: str, parent: PurePosixPath) -> str:
    """A fresh directory inside `parent` (0700), for a key pair in the making.  Runs as the user."""
    with parent_of(root, parent / "x") as (directory, _):
        where = os.readlink(f"/proc/self/fd/{directory}")
        name = f".resize-agent.{os.getpid()}"
        os.mkdir(name, 0o700, dir_fd=directory)
        return os.path.join(where, name)


def land_key_pair(made: str, name: str) -> str:
    """Out of the scratch directory, into the one that holds it: public half first, then the private one, each by a link that
    replaces nothing; returns the public text.
    """
    path = os.path.join(os.path.dirname(made), os.path.basename(name))
    for half in ("key.pub", "key"):
        descriptor = os.open(os.path.join(made, half), os.O_RDONLY | os.O_NOFOLLOW)
        os.fsync(descriptor)
        os.close(descriptor)
    with open(os.path.join(made, "key.pub"), "rb") as stream:  # no codec to import as the user
        text = stream.read().decode("ascii", "replace")
    if os.path.lexists(path):
        raise Refused(f"{path} exists: a private key is never replaced")
    if os.path.lexists(path + ".pub"):
        os.rename(path + ".pub", path + ".pub.old")
    os.link(os.path.join(made, "key.pub"), path + ".pub", follow_symlinks=False)
    os.link(os.path.join(made, "key"), path, follow_symlinks=False)
    directory = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
    return text


def remove_scratch(made: str) -> None:
    shutil.rmtree(made, ignore_errors=True)
