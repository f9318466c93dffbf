"""One HTTP response as bytes."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus

from agent.exporter.requests import Refused, Request

PLAIN = "text/plain; charset=utf-8"
_WORTH_PACKING = 1 << 10
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes
    kind: str = PLAIN
    fields: Mapping[str, str] = field(default_factory=dict)


def plain(status: int, text: str) -> Response:
    return Response(status, f"{text}\n".encode())


def refusal(refused: Refused) -> Response:
    return Response(refused.status, f"{refused.args[0]}\n".encode(), PLAIN, refused.fields)


def packed(response: Response, request: Request) -> Response:
    """With gzip, where the client takes it and it pays."""
    if len(response.body) < _WORTH_PACKING:
        return response
    fields = {**response.fields, "Vary": "Accept-Encoding"}
    body = response.body
    if _takes_gzip(request.fields.get("accept-encoding", "")):
        fields["Content-Encoding"] = "gzip"
        body = gzip.compress(body, 5)
    return Response(response.status, body, response.kind, fields)


def wire(response: Response, now: datetime, *, head_only: bool = False) -> bytes:
    fields = {
        "Date": _date(now),
        "Server": "resize-agent",
        "Connection": "close",
        "Content-Type": response.kind,
        "Content-Length": str(len(response.body)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        **response.fields,
    }
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head if head_only else head + response.body


def _takes_gzip(accepted: str) -> bool:
    for offer in accepted.lower().split(","):
        coding, *parameters = [word.strip() for word in offer.split(";")]
        if coding in ("gzip", "*"):
            return not any(p.startswith("q=") and not p[2:].strip("0.") for p in parameters)
    return False


def _date(now: datetime) -> str:
    """RFC 9110 5.6.7; strftime would speak the language of the locale."""
    day, month = _DAYS[now.weekday()], _MONTHS[now.month - 1]
    return f"{day}, {now.day:02} {month} {now.year} {now:%H:%M:%S} GMT"
