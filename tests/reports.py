"""Judgements and reports of a host, spelled out only where they differ."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any, Optional

from agent.model import (
    Check,
    CheckResult,
    Finding,
    Outcome,
    PeerRow,
    Plan,
    Report,
    Role,
    Scope,
    SetShell,
    Step,
)
from agent.reasons import Side
from tests.hosts import NOW

BASH, NOLOGIN = PurePosixPath("/bin/bash"), PurePosixPath("/usr/sbin/nologin")
SHELL = SetShell("nova", BASH, NOLOGIN)


def a_check(name: str = "login_shell", role: Role = Role.DESTINATION) -> Check:
    return Check(name, role, f"summary of {name}", f"why {name}", lambda _snapshot, _want: iter(()))


def a_finding(outcome: Outcome = Outcome.PASS, **changes: Any) -> Finding:
    return replace(Finding("user:nova", outcome, "login shell is /bin/bash"), **changes)


def a_failure(reason: str = "shell_refuses_commands", **changes: Any) -> Finding:
    said = {"outcome": Outcome.FAIL, "message": "a failure", **changes}
    return a_finding(reason=reason, **said)


def result(
    *findings: Finding, check: str = "login_shell", role: Role = Role.DESTINATION
) -> CheckResult:
    return CheckResult(a_check(check, role), findings)


def a_row(outcome: Outcome = Outcome.PASS, side: Optional[Side] = None, **changes: Any) -> PeerRow:
    return replace(PeerRow("compute2", "10.100.0.2", outcome, side=side), **changes)


def a_report(*results: CheckResult, **changes: Any) -> Report:
    """Of a full run that dialled one peer, which took it."""
    report = Report(
        host="compute1",
        scope=Scope.FULL,
        taken_at=NOW,
        valid_until=NOW + timedelta(seconds=180),
        duration_seconds=1.5,
        interrupted=False,
        results=results or (result(a_finding()),),
        peers=(a_row(),),
        plan=Plan(),
        probed=True,
    )
    return replace(report, **changes)


def a_plan() -> Plan:
    return Plan((Step(SHELL, ("login_shell: user:nova",)),))
