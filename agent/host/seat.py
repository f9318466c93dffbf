"""The way into a container: the mount namespace and the root of one of its processes.

Only a forked child ever goes in.  Nothing in there is looked at from outside, by path: a link would lead out of the container
and into the host.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable, NamedTuple, Optional

from agent.host import kernel
from agent.model import Account, Seat


class SeatGone(OSError):
    """The process we would follow has ended, or may not be looked at."""


class WayIn(NamedTuple):
    """Open descriptors of the namespace and the root; none where there is nowhere to go."""

    descriptors: tuple[int, ...] = ()
    into_mounts: Optional[Callable[[int], None]] = None

    def enter(self) -> None:
        """For a child that is about to become another program or to look.  Raises OSError."""
        if self.into_mounts is None:
            return
        mount, root = self.descriptors
        self.into_mounts(mount)
        os.fchdir(root)
        os.chroot(".")
        os.chdir("/")

    def enter_to_look(self) -> None:
        """The same for a child that goes on in Python: what is not imported yet would come from the container."""
        if self.descriptors:
            sys.meta_path.clear()
            self.enter()


@contextmanager
def way_in(seat: Optional[Seat]) -> Iterator[WayIn]:
    """Raises SeatGone."""
    if seat is None:
        yield WayIn()
        return
    opened: list[int] = []
    try:
        opened = _opened(seat)
        yield WayIn(tuple(opened), _entrance())
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _entrance() -> Callable[[int], None]:
    try:
        return kernel.mounts_entrance()
    except OSError as error:
        raise SeatGone(error.errno, f"no container can be entered: {error.strerror}") from None


def _opened(seat: Seat) -> list[int]:
    opened: list[int] = []
    try:
        opened.append(os.open(f"/proc/{seat.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC))
        opened.append(
            os.open(f"/proc/{seat.pid}/root", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        )
        if os.fstat(opened[0]).st_ino != seat.namespace:
            raise OSError(errno.ESRCH, "another process has its number now")
    except OSError as error:
        for descriptor in opened:
            os.close(descriptor)
        why = f"the container of process {seat.pid} cannot be entered: {error.strerror}"
        raise SeatGone(error.errno, why) from None
    return opened


def become(account: Account) -> None:
    """uid, gid and groups of this process, all of them."""
    os.setgroups(account.groups)
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
