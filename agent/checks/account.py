"""nova's account is open: not expired, not locked out, and no nologin file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Optional, Union

from agent.formats import places
from agent.formats.access import unanswered, unseen
from agent.model import (
    Absent,
    Check,
    File,
    Finding,
    Password,
    Role,
    ServerConfig,
    Snapshot,
    Unreadable,
    failed,
    passed,
    skipped,
    unknown,
)
from agent.settings import Settings

_EPOCH = date(1970, 1, 1)


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    subject = f"user {want.user}"
    server = snapshot.server_for("")
    if isinstance(snapshot.account, Absent):
        yield _absent(snapshot, want)
    elif not snapshot.host.live:
        yield from _in_image(snapshot, want)
    elif isinstance(server, Absent):
        yield skipped(subject, "there is no ssh server that could keep the account out")
    elif isinstance(server, Unreadable):
        text = f"whether sshd uses PAM is not known: {server.reason}"
        yield unknown(subject, unanswered(snapshot), text)
    else:
        yield _password(snapshot, want, pam=_uses_pam(server))
        yield from _nologin(snapshot, pam=_uses_pam(server))


def _absent(snapshot: Snapshot, want: Settings) -> Finding:
    """nova-compute's own account has a check for itself."""
    subject = f"user {want.user}"
    if snapshot.login is None:
        return skipped(subject, f"there is no account {want.user}")
    text = f"account {want.user}, which peers log in as, does not exist"
    return failed(subject, "no_login_user", text)


def _in_image(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    """An expired account and /etc/nologin keep nova out whatever sshd is set to; the rest depends on it."""
    entry = snapshot.password
    if isinstance(entry, Password):
        yield _judged(
            want, _fault(replace(entry, locked=False, last_change=None), _today(snapshot), pam=True)
        )
    yield from _nologin(snapshot, pam=False)


def _uses_pam(server: ServerConfig) -> bool:
    return server.one("usepam", "no") == "yes"


def _password(snapshot: Snapshot, want: Settings, *, pam: bool) -> Finding:
    subject = f"user {want.user}"
    entry = snapshot.password
    if isinstance(entry, Unreadable):
        return unknown(subject, unseen(snapshot), f"the shadow entry was not seen: {entry.reason}")
    if isinstance(entry, Absent):
        if not pam:
            return passed(subject, "no shadow entry, and sshd does not use PAM")
        return failed(subject, "login_closed", "no shadow entry, expected one: PAM asks for it")
    return _judged(want, _fault(entry, _today(snapshot), pam=pam))


def _today(snapshot: Snapshot) -> int:
    return (snapshot.taken_at.date() - _EPOCH).days


def _judged(want: Settings, fault: Optional[tuple[str, str]]) -> Finding:
    subject = f"user {want.user}"
    if fault is None:
        return passed(subject, "the account is neither expired nor kept out")
    return failed(subject, *fault)


def _fault(entry: Password, today: int, *, pam: bool) -> Optional[tuple[str, str]]:
    # pam_unix counts the day itself as expired, sshd without PAM only the day after.
    if entry.expires is not None and today - entry.expires >= (0 if pam else 1):
        return "account_expired", f"account expired on {_day(entry.expires)}, expected no expiry"
    if entry.locked and not pam:
        return "account_locked", "password is locked (!) and sshd has UsePAM no, expected * instead"
    if not pam or entry.last_change is None:
        return None
    if entry.last_change == 0:
        return (
            "password_expired",
            "password must be changed at the next login, expected no such rule",
        )
    if entry.max_age is None or entry.last_change + entry.max_age >= today:
        return None
    day = _day(entry.last_change + entry.max_age)
    return "password_expired", f"password expired on {day}, expected no maximum age"


def _day(days: int) -> Union[date, str]:
    try:
        return _EPOCH + timedelta(days=days)
    except OverflowError:
        return f"day {days}"


def _nologin(snapshot: Snapshot, *, pam: bool) -> Iterator[Finding]:
    etc, _ = places.NOLOGIN
    for path in places.NOLOGIN if pam else (etc,):  # without PAM sshd looks at /etc/nologin only
        seen = snapshot.file(path)
        if isinstance(seen, File):
            yield failed(str(path), "nologin_file", f"{path} exists, expected no such file")
        elif isinstance(seen, Unreadable):
            yield unknown(str(path), unseen(snapshot), seen.reason)
        else:
            yield passed(str(path), f"{path} does not exist")


CHECK = Check(
    id="account",
    role=Role.DESTINATION,
    summary="nova's account is not expired, locked or kept out",
    why=(
        "An expired account, an aged password or a nologin file ends the login although the key was accepted. "
        "A locked password matters only to an sshd without PAM."
    ),
    evaluate=evaluate,
    of_login=True,
)
