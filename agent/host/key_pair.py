"""Where a key pair is made and how it gets to its place.  Runs as the user."""

from __future__ import annotations

import os
from itertools import count
from pathlib import PurePosixPath

from agent.host import files
from agent.host.descend import Refused, parent_of
from agent.host.landing import SCRATCH, remove_scratch

__all__ = ["land", "remove_scratch", "scratch"]

_NEVER = "{} exists: a private key is never replaced"


def scratch(root: str, parent: PurePosixPath) -> str:
    """A fresh directory inside `parent` (0700), for a key pair in the making."""
    with parent_of(root, parent / "x") as (directory, _):
        where = _path_of(directory, root, parent)
        made = os.path.join(where, SCRATCH.format(os.getpid()))
        remove_scratch(made)
        os.mkdir(os.path.basename(made), 0o700, dir_fd=directory)
        return made


def _path_of(directory: int, root: str, path: PurePosixPath) -> str:
    """Where a directory lies.  In a container's /proc a process from outside does not see itself."""
    try:
        return os.readlink(f"/proc/self/fd/{directory}")
    except FileNotFoundError:
        return files.inside(root, path)


def land(made: str, path: str) -> str:
    """Out of the scratch directory, into the one that holds it: public half first, then the private one, each by a link that
    replaces nothing; returns the public text.  Raises Refused where there is a private key.
    """
    path = os.path.join(os.path.dirname(made), os.path.basename(path))
    for half in ("key.pub", "key"):
        descriptor = os.open(os.path.join(made, half), os.O_RDONLY | os.O_NOFOLLOW)
        os.fsync(descriptor)
        os.close(descriptor)
    with open(os.path.join(made, "key.pub"), "rb") as stream:  # no codec to import as the user
        text = stream.read().decode("ascii", "replace")
    if os.path.lexists(path):
        raise Refused(_NEVER.format(path))
    if os.path.lexists(path + ".pub"):
        _out_of_the_way(path + ".pub")
    os.link(os.path.join(made, "key.pub"), path + ".pub", follow_symlinks=False)
    try:
        os.link(os.path.join(made, "key"), path, follow_symlinks=False)
    except OSError as error:
        os.unlink(path + ".pub")
        if isinstance(error, FileExistsError):
            raise Refused(_NEVER.format(path)) from None
        raise
    directory = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
    return text


def _out_of_the_way(path: str) -> None:
    """A public half without a private one is somebody's all the same; so is what lies under its new name."""
    names = (f"{path}.old{n or ''}" for n in count())
    os.rename(path, next(name for name in names if not os.path.lexists(name)))
