"""The peer records can be used, and this host's own says what is true."""

from __future__ import annotations

from collections.abc import Iterator

from agent import own_record
from agent.model import (
    Check,
    Finding,
    Instances,
    NovaConfig,
    Record,
    Role,
    Snapshot,
    Unreadable,
    passed,
    skipped,
    warned,
)
from agent.settings import Settings


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    own = snapshot.nova.host if isinstance(snapshot.nova, NovaConfig) else ""
    for problem in snapshot.records.problems:
        name = problem.name if problem.name != own else None
        yield warned(problem.where, problem.reason, problem.message, peer=name)
    yield _count(snapshot, own)
    record = snapshot.records.named(own)
    if record is not None and isinstance(snapshot.nova, NovaConfig):
        yield _own(snapshot, record)


def _count(snapshot: Snapshot, own: str) -> Finding:
    number = len(snapshot.records.peers(own))
    if number:
        gone = len(snapshot.records.withdrawn(own))
        also = f", {gone} withdrawn" if gone else ""
        return passed("peer records", f"{number} peer{'s' if number > 1 else ''}{also}")
    if not snapshot.host.live:
        return skipped("peer records", "an image has no peers yet")
    if snapshot.records.problems:
        return skipped("peer records", "none of those there can be used")
    return warned("peer records", "no_peers", "no peer has a record here, expected one for each")


def _own(snapshot: Snapshot, record: Record) -> Finding:
    subject = f"own record {record.path}"
    if not record.present:
        return warned(subject, "record_stale", "state is absent, expected present on a host in use")
    if not snapshot.host.live:
        return skipped(subject, "an image has not become a host yet")
    true = own_record.build(snapshot)
    if isinstance(true, Unreadable):
        return skipped(subject, f"cannot be compared: {true.reason}")
    stale = [key for key in own_record.differences(record, true) if _matters(key, record, true)]
    if any(isinstance(i.key, Unreadable) for i in snapshot.identities):
        stale = [key for key in stale if key != "user_keys"]  # a broken key is told elsewhere
    if _unseen(snapshot):
        stale = [key for key in stale if key != "storage"]  # so is this
    if not stale:
        return passed(subject, "says what is true")
    keys = ", ".join(stale)
    return warned(subject, "record_stale", f"{keys} no longer true, expected `agent facts` in it")


def _unseen(snapshot: Snapshot) -> bool:
    """Whether the file system of the instances is not known."""
    found = snapshot.instances
    return isinstance(found.mount if isinstance(found, Instances) else found, Unreadable)


def _matters(key: str, record: Record, true: Record) -> bool:
    """Names that somebody added to the record are welcome."""
    return key != "names" or not {*true.names} <= {record.name, record.address, *record.names}


CHECK = Check(
    id="records",
    role=Role.BOTH,
    summary="The peer records can be used",
    why=(
        "Nothing else says which address Nova will dial and which keys are genuine. A record that cannot be used, or one that "
        "is out of date, leaves its host out."
    ),
    evaluate=evaluate,
)
