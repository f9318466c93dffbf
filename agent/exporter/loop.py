"""The only place that waits: one thread for all connections, a few workers for the arithmetic.

A client that idles, trickles or stops half-way through a handshake costs one entry in a table, never a thread; when the table
is full, the connection that has waited longest for its client makes room.  So nobody can keep a well-formed scrape waiting by
holding connections open.
"""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Optional

from agent.exporter.answers import Caller
from agent.exporter.connection import Connection, Phase, Want
from agent.exporter.listeners import Listener, from_this_host
from agent.exporter.notice import notice
from agent.exporter.security import Guard

MOST_CONNECTIONS = 256
WORKERS = 8
# ASKING is from connecting to the last byte of the request: a byte now and then does not make it longer.
SECONDS = {Phase.ASKING: 10.0, Phase.REPLYING: 30.0, Phase.LINGERING: 1.0}
_TICK = 0.5
_PAUSE = 0.05
_AT_ONCE = 16  # new connections taken before others get their turn
_EVENTS = {Want.READABLE: selectors.EVENT_READ, Want.WRITABLE: selectors.EVENT_WRITE}
_FAILED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\ninternal error\n"

Answer = Callable[[bytes, Caller], bytes]


class Loop:
    """Use as a context manager: leaving it closes every connection and ends the workers."""

    def __init__(self, listeners: Sequence[Listener], guard: Guard, answer: Answer) -> None:
        self._guard = guard
        self._answer = answer
        self._selector = selectors.DefaultSelector()
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="exporter")
        self._limits: dict[Connection, tuple[Phase, float]] = {}  # in the order of their arrival
        self._busy: set[Connection] = set()
        self._watched: dict[Connection, Want] = {}
        self._done: deque[tuple[Connection, Future[Want]]] = deque()
        self._alarm, self._bell = socket.socketpair()
        for end in (self._alarm, self._bell):
            end.setblocking(False)
        self._selector.register(self._alarm, selectors.EVENT_READ)
        for listener in listeners:
            self._selector.register(listener.socket, selectors.EVENT_READ, listener)

    def __enter__(self) -> Loop:
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.shutdown()
        for connection in list(self._limits):
            connection.close()
        self._selector.close()
        self._alarm.close()
        self._bell.close()

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set, be it by another thread or by a handler of signals."""
        threading.Thread(target=self._ring_at, args=(stop,), daemon=True).start()
        with self._awake_to_signals():
            self._serve(stop)

    def _serve(self, stop: threading.Event) -> None:
        while not stop.is_set():
            for key, _ in self._selector.select(_TICK if self._limits else None):
                self._happened(key)
            while self._done:
                self._worked(*self._done.popleft())
            self._expire(time.monotonic())

    @contextlib.contextmanager
    def _awake_to_signals(self) -> Iterator[None]:
        """Python runs a handler in the main thread once that is awake: a signal just before it sleeps must not be slept through."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)

    def _ring_at(self, stop: threading.Event) -> None:
        stop.wait()
        self._ring()

    def _ring(self) -> None:
        with contextlib.suppress(OSError):  # full: it is ringing already; closed: nobody is in
            self._bell.send(b"\0")

    def _happened(self, key: selectors.SelectorKey) -> None:
        if isinstance(key.data, Listener):
            self._accept(key.data)
        elif isinstance(key.data, Connection):
            # An event of this round may be for one that was closed earlier in it.
            if key.data in self._watched:
                self._follow(key.data, key.data.proceed)
        else:
            with contextlib.suppress(BlockingIOError):
                self._alarm.recv(4096)

    def _accept(self, listener: Listener) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, _where = listener.socket.accept()
            except BlockingIOError:
                return
            except OSError:  # out of descriptors, or the client is gone
                if not self._make_room():
                    time.sleep(_PAUSE)  # it stays readable: without this the loop would spin
                return
            self._admit(accepted)

    def _admit(self, accepted: socket.socket) -> None:
        if len(self._limits) >= MOST_CONNECTIONS and not self._make_room():
            accepted.close()
            return
        local = from_this_host(accepted)
        connection = Connection(accepted, self._guard.current(), loopback=local)
        self._limit(connection)
        self._follow(connection, connection.proceed)

    def _make_room(self) -> bool:
        """Closes who has kept us waiting longest, rather one that has asked for nothing yet."""
        waiting = [c for c in self._limits if c not in self._busy]
        asking = (c for c in waiting if c.phase is Phase.ASKING)
        oldest = next(asking, next(iter(waiting), None))
        if oldest is not None:
            self._close(oldest)
        return oldest is not None

    def _follow(self, connection: Connection, step: Callable[[], Want]) -> None:
        """Takes a step, then waits for what it asks for."""
        self._unwatch(connection)  # before the step: it may put another socket in its place
        want = step()
        if want is Want.END:
            self._close(connection)
        elif want in _EVENTS:
            self._limit(connection)
            self._watch(connection, want)
        elif want is Want.HANDSHAKE:
            self._hand_over(connection, connection.handshake)
        else:
            self._hand_over(connection, lambda: self._answered(connection))

    def _answered(self, connection: Connection) -> Want:
        """In a worker."""
        caller = Caller(connection.loopback, connection.certified, connection.security)
        return connection.reply(self._answer(bytes(connection.received), caller))

    def _hand_over(self, connection: Connection, job: Callable[[], Want]) -> None:
        self._busy.add(connection)
        self._workers.submit(job).add_done_callback(lambda done: self._tell(connection, done))

    def _tell(self, connection: Connection, done: Future[Want]) -> None:
        """In a worker."""
        self._done.append((connection, done))
        self._ring()

    def _worked(self, connection: Connection, done: Future[Want]) -> None:
        self._busy.discard(connection)
        bug: Optional[BaseException] = done.exception()
        if bug is None:
            self._follow(connection, done.result)
            return
        notice(f"internal error: {type(bug).__name__}: {bug}")
        self._follow(connection, lambda: connection.reply(_FAILED))

    def _limit(self, connection: Connection) -> None:
        """A new phase begins with all its time."""
        phase, _ = self._limits.get(connection, (None, 0.0))
        if phase is not connection.phase:
            until = time.monotonic() + SECONDS[connection.phase]
            self._limits[connection] = (connection.phase, until)

    def _watch(self, connection: Connection, want: Want) -> None:
        self._watched[connection] = want
        self._selector.register(connection.socket, _EVENTS[want], connection)

    def _unwatch(self, connection: Connection) -> None:
        if self._watched.pop(connection, None):
            self._selector.unregister(connection.socket)

    def _close(self, connection: Connection) -> None:
        self._unwatch(connection)
        self._limits.pop(connection, None)
        connection.close()

    def _expire(self, now: float) -> None:
        late = [c for c, (_, until) in self._limits.items() if until < now and c not in self._busy]
        for connection in late:
            self._close(connection)
