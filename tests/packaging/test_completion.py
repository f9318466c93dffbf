"""The completion as somebody meets it who types in a terminal: a word, the tabulator, return."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
from pathlib import Path

import pytest

COMPLETION = Path(__file__).resolve().parents[2] / "packaging" / "completion"
# In the place of the program: its checks, and otherwise the words it was given, in marks that nobody types.
PROGRAM = """#!/bin/sh
[ "$*" != --list-checks ] || exec printf '%s  destination  ...\\n' self_dial sshd
printf '%s:%s:%s\\n' given "$*" end
"""
SHELLS = {
    "bash": (["--norc", "--noprofile", "-i"], f"source {COMPLETION}/agent.bash"),
    # Without -d it is a warning about who owns the directory that is met.
    "zsh": (["-f", "-i"], f"fpath=({COMPLETION} $fpath); autoload -U compinit; compinit -u -D"),
}
PATIENCE = 60.0  # seconds, for a machine that does other things


class Terminal:
    """An interactive shell behind a terminal."""

    def __init__(self, shell: str, home: Path) -> None:
        options, self._prepare = SHELLS[shell]
        self._end, theirs = pty.openpty()
        env = {"PATH": f"{home}/bin:/usr/bin:/bin", "HOME": str(home), "TERM": "dumb", "PS1": "$ "}
        argv = [str(shutil.which(shell)), *options]
        self._shell = subprocess.Popen(
            argv, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
        )
        os.close(theirs)

    def __enter__(self) -> Terminal:
        self.type(f"{self._prepare}; printf '%s:%s\\n' pre pared\n")
        self.until("pre:pared")
        return self

    def __exit__(self, *_: object) -> None:
        self._shell.kill()
        self._shell.wait()
        os.close(self._end)

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def until(self, pattern: str) -> re.Match[str]:
        seen = ""
        while not (found := re.search(pattern, seen)):
            ready, _, _ = select.select([self._end], [], [], PATIENCE)
            assert ready, f"nothing more after {seen!r}"
            seen += os.read(self._end, 65536).decode("utf-8", "replace")
        return found


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("typed", "comes_to"),
    [
        ("--dr", "--dry-run"),
        ("exp", "exp"),
        ("expl", "explain"),
        ("--format j", "--format json"),
        ("--format=j", "--format=json"),
        ("explain --format j", "explain --format json"),
        ("--fix --prune --dr", "--fix --prune --dry-run"),
        ("config sh", "config show"),
        ("--config /dev/null fac", "--config /dev/null facts"),
        ("--only self", "--only self_dial"),
        ("exporter --rep", "exporter --report"),
    ],
)
def test_a_word_is_completed_as_far_as_it_is_clear(
    shell: str, typed: str, comes_to: str, tmp_path: Path
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    program = tmp_path / "bin" / "agent"
    program.parent.mkdir()
    program.write_text(PROGRAM)
    program.chmod(0o755)

    with Terminal(shell, tmp_path) as terminal:
        terminal.type(f"agent {typed}\t\n")
        given = terminal.until("given:(.*?):end")[1]

    assert given.rstrip() == comes_to
