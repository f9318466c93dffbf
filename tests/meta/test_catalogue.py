"""One file, one check, one id; one list of reasons, and nothing outside it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from agent import checks, explain
from agent.reasons import REASONS, Side

FOLDER = Path(checks.__file__).parent
CATALOGUE = checks.catalogue()
GIVERS = ("failed", "warned", "unknown", "say")


def test_every_file_is_a_check_of_that_name():
    names = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert {check.id for check in CATALOGUE} == names


def reasons_given(path: Path) -> set[str]:
    """The literal codes in calls such as `failed(subject, "shell_missing", ...)`."""
    calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
    given = [c.args[1] for c in calls if len(c.args) > 1 and ast.unparse(c.func) in GIVERS]
    return {word.value for word in given if isinstance(word, ast.Constant)}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("[a-z]*.py")), ids=lambda p: p.stem)
def test_every_reason_a_check_gives_is_in_the_list(path):
    assert reasons_given(path) - set(REASONS) == set()


def test_most_checks_give_reasons_by_their_literal_code():
    assert len(set().union(*map(reasons_given, FOLDER.glob("[a-z]*.py")))) > 30


@pytest.mark.parametrize("check", CATALOGUE, ids=lambda check: check.id)
def test_every_check_is_explained(check):
    page = explain.text(check.id, CATALOGUE)
    assert page is not None
    flat = " ".join(page.split())
    assert check.summary in flat and check.why in flat


@pytest.mark.parametrize("code", REASONS)
def test_every_reason_is_explained(code):
    page = explain.text(code, CATALOGUE)
    assert page is not None
    flat = " ".join(page.split())
    assert REASONS[code].cause in flat and REASONS[code].remedy in flat


def test_a_code_is_listed_once():
    codes = [line.split("|")[0].strip() for line in _rows()]
    assert sorted(codes) == sorted(set(codes))


def _rows():
    text = (FOLDER.parent / "reasons.py").read_text()
    return [
        line for line in text.splitlines() if line.count(" | ") == 2 and not line.startswith(" ")
    ]


def test_somebody_has_to_act_on_every_reason():
    assert {reason.side for reason in REASONS.values()} <= set(Side)


def test_the_generated_pages_are_fresh():
    top = FOLDER.parents[1]
    done = subprocess.run(
        [sys.executable, top / "docs" / "generate", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
