"""All peer records together: one name, one address, one record.  Where two disagree, neither counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Union

from agent.formats import record as one
from agent.model import Record, RecordProblem, Records, Unreadable
from agent.settings import Network

Text = tuple[PurePosixPath, Union[bytes, Unreadable]]


def read(
    texts: Iterable[Text], own: str, own_claims: Iterable[str], networks: tuple[Network, ...] = ()
) -> Records:
    """Records from the files of peers.d.  `own_claims` are this host's names and addresses, which no other may claim."""
    problems: list[RecordProblem] = []
    found: list[Record] = []
    for path, data in texts:
        name = path.stem.lower()
        if isinstance(data, Unreadable):
            problems.append(_unread(path, data.reason))
            continue
        parsed = one.parse(path, data, () if name == own else networks)
        if isinstance(parsed, Record):
            found.append(parsed)
        else:
            problems.append(parsed)
    return _settled(found, own, frozenset(own_claims) | {own}, problems)


def _settled(
    found: list[Record], own: str, ours: frozenset[str], problems: list[RecordProblem]
) -> Records:
    claims: dict[str, list[Record]] = defaultdict(list)
    for each in found:
        for claim in {each.name, *((each.address, *each.names) if each.present else ())}:
            claims[claim].append(each)
    bad: set[PurePosixPath] = set()
    for claim, claimants in claims.items():
        foreign = [r for r in claimants if r.name != own]
        if len(claimants) > 1:
            # A withdrawal stands: nobody keeps a host trusted by claiming its name.
            bad.update(r.path for r in foreign if r.present)
            problems.extend(_conflict(claim, r, claimants) for r in claimants)
        elif claim in ours and foreign:
            bad.add(foreign[0].path)
            problems.append(_claims_ours(claim, foreign[0]))
    good = tuple(sorted((r for r in found if r.path not in bad), key=lambda r: r.name))
    return Records(good, tuple(problems), tuple(r for r in found if r.path in bad))


def _unread(path: PurePosixPath, why: str) -> RecordProblem:
    """One record, or the directory of them all: then nobody knows who is in there."""
    if path.suffix == ".yaml":
        return RecordProblem("record_invalid", str(path), why, path.stem.lower())
    return RecordProblem("not_observed", str(path), why)


def _conflict(claim: str, record: Record, claimants: list[Record]) -> RecordProblem:
    files = " and ".join(sorted(str(r.path) for r in claimants))
    return RecordProblem(
        "record_conflict", str(record.path), f"{claim} is claimed by {files}", record.name
    )


def _claims_ours(claim: str, record: Record) -> RecordProblem:
    message = f"claims {claim}, which is this host's own"
    return RecordProblem("record_conflict", str(record.path), message, record.name)
