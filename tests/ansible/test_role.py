"""The Ansible role takes raw hosts to ready, over real ssh with real ansible-core; Nova's own driver confirms it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab import oracle
from tests.lab.fleet import Fleet

ROLES = Path(__file__).parents[2] / "packaging/ansible/roles"
SITE = ROLES.parent / "site.yml"
NAMES = ["compute1", "compute2", "compute3", "compute4"]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
LAUNCHER = '#!/bin/sh\nPYTHONPATH=/usr/share/resize-agent exec /usr/bin/python3 -m agent "$@"\n'
CONTROL = "10.100.0.1"
TRUSTED = "/etc/ssh/ssh_known_hosts.nova"

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="lab hosts need root"),
    pytest.mark.skipif(not PLAYBOOK.exists(), reason="ansible-core is not installed"),
    pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh client on this machine"),
]


@dataclass(frozen=True)
class Control:
    """The control node: a process of this machine in the network that the hosts' switch is on."""

    fleet: Fleet
    home: Path

    def play(self, *options: str) -> str:
        """What ansible-playbook printed; it must have ended well."""
        done = self.try_play(*options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def try_play(self, *options: str) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", "-t", str(self.fleet.switch), "-n"]
        argv = [*enter, PLAYBOOK, "-i", self.home / "inventory", *options, SITE]
        env = {
            "HOME": os.fspath(self.home),
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_ROLES_PATH": os.fspath(ROLES),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        }
        return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=900)


@contextmanager
def control_node(names: list[str], home: Path) -> Iterator[Control]:
    """Raw hosts of these names, and a control node whose key their root accepts."""
    key = home / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    with Fleet(names) as fleet:
        enter = ["nsenter", "-t", str(fleet.switch), "-n"]
        subprocess.run([*enter, "ip", "address", "add", f"{CONTROL}/24", "dev", "br0"], check=True)
        known, inventory = [], ["[compute]"]
        for host in fleet:
            host.sh("mkdir -p -m 700 /root/.ssh")
            host.write(
                "/root/.ssh/authorized_keys", key.with_suffix(".pub").read_text(), mode=0o600
            )
            host.write("/usr/bin/agent", LAUNCHER, mode=0o755)
            public = host.read("/etc/ssh/ssh_host_ed25519_key.pub").decode()
            known.append(f"{host.address} {public}")
            inventory.append(f"{host.name} ansible_host={host.address}")
        fleet.start_sshd()
        (home / "known_hosts").write_text("".join(known))
        inventory += [
            "[compute:vars]",
            "ansible_user=root",
            "ansible_python_interpreter=/usr/bin/python3",
            f"ansible_ssh_private_key_file={key}",
            f"ansible_ssh_common_args=-o UserKnownHostsFile={home}/known_hosts -o ControlPath=none",
            "resize_agent_install=false",  # the program is there already
            "resize_agent_services=false",  # no systemd in these hosts
        ]
        (home / "inventory").write_text("\n".join(inventory) + "\n")
        yield Control(fleet, home)


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    """Three hosts that one play has made ready."""
    with control_node(NAMES[:3], tmp_path_factory.mktemp("control")) as node:
        node.play()
        yield node


def changes(output: str) -> dict[str, int]:
    """Host to `changed=` of the recap."""
    found = re.findall(r"^(\w+)\s+: ok=\d+\s+changed=(\d+)", output, re.MULTILINE)
    return {name: int(number) for name, number in found}


def test_three_raw_hosts_then_a_fourth(tmp_path: Path) -> None:
    with control_node(NAMES, tmp_path) as node:
        three_then_a_fourth(node, node.fleet)


def three_then_a_fourth(node: Control, fleet: Fleet) -> None:
    trio, names = ",".join(NAMES[:3]), NAMES[:3]
    said = node.play("--limit", trio)
    assert set(changes(said)) == set(names)
    pairs = [(a, b) for a in names for b in names if a != b]
    moved = {pair: oracle.migrate(fleet, *pair).verdict for pair in pairs}
    assert moved == dict.fromkeys(pairs, "OK")
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


def test_a_broken_host_fails_the_play_with_the_cause(control: Control) -> None:
    host = control.fleet["compute2"]
    host.sh("touch /etc/nologin")  # never repaired: it is somebody's word
    try:
        done = control.try_play()
        assert done.returncode != 0
        assert "nologin" in done.stdout
        assert "compute1" in changes(done.stdout)
    finally:
        host.sh("rm /etc/nologin")


def test_check_mode_changes_nothing(control: Control) -> None:
    host = control.fleet["compute3"]
    host.sh("usermod -s /bin/false nova")
    try:
        said = control.play("--check", "--limit", "compute3")
        assert changes(said)["compute3"] > 0
        assert host.sh("getent passwd nova").stdout.strip().endswith(":/bin/false")
    finally:
        host.sh("usermod -s /bin/bash nova")


def test_a_host_that_has_gone_is_withdrawn_everywhere(tmp_path: Path) -> None:
    with control_node(NAMES[:3], tmp_path) as node:
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
