"""nova's login shell runs the commands that a peer sends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Optional

from agent.formats.access import unseen
from agent.formats.escape import visible
from agent.model import (
    Absent,
    Account,
    Action,
    Check,
    File,
    Finding,
    Kind,
    Role,
    SetShell,
    Snapshot,
    Unreadable,
    failed,
    passed,
    skipped,
    unknown,
)
from agent.settings import Settings

# Programs that end, or refuse, instead of running `-c COMMAND`.
_REFUSERS = frozenset(
    "nologin false true sync halt shutdown poweroff reboot git-shell scponly rssh".split()
)
_FALLBACK = PurePosixPath("/bin/sh")


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    account = snapshot.account
    subject = f"user {want.user}"
    if isinstance(account, Absent):
        yield skipped(subject, f"there is no account {want.user}")
        return
    if isinstance(account, Unreadable):
        yield unknown(subject, unseen(snapshot), f"cannot look it up: {account.reason}")
        return
    shell = account.shell if account.shell.name else _FALLBACK  # an empty field means /bin/sh
    seen = snapshot.file(shell)
    reason = _fault(shell, seen)
    told = f"login shell is {visible(str(shell))}"
    if isinstance(seen, Unreadable) and reason is None:
        yield unknown(subject, unseen(snapshot), f"{told}, which was not seen: {seen.reason}")
    elif reason is None:
        yield passed(subject, told)
    else:
        fix = _fix(snapshot, account, want)
        text = f"{told}{_observed(reason)}, expected one that runs commands such as {want.shell}"
        by_hand = None if fix else _by_hand(snapshot, account, want)
        yield failed(subject, reason, text, *fix, remedy=by_hand)


def _fault(shell: PurePosixPath, seen: object) -> Optional[str]:
    """What sshd and the shell itself would say; /etc/shells does not matter to them."""
    real = seen.real if isinstance(seen, File) and seen.real else shell
    if _REFUSERS & {shell.name, real.name}:
        return "shell_refuses_commands"
    if isinstance(seen, Absent):
        return "shell_missing"
    if isinstance(seen, File) and (seen.kind is not Kind.FILE or not seen.mode & 0o111):
        return "shell_not_executable"
    return None


def _observed(reason: str) -> str:
    return {
        "shell_missing": ", which does not exist",
        "shell_not_executable": ", which is no executable file",
    }.get(reason, "")


def _fix(snapshot: Snapshot, account: Account, want: Settings) -> tuple[Action, ...]:
    # With a password the account could then log in from anywhere: opening that is the site's decision.
    if isinstance(snapshot.password, (Absent, Unreadable)) or snapshot.password.usable:
        return ()
    if account.lines > 1:
        return ()  # usermod: "multiple entries named 'nova' in /etc/passwd"
    for shell in (want.shell, _FALLBACK):
        seen = snapshot.file(shell)
        if isinstance(seen, File) and _fault(shell, seen) is None:
            return (SetShell(account.name, shell, account.shell),)
    return ()


def _by_hand(snapshot: Snapshot, account: Account, want: Settings) -> str:
    command = f"usermod --shell {want.shell} {want.user}"
    if account.lines > 1:
        lines = f"/etc/passwd has {account.lines} lines for {want.user}, and the first counts"
        return f"remove the duplicate line ({lines}); usermod refuses to work until then"
    if isinstance(snapshot.password, Unreadable):
        return f"{command} (whether the account has a password could not be seen)"
    if isinstance(snapshot.password, Absent):
        return f"{command} (not done by --fix: the account has no shadow entry)"
    if snapshot.password.usable:
        return f"{command} (not done by --fix: the account has a password, so anybody with it could log in)"
    return f"install {want.shell}, then: {command}"


CHECK = Check(
    id="login_shell",
    role=Role.DESTINATION,
    summary="nova's login shell runs commands",
    why=(
        "Every command of a resize runs through the login shell on the destination. With nologin the login succeeds and "
        "each command fails; with a shell that is missing sshd refuses the key."
    ),
    evaluate=evaluate,
    of_login=True,
)
