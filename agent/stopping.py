"""Signals that end a run early, so that what was found is still told."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


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
