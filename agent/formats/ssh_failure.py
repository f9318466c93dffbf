"""Why one run of ssh, scp or rsync failed, from its own words.

The tables say which words mean what.  Those of the client's own half are read only up to the
login, those of the far side only after it: a remote program cannot pose as a host key failure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Optional

from agent.formats import ssh_causes as causes
from agent.formats.escape import visible, visible_bytes
from agent.formats.ssh_trace import Trace, trace

_LONGEST_DETAIL = 300


@dataclass(frozen=True)
class Failure:
    """`stage` is the first one not passed; `detail` the telling lines, safe to print."""

    stage: str
    reason: str
    detail: str


def classify(returncode: Optional[int], stdout: str, stderr: str, tool: str) -> Optional[Failure]:
    """One attempt, ideally run with `-v`; None where it succeeded.

    `returncode` None says that our own limit ended it.  `tool` is ssh, scp or rsync.
    """
    if returncode == 0:
        return None
    seen = trace(stderr)
    if returncode is None:
        return _interrupted(seen, stderr)
    failure = None if seen.logged_in else _before_login(seen, stderr)
    if failure is None:
        failure = _after_login(returncode, stdout, seen, tool)
    # What was passed cannot have failed: then it is the next, or what the tool itself does.
    if failure.stage in seen.reached:
        failure = replace(failure, stage=_work(tool) if seen.logged_in else seen.next_stage)
    return failure


def _work(tool: str) -> str:
    """The stage of what is done once there is a shell."""
    return "directory" if tool == "ssh" else "copy"


def _interrupted(seen: Trace, stderr: str) -> Failure:
    told = _useful(seen.after or seen.before)
    detail = _joined(told or ([f"ssh was last heard of at: {seen.last}"] if seen.last else []))
    if seen.next_stage == "banner" and causes.GREETING not in stderr:
        # Connected, and it has not yet said a word.
        return Failure("banner", "client_hangs", detail)
    if seen.logged_in or "connect" in seen.reached:
        return Failure(seen.next_stage, "too_slow", detail)
    if seen.verbose and "resolve" not in seen.reached:
        # It has not said that it connects to anything.
        return Failure("resolve", "client_hangs", detail)
    stage = seen.next_stage if seen.verbose else "connect"
    return Failure(stage, "connect_timeout", detail)


def _before_login(seen: Trace, stderr: str) -> Optional[Failure]:
    """None where the words do not belong to this half, which only text without `-v` allows."""
    lines = seen.before
    denied = _matching(lines, causes.DENIED)
    if denied:
        plain = Failure("auth", "permission_denied", _joined(denied))
        return _matched(causes.IDENTITY, lines, seen, beside=denied) or plain
    untrusted = _matching(lines, causes.UNTRUSTED)
    if untrusted:
        plain = Failure("host_key", "host_key_unknown", _joined(untrusted))
        return _matched(causes.WHY_UNTRUSTED, lines, seen, beside=untrusted) or plain
    failure = _matched(causes.LOCAL, lines, seen)
    if failure is not None:
        return failure
    stage = seen.next_stage if seen.verbose else "banner"
    slow = _matching(lines, causes.SLOW)
    if slow:
        return Failure(stage, "too_slow", _joined(slow))
    closed = _matching(lines, causes.CLOSED)
    if closed:
        return _closed(seen, closed, stage, stderr)
    return _unclassified(stage, lines) if seen.verbose else None


def _closed(seen: Trace, closed: Sequence[str], stage: str, stderr: str) -> Failure:
    """The connection ended before the login, and ssh does not say why."""
    told = [line for line in seen.since_key if not causes.CLOSED.match(line)]
    if seen.key_accepted or (not seen.verbose and _useful(told)):
        # The key was good: PAM closed the door.  pam_nologin is the one that explains itself.
        reason = "nologin_file" if _useful(told) else "login_closed"
        return Failure("auth", reason, _joined([*_useful(told), *closed]))
    banner = [match[1] for match in causes.FOREIGN_BANNER.finditer(stderr)]
    if banner and not any(causes.SSHD_HAS_NO_ROOM.search(line) for line in banner):
        return Failure("banner", "unclassified", _joined([*banner, *closed]))
    if "Executing proxy command" in stderr and "banner" not in seen.reached:
        return Failure("connect", "unclassified", _joined(closed))
    return Failure(stage, "peer_busy", _joined([*banner, *closed]))


def _after_login(returncode: int, stdout: str, seen: Trace, tool: str) -> Failure:
    # Without -v nothing says where the login was: the same lines may belong to either half.
    lines = seen.after if seen.logged_in else seen.before
    printed = tuple(line for line in stdout[:4096].split("\n") if line.strip())
    failure = (
        _noise(lines)
        or _matched(causes.SESSION, (*lines, *printed), seen)
        or _matched(causes.ON_PEER, lines, seen, stage=_work(tool))
    )
    if failure is not None:
        return failure
    if returncode == 254 and tool == "ssh" and (lines or printed):
        reason = "login_closed" if printed else "nologin_file"
        return Failure("shell", reason, _joined([*lines, *printed]))
    if seen.forced:
        told = [*_useful(lines), *printed]
        return Failure("shell", "forced_command", _joined(told or ["the key has a command="]))
    slow = _matching(lines, causes.SLOW)
    if slow:
        return Failure(seen.next_stage, "too_slow", _joined(slow))
    return _unspoken(returncode, printed, lines, seen, tool)


def _unspoken(
    returncode: int, printed: Sequence[str], lines: Sequence[str], seen: Trace, tool: str
) -> Failure:
    """No known words: what the tool did tells."""
    useful = _useful(lines)
    if tool == "ssh":
        if useful:
            return _unclassified(seen.next_stage if seen.verbose else "directory", useful)
        ended = f"the shell ended with status {returncode}"
        return Failure("shell", "shell_refuses_commands", _joined(printed or [ended]))
    if useful:
        return Failure("copy", "copy_failed", _joined(useful))
    reason = "sftp_broken" if tool == "scp" else "shell_refuses_commands"
    return Failure("copy" if tool == "scp" else "shell", reason, _joined(lines))


def _noise(lines: Sequence[str]) -> Optional[Failure]:
    """scp took the first four bytes of the shell's output for a length: turn them back."""
    for line in lines:
        match = causes.TOO_LONG.search(line)
        if match and int(match[1]) < 2**32:
            start = visible_bytes(int(match[1]).to_bytes(4, "big"))
            detail = f'the shell prints something that begins with "{start}"'
            return Failure("copy", "shell_noise", _joined([detail, line]))
    return None


def _matched(
    rules: Sequence[causes.Rule],
    lines: Sequence[str],
    seen: Trace,
    beside: Sequence[str] = (),
    stage: str = "",
) -> Optional[Failure]:
    for rule in rules:
        telling = _matching(lines, rule.words)
        if telling:
            where = rule.stage or stage or seen.next_stage
            return Failure(where, rule.reason, _joined([*telling, *beside]))
    return None


def _matching(lines: Sequence[str], words: re.Pattern[str]) -> list[str]:
    return [line for line in lines if words.search(line)]


def _useful(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if not causes.AFTERMATH.match(line)]


def _unclassified(stage: str, lines: Sequence[str]) -> Failure:
    return Failure(stage, "unclassified", _joined((_useful(lines) or list(lines))[-2:]))


def _joined(lines: Sequence[str]) -> str:
    """The first two lines, without the frames and the trailing dots of a banner."""
    plain = [line.strip("@ ") for line in lines]
    return visible(" / ".join([line for line in plain if line][:2]), _LONGEST_DETAIL)
