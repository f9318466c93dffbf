"""What one fault text of Nova says: why the command failed, and in what state that leaves the guest.

A text may be an exception with its traceback, the fault that the API cut at 255 characters, or the
words of ssh alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import Optional

from agent.formats import nova_words
from agent.formats.escape import visible
from agent.formats.nova_command import UUID, Command, Work, parse

_LONGEST = 64 * 1024
_LABELS = re.compile(r"(?:\\{1,8}n|\s)(?=(?:Command|Exit code|Stdout|Stderr):)")
_COMMAND = re.compile(r"^Command: ?(.*)$", re.MULTILINE)
_QUOTED_COMMAND = re.compile(
    r"(?:^|[\s'\"`:(])((?:/usr/bin/)?(?:ssh (?:-o \S+ )*\S+ (?:touch|rm|mkdir)\b|scp -|rsync -)[^\n]*?)"
    r"(?=['\"`]?(?:\s*\.\.\.)?(?:\s*\(?(?:Exit|exit) code|\n|$))"
)
_STATUS = re.compile(r"[Ee]xit code: ?(-?\d{1,4})\b(?=\s|$|\\n|[^\d])")
_REPR = r""": ?[ub]?(?P<quote>['"])(?P<body>(?:\\.|(?!(?P=quote))[^\n])*)(?P<end>(?P=quote))?"""
_STDOUT = re.compile("Stdout" + _REPR)
_STDERR = re.compile("Stderr" + _REPR)
_ESCAPE = re.compile(r"\\{1,8}([rnt'\"])")
_ELSEWHERE = re.compile(r", in \w{0,40}live_migration")
_FRAME = re.compile(r'File "[^"\n]*?(rpcapi)?\.py", line \d+, in (\w+)')
_NO_PROGRAM = re.compile(
    r"No such file or directory: u?b?'(?:/\S*/)?(ssh|scp|rsync)'|FileNotFoundError.{0,80}?\b(ssh|scp|rsync)\b"
)
_CLASS_ONLY = re.compile(
    r"(?:[\w.]+\.)?(ProcessExecutionError|FileNotFoundError|PermissionError|OSError)\b"
)


class State(Enum):
    """What is left behind: the reports' impacts, and four that only a history shows."""

    ROLLBACK = "rollback"
    ERROR_RUNNING = "error_running"
    ERROR_STOPPED = "error_stopped"
    ERROR_MOVED = "error_moved"
    ERROR_DESTINATION = "error_destination"
    DISK_LOSS = "disk_loss"
    HANG = "hang"
    HANG_DESTINATION = "hang_destination"
    HARMLESS = "harmless"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Fault:
    """`told_by` says how the state is known.  `candidates`: the causes that fit what a cut left."""

    reason: str
    state: State
    told_by: str
    detail: str = ""
    command: Optional[Command] = None
    status: Optional[int] = None
    cut: bool = False
    candidates: tuple[str, ...] = ()
    uuid: str = ""


_BY_WORK = {
    Work.TOUCH: (
        State.HARMLESS,
        "touch and rm only ask whether the storage is shared: Nova swallows their failure and goes on with mkdir",
    ),
    Work.MKDIR: (State.ROLLBACK, "mkdir failed, and Nova runs it before it touches the guest"),
    Work.COPY: (State.ERROR_STOPPED, "the copy failed, and Nova powers the guest off before it"),
    Work.LOCAL: (State.ERROR_STOPPED, "the copy failed, and Nova powers the guest off before it"),
    Work.PULL: (
        State.ERROR_DESTINATION,
        "only finish_resize, on the destination, fetches a file from the source",
    ),
}
_BY_WORK[Work.REMOVE] = _BY_WORK[Work.TOUCH]
_BY_WORK[Work.CLEAN] = (State.HARMLESS, "this is Nova's cleaning up after an earlier failure")
_LEAVING = {"resize_instance", "_resize_instance", "migrate_disk_and_power_off"}
_SHORT = 400
_IN_THE_WAY = re.compile(r"\[Errno (?!2\]|28\])\d+\][^\n]*_resize'")
_ARRIVING = {"finish_resize", "_finish_resize", "finish_migration"}
_MOVED = {"_terminate_volume_connections", "migrate_instance_start", "rpcapifinish_resize"}
_OFF = {"copy_image", "save_and_migrate_vtpm_dir", "unplug_vifs", "_get_instance_disk_info"}
_PUT_BACK = (
    "UUID_resize of an earlier resize was in the way; on this failure Nova's clean-up puts that old"
    " directory in the place of the good one"
)
_RUNS_THERE = "the traceback runs through finish_resize, which runs on the destination"
_GONE = re.compile(r"scp: dest open [^\n]*No such file")


def of_record(text: str) -> Optional[Fault]:
    """The fault in one log record or traceback; None where it has nothing to do with a resize."""
    text = _LABELS.sub("\n", _ends(text))
    frames = frozenset(api + name for api, name in _FRAME.findall(text))
    found = None if _ELSEWHERE.search(text) else _executed(text) or _without_command(text, frames)
    if found and frames & _ARRIVING and found.state is not State.ERROR_DESTINATION:
        return replace(found, state=State.ERROR_DESTINATION, told_by=_RUNS_THERE)
    return found


def of_text(text: str) -> Optional[Fault]:
    """The same for a text that somebody took out of its context, down to a few words of ssh."""
    fault = of_record(text)
    if fault is None and not _ELSEWHERE.search(text):
        return _class_only(text) or _words_only(_ends(text))
    return fault


def _ends(text: str) -> str:
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else text[:half] + "\n" + text[-half:]


def _executed(text: str) -> Optional[Fault]:
    """ProcessExecutionError, with its command."""
    for match in _COMMAND.finditer(text):
        command = parse(match[1])
        if command is not None:
            return _failed(command, text[match.end() :].partition("\nCommand:")[0], labelled=True)
    quoted = _QUOTED_COMMAND.search(text)
    command = parse(quoted[1]) if quoted else None
    if quoted is None or command is None:
        return None
    return _failed(command, text[quoted.end() :], labelled=False)


def _failed(command: Command, after: str, *, labelled: bool) -> Fault:
    status = _STATUS.search(after)
    code = int(status[1]) if status else None
    out, err = _STDOUT.search(after), _STDERR.search(after)
    cut = err is None or err["end"] is None
    stdout = _plain(out["body"]) if out else ""
    stderr = _plain(err["body"]) if err else ""
    own_words = not labelled and not err and not out
    if own_words:
        # Somebody's own words: whatever follows the status.
        stderr = _plain(after[status.end() :] if status else after).strip(" .\u2026'\"")
    seen, candidates = nova_words.classified(code, stdout, stderr, _tool(command), cut)
    state, told = _BY_WORK[command.work]
    reason, detail = seen.reason, seen.detail
    if own_words and reason not in nova_words.VAGUE:
        cut = False  # there is enough of them
    if command.work is not Work.COPY and command.work is not Work.PULL and reason == "copy_failed":
        reason = "unclassified"
    if code is None and not stderr:
        reason, detail = "unclassified", ""
    if command.work is Work.COPY and _GONE.search(stderr):
        reason, state = "shared_touch_fails", State.DISK_LOSS
        told = (
            "the directory that mkdir had just made was gone: source and destination share it, Nova"
            " did not notice and renamed it, and its clean-up then deletes it"
        )
    if command.tool == "rsync" and code == 11 and not stderr:
        reason, detail = (
            "copy_failed",
            "rsync status 11, error in file I/O: mostly a full disk there",
        )
    if cut or not detail:
        told_lines = (line.strip("@ ") for line in (stderr or stdout).splitlines())
        detail = visible(" / ".join(line for line in told_lines if line), 300)
    return Fault(reason, state, told, detail, command, code, cut, candidates, command.uuid)


def _tool(command: Command) -> str:
    return "scp" if command.work is Work.PULL and command.tool == "scp" else command.tool


def _plain(body: str) -> str:
    """The text of a Python repr, tolerant of nested and of cut escapes."""
    known = {"r": "", "n": "\n", "t": " "}
    text = _ESCAPE.sub(lambda match: known.get(match[1], match[1]), body)
    return text.rstrip("\\").rstrip(" \u2026")


def _without_command(text: str, frames: frozenset[str]) -> Optional[Fault]:
    uuid = UUID.search(text)
    return (
        _no_program(text, frames, uuid[0] if uuid else "")
        or _refused(text, uuid[0] if uuid else "")
        or _by_frames(text, frames, uuid[0] if uuid else "")
        or _cut_early(text)
    )


def _no_program(text: str, frames: frozenset[str], uuid: str) -> Optional[Fault]:
    match = _NO_PROGRAM.search(text)
    if match is None:
        return None
    tool = match[1] or match[2]
    detail = f"nova-compute found no program {tool} in its PATH"
    if tool == "scp" or "copy_image" in frames or "copy_file" in frames:
        told = f"{tool} was first needed for the copy, and Nova powers the guest off before it"
        return Fault("tool_missing", State.ERROR_STOPPED, told, detail, uuid=uuid)
    told = f"{tool} could not even be started, which is no failed command to Nova: ERROR, before it touches the guest"
    return Fault("tool_missing", State.ERROR_RUNNING, told, detail, uuid=uuid)


def _refused(text: str, uuid: str) -> Optional[Fault]:
    for words in ("Unable to resize disk down", "Migration is not supported for LVM backed"):
        if words in text:
            told = "Nova refused by itself, before any ssh: not a matter of these hosts' set-up"
            return Fault("unclassified", State.ROLLBACK, told, words, uuid=uuid)
    return None


def _by_frames(text: str, frames: frozenset[str], uuid: str) -> Optional[Fault]:
    last = _last_exception(text)
    if frames & _ARRIVING:
        cause = _start_cause(last)
        return Fault(cause, State.ERROR_DESTINATION, _RUNS_THERE, last, uuid=uuid)
    in_the_way = _IN_THE_WAY.search(text)
    if not frames & _LEAVING and not in_the_way:
        return None
    if in_the_way or "_cleanup_failed_instance_base" in frames:
        if "Read-only file system" in text:
            told = (
                "the guest's directory could not be renamed, which Nova does once the guest is off"
            )
            return Fault("read_only", State.ERROR_STOPPED, told, last, uuid=uuid)
        return Fault("undeletable_resize", State.DISK_LOSS, _PUT_BACK, last, uuid=uuid)
    if "mkdtemp" in frames:
        told = "no temporary directory could be made, before Nova touches the guest"
        return Fault("unclassified", State.ERROR_RUNNING, told, last, uuid=uuid)
    if frames & _MOVED or "task_states.RESIZE_MIGRATING)" in text:
        told = "the failure came after migrate_disk_and_power_off: the disk had been copied already"
        return Fault("unclassified", State.ERROR_MOVED, told, last, uuid=uuid)
    if frames & _OFF:
        told = "the traceback runs through what Nova does once the guest is powered off"
        return Fault("unclassified", State.ERROR_STOPPED, told, last, uuid=uuid)
    told = "Nova failed in its own code, not in a command; whether the guest was already off is not told"
    return Fault("unclassified", State.UNKNOWN, told, last, uuid=uuid)


def _start_cause(last: str) -> str:
    if "backing file" in last:
        return "image_cache_differs"
    if "Permission denied" in last:
        return "qemu_no_way"
    return "no_space" if "No space left" in last else "unclassified"


def _last_exception(text: str) -> str:
    found = re.findall(
        r"^(?:\S+ )*?([A-Za-z_][\w.]*(?:Error|Exception|Timeout|NotFound|Rollback)\b.*)$",
        text[-8192:],
        re.MULTILINE,
    )
    return visible(found[-1], 300) if found else ""


def _cut_early(text: str) -> Optional[Fault]:
    if "Resize error: not able to" not in text and "not able to execute ssh com" not in text:
        return None
    state, told = _BY_WORK[Work.MKDIR]
    return Fault("unclassified", state, told, cut=True)


def _class_only(text: str) -> Optional[Fault]:
    match = _CLASS_ONLY.match(text.strip())
    if match is None or len(text) > _SHORT:
        return None
    if match[1] == "ProcessExecutionError":
        told = "a failed mkdir would say ResizeError, so what failed came later: the copy, or finish_resize on the destination"
        return Fault("unclassified", State.ERROR_STOPPED, told, cut=True)
    told = "ssh or rsync missing leaves the guest running, scp missing leaves it powered off; a directory in the way, too"
    reason = "tool_missing" if match[1] == "FileNotFoundError" else "unclassified"
    return Fault(reason, State.UNKNOWN, told, cut=True)


def _words_only(text: str) -> Optional[Fault]:
    plain = _plain(text).strip(" .\u2026'\"\n")
    told = "which command failed is not in the text: mkdir means rollback, a copy means that the guest is off"
    if plain and not plain.strip("@ \n"):
        return Fault("unclassified", State.UNKNOWN, told, cut=True, candidates=nova_words.FRAMED)
    known = nova_words.recognised(plain) if len(plain.split()) > 1 else None
    return Fault(known[0], State.UNKNOWN, told, known[1]) if known else None
