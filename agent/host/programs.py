"""Running programs: argument lists, a fixed environment, an own session, a time limit outside, bounded output."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import IO, Any, Callable, NamedTuple, Optional

from agent.host import kernel, seat, stragglers
from agent.model import Account, Seat

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "LANG": "C", "TZ": "UTC"}
# Seconds that others may hold the output when the program has ended.  With -v ssh's own ControlPersist master does, and
# without it, as Nova starts ssh, does not.
_LINGERING = 0.5
_BURYING = 2.0  # seconds that a killed program may take to be gone
_GLANCE = 0.2  # seconds between two questions whether the run was stopped
_MAX_OUTPUT = 1 << 20  # bytes of each stream; what comes after is read and dropped


class Completed(NamedTuple):
    """`returncode` is None when our limit ended it; `missing` when the program could not be started."""

    returncode: Optional[int]
    stdout: str
    stderr: str
    seconds: float
    missing: bool = False

    @property
    def ok(self) -> bool:
        return self.returncode == 0


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    account: Optional[Account] = None,
    environment: Optional[Mapping[str, str]] = None,
    halted: Callable[[], bool] = bool,
    where: Optional[Seat] = None,
) -> Completed:
    """Run one program to its end, as `account` where given: uid, gid and groups, nothing inherited.

    What the program leaves running is ended, in its session or out of it.  A container that has gone is no program that is
    missing: nothing is learnt, as where our limit ended it.
    """
    try:
        with stragglers.ended(), seat.way_in(where) as way:
            return _run(argv, timeout, account, way, environment or ENVIRONMENT, halted)
    except seat.SeatGone as error:
        return Completed(None, "", str(error.strerror), 0.0)


def _run(
    argv: Sequence[str],
    timeout: float,
    account: Optional[Account],
    way: seat.WayIn,
    environment: Mapping[str, str],
    halted: Callable[[], bool],
) -> Completed:
    started = time.monotonic()
    try:
        process = _start(argv, account, way, environment)
    except subprocess.SubprocessError as error:
        # Of preexec_fn: not in the container, or not the account.
        return Completed(None, "", str(error), time.monotonic() - started)
    except OSError as error:
        took = time.monotonic() - started
        return Completed(127, "", f"{argv[0]}: {error.strerror}", took, missing=True)
    try:
        out, err, ended = _collect(process, started + timeout, halted)
        if not ended:
            _end(process)
        code = process.wait() if ended else None
    finally:
        _end(process)
    took = time.monotonic() - started
    return Completed(code, _text(out), _text(err), took)


def _start(
    argv: Sequence[str],
    account: Optional[Account],
    way: seat.WayIn,
    environment: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    who: dict[str, Any] = {}
    # No PR_SET_NO_NEW_PRIVS: Nova's own ssh may use setuid helpers (ssh-keysign), so the dial must be able to.
    # Python 3.9's user= alone leaves gid and groups of root (measured): all three, always.
    if way.descriptors:
        kernel.shed_inheritable()
        who = {"preexec_fn": partial(_move, way, account)}
    elif account is not None and os.geteuid() == 0:
        kernel.shed_inheritable()
        who = {"user": account.uid, "group": account.gid, "extra_groups": account.groups}
    return subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        env=dict(environment),
        start_new_session=True,
        close_fds=True,
        umask=0o022,
        **who,
    )


def _move(way: seat.WayIn, account: Optional[Account]) -> None:
    """In the child, before the program: into the container first, which only root may."""
    way.enter()
    if account is not None:
        seat.become(account)


def _collect(
    process: subprocess.Popen[bytes], deadline: float, halted: Callable[[], bool]
) -> tuple[bytes, bytes, bool]:
    """Both streams until their end or the deadline."""
    assert process.stdout is not None and process.stderr is not None
    kept: dict[IO[bytes], bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    gone = 0.0
    with selectors.DefaultSelector() as selector:
        for stream in kept:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0 or halted():
                break
            if process.poll() is not None:
                gone = gone or time.monotonic()
                if time.monotonic() - gone > _LINGERING:
                    break
            for key, _ in selector.select(min(left, _GLANCE)):
                stream = key.fileobj  # type: ignore[assignment]
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(stream)
                elif len(kept[stream]) < _MAX_OUTPUT:
                    kept[stream] += chunk
        ended = not selector.get_map() or process.poll() is not None
    return (
        bytes(kept[process.stdout]),
        bytes(kept[process.stderr]),
        ended and _waited(process, deadline),
    )


def _waited(process: subprocess.Popen[bytes], deadline: float) -> bool:
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing of the session survives; harmless when it has ended."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    try:
        process.wait(_BURYING)
    except subprocess.TimeoutExpired:
        pass  # in the kernel's hands (dead NFS): not even SIGKILL ends it now, and we do not wait
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
