"""One file, one check, one id; one list of reasons, and nothing outside it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agent import checks, explain
from agent.reasons import REASONS, Side

FOLDER = Path(checks.__file__).parent
CATALOGUE = checks.catalogue()


def test_every_file_is_a_check_of_that_name():
    names = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert {check.id for check in CATALOGUE} == names


@pytest.mark.parametrize("path", sorted(FOLDER.glob("[a-z]*.py")), ids=lambda p: p.stem)
def test_every_reason_a_check_gives_is_in_the_list(path):
    words = {
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    called = re.findall(
        r'(?:failed|warned|unknown)\([^"]*?"[^"]*",\s*"([a-z_]+)"', path.read_text()
    )
    assert set(called) <= set(REASONS), set(called) - set(REASONS)
    assert words


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
