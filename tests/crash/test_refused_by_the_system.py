"""Any one call that the system refuses (EIO) ends in a report or in one sentence, and the next run does what is left."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.host.ground import ground, needs_root
from tests.test_cli import TOP, run

SCRIPT = Path(__file__).with_name("refusing.py")
COMMANDS = {"check": (), "fix": ("--fix",), "dry-run": ("--fix", "--dry-run")}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("step", [10, pytest.param(1, marks=pytest.mark.slow)])
@needs_root
def test_a_call_that_is_refused_is_told(name: str, step: int) -> None:
    refused = 0
    for disturbed, after in runs(COMMANDS[name], step):
        refused += 1
        assert "Traceback" not in disturbed["err"], disturbed
        assert disturbed["status"] in (0, 1, 2, 3, 4), disturbed
        if disturbed["out"]:
            json.loads(disturbed["out"])
        else:
            assert disturbed["status"] in (2, 3), disturbed
            assert disturbed["err"].startswith("agent: ") and disturbed["err"].count("\n") == 1
        assert after["err"] == "", (disturbed, after)
        if name == "fix":
            assert json.loads(after["out"])["plan"]["steps"] == [], (disturbed, after)
    print(f"agent {' '.join(COMMANDS[name])}: {refused} calls refused")
    assert refused > 0


def runs(arguments: tuple[str, ...], step: int) -> Iterator[list[dict[str, Any]]]:
    """Of every `step`-th call: the run in which it is refused, and the one after it."""
    with ground() as place:
        argv = [
            sys.executable,
            "-B",
            str(SCRIPT),
            str(place),
            str(min(step, 4) - 1),
            str(step),
            "--",
        ]
        argv += ["--root", str(place), "--format", "json", *arguments]
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            cwd="/",
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(TOP)},
        )
    assert done.returncode == 0, done.stderr
    yield from map(json.loads, done.stdout.splitlines())


def test_a_full_disk_under_the_output_is_a_sentence() -> None:
    with open("/dev/full", "w") as full:
        done = run("--list-checks", stdout=full)
    assert done.returncode == 3
    assert done.stderr == "agent: the run broke off: No space left on device\n"
