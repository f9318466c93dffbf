"""A single file that is mounted where we write, as containers do it: on another device than its directory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.host.ground import contents, ground, needs_root

TOP = Path(__file__).parents[2]
# In a mount namespace of its own; prints what became of both kinds of writing.
SCRIPT = """
import json, subprocess, sys
from pathlib import PurePosixPath as P
from agent.host import writing
place = sys.argv[1]
subprocess.run(["mount", "-t", "tmpfs", "none", f"{place}/elsewhere"], check=True)
with open(f"{place}/elsewhere/list", "wb") as stream:
    stream.write(b"theirs")
subprocess.run(["mount", "--bind", f"{place}/elsewhere/list", f"{place}/home/list"], check=True)
writing.have_lines(place, P("/home/list"), [b"ours"], [], mode=0o600, owner=(0, 0), existed=True)
lines = open(f"{place}/elsewhere/list").read()
said = ""
try:
    writing.replace_file(place, P("/home/list"), b"new", mode=0o600, owner=(0, 0), replaces=lines.encode())
except OSError as error:
    said = error.strerror
print(json.dumps([lines, said, open(f"{place}/elsewhere/list").read()]))
"""


@pytest.fixture
def place() -> Iterator[Path]:
    with ground() as made:
        (made / "home").mkdir()
        (made / "elsewhere").mkdir()
        (made / "home/list").touch()
        yield made


def written(place: Path) -> Any:
    own = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", SCRIPT]
    done = subprocess.run([*own, str(place)], cwd=TOP, capture_output=True, text=True)
    if done.returncode and "unshare" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_root
def test_lines_go_into_the_mounted_file_and_a_whole_replacement_is_refused(place: Path) -> None:
    lines, said, after = written(place)
    assert lines == "theirs\nours\n"
    assert said == "Device or resource busy"
    assert after == lines
    assert contents(place / "home") == ["list"], "nothing is left beside it"
