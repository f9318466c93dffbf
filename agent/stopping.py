"""What ends a run early: signals, so that what was found is still told, and the time."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from agent.exit_status import TimeIsUp

_GRACE = 60.0  # seconds over --timeout, for what is still cleaned up and said then


class Stop:
    """What a signal leaves behind: the event that ends the run, and which signal it was."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.signal = 0

    def __call__(self, number: int, _frame: object) -> None:
        self.signal = number
        # Elsewhere: the handler may have interrupted a wait() that holds the lock which set() needs.
        _thread.start_new_thread(self.event.set, ())


@contextmanager
def stoppable() -> Iterator[Stop]:
    """SIGINT and SIGTERM set the event for as long as this lasts."""
    stop = Stop()
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Raises TimeIsUp in the midst of it a minute after that.

    Every program and every look has its own limit; what we ourselves do with a text that was written to be slow has none.
    """

    def over(_number: int, _frame: object) -> None:
        raise TimeIsUp(f"the run took more than {seconds:g} seconds and was broken off")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
