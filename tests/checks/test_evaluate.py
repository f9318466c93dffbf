"""The engine round the checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from agent.checks import evaluate
from agent.checks.login_shell import CHECK
from agent.model import Finding, Outcome, Snapshot, passed
from agent.settings import Settings
from tests.hosts import a_host


def crashing(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    yield passed("first", "fine")
    raise KeyError("a bug")


def test_a_check_that_crashes_hides_neither_what_it_found_nor_the_other_checks() -> None:
    broken = replace(CHECK, id="broken", evaluate=crashing)
    first, second = evaluate([broken, CHECK], a_host(), Settings())
    assert [f.reason for f in first.findings] == [None, "check_crashed"]
    assert first.findings[1].outcome is Outcome.UNKNOWN
    assert "KeyError: 'a bug'" in first.findings[1].message
    assert second.outcome is Outcome.PASS
