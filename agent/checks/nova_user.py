"""The account that nova-compute runs as exists."""

from __future__ import annotations

from collections.abc import Iterator

from agent.formats.access import unseen
from agent.model import (
    Absent,
    Check,
    Finding,
    Role,
    Snapshot,
    Unreadable,
    failed,
    passed,
    unknown,
)
from agent.settings import Settings


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    subject = f"user {want.user}"
    account = snapshot.account
    if isinstance(account, Unreadable):
        yield unknown(subject, unseen(snapshot), f"cannot look it up: {account.reason}")
    elif isinstance(account, Absent):
        # The distribution's package creates the account; inventing one would pick a wrong uid.
        yield failed(subject, "no_nova_user", f"account {want.user} does not exist")
    else:
        yield passed(subject, f"uid {account.uid}, gid {account.gid}, home {account.home}")


CHECK = Check(
    id="nova_user",
    role=Role.BOTH,
    summary="The account Nova runs as exists",
    why="Nova's ssh and scp run as this account on the source and log in as it on the destination.",
    evaluate=evaluate,
)
