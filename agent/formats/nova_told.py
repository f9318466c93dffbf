"""Whatever an operator has in hand of a resize: a fault text, openstack's answer or a log, told apart and read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Optional

from agent.formats import nova_client, nova_log
from agent.formats.escape import visible
from agent.formats.nova_fault import Fault, State, of_text
from agent.formats.nova_log import Failure, Finished, Unfinished
from agent.formats.nova_story import Story, stories

_HEAD = 1 << 20
# The tasks in which ssh and the disks are at work; before them nothing is touched, confirm and revert use no ssh.
_STATES = {
    "resize_migrating": State.HANG,
    "resize_migrated": State.HANG_DESTINATION,
    "resize_finish": State.HANG_DESTINATION,
}
_MOVES = ("resize", "migrate", "confirmresize", "revertresize")


@dataclass
class Told:
    """`kind`: text, openstack or log.  `recognised` is False where nothing in it could be understood."""

    kind: str
    stories: list[Story] = field(default_factory=list)
    finished: list[Finished] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    recognised: bool = True


def read(chunks: Iterable[bytes], names: Mapping[str, str]) -> Told:
    """In bounded memory: only what fits in the first MiB can be anything but a log."""
    source = iter(chunks)
    head = _head(source)
    if len(head) < _HEAD:
        text = head.decode("utf-8", "replace")
        answer = nova_client.read(text)
        if answer is not None:
            return _answer(answer, names)
        history = nova_log.read([head])
        return _log(history, names) if history.records else _text(text, names)
    history = nova_log.read(chain([head], source))
    return _log(history, names) if history.records else Told("text", recognised=False)


def _head(source: Iterator[bytes]) -> bytes:
    kept: list[bytes] = []
    size = 0
    for chunk in source:
        kept.append(chunk)
        size += len(chunk)
        if size >= _HEAD:
            break
    return b"".join(kept)


def _text(text: str, names: Mapping[str, str]) -> Told:
    fault = of_text(text)
    if fault is not None:
        return Told("text", stories([Failure(fault, fault.uuid, "", "", "")], names))
    return Told("text", recognised=False)


def _log(history: nova_log.History, names: Mapping[str, str]) -> Told:
    hanging = [
        _hanging(each) for each in history.unfinished if each.command or each.doing in _STATES
    ]
    told = Told("log", stories([*history.failures, *hanging], names), history.finished)
    for each in history.unfinished:
        if each.doing == "arriving":
            told.notes.append(
                f"{visible(each.uuid, 40)} began to arrive at {visible(each.time, 40)} and its end is not in this log:"
                " if it failed, it did so on the source, whose nova-compute.log has it."
            )
    told.notes = told.notes[:20]
    if history.dropped:
        told.notes.append(f"{history.dropped} more log lines of failures were left out.")
    return told


def _hanging(seen: Unfinished) -> Failure:
    told_by = (
        f"the command's end is not in the log: {visible(seen.command, 300)}"
        if seen.command
        else f"its task is {visible(seen.doing, 40)}, and neither an end nor a failure is told"
    )
    fault = Fault("too_slow", _STATES.get(seen.doing, State.HANG), told_by, uuid=seen.uuid)
    return Failure(fault, seen.uuid, "", seen.host, seen.time)


def _answer(answer: nova_client.Answer, names: Mapping[str, str]) -> Told:
    told = Told("openstack")
    if answer.rows:
        told.notes = [*_listed(answer.rows)]
        return told
    fields = answer.fields
    uuid = "".join((fields.get("server_id") or fields.get("id", "")).split())
    host = fields.get("host", "")
    failures = [
        Failure(fault, uuid or fault.uuid, fields.get("request_id", ""), event.host, "")
        for event in answer.events
        if event.result.lower() == "error"
        for fault in [_event(event)]
    ]
    fault = _best(answer.fault)
    if fault is not None:
        failures.append(Failure(fault, uuid or fault.uuid, "", host, fields.get("updated", "")))
    task = fields.get("task_state", "")
    if not failures and task in _STATES:
        failures.append(_hanging(Unfinished(uuid, host, fields.get("updated", ""), task)))
    told.stories = stories(failures, names)
    if fields.get("status", "").upper() == "VERIFY_RESIZE":
        told.finished.append(Finished(uuid, host, fields.get("updated", "")))
    arrived = [e.host for e in answer.events if "finish_resize" in e.name] if not failures else []
    told.finished += [Finished(uuid, host, "") for host in arrived]
    if not failures and not told.finished:
        told.notes.append(_silent(answer, uuid))
    return told


def _event(event: nova_client.Event) -> Fault:
    fault = _best(event.texts) or Fault(
        "unclassified", State.UNKNOWN, "the event has no text that says why", cut=True
    )
    if "finish_resize" in event.name and fault.state in (State.UNKNOWN, State.ERROR_STOPPED):
        told = f"the event {visible(event.name, 60)} runs on the destination"
        return replace(fault, state=State.ERROR_DESTINATION, told_by=told)
    return fault


def _best(texts: Iterable[str]) -> Optional[Fault]:
    """The one that tells most: the traceback may hold what the message lost."""
    found = [fault for fault in map(of_text, texts) if fault is not None]
    return max(found, key=_worth, default=None)


def _worth(fault: Fault) -> tuple[bool, bool, bool]:
    return fault.reason != "unclassified", fault.state is not State.UNKNOWN, not fault.cut


def _listed(rows: Iterable[Mapping[str, str]]) -> Iterator[str]:
    failed = 0
    for row in rows:
        action = row.get("action", "")
        if action.lower() not in _MOVES or row.get("message", "") in ("", "None"):
            continue
        failed += 1
        if failed <= 20:
            request, server = row.get("request_id", "REQUEST"), row.get("server_id", "SERVER")
            yield (
                f"{visible(action, 40)} {visible(request, 60)} failed ({visible(row['message'], 60)}). The list does not say why:"
                f" openstack server event show {visible(server, 60)} {visible(request, 60)} | agent explain -"
            )
    if not failed:
        yield "No resize or migration in this list failed."


def _silent(answer: nova_client.Answer, uuid: str) -> str:
    if answer.events and all(event.result.lower() == "success" for event in answer.events):
        return "None of these events failed."
    if answer.events:
        return "No end of these events can be read from this: openstack server event show -f json"
    if answer.fault:
        return f"The fault is none of a resize that is known here: {visible(answer.fault[-1], 300)}"
    if answer.fields.get("task_state", "").startswith("resize_"):
        return f"The guest's task is {visible(answer.fields['task_state'], 40)}, in which Nova uses no ssh."
    return (
        "No fault is shown. A resize that Nova rolled back leaves none here:"
        f" openstack server event list --long {visible(uuid, 60) or 'SERVER'} | agent explain -"
    )
