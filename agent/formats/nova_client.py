"""What `openstack server event show`, `server event list --long` and `server show` print, as data.

Tables and the formats json, yaml, shell and value.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

import yaml

from agent.formats.nova_command import UUID

_LONGEST = 1 << 20
_LONGEST_YAML = 128 * 1024
_MOST_VALUES = 5000
_BORDER = re.compile(r"^\+[-+]*\+$")
_SHELL = re.compile(r'^([\w:.-]+)="((?:[^"\\]|\\.)*)"$', re.MULTILINE)
_YAML = re.compile(r"^(?:- )?[A-Za-z][\w :.-]{0,60}:(?: |$)")
# The table prints an event as `details='...', event='...', ... result='Error'`, and so some faults.
_LISTED = re.compile(r"(?:^|[\s,])([A-Za-z_]+)='(.*?)'(?=, [A-Za-z_]+='|\s*$)", re.DOTALL)
# A table that was made to fit the terminal breaks lines at blanks; these are those of Nova's own text.
_BROKEN = re.compile(
    r"\n(?!\s|(?:Command|Exit code|Stdout|Stderr): |Traceback|[\w.]*(?:Error|Exception)\b)"
)
_NO_LETTERS = re.compile(r"[^a-z0-9]+")
_NAMES = {
    "os_ext_sts_task_state": "task_state",
    "os_ext_sts_vm_state": "vm_state",
    "os_ext_srv_attr_host": "host",
    "instance_uuid": "server_id",
}
# `-f value` prints no names: what its lines are has to be seen from themselves.
_MOST_LINES = 300
_REQUEST = re.compile(r"req-[0-9a-f-]{36}")
_TASK = re.compile(r"resize_[a-z]+")
_VERIFY = "VERIFY_RESIZE"


@dataclass(frozen=True)
class Event:
    """One step of an action: `texts` are its details and traceback."""

    name: str
    result: str
    host: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """`rows` is the table of `server event list`; the rest is of one server or one action."""

    fields: dict[str, str]
    fault: tuple[str, ...]
    events: tuple[Event, ...]
    rows: tuple[dict[str, str], ...]


def read(text: str) -> Optional[Answer]:
    """None for what is no such output."""
    data = _data(text.strip()) if len(text) <= _LONGEST else None
    if isinstance(data, list) and data and all(isinstance(row, dict) for row in data):
        rows = tuple(_plain(row) for row in data[:_MOST_VALUES])
        return Answer({}, (), (), rows) if "action" in rows[0] else None
    if not isinstance(data, dict):
        return None
    fields = _plain(data)
    if not {"action", "status", "fault", "task_state"} & set(fields):
        return None
    lower = {str(key).lower(): value for key, value in data.items()}
    return Answer(fields, _fault(lower.get("fault")), tuple(_events(lower.get("events"))), ())


def _data(text: str) -> Any:
    if text.startswith("+-"):
        return _table(text)
    if text[:1] in "{[":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return _values(text)
    shell = dict(_SHELL.findall(text))
    if shell and text.startswith(next(iter(shell)) + "="):
        return {key: re.sub(r'\\(["\\$`])', r"\1", value) for key, value in shell.items()}
    if _YAML.match(text) and len(text) <= _LONGEST_YAML:
        try:
            return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
        except (yaml.YAMLError, RecursionError, ValueError):
            return None
    return _values(text)


def _values(text: str) -> Optional[dict[str, Any]]:
    """The lines of `-f value`; None where nothing among them is of a server or an action."""
    found: dict[str, Any] = {}
    for line in text.splitlines()[:_MOST_LINES]:
        told = _parsed(line)
        if isinstance(told, list) and told and isinstance(told[0], dict) and "event" in told[0]:
            found["events"] = told
        elif isinstance(told, dict) and {"code", "message"} <= set(told):
            found["fault"] = told
        elif UUID.fullmatch(line):
            found.setdefault("id", line)
        elif _REQUEST.fullmatch(line):
            found["request_id"] = line
        elif _TASK.fullmatch(line):
            found["task_state"] = line
        elif line == _VERIFY:
            found["status"] = line
    known = "id" in found and {"task_state", "status"} & set(found)
    return found if known or {"events", "fault"} & set(found) else None


def _table(text: str) -> Any:
    """{field: value} where the columns are Field and Value, else one mapping for each row."""
    lines = text.splitlines()
    border = lines[0].rstrip()
    edges = [index for index, sign in enumerate(border) if sign == "+"]
    if not _BORDER.match(border) or len(edges) < 2:
        return None
    rows: list[list[str]] = []
    for line in lines[1:]:
        if _BORDER.match(line.rstrip()) or not line.startswith("|"):
            continue
        # The last column may hold wide characters: it ends where the line does.
        ends = [*edges[1:-1], len(line.rstrip()) - 1]
        cells = [line[a + 1 : b].strip() for a, b in zip(edges, ends)]
        if rows and len(rows) > 1 and not cells[0]:
            rows[-1] = [f"{before}\n{more}".strip() for before, more in zip(rows[-1], cells)]
        elif len(rows) < _MOST_VALUES:
            rows.append(cells)
    if not rows:
        return None
    if [cell.lower() for cell in rows[0]] == ["field", "value"]:
        return {row[0]: row[1] for row in rows[1:]}
    return [dict(zip(rows[0], row)) for row in rows[1:]]


def _plain(data: dict[Any, Any]) -> dict[str, str]:
    found = {}
    for key, value in data.items():
        name = _NO_LETTERS.sub("_", str(key).lower())
        if value is not None and not isinstance(value, (dict, list)):
            found[_NAMES.get(name, name)] = str(value)[:_LONGEST]
    if data and ("fault" in data or "events" in data):
        found.setdefault("fault" if "fault" in data else "action", "")
    return found


def _parsed(value: Any) -> Any:
    """The Python literal that the client prints in a table, where it is one."""
    if not isinstance(value, str) or value[:1] not in "{[" or len(value) > _LONGEST:
        return value
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    return value


def _fault(value: Any) -> tuple[str, ...]:
    """The admin's details, which are whole, before the message, which is cut."""
    told = _parsed(value)
    if isinstance(told, str):
        listed = _listed(told)
        told = listed if "message" in listed else told
    if isinstance(told, dict):
        return tuple(str(told[key]) for key in ("details", "message") if told.get(key))
    return (told,) if isinstance(told, str) and told not in ("", "None") else ()


def _events(value: Any) -> Iterator[Event]:
    told = _parsed(value)
    if isinstance(told, str):
        pieces = re.split(r"(?=\bdetails=')", told)
        told = [_listed(piece) or {"details": piece} for piece in pieces if piece.strip()]
    for each in told if isinstance(told, list) else ():
        if isinstance(each, dict):
            texts = (each.get("traceback"), each.get("details"))
            kept = tuple(str(text) for text in texts if text and text != "None")
            name, result, host = (str(each.get(k) or "") for k in ("event", "result", "host"))
            yield Event(name, result, host, kept)


def _listed(text: str) -> dict[str, str]:
    return dict(_LISTED.findall(_BROKEN.sub(" ", text)))
