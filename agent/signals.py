"""The signals of a daemon as values, and an end within seconds whatever it is doing."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

_GRACE = 2.0  # seconds for what runs, such as removing a probe's directory at a peer
_AGAIN = 0.5  # seconds between two rounds of ending children
_ALL = 4.0  # seconds after which nothing is waited for
_STOPPING = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """`stop` is set by SIGTERM and SIGINT, `reload` by SIGHUP, `again` by SIGUSR1."""

    def __init__(self) -> None:
        self.stop = threading.Event()  # nobody may wait() for it: its lock belongs to the handler
        self.reload = False
        self.again = False
        self._ending = 0.0
        self._reading, self._writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    @contextmanager
    def installed(self) -> Iterator[None]:
        numbers = (*_STOPPING, signal.SIGHUP, signal.SIGUSR1, signal.SIGALRM)
        before = {number: signal.signal(number, self._take) for number in numbers}
        # A signal just before select(2) sleeps, or taken by another thread, would wake nobody: Python runs a handler in the main
        # thread, once that is awake (signal.set_wakeup_fd).
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)

    def end(self) -> None:
        """As SIGTERM, from another thread."""
        self.stop.set()
        self._wake()

    def wait(self, seconds: float) -> None:
        """Until a signal comes, or the time is up."""
        ready, _, _ = select.select([self._reading], [], [], max(0.0, seconds))
        if ready:
            try:
                os.read(self._reading, 4096)
            except BlockingIOError:
                return

    def _take(self, number: int, _frame: object) -> None:
        if number == signal.SIGALRM:
            if self._ending:  # else somebody else sent it
                self._hurry()
        elif number == signal.SIGHUP:
            self.reload = True
        elif number == signal.SIGUSR1:
            self.again = True
        elif not self._ending:
            self._ending = time.monotonic() + _ALL
            self.stop.set()
            signal.setitimer(signal.ITIMER_REAL, _GRACE, _AGAIN)
        self._wake()

    def _wake(self) -> None:
        try:
            os.write(self._writing, b".")
        except BlockingIOError:
            return  # there is enough in it to wake whoever waits

    def _hurry(self) -> None:
        """Files are replaced as a whole, so ending in the middle costs nothing."""
        for child in psutil.Process().children(recursive=True):
            try:
                child.kill()
            except psutil.Error:
                continue
        if time.monotonic() > self._ending:
            os._exit(0)
