"""One client's connection: never waits, says instead what it is waiting for."""

from __future__ import annotations

import contextlib
import socket
import ssl
from enum import Enum
from typing import Optional

from agent.exporter.requests import LARGEST_HEAD, complete
from agent.exporter.security import Security, allowed

_CHUNK = 16 << 10
_TLS_RECORD = 0x16  # the first byte of every ClientHello
NOT_TLS = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


class Want(Enum):
    """What has to happen next."""

    READABLE = "the client to send"
    WRITABLE = "the client to take"
    HANDSHAKE = "a step of the handshake"
    ANSWER = "an answer"
    END = "nothing: close it"


class Phase(Enum):
    """What the time limit is for."""

    ASKING = "the handshake and the request"
    REPLYING = "the client to take the answer"
    LINGERING = "the client to close"


class Connection:
    """Owned by one thread at a time.  Every method gives the next Want; the client's faults and going away are Want.END."""

    def __init__(self, sock: socket.socket, security: Security, *, loopback: bool) -> None:
        sock.setblocking(False)
        self.socket = sock
        self.security = security
        self.loopback = loopback
        self.certified = False
        self.received = bytearray()
        self._searched = 0
        self._greeting = security.context is not None
        self._handshaking = False
        self._reply: Optional[memoryview] = None
        self._lingering = False

    @property
    def phase(self) -> Phase:
        if self._lingering:
            return Phase.LINGERING
        return Phase.ASKING if self._reply is None else Phase.REPLYING

    def proceed(self) -> Want:
        """The socket is ready for what was wanted."""
        try:
            if self._lingering:
                return self._drained()
            if self._reply is not None:
                return self._written(self._reply)
            if self._greeting:
                return self._greeted()
            return Want.HANDSHAKE if self._handshaking else self._read()
        except OSError:
            return Want.END

    def handshake(self) -> Want:
        """Costs a millisecond of arithmetic or two: called in a worker."""
        try:
            return self._shaken()
        except OSError:  # ssl.SSLError is one
            return Want.END

    def reply(self, content: bytes) -> Want:
        self._reply = memoryview(content)
        return self.proceed()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.close()

    def _greeted(self) -> Want:
        try:
            first = self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return Want.READABLE
        if not first:
            return Want.END
        self._greeting = False
        if first[0] != _TLS_RECORD or self.security.context is None:
            return self.reply(NOT_TLS)
        self.socket = self.security.context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )
        self._handshaking = True
        return Want.HANDSHAKE

    def _shaken(self) -> Want:
        secured = self.socket
        if not isinstance(secured, ssl.SSLSocket):
            return Want.END
        try:
            secured.do_handshake()
        except ssl.SSLWantReadError:
            return Want.READABLE
        except ssl.SSLWantWriteError:
            return Want.WRITABLE
        certificate = secured.getpeercert()
        if not allowed(certificate, self.security.sans):
            return Want.END
        self.certified = bool(certificate)
        self._handshaking = False
        return self._read()

    def _read(self) -> Want:
        while not complete(self.received, self._searched):
            self._searched = len(self.received)
            try:
                some = self.socket.recv(_CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError):
                return Want.READABLE
            except ssl.SSLWantWriteError:
                return Want.WRITABLE
            if not some:
                return Want.END
            self.received += some
        return Want.ANSWER

    def _written(self, left: memoryview) -> Want:
        while left:
            try:
                sent = self.socket.send(left[:_CHUNK])
            except (BlockingIOError, ssl.SSLWantWriteError):
                return Want.WRITABLE
            except ssl.SSLWantReadError:
                return Want.READABLE
            left = self._reply = left[sent:]
        return self._said_all()

    def _said_all(self) -> Want:
        """Closing on bytes that nobody has read resets the connection, and the client may never see the answer."""
        if isinstance(self.socket, ssl.SSLSocket):
            with contextlib.suppress(OSError):
                self.socket.unwrap()  # says goodbye; nobody waits for the client's
        self.socket.shutdown(socket.SHUT_WR)
        self._lingering = True
        return self._drained()

    def _drained(self) -> Want:
        """At most as much as a head may have; more is the client's own fault."""
        for _ in range(LARGEST_HEAD // _CHUNK + 1):
            try:
                if not socket.socket.recv(self.socket, _CHUNK):
                    return Want.END
            except BlockingIOError:
                return Want.READABLE
        return Want.END
