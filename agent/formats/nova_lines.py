"""A nova-compute.log taken apart into records, in bounded memory: oslo.log's text and JSON, bare, behind syslog or another prefix."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Optional

_LONGEST_LINE = 128 * 1024
_PIECE = 64 * 1024
_LONGEST_RECORD = 64 * 1024
_MOST_OPEN = 64

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_SYSLOG = re.compile(
    r"(?P<time>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.,+\-Z]+) (?P<host>[\w.-]{1,255})"
    r" [\w./@-]{1,100}(?:\[(?P<pid>\d+)\])?: ?"
)
_OSLO = re.compile(
    r"(?:(?P<time>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?) (?:(?P<pid>\d+) )?)?"
    r"(?P<level>TRACE|DEBUG|INFO|AUDIT|WARNING|ERROR|CRITICAL) (?P<logger>[A-Za-z_][\w.]*) ?"
)
# What grep, docker compose, kubectl or RFC 5424 put in front.
_PREFIXED = re.compile(
    r"[^\n]{1,200}?(?=\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.,]\d+ \d+ [A-Z]{4,8} [A-Za-z_][\w.]* )"
)
_CONTEXT = re.compile(r"\[(?P<words>[^\]\n]{0,400})\] ?")
_INSTANCE = re.compile(r"\[instance: (?P<uuid>[0-9a-f-]{36})\] ?")
_REQUEST = re.compile(r"req-[0-9a-f-]{36}")


@dataclass
class Record:
    """One message with all its lines; `""` is what the log does not say."""

    host: str = ""
    time: str = ""
    logger: str = ""
    request: str = ""
    uuid: str = ""
    parts: list[str] = field(default_factory=list)
    size: int = 0

    @property
    def text(self) -> str:
        return "\n".join(self.parts)

    def add(self, line: str) -> None:
        # The first half has the command, the last lines the exception: a flood goes in between.
        self.parts.append(line)
        self.size += len(line) + 1
        while self.size > _LONGEST_RECORD and len(self.parts) > 1:
            self.size -= len(self.parts.pop(len(self.parts) // 2)) + 1


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines of at most 128 KiB; the rest of a longer one is dropped."""
    rest = b""
    for chunk in chunks:
        for start in range(0, len(chunk), _PIECE):
            *whole, rest = (rest + chunk[start : start + _PIECE]).split(b"\n")
            yield from map(_text, whole)
            rest = rest[:_LONGEST_LINE]
    if rest:
        yield _text(rest)


def _text(line: bytes) -> str:
    return line[:_LONGEST_LINE].decode("utf-8", "replace").rstrip("\r")


def records(texts: Iterable[str]) -> Iterator[Record]:
    """Complete records.  Those of several processes may be interleaved line by line behind syslog."""
    open_ones: OrderedDict[tuple[str, str], Record] = OrderedDict()
    last = ("", "")
    for text in _bare(texts):
        line = _COLOUR.sub("", text)
        if line.startswith("{"):
            told = _json(line)
            if told is not None:
                yield told
                continue
        outer = _SYSLOG.match(line)
        rest = line[outer.end() :] if outer else line
        header = _OSLO.match(rest)
        if header is None and (prefix := _PREFIXED.match(rest)):
            rest = rest[prefix.end() :]
            header = _OSLO.match(rest)
        pid = (header and header["pid"]) or (outer and outer["pid"]) or ""
        key = (outer["host"] if outer else "", pid) if header or outer else last
        last = key
        if header is None:
            if key in open_ones:
                open_ones[key].add(rest)
            continue
        begun = _begun(rest[header.end() :], header, outer)
        before = open_ones.get(key)
        if before is not None and _continues(before, begun):
            before.add(begun.parts[0])
            continue
        if before is not None:
            yield before
        open_ones[key] = begun
        open_ones.move_to_end(key)
        if len(open_ones) > _MOST_OPEN:
            yield open_ones.popitem(last=False)[1]
    yield from open_ones.values()


def _begun(rest: str, header: re.Match[str], outer: Optional[re.Match[str]]) -> Record:
    found = Record(
        host=outer["host"] if outer else "",
        time=header["time"] or (outer["time"] if outer else ""),
        logger=header["logger"],
    )
    context = _CONTEXT.match(rest)
    if context and not context[0].startswith("[instance: "):
        requests = _REQUEST.findall(context["words"])
        found.request = requests[-1] if requests else "-"
        rest = rest[context.end() :]
    instance = _INSTANCE.match(rest)
    if instance:
        found.uuid = instance["uuid"]
        rest = rest[instance.end() :]
    found.add(rest)
    return found


def _continues(before: Record, line: Record) -> bool:
    """A traceback's lines repeat the prefix, without the context."""
    same = (line.logger, line.time) == (before.logger, before.time)
    return same and not line.request and line.uuid in ("", before.uuid)


def _bare(texts: Iterable[str]) -> Iterator[str]:
    """Docker and `journalctl -o json` put whole lines of the log into JSON."""
    for line in texts:
        wrapped = line.startswith("{") and ('"log":' in line or '"MESSAGE"' in line)
        inner = _first(_loaded(line), "log", "MESSAGE") if wrapped else ""
        if inner:
            yield from inner.splitlines()
        else:
            yield line


def _loaded(line: str) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _json(line: str) -> Optional[Record]:
    told = _loaded(line)
    context, extra = _mapping(told, "context"), _mapping(told, "extra")
    found = Record(
        host=_first(told, "hostname", "Hostname", "host"),
        time=_first(told, "asctime", "timestamp", "@timestamp", "Timestamp"),
        logger=_first(told, "name", "python_module", "logger"),
        request=_first(context, "request_id") or _first(told, "request_id"),
        uuid=_first(extra, "instance_uuid") or _first(told, "instance_uuid"),
    )
    message = _first(told, "message", "Payload")
    if not message:
        return None
    back = told.get("traceback")
    more = "\n".join(map(str, back)) if isinstance(back, list) else back
    for text in (message, more):
        for part in str(text or "").splitlines():
            found.add(part)
    return found


def _mapping(told: dict[str, Any], key: str) -> dict[str, Any]:
    value = told.get(key)
    return value if isinstance(value, dict) else {}


def _first(told: dict[str, Any], *keys: str) -> str:
    found = (told.get(key) for key in keys)
    return next(
        (value[:_LONGEST_RECORD] for value in found if isinstance(value, str) and value), ""
    )
