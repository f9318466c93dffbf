"""An inventory of hosts and plays of the role over them, with the ansible-core beside the Python of the tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.control import Control, Hosts

ROLES = Path(__file__).parents[2] / "packaging/ansible/roles"
SITE = ROLES.parent / "site.yml"
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")


@dataclass(frozen=True)
class Site:
    """A control node with an inventory of its hosts."""

    node: Control

    @property
    def fleet(self) -> Hosts:
        return self.node.fleet

    def play(self, *options: str) -> str:
        """What ansible-playbook printed; it must have ended well."""
        done = self.try_play(*options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def try_play(self, *options: str) -> subprocess.CompletedProcess[str]:
        argv = [PLAYBOOK, "-i", self.node.home / "inventory", *options, SITE]
        env = {
            "ANSIBLE_ROLES_PATH": os.fspath(ROLES),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        }
        return self.node.run(argv, env)


def site_of(node: Control, settings: Sequence[str]) -> Site:
    """`settings` are variables of the group, as lines of the inventory."""
    home = node.home
    hosts = [f"{host.name} ansible_host={host.address}" for host in node.fleet]
    lines = [
        "[compute]",
        *hosts,
        "[compute:vars]",
        "ansible_user=root",
        "ansible_python_interpreter=/usr/bin/python3",
        f"ansible_ssh_private_key_file={home}/id",
        f"ansible_ssh_common_args=-o UserKnownHostsFile={home}/known_hosts -o ControlPath=none",
        *settings,
    ]
    (home / "inventory").write_text("\n".join(lines) + "\n")
    return Site(node)


def changes(output: str) -> dict[str, int]:
    """Host to `changed=` of the recap."""
    found = re.findall(r"^(\w+)\s+: ok=\d+\s+changed=(\d+)", output, re.MULTILINE)
    return {name: int(number) for name, number in found}
