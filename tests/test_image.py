"""`--root`: a mounted tree whose links, users and files are its own, and what an image must not get."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.host.ground import ground, needs_root
from tests.hosts import a_key
from tests.test_cli import CHECKS, an_image, inventory, run

NOVA_THERE = 31337  # the tree's number for nova, which nobody has here
ELSEWHERE = (
    "/resize-agent-test-volume"  # absolute in the tree; on the machine there is no such thing
)
# Nothing of these can be true of a host that does not run.
LIVE_ONLY = {
    *("authorized_keys", "known_hosts", "self_dial", "ssh_config", "sshd", "strict_modes"),
    *("wide_trust", "reverse_pull"),
}


@pytest.fixture
def tree() -> Iterator[Path]:
    with ground() as place:
        yield foreign(an_image(place))


def foreign(place: Path) -> Path:
    """nova has another number than here, and its home lies behind links that are absolute in the tree."""
    line = f"nova:x:{NOVA_THERE}:{NOVA_THERE}::/var/lib/nova:/bin/false\n"
    (place / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n" + line)
    (place / "etc/group").write_text(f"root:x:0:\nnova:x:{NOVA_THERE}:\n")
    shutil.rmtree(place / "var/lib/nova")
    home = place / ELSEWHERE[1:] / "nova"
    home.mkdir(parents=True)
    os.chown(home, NOVA_THERE, NOVA_THERE)
    (place / "var/lib/nova").symlink_to(f"{ELSEWHERE}/nova")
    return place


def fixed(tree: Path) -> dict[str, Any]:
    done = run("--root", tree, "--fix", "--format", "json")
    assert done.returncode in (0, 1, 3), done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def with_peer(tree: Path) -> None:
    host, user = a_key("host compute2").line, a_key("nova@compute2").line
    (tree / "etc/resize-agent/peers.d/compute2.yaml").write_text(
        "schema: 1\nname: compute2\naddress: 10.100.0.32\n"
        f'host_keys: ["{host}"]\nuser_keys: ["{user}"]\n'
    )


@needs_root
def test_a_link_that_is_absolute_in_the_tree_stays_in_it(tree: Path) -> None:
    report = fixed(tree)

    made = tree / ELSEWHERE[1:] / "nova/instances"
    assert made.is_dir(), report["applied"]
    assert not Path(ELSEWHERE).exists()


@needs_root
def test_a_link_upwards_ends_at_the_top_of_the_tree(tree: Path) -> None:
    (tree / "var/lib/nova").unlink()
    (tree / "var/lib/nova").symlink_to("../../../../../../../../.." + ELSEWHERE + "/nova")

    fixed(tree)

    assert (tree / ELSEWHERE[1:] / "nova/instances").is_dir()
    assert not Path(ELSEWHERE).exists()


@needs_root
def test_users_are_those_of_the_tree(tree: Path) -> None:
    report = fixed(tree)

    made = (tree / ELSEWHERE[1:] / "nova/instances").stat()
    assert (made.st_uid, made.st_gid) == (NOVA_THERE, NOVA_THERE)
    (user,) = [c for c in report["checks"] if c["id"] == "nova_user"]
    assert f"uid {NOVA_THERE}" in user["findings"][0]["message"]
    assert (
        f"nova:x:{NOVA_THERE}:{NOVA_THERE}::/var/lib/nova:/bin/bash"
        in (tree / "etc/passwd").read_text()
    )


@needs_root
def test_an_image_gets_no_trust_though_it_has_records(tree: Path) -> None:
    """All its clones would share it."""
    with_peer(tree)

    report = fixed(tree)

    names = {path.name for path in tree.rglob("*")}
    assert not names & {"authorized_keys", "known_hosts", "ssh_known_hosts.nova", "id_ed25519"}
    assert not names & {"50-resize-agent.conf", ".ssh"}, report["applied"]


@needs_root
def test_no_check_of_a_live_host_is_pretended(tree: Path) -> None:
    with_peer(tree)
    (tree / "usr/sbin").mkdir(parents=True)
    (tree / "usr/sbin/sshd").touch(0o755)

    report = json.loads(run("--root", tree, "--format", "json").stdout)

    outcomes = {check["id"]: check["outcome"] for check in report["checks"]}
    assert LIVE_ONLY <= CHECKS
    assert {name: outcomes[name] for name in LIVE_ONLY} == dict.fromkeys(LIVE_ONLY, "skip")
    assert report["ready"] is None and report["scope"] == "partial"
    assert [row["outcome"] for row in report["peers"]] in ([], ["skip"], ["unknown"])


@needs_root
def test_what_lies_outside_the_tree_is_never_touched(tree: Path) -> None:
    beside = tree.parent / f"{tree.name}.beside"
    beside.mkdir()
    try:
        (beside / "file").write_text("x")
        os.chown(beside / "file", NOVA_THERE, NOVA_THERE)
        # Seen from the machine this leads out of the tree; seen from inside to nothing.
        (tree / ELSEWHERE[1:] / "nova/instances").symlink_to(beside)
        before = inventory(beside)
        fixed(tree)
        after = inventory(beside)
    finally:
        shutil.rmtree(beside)

    assert after == before


@needs_root
def test_the_separate_account_of_an_rdo_image_is_told_by_its_files(tree: Path) -> None:
    """nova keeps its nologin there: it is not the account that peers log in as."""
    (tree / "etc/nova/migration").mkdir()
    ssh = tree / ELSEWHERE[1:] / "nova/.ssh"
    ssh.mkdir(mode=0o700)
    (ssh / "config").write_text("Host *\n    User nova_migration\n")
    for path in (ssh, ssh / "config"):
        os.chown(path, NOVA_THERE, NOVA_THERE)
    with open(tree / "etc/passwd", "a") as passwd:
        passwd.write("nova_migration:x:981:978::/:/bin/bash\n")

    report = fixed(tree)

    (layout,) = [c for c in report["checks"] if c["id"] == "layout"]
    assert layout["findings"][0]["message"].startswith("rdo: ")
    assert "nova:/bin/false" in (tree / "etc/passwd").read_text(), report["applied"]


def test_the_configuration_says_which_layout_it_comes_to() -> None:
    with ground() as place:
        shown = run("config", "show", "--root", an_image(place)).stdout.splitlines()
        (place / "etc/kolla/nova-compute").mkdir(parents=True)
        unknown = run("config", "show", "--root", place).stdout.splitlines()

    assert shown[0].split()[:2] == ["profile", "auto"]
    assert shown[-1].split()[:2] == ["(layout)", "package"]
    assert unknown[-1].split()[:2] == ["(layout)", "unknown"] and "Kolla" in unknown[-1]
