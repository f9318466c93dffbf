"""A short child that looks or writes as somebody else: uid, gid and groups all dropped, an answer back by pipe.

Or as ourselves, for a call that may hang where no signal of ours is heard.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import time
from contextlib import suppress
from typing import Any, Callable, Optional

from agent.host import kernel, seat, stragglers
from agent.model import Account, Seat

_BURYING = 2.0  # seconds
_GLANCE = 0.2  # seconds between two questions whether the run was stopped
_MAX_ANSWER = 64 << 20


class ChildFailed(OSError):
    """The child ended without an answer, or its call failed; `args[0]` says how."""


def call(
    account: Optional[Account],
    timeout: float,
    function: Callable[..., Any],
    *args: Any,
    halted: Callable[[], bool] = bool,
    where: Optional[Seat] = None,
) -> Any:
    """`function(*args)` in a forked child that is `account`, in the container of `where`; the result must be JSON.

    The child changed its credentials, so the kernel keeps the user from tracing it (prctl(2), PR_SET_DUMPABLE).
    An OSError of the function is raised here again as ChildFailed with the same errno.  No account: as ourselves.
    """
    if os.geteuid() != 0:
        if where is not None or account is None:
            raise ChildFailed(errno.EPERM, "only root can look into a container")
        if os.geteuid() != account.uid:
            raise ChildFailed(None, f"only root can act as {account.name}")
        return function(*args)
    who = f"looking as {account.name if account else 'root'}"
    try:
        with stragglers.ended(), seat.way_in(where) as way:
            answer = _asked(account, timeout, way, function, args, halted)
    except seat.SeatGone as error:
        raise ChildFailed(error.errno, error.strerror) from None
    return _unwrapped(answer, who)


def aside(
    timeout: float, function: Callable[..., Any], *args: Any, halted: Callable[[], bool] = bool
) -> Any:
    """The same without becoming anybody: name services are asked in C, where Python hears no signal.  Raises ChildFailed."""
    with stragglers.ended():
        answer = _asked(None, timeout, seat.WayIn(), function, args, halted)
    return _unwrapped(answer, "asking")


def _asked(
    account: Optional[Account],
    timeout: float,
    way: seat.WayIn,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    halted: Callable[[], bool],
) -> Optional[bytes]:
    reading, writing, child = _forked()
    if child == 0:
        os.close(reading)
        _answer(account, writing, way, function, args)
    os.close(writing)
    try:
        return _collect(reading, time.monotonic() + timeout, halted)
    finally:
        os.close(reading)
        _bury(child)


def _forked() -> tuple[int, int, int]:
    """Both ends of a pipe and the child's number, as fork(2) gives it.  Raises ChildFailed."""
    ends: tuple[int, ...] = ()
    try:
        ends = os.pipe()
        return ends[0], ends[1], os.fork()
    except OSError as error:  # no descriptor, process or memory left
        for end in ends:
            os.close(end)
        text = f"no child can be started: {error.strerror}"
        raise ChildFailed(error.errno, text) from None


def _bury(child: int) -> None:
    """Ends the child; one that hangs in the kernel (dead NFS), or is not ours to end (no CAP_KILL), is left alone."""
    with suppress(PermissionError):
        os.kill(child, signal.SIGKILL)
    deadline = time.monotonic() + _BURYING
    while os.waitpid(child, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
        select.select([], [], [], 0.001)


def _answer(
    account: Optional[Account],
    writing: int,
    way: seat.WayIn,
    function: Callable[..., Any],
    args: tuple[Any, ...],
) -> None:
    status = 1
    try:
        os.setsid()
        _close_all_but(writing, *way.descriptors)
        try:
            _go(way, account)
            answer: Any = {"result": function(*args)}
        except OSError as error:
            answer = {"errno": error.errno, "message": error.strerror or str(error)}
        text = json.dumps(answer).encode()
        while text:
            text = text[os.write(writing, text) :]
        status = 0
    finally:
        os._exit(status)


def _go(way: seat.WayIn, account: Optional[Account]) -> None:
    """Into the container and out of root's skin.  Who asks aside stays what it is."""
    if account is None and not way.descriptors:
        return
    kernel.shed_inheritable()
    way.enter_to_look()
    for descriptor in way.descriptors:
        os.close(descriptor)
    if account is not None:
        seat.become(account)
    os.umask(0o022)


def _close_all_but(*kept: int) -> None:
    """A link to /proc/self/fd/N opens what N is, past every directory above it that keeps the user out."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nothing, descriptor)
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor > 2 and descriptor not in kept:
            try:
                os.close(descriptor)
            except OSError:
                pass  # the one that listed them


def _collect(reading: int, deadline: float, halted: Callable[[], bool]) -> Optional[bytes]:
    chunks: list[bytes] = []
    size = 0
    while size <= _MAX_ANSWER:
        left = max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select([reading], [], [], min(left, _GLANCE))
        if not ready:
            if left and not halted():
                continue
            return None
        chunk = os.read(reading, 1 << 16)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        size += len(chunk)
    return None


def _unwrapped(answer: Optional[bytes], what: str) -> Any:
    if answer is None:
        raise ChildFailed(None, f"{what} took too long")
    try:
        value = json.loads(answer)
    except ValueError:
        raise ChildFailed(None, f"{what}: the child ended early") from None
    if "result" not in value:
        raise ChildFailed(value.get("errno"), str(value.get("message")))
    return value["result"]
