"""The rules of the layout are configuration; these tests run them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
MODULES = sorted((TOP / "agent").rglob("*.py"))


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *argv], cwd=TOP, capture_output=True, text=True)


def tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = Path(sys.executable).parent / name
    return subprocess.run([path, *arguments], cwd=TOP, capture_output=True, text=True)


def test_dependencies_point_inwards():
    done = tool("lint-imports", "--no-cache")
    assert done.returncode == 0, done.stdout


def test_the_types_hold():
    done = run("mypy", "--no-error-summary")
    assert done.returncode == 0, done.stdout


def test_the_linter_is_content():
    done = run("ruff", "check", "--no-cache", ".")
    assert done.returncode == 0, done.stdout


def test_the_formatter_is_content():
    done = run("ruff", "format", "--check", "--no-cache", ".")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(TOP)))
def test_no_module_is_longer_than_one_idea(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(TOP)))
def test_every_module_parses_on_the_oldest_python(path):
    ast.parse(path.read_text(), feature_version=(3, 9))


def test_a_plain_check_imports_neither_paramiko_nor_prometheus_client():
    code = "import sys, agent.commands; agent.commands.checks.catalogue(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not {"paramiko", "prometheus_client"} & set(done.stdout.split())


def test_only_the_command_line_prints_or_exits():
    guilty = [
        str(path.relative_to(TOP))
        for path in MODULES
        if path.name not in ("cli.py", "commands.py", "__main__.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and (getattr(node.func, "id", "") == "print" or ast.unparse(node.func) == "sys.exit")
    ]
    assert guilty == []
