"""A scratch directory goes with its run, however that ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.host import scratch
from tests.host.ground import OTHER_ID, contents, needs_root

HOLD = "import sys; from agent.host import scratch\nwith scratch.directory([sys.argv[1]]) as d: print(d, flush=True); input()"


def test_everybody_can_read_in_it_and_it_goes(place: Path) -> None:
    with scratch.directory([str(place)]) as made:
        assert os.stat(made).st_mode & 0o777 == 0o755
        assert contents(place) == [os.path.basename(made)]
    assert contents(place) == []


def test_the_next_place_is_taken_where_one_is_closed(place: Path) -> None:
    with scratch.directory([str(place / "none"), str(place)]) as made:
        assert os.path.dirname(made) == str(place)
    with pytest.raises(FileNotFoundError), scratch.directory([str(place / "none")]):
        raise AssertionError("there is no such place")


def test_that_of_a_living_run_stays_and_that_of_a_killed_one_goes(place: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        theirs = process.stdout.readline().decode().strip()
        Path(theirs, "disk").write_bytes(b"x")
        with scratch.directory([str(place)]):
            assert Path(theirs, "disk").exists()
        process.kill()
        process.wait()
        assert Path(theirs, "disk").exists()
        with scratch.directory([str(place)]) as mine:
            assert contents(place) == [os.path.basename(mine)]


@needs_root
def test_what_somebody_else_put_there_stays(place: Path) -> None:
    (place / "resize-agent-theirs").mkdir(mode=0o755)
    os.chown(place / "resize-agent-theirs", OTHER_ID, OTHER_ID)
    (place / "resize-agent-file").touch()
    (place / "resize-agent-link").symlink_to("..")
    (place / "resize-agent-new").mkdir(mode=0o700)
    before = contents(place)
    with scratch.directory([str(place)]):
        assert set(before) < set(contents(place))
    assert contents(place) == before


def test_one_that_was_never_finished_goes_after_an_hour(place: Path) -> None:
    (place / "resize-agent-old").mkdir(mode=0o700)
    (place / "resize-agent-new").mkdir(mode=0o700)
    now = (place / "resize-agent-new").stat().st_mtime
    os.utime(place / "resize-agent-old", (now - 3700, now - 3700))
    with scratch.directory([str(place)]):
        assert "resize-agent-old" not in contents(place)
    assert contents(place) == ["resize-agent-new"]
