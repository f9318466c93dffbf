"""Outcomes of dials kept between runs: as JSON text and back, and what each is still worth."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, NamedTuple, Optional

from agent.model import (
    Attempt,
    CheckResult,
    ClientConfig,
    Outcome,
    PeerRow,
    Record,
    Role,
    Snapshot,
    Unreadable,
)
from agent.reasons import REASONS, Side, Stage

SCHEMA_VERSION = 1
_AHEAD = timedelta(minutes=1)  # a dial may seem to lie in the future by this much: a clock was set
_NAMING = ("host", "hostname", "originalhost")  # of `ssh -G`: they only repeat what was asked
_STAGES = {stage.value for stage in Stage}
_NOWHERE = PurePosixPath("/")  # where a record lies changes nothing
_LONGEST = 4000  # characters of any text in it


class Kept(NamedTuple):
    """The last dial to one host, what was known of the pair then (`facts`), and how often it failed in a row."""

    attempt: Attempt
    facts: str
    failures: int = 0

    @property
    def failed(self) -> bool:
        return failed(self.attempt)


def failed(attempt: Attempt) -> bool:
    """A probe that only left its directory behind has shown that the way is good."""
    return attempt.reason is not None and attempt.stage != Stage.CLEANUP.value


def urgency(kept: Optional[Kept]) -> tuple[int, float]:
    """Who has the smallest is dialled first."""
    if kept is None:
        return (0, 0.0)
    return (1 if kept.failed else 2, kept.attempt.at.timestamp())


def after(before: Optional[Kept], attempt: Attempt, facts: str) -> Kept:
    earlier = before.failures if before is not None else 0
    return Kept(attempt, facts, earlier + 1 if failed(attempt) else 0)


def dump(kept: Mapping[str, Kept]) -> str:
    # A line each, every line by itself: with `indent` the encoder is the slow one, and a fleet has thousands.
    rows = ",\n".join(json.dumps(_as_json(each)) for _, each in sorted(kept.items()))
    return f'{{"schema_version": {SCHEMA_VERSION}, "dials": [\n{rows}\n]}}\n'


def load(value: Optional[Mapping[str, Any]]) -> dict[str, Kept]:
    """What can be understood of it: a row that cannot be is as if it had not been dialled."""
    if value is None or value.get("schema_version") != SCHEMA_VERSION:
        return {}
    rows = value.get("dials")
    found = [_from_json(row) for row in rows] if isinstance(rows, list) else []
    return {each.attempt.name: each for each in found if each is not None}


def _as_json(kept: Kept) -> dict[str, Any]:
    attempt = {**vars(kept.attempt), "at": kept.attempt.at.isoformat()}
    return {**attempt, "facts": kept.facts, "failures": kept.failures}


def _from_json(row: Any) -> Optional[Kept]:
    try:
        attempt = Attempt(
            name=_text(row["name"]),
            address=_text(row["address"]),
            port=_number(row["port"]),
            passed=tuple(stage for stage in map(_text, row["passed"]) if stage in _STAGES),
            stage=_stage(row["stage"]),
            reason=_or_none(row["reason"]),
            detail=_text(row["detail"]),
            seconds=max(0.0, float(row["seconds"])),
            at=_moment(row["at"]),
            unknown=row["unknown"] is True,
            skipped=row["skipped"] is True,
            shared=row["shared"] is True,
            server_key=_or_none(row["server_key"]),
        )
        kept = Kept(attempt, _text(row["facts"]), _number(row["failures"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return kept if attempt.reason is None or attempt.stage is not None else None


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise ValueError("not a text of ours")
    return value


def _or_none(value: Any) -> Optional[str]:
    return None if value is None else _text(value)


def _stage(value: Any) -> Optional[str]:
    if value is not None and value not in _STAGES:
        raise ValueError("not a stage")
    return _or_none(value)


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 31:
        raise ValueError("not a number of ours")
    return value


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment.astimezone(timezone.utc)


def facts(
    snapshot: Snapshot, predictions: Iterable[CheckResult], peers: Iterable[Record]
) -> dict[str, str]:
    """By peer a digest of all that a dial from here depends on and that can be seen here.

    `predictions` are judged without any dial.  A dial counts only as long as what was predicted beside it is still
    predicted: else it would excuse a fault that came after it.
    """
    about: dict[Optional[str], list[Any]] = defaultdict(list)
    for result in predictions:
        for finding in () if result.check.role is Role.DESTINATION else result.findings:
            reason = REASONS.get(finding.reason or "")
            if reason is not None and reason.stage is not None:
                word = (result.check.id, finding.subject, finding.outcome.value, reason.code)
                about[finding.peer].append(word)
    general = _digest(_here(snapshot), about[None])
    configs: dict[int, str] = {}  # peers that no Match block tells apart share one
    found = {}
    for peer in peers:
        client = snapshot.client_for(peer.address)
        if id(client) not in configs:
            configs[id(client)] = _digest(_client(client))
        found[peer.name] = _digest(
            general, _content(peer), configs[id(client)], about.get(peer.name)
        )
    return found


@lru_cache(maxsize=8192)  # a daemon asks for the same records every minute
def _content(record: Record) -> str:
    return repr(replace(record, path=_NOWHERE, issued_at=""))


def facts_here(snapshot: Snapshot, predictions: Iterable[CheckResult]) -> str:
    """The same for the dials of this host to itself."""
    about = [
        (result.check.id, finding.subject, finding.outcome.value, finding.reason)
        for result in predictions
        if result.check.id != "self_dial"
        for finding in result.findings
        if finding.peer is None and finding.reason in REASONS
    ]
    keys = [key.line for key in snapshot.host.host_keys]
    return _digest(
        _here(snapshot), about, keys, snapshot.listening, _client(snapshot.client_for(""))
    )


def _here(snapshot: Snapshot) -> Any:
    identities = [
        (str(i.path), repr(i.key), repr(i.offered), i.certificate, repr(i.file))
        for i in snapshot.identities
    ]
    nova = snapshot.nova
    said = (
        nova.reason
        if isinstance(nova, Unreadable)
        else (nova.address, str(nova.instances_path), nova.transport, nova.tempdir, nova.host)
    )
    tools = sorted((name, repr(tool)) for name, tool in snapshot.tools.items())
    return (repr(snapshot.account), identities, said, tools)


def _client(config: object) -> Any:
    if not isinstance(config, ClientConfig):
        return repr(config)
    return sorted((k, v) for k, v in config.values.items() if k not in _NAMING)


def _digest(*parts: object) -> str:
    from hashlib import sha256  # brings OpenSSL with it, and without a dial nothing is kept

    return sha256(repr(parts).encode()).hexdigest()[:32]


class Worth(NamedTuple):
    """Kept dials, told apart: those that still count, and those that do not with the row that says why."""

    counting: Mapping[str, Kept]
    outdated: Mapping[str, PeerRow]


def worth(
    kept: Mapping[str, Kept],
    known: Mapping[str, str],
    peers: Iterable[Record],
    now: datetime,
    horizon: float,
) -> Worth:
    """`known` are today's `facts`; `horizon` the seconds for which a dial counts."""
    counting: dict[str, Kept] = {}
    outdated: dict[str, PeerRow] = {}
    for peer in peers:
        each = kept.get(peer.name)
        if each is None:
            continue
        age = now - each.attempt.at
        if age > timedelta(seconds=horizon) or age < -_AHEAD:
            outdated[peer.name] = _outdated(peer, each, "dial_expired")
        elif each.facts != known.get(peer.name):
            outdated[peer.name] = _outdated(peer, each, "dial_outdated")
        else:
            counting[peer.name] = each
    return Worth(counting, outdated)


def _outdated(peer: Record, kept: Kept, code: str) -> PeerRow:
    reason = REASONS[code]
    met = "nothing wrong" if not kept.failed else (kept.attempt.reason or "")
    return PeerRow(
        peer.name,
        peer.address,
        Outcome.UNKNOWN,
        reason=code,
        side=Side.HERE,
        message=f"{reason.cause}; it met {met}",
        checked_at=kept.attempt.at,
        seconds=kept.attempt.seconds,
    )
