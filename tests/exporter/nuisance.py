"""Clients that never finish a request, and clients that scrape meanwhile."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Optional

from tests.exporter.serving import PATIENCE, Exporter

TRICKLING = 40
_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # the beginning of a ClientHello
_KINDS = (b"", _HELLO, b"GET /metrics HTTP/1.1\r\nA: b")


class Nuisance:
    """From entering to leaving: `held` idle, half-open and half-said connections, others that trickle, rubbish, clients that
    ask and run away."""

    def __init__(self, running: Exporter, held: int) -> None:
        self.sent = 0
        self._running = running
        self._held = held
        self._over = threading.Event()
        self._stack = ExitStack()

    def __enter__(self) -> Nuisance:
        self._slow = [self._connected() for _ in range(TRICKLING)]
        for number in range(self._held):
            self._connected().sendall(_KINDS[number % len(_KINDS)])
        self._threads = [
            threading.Thread(target=self._again, args=(what,), daemon=True)
            for what in (self._trickle, self._rubbish, self._run_away)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        self._stack.close()

    def _connected(self) -> socket.socket:
        return self._stack.enter_context(self._running.connected())

    def _again(self, what: Callable[[], None]) -> None:
        while not self._over.wait(0.02):
            try:
                what()
            except OSError:
                pass  # the exporter may close whom it likes
            self.sent += 1

    def _trickle(self) -> None:
        """A byte now and then on each; who was thrown out comes back."""
        for number, one in enumerate(self._slow):
            try:
                one.send(b"A")
            except OSError:
                one.close()
                self._slow[number] = self._connected()

    def _rubbish(self) -> None:
        with self._running.connected() as one:
            one.sendall(os.urandom(3000))

    def _run_away(self) -> None:
        with self._running.connected() as one:
            one.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")


def scraped(
    running: Exporter, tls: Optional[ssl.SSLContext], clients: int, scrapes: int
) -> tuple[list[Any], list[float]]:
    """What every scrape of every client came to (status and whether there was a body, or the error), and its seconds."""
    seen: list[Any] = []
    spent: list[float] = []

    def scrape() -> None:
        for _ in range(scrapes):
            began = time.perf_counter()
            try:
                answer = running.get(tls=tls, Accept_Encoding="gzip")
                seen.append((answer.status, len(answer.body) > 500))
            except OSError as error:
                seen.append(repr(error))
            spent.append(time.perf_counter() - began)

    threads = [threading.Thread(target=scrape) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return seen, spent
