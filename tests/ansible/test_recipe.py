"""The shell recipe of docs/install.md, run word for word over real ssh: three raw hosts become ready."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.lab import oracle
from tests.lab.control import control_node

DOCUMENT = Path(__file__).parents[2] / "docs/install.md"
NAMES = ["compute1", "compute2", "compute3"]

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="lab hosts need root"),
    pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh client on this machine"),
]


def recipe() -> str:
    section = DOCUMENT.read_text().partition("## A fleet")[2]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_recipe_takes_three_raw_hosts_to_ready(tmp_path: Path) -> None:
    with control_node(NAMES, tmp_path) as node:
        done = node.shell(recipe())
        assert done.returncode == 0, done.stdout + done.stderr
        gate = re.findall(r"^(compute\d): (.*)", done.stdout, re.MULTILINE)[-3:]
        assert gate == [(name, "READY") for name in NAMES]
        moved = oracle.migrate_all(node.fleet)
        assert {outcome.verdict for outcome in moved.values()} == {"OK"}
        again = node.shell(recipe())
        assert again.returncode == 0 and "done:" not in again.stdout


def test_the_recipe_stops_where_a_host_is_not_ready(tmp_path: Path) -> None:
    with control_node(NAMES, tmp_path) as node:
        node.fleet["compute2"].sh("touch /etc/nologin")  # never repaired: it is somebody's word
        done = node.shell(recipe())
        assert done.returncode != 0
        assert "nologin" in done.stdout
