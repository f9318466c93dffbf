"""How a whole file arrives: written beside the name, then put in its place; and what a run that was cut short left of that.

Only one `--fix` is at work at a time, so whatever carries a name of ours when the next one begins is nobody's.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import PurePosixPath

from agent.host.descend import parent_of

_NOREPLACE = 1  # RENAME_NOREPLACE, renameat2(2)
_NOT_SUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)  # NFS, for one
_LEFT = re.compile(r"\.(?:.+\.)?resize-agent\.[0-9]+", re.DOTALL)
_SCRATCH = re.compile(r"\.resize-agent\.[0-9]+")
SCRATCH = ".resize-agent.{}"  # a directory; the number is a process id


def name_beside(name: str) -> str:
    return f".{name}.resize-agent.{os.getpid()}"


def beside(directory: int, name: str) -> tuple[int, str]:
    """A new empty file, 0600, in the same directory: descriptor and name."""
    temporary = name_beside(name)
    remove(directory, temporary)  # process ids come again, in a container soon
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(temporary, flags, 0o600, dir_fd=directory), temporary


def in_place_of(directory: int, temporary: str, name: str) -> None:
    os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)


def where_nothing_is(directory: int, temporary: str, name: str) -> None:
    """Replaces nothing.  Raises FileExistsError."""
    if not renamed(directory, temporary, name):
        os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
        os.unlink(temporary, dir_fd=directory)


def renamed(directory: int, temporary: str, name: str) -> bool:
    """Without replacing anything; False where the system cannot do that.  Raises FileExistsError."""
    libc = ctypes.CDLL(None, use_errno=True)
    rename = getattr(libc, "renameat2", None)  # glibc has it since 2.28
    if rename is None:
        return False
    old, new = os.fsencode(temporary), os.fsencode(name)
    if rename(directory, old, directory, new, ctypes.c_uint(_NOREPLACE)) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NOT_SUPPORTED:
        return False
    raise OSError(code, os.strerror(code))


def remove(directory: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        pass


def sweep(root: str, path: PurePosixPath, owners: Collection[int]) -> list[str]:
    """Remove from a directory what a killed run of ours left; the names.  Raises OSError.

    Names that belong to somebody else than `owners` are left alone: they were planted.
    """
    with parent_of(root, path / "x") as (directory, _):
        swept = []
        for name in filter(_LEFT.fullmatch, os.listdir(directory)):
            found = os.lstat(name, dir_fd=directory)
            if found.st_uid in owners and _removed(directory, name, found):
                swept.append(name)
        return swept


def _removed(directory: int, name: str, found: os.stat_result) -> bool:
    if stat.S_ISREG(found.st_mode):
        os.unlink(name, dir_fd=directory)
        return True
    if not stat.S_ISDIR(found.st_mode):
        return False
    if _SCRATCH.fullmatch(name):
        # Never root in a user's directory: who owns that can give any directory in it this name.
        if not found.st_uid == os.fstat(directory).st_uid == os.geteuid():
            return False
        _withdraw_half(directory, name)
        _remove_whole(directory, name)
        return True
    try:
        os.rmdir(name, dir_fd=directory)  # it was about to get its name
    except OSError:
        return False  # not empty, so not ours
    return True


def _remove_whole(directory: int, name: str) -> None:
    """A scratch directory, by descriptor: it holds files alone.  What cannot be removed stays."""
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
    try:
        with suppress(OSError):
            for each in os.listdir(inner):
                os.unlink(each, dir_fd=inner)
            os.rmdir(name, dir_fd=directory)
    finally:
        os.close(inner)


def remove_scratch(made: str) -> None:
    """With what was made in it and landed only by half."""
    with suppress(OSError):
        directory = os.open(os.path.dirname(made), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _withdraw_half(directory, os.path.basename(made))
        finally:
            os.close(directory)
    shutil.rmtree(made, ignore_errors=True)


def _withdraw_half(directory: int, scratch: str) -> None:
    """The public half that landed without its private one would be taken for somebody's by the next run."""
    try:
        made = os.lstat(f"{scratch}/key.pub", dir_fd=directory)
    except FileNotFoundError:
        return
    for name in os.listdir(directory):
        alone = name.endswith(".pub") and not _is_there(directory, name[: -len(".pub")])
        if alone and os.path.samestat(made, os.lstat(name, dir_fd=directory)):
            os.unlink(name, dir_fd=directory)


def _is_there(directory: int, name: str) -> bool:
    try:
        os.lstat(name, dir_fd=directory)
    except FileNotFoundError:
        return False
    return True
