"""Looking at files without being held up or led astray: no blocking open, no endless read, links kept inside the root."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import PurePosixPath
from typing import Union

from agent.model import Absent, File, Kind, Unreadable

MAX_CONTENT = 8 << 20  # bytes; a larger key list or configuration is not read
_MAX_LINKS = 40  # as the kernel (path_resolution(7))

Seen = Union[File, Absent, Unreadable]
_GONE = (errno.ENOENT, errno.ENOTDIR)


class LinkLoop(OSError):
    pass


def inside(root: str, path: PurePosixPath) -> str:
    """The real file system path of `path` as the tree under `root` means it; the last component resolved too.

    On `/` the kernel does it.  In a mounted tree an absolute link starts again at the root of that tree and `..` stops there.
    """
    if root == "/":
        return str(path)
    todo = list(reversed(path.parts[1:]))
    done: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            del done[-1:]
            continue
        here = os.path.join(root, *done, part)
        if not os.path.islink(here):
            done.append(part)
            continue
        links += 1
        if links > _MAX_LINKS:
            raise LinkLoop(errno.ELOOP, os.strerror(errno.ELOOP))
        target = PurePosixPath(os.readlink(here))
        if target.is_absolute():
            done.clear()
        todo.extend(p for p in reversed(target.parts) if p not in ("/", "."))
    return os.path.join(root, *done)


def look(root: str, path: PurePosixPath, *, content: bool, limit: int = MAX_CONTENT) -> Seen:
    """One inode, links followed.  With `content` a regular file of at most `limit` bytes is read too."""
    try:
        real = inside(root, path)
        found = os.stat(real)
        text = _read(real, limit) if content and stat.S_ISREG(found.st_mode) else None
        resolved = PurePosixPath(os.path.realpath(real)) if root == "/" else None
    except OSError as error:
        if error.errno in _GONE:
            return Absent(_dangling(root, path))
        return Unreadable(f"{path}: {error.strerror or error}")
    return _file(found, text, resolved)


def _dangling(root: str, path: PurePosixPath) -> str:
    """Where a link of that name leads to nothing; "" where there is no link."""
    try:
        return os.readlink(os.path.join(inside(root, path.parent), path.name))
    except OSError:
        return ""


def names(root: str, path: PurePosixPath) -> Union[tuple[str, ...], Absent, Unreadable]:
    try:
        return tuple(sorted(os.listdir(inside(root, path))))
    except OSError as error:
        return Absent() if error.errno in _GONE else Unreadable(f"{path}: {error.strerror}")


def _read(real: str, limit: int) -> bytes:
    descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file")
        text = stream.read(limit + 1)
    if len(text) > limit:
        raise OSError(errno.EFBIG, f"is larger than {limit} bytes")
    return text


def _file(
    found: os.stat_result, text: Union[bytes, None], real: Union[PurePosixPath, None]
) -> File:
    return File(
        kind=_kind(found.st_mode),
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        size=found.st_size,
        links=found.st_nlink,
        content=text,
        real=real,
    )


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return Kind.FILE
    if stat.S_ISDIR(mode):
        return Kind.DIRECTORY
    if stat.S_ISFIFO(mode):
        return Kind.PIPE
    return Kind.LINK if stat.S_ISLNK(mode) else Kind.OTHER
