"""The head of one HTTP request.  Nothing here waits: the bytes are all there, or there are too many."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional, Union

LARGEST_HEAD = 16 << 10
_MOST_FIELDS = 100
_END = re.compile(rb"\r?\n\r?\n")
_LONGEST_END = 4
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"(?:https?://[^/?#]*)?(/[!-~]*)")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ONCE = ("authorization", "content-length")


class Refused(Exception):
    """The request gets this `status` and nothing else; `args[0]` says why."""

    def __init__(self, status: int, why: str, fields: Optional[Mapping[str, str]] = None) -> None:
        super().__init__(why)
        self.status = status
        self.fields = fields or {}


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: str
    fields: Mapping[str, str]  # names in lower case


def complete(received: Union[bytes, bytearray], before: int = 0) -> bool:
    """Whether the head is all there.  One that will never be small enough counts as complete, to be refused.

    `before`: how many bytes of it were known not to be: who sends byte by byte has none of them read twice.
    """
    start = max(0, before - _LONGEST_END)
    return len(received) > LARGEST_HEAD or bool(_END.search(received, start))


def parse(received: bytes) -> Request:
    """Raises Refused."""
    end = _END.search(received)
    if not end or end.start() > LARGEST_HEAD:
        raise Refused(431, f"a request may have {LARGEST_HEAD} bytes of headers")
    first, *rest = received[: end.start()].decode("latin-1").replace("\r\n", "\n").split("\n")
    method, target = _first_line(first)
    fields = _fields(rest)
    if "transfer-encoding" in fields or fields.get("content-length", "0") != "0":
        raise Refused(413, "no request here has a body")
    path, _, query = target.partition("#")[0].partition("?")
    return Request(method, path, query, fields)


def _first_line(line: str) -> tuple[str, str]:
    words = line.split(" ")
    if len(words) != 3 or not re.fullmatch(r"HTTP/[0-9]\.[0-9]", words[2]):
        raise Refused(400, "this is not an HTTP request")
    if words[2] not in ("HTTP/1.0", "HTTP/1.1"):
        raise Refused(505, "HTTP/1.1 is spoken here")
    target = _TARGET.fullmatch(words[1])
    if not target or not re.fullmatch("[A-Z]{1,20}", words[0]):
        raise Refused(400, "this is not an HTTP request")
    return words[0], target[1]


def _fields(lines: list[str]) -> dict[str, str]:
    if len(lines) > _MOST_FIELDS:
        raise Refused(431, f"a request may have {_MOST_FIELDS} headers")
    fields: dict[str, str] = {}
    for line in lines:
        word, colon, rest = line.partition(":")
        if not colon or not _NAME.fullmatch(word) or _CONTROL.search(line):
            raise Refused(400, "a header is malformed")
        name, value = word.lower(), rest.strip(" \t")
        if name in fields and name in _ONCE:
            raise Refused(400, f"{name} is given twice")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields
