"""The failed, finished and unfinished resizes in a nova-compute.log, in one pass and bounded memory."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from agent.formats.nova_command import UUID, Work, parse
from agent.formats.nova_fault import Fault, State, of_record
from agent.formats.nova_lines import Record, lines, records

T = TypeVar("T")
_MOST = 500
_REMEMBERED = 2000

_MARKS = re.compile(
    r"execute ssh com|Resize error|migrate_disk_and_power_off|resize_instance|finish_resize|finish_migration"
    r"|_resize/|Command: (?:/usr/bin/)?(?:ssh|scp|rsync) "
)
_PENDING = re.compile(r"pending task \((resize_[a-z]+)\)")
_RUNNING = re.compile(r"^Running cmd \(subprocess\): (.*?)(?: execute /\S+)?$", re.MULTILINE)
_RETURNED = re.compile(r'^CMD "(.*)" returned: ')
_CONFIRMED = re.compile(r"^Automatically confirming migration \S+ for instance ([0-9a-f-]{36})")
_MOVED = "finish_migration finished successfully."
_RUNS = "Instance running successfully."  # also after a start or a reboot
_FAILED = (
    "Setting instance vm_state to ERROR",
    "Setting instance back to ",
    "Exception during message",
)


@dataclass(frozen=True)
class Failure:
    """`host`: whose log it is, "" where no line says."""

    fault: Fault
    uuid: str
    request: str
    host: str
    time: str


@dataclass(frozen=True)
class Finished:
    uuid: str
    host: str
    time: str


@dataclass(frozen=True)
class Unfinished:
    """`doing`: a task of Nova's, or the command whose end is not in the log."""

    uuid: str
    host: str
    time: str
    doing: str
    command: str = ""


@dataclass
class History:
    """`dropped`: failures beyond those that are kept.  `records`: how many lines began like Nova's."""

    failures: list[Failure] = field(default_factory=list)
    finished: list[Finished] = field(default_factory=list)
    unfinished: list[Unfinished] = field(default_factory=list)
    dropped: int = 0
    records: int = 0


def read(chunks: Iterable[bytes]) -> History:
    reader = _Reader()
    for record in records(lines(chunks)):
        reader.see(record)
    return reader.done()


class _Reader:
    """What has to be remembered between the records, the oldest forgotten first."""

    def __init__(self) -> None:
        self._history = History()
        self._places: OrderedDict[str, int] = OrderedDict()
        self._arriving: OrderedDict[str, Record] = OrderedDict()
        self._open: OrderedDict[str, Unfinished] = OrderedDict()

    def see(self, record: Record) -> None:
        self._history.records += 1
        text = record.text
        if _MARKS.search(text) and not text.startswith(("Running cmd", "CMD ")):
            fault = of_record(text)
            if fault is not None and _is_failure(record, fault):
                return self._failed(record, fault)
        if record.logger.endswith("processutils"):
            return self._command(record, text)
        return self._progress(record, text)

    def done(self) -> History:
        for uuid, record in self._arriving.items():
            if uuid not in self._open:
                self._open[uuid] = Unfinished(uuid, record.host, record.time, "arriving")
        self._history.unfinished = list(self._open.values())[:_MOST]
        return self._history

    def _failed(self, record: Record, fault: Fault) -> None:
        uuid = record.uuid or fault.uuid
        seen = Failure(fault, uuid, record.request, record.host, record.time)
        self._arriving.pop(uuid, None)
        self._open.pop(uuid, None)
        keys = [key for key in (record.request, uuid) if key not in ("", "-")]
        place = next((self._places[key] for key in keys[:1] if key in self._places), None)
        if place is None and not keys[1:] and uuid:
            place = self._places.get(uuid)
        if place is not None:
            self._history.failures[place] = _merged(self._history.failures[place], seen)
        elif len(self._history.failures) < _MOST:
            place = len(self._history.failures)
            self._history.failures.append(seen)
        else:
            self._history.dropped += 1
            return
        for key in keys:
            _remember(self._places, key, place)

    def _command(self, record: Record, text: str) -> None:
        """With debug on: a command that began and has not ended."""
        begun, ended = _RUNNING.match(text), _RETURNED.match(text)
        command = parse((begun or ended or [text, text])[1]) if begun or ended else None
        if command is None or not command.uuid:
            return
        if begun and command.work in (Work.TOUCH, Work.MKDIR, Work.COPY, Work.PULL):
            doing = command.work.value
            what = Unfinished(command.uuid, record.host, record.time, doing, command.line)
            _remember(self._open, command.uuid, what)
        elif ended:
            self._open.pop(command.uuid, None)

    def _progress(self, record: Record, text: str) -> None:
        first = text.partition("\n")[0]
        uuid = record.uuid
        pending = _PENDING.search(first)
        confirmed = _CONFIRMED.match(first)
        if pending and (uuid or UUID.search(first)):
            uuid = uuid or UUID.findall(first)[0]
            if uuid not in self._open:
                what = Unfinished(uuid, record.host, record.time, pending[1])
                _remember(self._open, uuid, what)
        elif confirmed:
            self._finished(confirmed[1], record)
        elif uuid and first == "Migrating":
            _remember(self._arriving, uuid, record)
        elif uuid and (first.startswith(_MOVED) or (first == _RUNS and uuid in self._arriving)):
            self._finished(uuid, record)

    def _finished(self, uuid: str, record: Record) -> None:
        self._arriving.pop(uuid, None)
        self._open.pop(uuid, None)
        known = self._history.finished
        if len(known) < _MOST and all(each.uuid != uuid for each in known):
            known.append(Finished(uuid, record.host, record.time))


def _is_failure(record: Record, fault: Fault) -> bool:
    """The debug lines of a failed touch, which Nova swallows, are none."""
    return fault.state is not State.HARMLESS or record.text.startswith(_FAILED)


def _merged(first: Failure, later: Failure) -> Failure:
    """Nova logs one failure two or three times, and the last one does not name the guest."""
    best, other = (later, first) if _tells(later.fault) > _tells(first.fault) else (first, later)
    fault = best.fault
    if fault.command is None and other.fault.command is not None:
        fault = replace(fault, command=other.fault.command)
    host = first.host or later.host
    return Failure(fault, first.uuid or later.uuid, first.request, host, first.time)


def _tells(fault: Fault) -> tuple[bool, bool, bool]:
    known = fault.state is not State.UNKNOWN
    return known, fault.reason != "unclassified", not fault.cut


def _remember(where: OrderedDict[str, T], key: str, value: T) -> None:
    where[key] = value
    where.move_to_end(key)
    if len(where) > _REMEMBERED:
        where.popitem(last=False)
