"""The engine round the checks."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import agent
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


def test_a_program_whose_checks_cannot_be_listed_finds_nothing_in_order(tmp_path: Path) -> None:
    """As a user who may enter its folder but not list it: no check at all would be nothing wrong."""
    only = shutil.ignore_patterns("[a-z]*.py", "__pycache__")
    program = Path(agent.__file__).parent
    shutil.copytree(program, tmp_path / "agent")
    shutil.rmtree(tmp_path / "agent/checks")
    shutil.copytree(program / "checks", tmp_path / "agent/checks", ignore=only)
    argv = [sys.executable, "-m", "agent", "--root", "/", "--format", "json"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (3, "")
    assert "the folder of checks cannot be listed" in done.stderr
