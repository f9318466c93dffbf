"""The agent's word for the pair (A, B) beside Nova's, and what the difference is called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.lab.oracle import Outcome
from tests.lab.provision import Run, pair_ready
from tests.lab.scenarios.fault import DESTINATION, SOURCE, Fault

IMPACTS = {
    "R": "rollback",
    "E-on": "error_running",
    "E-off": "error_stopped",
    "E-dest": "error_destination",
    "L": "disk_loss",
    "H": "hang",
    "S": "wrong_disk",
}
UNSEEN = {"S": ("wrong_disk", "disk_loss"), "E-dest": ("error_destination",)}
# Worst last.
SEVERITY = (
    "rollback",
    "hang",
    "error_running",
    "error_stopped",
    "error_destination",
    "wrong_disk",
    "disk_loss",
)
NOT_RUNNING = "nova does not start"
"""What oracle_inside says then: nothing is moved, so nothing happens to a guest."""
STANDING = ("fail", "unknown")
CANNOT_TELL = "cannot tell"
"""In place of an impact, where the agent does not know and says so."""

AGREE, FALSE_READY, FALSE_NOT_READY = "agree", "false ready", "false not ready"
CLASS, REASON = "class differs", "reason differs"
ACCEPTED = "accepted"
VERDICTS = (AGREE, FALSE_READY, FALSE_NOT_READY, CLASS, REASON, ACCEPTED)
GOOD = (AGREE, ACCEPTED)


@dataclass(frozen=True)
class Word:
    """What the agent says of A -> B."""

    ready: bool
    impact: str | None
    reason: str | None
    side: str | None
    told: tuple[tuple[str | None, str | None], ...]
    """(reason, side) of everything that is not in order, B's and A's."""
    impacts: tuple[str, ...]
    """Of A's row and of every finding that takes a role away."""
    why: tuple[str, ...] = field(repr=False)


def word(a: Run, b: Run) -> Word:
    row = a.rows.get(DESTINATION)
    failed = row if row is not None and row["outcome"] != "pass" else None
    standing = sorted(deciding(a, b), key=_severity)
    leading = failed or (standing[-1] if standing else {})
    impact = (failed or {}).get("impact") or (standing[-1]["impact"] if standing else None)
    if impact is None and leading.get("outcome") == "unknown":
        impact = CANNOT_TELL
    said = [f["impact"] for f in ([failed] if failed else []) + standing]
    told = [(f["reason"], f["side"]) for f in (*failing(a), *failing(b))]
    if failed:
        told.insert(0, (failed["reason"], failed["side"]))
    return Word(
        pair_ready(a, b),
        impact,
        leading.get("reason"),
        leading.get("side"),
        tuple(told),
        tuple(dict.fromkeys(each for each in said if each)),
        tuple(_lines(a, b, row)),
    )


def deciding(a: Run, b: Run) -> list[dict[str, Any]]:
    """Findings that take A's role source or B's role destination away."""
    return [*_of_role(a, "source"), *_of_role(b, "destination")]


def failing(run: Run) -> list[dict[str, Any]]:
    return [f for f in run.findings if f["outcome"] not in ("pass", "skip")]


def _of_role(run: Run, role: str) -> Iterator[dict[str, Any]]:
    for check in run.report["checks"]:
        for finding in check["findings"]:
            counts = finding["outcome"] in STANDING and finding["peer"] is None
            if counts and check["role"] in (role, "both"):
                yield {"check": check["id"], **finding}


def _severity(finding: dict[str, Any]) -> int:
    return _worst(finding["impact"])


def _lines(a: Run, b: Run, row: dict[str, Any] | None) -> Iterator[str]:
    if row is None:
        yield "A has no row for B"
    else:
        said = (row[key] for key in ("outcome", "stage", "reason", "side", "impact", "message"))
        yield "A->B: " + " | ".join(map(str, said))
    for name, run in ((SOURCE, a), (DESTINATION, b)):
        yield f"{name}: exit {run.status} roles {run.report['roles']}"
        for f in failing(run):
            fix = " [fixable]" if f["fixable"] else ""
            who = f["subject"] + (f" peer={f['peer']}" if f["peer"] else "")
            yield f"   {f['outcome']} {f['check']}/{f['reason']} {who}: {f['message']}{fix}"
        yield from (f"   stderr: {line}" for line in run.stderr.splitlines()[-3:])


def compare(fault: Fault, kind: str, said: Word, nova: Outcome) -> str:
    found = _compare(fault, kind, said, nova)
    if found == FALSE_READY or not fault.accepted.startswith(found):
        return found
    return ACCEPTED if kind != "by-hand" or _named(fault, said) else REASON


def _compare(fault: Fault, kind: str, said: Word, nova: Outcome) -> str:
    moved = nova.verdict == "OK"
    if fault.unseen:
        if said.ready:
            return FALSE_READY
        return AGREE if fault.parts or said.impact in UNSEEN[fault.unseen] else CLASS
    if said.ready != moved:
        return FALSE_READY if said.ready else FALSE_NOT_READY
    if NOT_RUNNING in nova.message:
        return AGREE
    if not moved and not _of_that_class(fault, said, nova):
        return CLASS
    return AGREE if kind != "by-hand" or _named(fault, said) else REASON


def _of_that_class(fault: Fault, said: Word, nova: Outcome) -> bool:
    """Of several faults Nova meets one, and another may be the worse one."""
    if said.impact in (IMPACTS[nova.verdict], CANNOT_TELL):
        return True
    if not fault.parts:
        return False
    return max(map(_worst, said.impacts), default=-1) >= _worst(IMPACTS[nova.verdict])


def _worst(impact: str | None) -> int:
    return SEVERITY.index(impact) if impact else -1


def _named(fault: Fault, said: Word) -> bool:
    if fault.parts and all(part.reason for part in fault.parts):
        return any(_named(part, said) for part in fault.parts)
    if not fault.reason:
        return True
    sides = {side for reason, side in said.told if reason == fault.reason}
    return bool(sides) and (not fault.side or fault.side in sides)
