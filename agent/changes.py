"""What is different from one report to the next, a sentence each, and the whole in one line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Optional

from agent.formats.escape import visible
from agent.model import CheckResult, Finding, Outcome, PeerRow, Report, Role

_WRONG = (Outcome.FAIL, Outcome.UNKNOWN)
_WORDS = {
    Role.SOURCE: "resizes can leave this host",
    Role.DESTINATION: "resizes can arrive at this host",
}
_LONGEST = 300  # characters of one message
_NAMED = 3
_MOST = 20  # peers told one by one


@dataclass(frozen=True)
class Change:
    """`bad` tells a turn for the worse from one for the better."""

    message: str
    bad: bool
    status: str
    role: str = ""
    check: str = ""
    peer: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Told:
    """What was said last: the report, its waiting peers as their last dials met them, and its own word, ready or not."""

    report: Report
    ready: Optional[bool]


def changes(told: Optional[Told], after: Report) -> Iterator[Change]:
    """Of the first report all that is not well; then what turned."""
    before = told.report if told else None
    yield from _roles(before, after)
    if told is None or told.ready != after.ready:
        words = "ready" if after.ready else "NOT ready"
        yield Change(f"{after.host} is {words}", not after.ready, _state(after.ready))
    yield from _checks(before, after)
    yield from _peers(before, after)
    was = before.config_error if before else None
    if after.config_error != was:
        if after.config_error:
            text = f"the configuration stays as it was: {after.config_error}"
            yield Change(_short(text), True, "fail")
        else:
            yield Change("the configuration is read and in use", False, "pass")


def _roles(before: Optional[Report], after: Report) -> Iterator[Change]:
    for role, words in _WORDS.items():
        ready = after.role_ready(role)
        if before is not None and before.role_ready(role) == ready:
            continue
        first = _first(after, role)
        reason = (first.reason or "") if first and not ready else ""
        why = f": {reason}: {first.message}" if first and not ready else ""
        told = f"{words}: {'yes' if ready else 'NO'}{why}"
        yield Change(_short(told), not ready, _state(ready), role.value, "", "", reason)


def _state(ready: Optional[bool]) -> str:
    return "ready" if ready else "not_ready"


def _first(report: Report, role: Role) -> Optional[Finding]:
    found = [
        finding
        for check, finding in report.findings()
        if check.role.covers(role) and finding.peer is None and finding.outcome in _WRONG
    ]
    return min(found, key=lambda f: _WRONG.index(f.outcome), default=None)


def _checks(before: Optional[Report], after: Report) -> Iterator[Change]:
    was = {result.check.id: _said(result) for result in before.results} if before else {}
    for result in after.results:
        now = _said(result)
        if now == was.get(result.check.id, (Outcome.PASS, "")):
            continue
        if result.outcome is Outcome.SKIP and result.check.id not in was:
            continue
        worst = next((f for f in result.findings if f.outcome is result.outcome), None)
        why = f": {worst.reason or ''}: {worst.message}" if worst and worst.reason else ""
        yield Change(
            _short(f"check {result.check.id}: {result.outcome.value}{why}"),
            result.outcome in _WRONG,
            result.outcome.value,
            check=result.check.id,
            peer=(worst.peer or "") if worst else "",
            reason=(worst.reason or "") if worst else "",
        )


def _said(result: CheckResult) -> tuple[Outcome, str]:
    """Outcome and the reasons for it: a message with a figure in it changes all the time."""
    reasons = {f.reason or "" for f in result.findings if f.outcome is result.outcome}
    return result.outcome, ",".join(sorted(reasons - {""}))


def _peers(before: Optional[Report], after: Report) -> Iterator[Change]:
    was = {row.name: row for row in before.peers} if before else {}
    turned = [r for r in after.peers if _dialled(r) and _met(r) != _met(was.get(r.name))]
    for row in turned[:_MOST]:
        stage = f" at {row.stage.value}" if row.stage else ""
        why = f": {row.reason}{stage}: {row.message}" if row.reason else ""
        told = _short(f"peer {row.name}: {row.outcome.value}{why}")
        bad = row.outcome in _WRONG
        yield Change(told, bad, row.outcome.value, peer=row.name, reason=row.reason or "")
    if len(turned) > _MOST:
        bad = any(row.outcome in _WRONG for row in turned[_MOST:])
        yield Change(f"{len(turned) - _MOST} more peers are different", bad, "")


def remembered(told: Optional[Told], after: Report) -> Told:
    """`after` to compare the next one with: a peer that waits for its turn is what its last dial met."""
    was = {row.name: row for row in told.report.peers} if told else {}
    rows = (row if _dialled(row) else was.get(row.name, row) for row in after.peers)
    return Told(replace(after, peers=tuple(rows)), after.ready)


def _dialled(row: PeerRow) -> bool:
    """Whether the row tells of a fault or of a dial that counts; waiting for its turn is no news."""
    return row.reason not in ("not_probed", "dial_expired", "dial_outdated", "interrupted")


def _met(row: Optional[PeerRow]) -> tuple[Outcome, Optional[str]]:
    return (row.outcome, row.reason) if row and _dialled(row) else (Outcome.PASS, None)


def in_one_line(report: Report) -> str:
    """For `systemctl status`."""
    passing = sum(1 for row in report.peers if row.outcome is Outcome.PASS)
    failing = [row.name for row in report.peers if row.outcome is Outcome.FAIL]
    parts = ["ready" if report.ready else "NOT READY"]
    for role, words in _WORDS.items():
        first = None if report.role_ready(role) else _first(report, role)
        if first is not None:
            parts.append(f"{words}: NO ({first.reason or first.subject})")
    parts.append(f"{passing} of {len(report.peers)} peers accept a disk from here")
    if failing:
        more = ", ..." if len(failing) > _NAMED else ""
        parts.append(f"failing: {', '.join(failing[:_NAMED])}{more}")
    if report.config_error:
        parts.append(f"configuration not reloaded: {report.config_error}")
    parts.append(f"looked at {report.taken_at:%H:%M:%S}Z")
    return _short("; ".join(parts))


def _short(text: str) -> str:
    return visible(text, _LONGEST)
