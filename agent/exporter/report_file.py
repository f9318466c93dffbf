"""report.json as the exporter sees it: opened again only when it has changed, and never kept whole."""

from __future__ import annotations

import json
import os
import pkgutil
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Optional

from agent import metrics
from agent.exporter.notice import notice

LARGEST = 32 << 20
Signature = tuple[int, ...]


@dataclass(frozen=True)
class _Seen:
    signature: Optional[Signature] = None
    facts: metrics.Facts = metrics.Facts()
    trouble: str = "not looked at yet"


class ReportFile:
    """Safe to use from several threads."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen = _Seen()
        self._checks = catalogue()

    @property
    def readable(self) -> bool:
        self.facts()
        return not self._seen.trouble

    def facts(self) -> metrics.Facts:
        """Of the file as it is now; without one, of no report."""
        with self._lock:
            signature = _signature(self._path)
            if signature != self._seen.signature or signature is None:
                self._look_again()
            return self._seen.facts

    def raw(self) -> Optional[bytes]:
        """The text of the report, where there is one to be understood."""
        try:
            content, _ = _read(self._path)
            _parsed(content)
        except (OSError, ValueError, RecursionError):
            return None
        return content

    def document(self) -> Optional[Mapping[str, Any]]:
        try:
            return _parsed(_read(self._path)[0])
        except (OSError, ValueError, RecursionError):
            return None

    def _look_again(self) -> None:
        before = self._seen
        try:
            content, signature = _read(self._path)
        except OSError as error:
            # Not remembered by signature: why it could not be read may change without the file.
            trouble = error.strerror or str(error)
            self._seen = _Seen(None, metrics.facts({}, self._checks), trouble)
        else:
            self._seen = self._understood(content, signature)
        if self._seen.trouble and self._seen.trouble != before.trouble:
            notice(f"{self._path}: {self._seen.trouble}")

    def _understood(self, content: bytes, signature: Signature) -> _Seen:
        try:
            return _Seen(signature, metrics.facts(_parsed(content), self._checks), "")
        except (ValueError, RecursionError) as error:
            why = f"is no report: {error}"
            return _Seen(signature, metrics.facts({}, self._checks), why)


def catalogue() -> tuple[str, ...]:
    """The ids of all checks, which are the names of their files: importing them would cost memory for nothing."""
    found = find_spec("agent.checks")
    places = found.submodule_search_locations if found else None
    return tuple(sorted(module.name for module in pkgutil.iter_modules(list(places or []))))


def _signature(path: str) -> Optional[Signature]:
    try:
        return signature_of(os.lstat(path))
    except OSError:
        return None


def signature_of(seen: os.stat_result) -> Signature:
    return (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)


def _read(path: str) -> tuple[bytes, Signature]:
    """Raises OSError.  Neither a link nor a pipe is followed or waited for."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    with open(os.open(path, flags), "rb") as stream:
        seen = os.fstat(stream.fileno())
        if not stat.S_ISREG(seen.st_mode):
            raise OSError(f"{path} is not a regular file")
        content = stream.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise OSError(f"{path} is larger than {LARGEST} bytes")
        return content, signature_of(seen)


def _parsed(content: bytes) -> Mapping[str, Any]:
    """Raises ValueError, RecursionError."""
    document = json.loads(content)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    return document
