"""What every check of nova's ssh files stands on: the account and the configuration, or why one of them is not known."""

from __future__ import annotations

from typing import Union

from agent.formats.access import unanswered, unseen
from agent.model import (
    Absent,
    Account,
    ClientConfig,
    Finding,
    ServerConfig,
    Snapshot,
    Unreadable,
    skipped,
    unknown,
)
from agent.settings import Settings


def server_side(
    snapshot: Snapshot, want: Settings, subject: str, image: str
) -> Union[tuple[Account, ServerConfig], Finding]:
    """Whose files sshd reads, and how it is set; else the one finding there is.  `image` is what to say of an image."""
    account, server = snapshot.account, snapshot.server_for("")
    if not snapshot.host.live:
        return skipped(subject, image)
    if isinstance(account, Absent):
        return skipped(subject, f"there is no account {want.user}")
    if isinstance(server, Absent):
        return skipped(subject, "there is no sshd that would read them")
    if isinstance(account, Unreadable):
        return _no_account(snapshot, subject, account)
    if isinstance(server, Unreadable):
        return unknown(subject, unanswered(snapshot), f"sshd cannot be asked: {server.reason}")
    return account, server


def client_side(
    snapshot: Snapshot, want: Settings, subject: str, image: str
) -> Union[tuple[Account, ClientConfig], Finding]:
    """The same of the ssh that nova runs."""
    account, client = snapshot.account, snapshot.client_for("")
    if not snapshot.host.live:
        return skipped(subject, image)
    if isinstance(account, Absent):
        return skipped(subject, f"there is no account {want.user}")
    if isinstance(client, Absent):
        return skipped(subject, "there is no ssh that would look")
    if isinstance(account, Unreadable):
        return _no_account(snapshot, subject, account)
    if isinstance(client, Unreadable):
        return unknown(subject, unseen(snapshot), f"ssh cannot be asked: {client.reason}")
    return account, client


def _no_account(snapshot: Snapshot, subject: str, account: Unreadable) -> Finding:
    return unknown(subject, unseen(snapshot), f"cannot look up the account: {account.reason}")
