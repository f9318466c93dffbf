"""The report as JSON text.  One schema (report.schema.json); within a version keys are only added."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Optional

from agent import __version__
from agent.model import (
    Action,
    Check,
    Finding,
    Outcome,
    PeerRow,
    Plan,
    Report,
    Role,
    StepResult,
)
from agent.plan import describe, diff, target
from agent.reasons import REASONS

SCHEMA_VERSION = 1


def dump(report: Report) -> str:
    """A line for each check and each peer: with `indent` json takes its slow encoder, and a fleet has thousands."""
    parts = (f"  {json.dumps(key)}: {_lines(part)}" for key, part in as_json(report).items())
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _lines(part: object) -> str:
    if not isinstance(part, list) or not part:
        return json.dumps(part)
    return "[\n    " + ",\n    ".join(map(json.dumps, part)) + "\n  ]"


def as_json(report: Report) -> dict[str, Any]:
    """Every key is always there; what does not apply is None or []."""
    planned = frozenset(step.action for step in report.plan.steps)
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "resize-agent", "version": __version__},
        "host": report.host,
        "scope": report.scope.value,
        "taken_at": time_text(report.taken_at),
        "valid_until": time_text(report.valid_until),
        "duration_seconds": report.duration_seconds,
        "interval_seconds": report.interval,
        "ready": report.ready,
        "interrupted": report.interrupted,
        "roles": {
            role.value: {"ready": report.role_ready(role)}
            for role in (Role.SOURCE, Role.DESTINATION)
        },
        "summary": summary(report),
        "checks": [
            {
                "id": result.check.id,
                "role": result.check.role.value,
                "outcome": result.outcome.value,
                "findings": [_finding(result.check, f, planned) for f in result.findings],
            }
            for result in report.results
        ],
        "peers": [_row(row) for row in report.peers],
        "plan": _plan(report.plan),
        "applied": [_applied(result) for result in report.applied],
        "fixes": {"done": report.fixes.done, "failed": report.fixes.failed},
        "config": {"valid": report.config_error is None, "error": report.config_error},
    }


def summary(report: Report) -> dict[str, int]:
    """How many checks ended in each outcome."""
    counts = {outcome.value: 0 for outcome in Outcome}
    for result in report.results:
        counts[result.outcome.value] += 1
    return counts


def remedy(finding: Finding) -> Optional[str]:
    if finding.remedy is not None or finding.outcome in (Outcome.PASS, Outcome.SKIP):
        return finding.remedy
    reason = REASONS.get(finding.reason or "")
    return reason.remedy if reason else None


def _finding(check: Check, finding: Finding, planned: frozenset[Action]) -> dict[str, Any]:
    reason = REASONS.get(finding.reason or "")
    side = finding.side or (reason.side if reason else None)
    impact = finding.impact or (reason.impact if reason else None)
    return {
        "subject": finding.subject,
        "peer": finding.peer,
        "outcome": finding.outcome.value,
        "reason": finding.reason,
        "side": side.value if side else None,
        "impact": impact.value if impact else None,
        "message": finding.message,
        "remedy": remedy(finding),
        "fixable": not planned.isdisjoint(finding.fix),
    }


def _row(row: PeerRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "address": row.address,
        "outcome": row.outcome.value,
        "stage": row.stage.value if row.stage else None,
        "reason": row.reason,
        "side": row.side.value if row.side else None,
        "impact": row.impact.value if row.impact else None,
        "message": row.message,
        "checked_at": time_text(row.checked_at) if row.checked_at else None,
        "seconds": row.seconds,
    }


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "steps": [
            {
                "action": describe(step.action),
                "target": target(step.action),
                "because": list(step.because),
                "diff": diff(step.action) or None,
            }
            for step in plan.steps
        ],
        "conflicts": [
            {
                "slot": conflict.slot,
                "actions": [describe(action) for action in conflict.actions],
                "because": list(conflict.because),
            }
            for conflict in plan.conflicts
        ],
    }


def _applied(result: StepResult) -> dict[str, Any]:
    return {
        "action": describe(result.step.action),
        "target": target(result.step.action),
        "result": result.result.value,
        "message": result.message,
    }


def time_text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
