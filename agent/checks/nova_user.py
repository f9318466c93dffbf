"""The account that nova-compute runs as exists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from agent.formats.access import unseen
from agent.model import (
    Absent,
    Account,
    Check,
    Finding,
    NovaConfig,
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
    elif _other(snapshot, account) is not None:
        # Its ssh has another home, other keys and another configuration than those that are looked at and dialled with.
        text = f"nova-compute runs as uid {_other(snapshot, account)}, expected {account.uid}"
        yield unknown(subject, "nova_user_differs", f"{text}: what its ssh meets is not known")
    else:
        yield passed(subject, f"uid {account.uid}, gid {account.gid}, home {account.home}")


def _other(snapshot: Snapshot, account: Account) -> Optional[int]:
    runs_as = snapshot.nova.runs_as if isinstance(snapshot.nova, NovaConfig) else None
    return runs_as if runs_as != account.uid else None


CHECK = Check(
    id="nova_user",
    role=Role.BOTH,
    summary="The account Nova runs as exists",
    why="Nova's ssh and scp run as this account on the source and log in as it on the destination.",
    evaluate=evaluate,
)
