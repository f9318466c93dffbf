"""The way to a place we mean to change: by directory descriptor, one component at a time, no planted link followed.

Root's own directories may hold links (an administrator's /var/lib -> /data); from the first directory that somebody else
can write in, a link is refused.  This loses no race, unlike lstat-then-open.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Optional

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_LINKS = 40


class Refused(OSError):
    """A planted link, a foreign owner, a hard link: nothing was touched.  `args[1]` says what was found."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.EPERM, message)


@contextmanager
def parent_of(root: str, path: PurePosixPath) -> Iterator[tuple[int, str]]:
    """(descriptor of the directory that holds `path`, last component).  Raises OSError, Refused."""
    with _way_to(root, path) as opened:
        yield opened[-1], path.name


@contextmanager
def _way_to(root: str, path: PurePosixPath) -> Iterator[list[int]]:
    """Descriptors of every directory above `path`, links followed."""
    opened = [os.open(root, _DIRECTORY)]
    try:
        todo = list(reversed(path.parts[1:-1]))
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                if len(opened) > 1:
                    os.close(opened.pop())
                continue
            target = _link(opened[-1], part)
            if target is None:
                opened.append(os.open(part, _DIRECTORY, dir_fd=opened[-1]))
                continue
            links += 1
            if links > _MAX_LINKS or not _is_roots_own(opened[-1]):
                raise Refused(f"{path.parent} leads through a symbolic link, {part} -> {target}")
            if target.is_absolute():
                while len(opened) > 1:
                    os.close(opened.pop())
            todo.extend(p for p in reversed(target.parts) if p not in ("/", "."))
        yield opened
    finally:
        for descriptor in opened:
            os.close(descriptor)


def is_roots_alone(root: str, path: PurePosixPath) -> bool:
    """Whether nobody but root can move `path` or a directory above it, and so may follow its name.  Raises OSError."""
    with _way_to(root, path) as directories:
        return all(map(_is_roots_own, directories))


def owner_of_parent(root: str, path: PurePosixPath) -> int:
    """uid of the directory that holds `path`.  Raises OSError."""
    with parent_of(root, path) as (directory, _):
        return os.fstat(directory).st_uid


def owner_of(root: str, path: PurePosixPath) -> Optional[int]:
    """uid of what is at `path` itself, None where nothing is.  Raises OSError."""
    with parent_of(root, path) as (directory, name):
        try:
            return os.lstat(name, dir_fd=directory).st_uid
        except FileNotFoundError:
            return None


def _link(directory: int, name: str) -> Optional[PurePosixPath]:
    if not stat.S_ISLNK(os.lstat(name, dir_fd=directory).st_mode):
        return None
    return PurePosixPath(os.readlink(name, dir_fd=directory))


def _is_roots_own(directory: int) -> bool:
    found = os.fstat(directory)
    return found.st_uid == 0 and not found.st_mode & 0o022


def opened(
    directory: int, name: str, path: PurePosixPath, flags: int, owners: tuple[int, ...]
) -> int:
    """Open an existing file or directory to change it.  Raises Refused unless it is plainly what it seems."""
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=directory)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Refused(f"{path} is a symbolic link") from None
        raise
    problem = _problem(os.fstat(descriptor), path, owners)
    if problem:
        os.close(descriptor)
        raise Refused(problem)
    return descriptor


def _problem(found: os.stat_result, path: PurePosixPath, owners: tuple[int, ...]) -> str:
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        return f"{path} is neither a file nor a directory"
    if stat.S_ISREG(found.st_mode) and found.st_nlink != 1:
        return f"{path} has {found.st_nlink} hard links"
    if found.st_uid not in owners:
        return f"{path} belongs to uid {found.st_uid}"
    return ""
