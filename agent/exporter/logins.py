"""Basic authentication against bcrypt hashes, at a bounded cost.

bcrypt is slow on purpose (0.1 s and more).  So a right password is remembered, as a keyed digest; one hash is computed at a
time; the same credentials, asked for twice at once, are checked once; and who comes when several others are still waiting is
told to come again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Optional

_MOST_REMEMBERED = 64
_MOST_WAITING = 4
# bcrypt itself never looked further; newer versions of the module raise instead.
_LONGEST_PASSWORD = 72


class Busy(Exception):
    """Too many passwords are being checked just now."""


class Logins:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()
        self._right: dict[bytes, None] = {}
        self._wrong: dict[bytes, None] = {}
        self._waiting: dict[bytes, Future[bool]] = {}

    def right(self, users: Mapping[str, bytes], authorization: str) -> bool:
        """Whether the value of the Authorization header names a user and that user's password.  Raises Busy."""
        given = credentials(authorization)
        if given is None:
            return False
        user, password = given
        # An unknown user costs as much as a wrong password: the time must not tell them apart.
        stored = users.get(user) or next(iter(users.values()))
        said = b"\0".join((stored, user.encode("utf-8", "surrogateescape"), password))
        digest = hmac.new(self._key, said, hashlib.sha256).digest()
        return self._checked(digest, password, stored) and user in users

    def _checked(self, digest: bytes, password: bytes, stored: bytes) -> bool:
        with self._lock:
            if digest in self._right or digest in self._wrong:
                return digest in self._right
            asked = self._waiting.get(digest)
            if asked is None and len(self._waiting) >= _MOST_WAITING:
                raise Busy
            mine: Future[bool] = self._waiting.setdefault(digest, Future())
        if asked is not None:
            return asked.result()
        return self._found_out(digest, password, stored, mine)

    def _found_out(self, digest: bytes, password: bytes, stored: bytes, tell: Future[bool]) -> bool:
        result = False
        try:
            with self._one_at_a_time:
                result = _matches(password, stored)
        finally:
            with self._lock:
                del self._waiting[digest]
                _remember(self._right if result else self._wrong, digest)
            tell.set_result(result)
        return result


def credentials(authorization: str) -> Optional[tuple[str, bytes]]:
    """User and password of `Basic ...`; None for anything else."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, password = decoded.partition(b":")
    return (user.decode("utf-8", "surrogateescape"), password) if colon else None


def _matches(password: bytes, stored: bytes) -> bool:
    import bcrypt

    if b"\0" in password:
        return False
    try:
        return bcrypt.checkpw(password[:_LONGEST_PASSWORD], stored)
    except ValueError:
        return False


def _remember(digests: dict[bytes, None], digest: bytes) -> None:
    while len(digests) >= _MOST_REMEMBERED:
        del digests[next(iter(digests))]
    digests[digest] = None
