"""The Ansible role takes raw hosts to ready, over real ssh with real ansible-core; Nova's own driver confirms it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.ansible.site import PLAYBOOK, Site, changes, site_of
from tests.lab import oracle
from tests.lab.control import control_node

NAMES = ["compute1", "compute2", "compute3", "compute4"]
TRUSTED = "/etc/ssh/ssh_known_hosts.nova"

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="lab hosts need root"),
    pytest.mark.skipif(not PLAYBOOK.exists(), reason="ansible-core is not installed"),
    pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh client on this machine"),
]


@contextmanager
def site(names: list[str], home: Path) -> Iterator[Site]:
    with control_node(names, home) as node:
        # The program is there already, and there is no systemd in these hosts.
        yield site_of(node, ["resize_agent_install=false", "resize_agent_services=false"])


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Three hosts that one play has made ready."""
    with site(NAMES[:3], tmp_path_factory.mktemp("control")) as node:
        node.play()
        yield node


def test_three_raw_hosts_then_a_fourth(tmp_path: Path) -> None:
    with site(NAMES, tmp_path) as node:
        three_then_a_fourth(node, node.fleet)


def three_then_a_fourth(node: Site, fleet: Any) -> None:
    """`fleet` as the judge takes it."""
    trio, names = ",".join(NAMES[:3]), NAMES[:3]
    said = node.play("--limit", trio)
    assert set(changes(said)) == set(names)
    pairs = [(a, b) for a in names for b in names if a != b]
    moved = {pair: oracle.migrate(fleet, *pair) for pair in pairs}
    assert [each for each in moved.values() if each.verdict != "OK"] == []
    assert changes(node.play("--limit", trio)) == dict.fromkeys(names, 0)

    before = {name: fleet[name].read(TRUSTED) for name in names}
    joined = node.try_play("--limit", "compute4")
    # Its own side is right; the others have not heard of it, so its gate says so and fails.
    assert joined.returncode != 0
    assert "compute1" in joined.stdout and "Not ready for resize" in joined.stdout
    assert {name: fleet[name].read(TRUSTED) for name in names} == before
    assert oracle.migrate(fleet, "compute1", "compute3").verdict == "OK"
    peers = fleet["compute4"].sh("ls /etc/resize-agent/peers.d").stdout.split()
    assert peers == [f"{name}.yaml" for name in NAMES]

    node.play()
    every = oracle.migrate_all(fleet)
    assert {outcome.verdict for outcome in every.values()} == {"OK"} and len(every) == 12
    assert changes(node.play()) == dict.fromkeys(NAMES, 0)


def test_a_broken_host_fails_the_play_with_the_cause(control: Site) -> None:
    host = control.fleet["compute2"]
    host.sh("touch /etc/nologin")  # never repaired: it is somebody's word
    try:
        done = control.try_play()
        assert done.returncode != 0
        assert "nologin" in done.stdout
        assert "compute1" in changes(done.stdout)
        assert "schema_version" not in done.stdout  # its words, not the whole report
    finally:
        host.sh("rm /etc/nologin")


def test_a_wrong_configuration_fails_the_play_with_file_and_line(control: Site) -> None:
    host = control.fleet["compute2"]
    host.sh("mkdir -p /etc/resize-agent/conf.d")
    host.write("/etc/resize-agent/conf.d/site.yaml", "interval: 60\ncolour: red\n")
    try:
        done = control.try_play("--limit", "compute2")
        assert done.returncode != 0
        assert "/etc/resize-agent/conf.d/site.yaml:2" in done.stdout
        assert "from_json" not in done.stdout
    finally:
        host.sh("rm /etc/resize-agent/conf.d/site.yaml")


def test_check_mode_changes_nothing(control: Site) -> None:
    host = control.fleet["compute3"]
    host.sh("usermod -s /bin/false nova")
    try:
        said = control.play("--check", "--limit", "compute3")
        assert changes(said)["compute3"] > 0
        assert host.sh("getent passwd nova").stdout.strip().endswith(":/bin/false")
    finally:
        host.sh("usermod -s /bin/bash nova")


def test_a_host_that_has_gone_is_withdrawn_everywhere(tmp_path: Path) -> None:
    with site(NAMES[:3], tmp_path) as node:
        node.play()
        gone = node.fleet["compute3"].address.encode()
        stay = ["--limit", "compute1,compute2"]
        assert gone in node.fleet["compute1"].read(TRUSTED)
        node.play(*stay, "-e", '{"resize_agent_absent": ["compute3"]}')
        for name in ("compute1", "compute2"):
            trusted = node.fleet[name].read(TRUSTED)
            assert gone not in trusted
            assert (
                node.fleet["compute2" if name == "compute1" else "compute1"].address.encode()
                in trusted
            )
