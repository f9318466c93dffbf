"""Sentences of ssh, scp, rsync and the far side that Nova's API cuts in the middle.

The API keeps 255 characters of a fault.  The beginning of a sentence tells its cause as long as
every sentence that begins so has the same one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Optional

from agent.formats import ssh_causes as causes
from agent.formats.escape import visible
from agent.formats.ssh_failure import Failure, classify

# cause | sentence; `*` stands for any one word or part of it.
_TABLE = """
host_key_unknown | Host key verification failed.
host_key_unknown | No * host key is known for * and you have requested strict checking.
host_key_changed | @ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @
host_key_changed | IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
host_key_changed | Host key for * has changed and you have requested strict checking.
host_key_revoked | @ WARNING: REVOKED HOST KEY DETECTED! @
identity_mode | @ WARNING: UNPROTECTED PRIVATE KEY FILE! @
identity_mode | Permissions * for * are too open.
identity_mode | Load key *: bad permissions
identity_unreadable | Load key *: Permission denied
identity_broken | Load key *: invalid format
identity_broken | Load key *: error in libcrypto
permission_denied | *@*: Permission denied (*
name_unresolvable | ssh: Could not resolve hostname *
connection_refused | ssh: connect to host * port *: Connection refused
connect_timeout | ssh: connect to host * port *: Connection timed out
no_route | ssh: connect to host * port *: No route to host
no_route | ssh: connect to host * port *: Network is unreachable
peer_busy | kex_exchange_identification: Connection closed by remote host
peer_busy | kex_exchange_identification: read: Connection reset by peer
peer_busy | ssh_exchange_identification: Connection closed by remote host
peer_busy | Connection closed by * port *
peer_busy | Connection reset by * port *
too_many_authentication_failures | Received disconnect from * port *:2: Too many authentication failures
host_key_algorithms | Unable to negotiate with * port *: no matching host key type found.
negotiation_failed | Unable to negotiate with * port *: no matching key exchange method found.
negotiation_failed | Unable to negotiate with * port *: no matching cipher found.
negotiation_failed | Unable to negotiate with * port *: no matching MAC found.
no_user_for_uid | No user exists for uid *
client_config_invalid | */.ssh/config*: line *: Bad configuration option: *
client_config_invalid | */.ssh/config*: terminating, * bad configuration options
client_config_invalid | */ssh_config*: line *: Bad configuration option: *
client_config_invalid | Bad owner or permissions on *
client_config_invalid | unix_listener: cannot bind to path *: Permission denied
account_expired | Your account has expired; please contact your system administrator.
password_expired | Password change required but no TTY available.
password_expired | WARNING: Your password has expired.
password_expired | You are required to change your password immediately
sftp_only | This service allows sftp connections only.
shell_refuses_commands | This account is currently not available.
forced_command | Forbidden
channel_refused | channel *: open failed: *
channel_refused | exec request failed on channel *
directory_denied | mkdir: cannot create directory *: Permission denied
directory_denied | mkdir: cannot create directory *: Operation not permitted
read_only | mkdir: cannot create directory *: Read-only file system
no_space | mkdir: cannot create directory *: No space left on device
no_space | mkdir: cannot create directory *: Disk quota exceeded
directory_denied | rsync: [generator] recv_generator: mkdir * failed: Permission denied (13)
directory_denied | rsync: recv_generator: mkdir * failed: Permission denied (13)
rsync_missing_on_peer | bash: line 1: rsync: command not found
rsync_missing_on_peer | bash: rsync: command not found
shell_noise | protocol version mismatch -- is your shell clean?
shell_noise | scp: Received message too long *
shell_noise | protocol error: mtime.sec not present
sftp_missing | subsystem request failed on channel *
sftp_broken | scp: Connection closed
no_space | scp: write remote *: Failure
no_space | scp: dest open *: Failure
directory_denied | scp: dest open *: Permission denied
copy_failed | scp: open local *: Permission denied
command_missing | bash: scp: command not found
"""
SENTENCES = tuple(
    (reason.strip(), sentence.strip())
    for reason, _, sentence in (line.partition(" | ") for line in _TABLE.strip().splitlines())
)
# Less than this begins too many sentences that nobody has listed.
_SHORTEST = 3
_MOST_LINES = 50
_FRAME = re.compile(r"[@\s]+")
VAGUE = ("unclassified", "shell_refuses_commands", "copy_failed", "sftp_broken")
"""What classify says when it recognised nothing."""
FRAMED = ("host_key_changed", "identity_mode", "host_key_revoked")
"""The causes whose text begins with a line of `@`, which is all that 255 characters may hold."""


def classified(
    status: Optional[int], stdout: str, stderr: str, tool: str, cut: bool
) -> tuple[Failure, tuple[str, ...]]:
    """The failure, and the causes that are left where what remains of the text fits several."""
    code = 255 if status in (None, 0) else status
    if cut:
        # The end of a sentence may tell more than its beginning, or something else.
        lines, (whole, beginnings) = _lines(stderr), _completed(stderr)
        stderr = whole or ("\n".join(lines[:-1]) if len(beginnings) > 1 else stderr)
        if not stderr and beginnings:
            return Failure("", "unclassified", ""), beginnings
    failure = classify(code, stdout, stderr, tool)
    if failure is None:
        raise AssertionError("a status other than 0 is a failure")
    if failure.reason not in VAGUE:
        return failure, ()
    if stderr and _FRAME.fullmatch(stderr):
        return Failure("", "unclassified", ""), FRAMED
    whole, beginnings = _completed(stderr or stdout)
    if whole is not None:
        again = classify(code, stdout, whole, tool)
        if again is not None and again.reason not in VAGUE:
            return Failure(again.stage, again.reason, failure.detail), ()
    known = [reason for line in _lines(stderr + "\n" + stdout) for reason in _causes(line, False)]
    if known:
        return Failure(failure.stage, known[0], failure.detail), ()
    if len(beginnings) == 1:
        return Failure(failure.stage, beginnings[0], failure.detail), ()
    if cut or (tool == "ssh" and code == 255 and not stdout.strip()):
        return Failure(failure.stage, "unclassified", failure.detail), beginnings
    return failure, beginnings


def recognised(text: str) -> Optional[tuple[str, str]]:
    """(reason, detail) of words without their command; None where nobody knows them."""
    for tool in ("ssh", "scp", "rsync"):
        seen, _ = classified(255, "", text, tool, False)
        if seen.reason not in VAGUE or any(_causes(line, False) for line in _lines(text)):
            return seen.reason, seen.detail
    found = _completed(text)[1]
    return (found[0], visible(text.strip(), 300)) if len(found) == 1 else None


def _completed(stderr: str) -> tuple[Optional[str], tuple[str, ...]]:
    """The text with its last line made whole, where only one cause is possible; the causes that are."""
    lines = _lines(stderr)
    found = _causes(lines[-1], True) if lines else ()
    if len(found) != 1:
        return None, found
    told = lines[-1].split()
    known = next(s.split() for _, s in SENTENCES if _begins(lines[-1], s, True))
    last = " ".join([*told[:-1], *known[len(told) - 1 :]]).replace("*", "x")
    return "\n".join([*lines[:-1], last]), found


def _causes(line: str, beginning: bool) -> tuple[str, ...]:
    if len(line.strip(" @")) < _SHORTEST or causes.AFTERMATH.match(line + "\0"):
        return ()
    found = (reason for reason, sentence in SENTENCES if _begins(line, sentence, beginning))
    return tuple(dict.fromkeys(found))


def _begins(line: str, sentence: str, beginning: bool) -> bool:
    """Whether `line` is the sentence, or with `beginning` may be a part of it from its start on."""
    told, known = line.split(), sentence.split()
    if len(told) > len(known):
        told = told[: len(known)]
    elif len(told) < len(known) and not beginning:
        return False
    if not all(_word(k).fullmatch(t) for k, t in zip(known, told[:-1])):
        return False
    last, pattern = told[-1], known[len(told) - 1]
    if _word(pattern).fullmatch(last):
        return True
    return beginning and _starts(last, pattern)


@lru_cache(maxsize=512)
def _word(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)


def _starts(word: str, pattern: str) -> bool:
    head, star, rest = pattern.partition("*")
    if not star:
        return head.startswith(word)
    # Any word could begin what begins with a star: the fixed parts have to be there.
    between = rest.split("*")[:-1]
    return word.startswith(head) and all(part in word for part in between)


def _lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines if len(lines) <= 2 * _MOST_LINES else lines[:_MOST_LINES] + lines[-_MOST_LINES:]
