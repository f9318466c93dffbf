"""What was changed can be put back by the command that the report prints, and nobody but root reads what was kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.ground import FIX, Ground, changed, ground, look
from tests.lab.provision import NOVA_HOME, agent

pytestmark = pytest.mark.lab

BACKUPS = "/var/lib/resize-agent/backups"
MARK = "to put it back: "


@pytest.fixture(scope="module")
def host() -> Iterator[Ground]:
    with ground(changed) as stand:
        yield stand


def test_the_printed_commands_put_every_changed_file_back(host: Ground) -> None:
    machine = host.restore()
    before = machine.sh(f"ls -ln /etc/ssh {NOVA_HOME}/.ssh | awk '{{print $1, $3, $4, $9}}'").stdout
    run = agent(machine, *FIX)
    commands = [
        step["message"].partition(MARK)[2]
        for step in run.report["applied"]
        if MARK in step["message"]
    ]
    changed_texts = {p for p, text in look(machine).texts.items() if text != host.before.texts[p]}
    assert len(commands) == len(changed_texts) >= 4, (commands, changed_texts)
    for command in commands:
        machine.sh(command)
    assert look(machine).texts == host.before.texts
    now = machine.sh(f"ls -ln /etc/ssh {NOVA_HOME}/.ssh | awk '{{print $1, $3, $4, $9}}'").stdout
    # the mode of the private key was narrowed, which is no text
    assert now.replace("-rw-------", "-rw-r-----") == before.replace("-rw-------", "-rw-r-----")


def test_a_put_back_command_does_not_follow_what_nova_planted(host: Ground) -> None:
    machine = host.restore()
    run = agent(machine, *FIX)
    command = next(
        step["message"].partition(MARK)[2]
        for step in run.report["applied"]
        if "authorized_keys" in step["target"] and MARK in step["message"]
    )
    machine.write("/root/target", "root's\n", mode=0o600)
    keys = f"{NOVA_HOME}/.ssh/authorized_keys"
    machine.sh(f"rm {keys} && ln -s /root/target {keys}", user="nova")
    assert machine.sh(command, check=False).returncode != 0
    assert machine.read("/root/target") == b"root's\n"


def test_only_root_can_read_what_was_kept(host: Ground) -> None:
    machine = host.restore()
    agent(machine, *FIX)
    kept = machine.sh(f"find {BACKUPS} -printf '%y %m %U:%G\n' | sort -u").stdout.splitlines()
    assert kept == ["d 700 0:0", "f 600 0:0"]
    assert machine.sh(f"ls {BACKUPS}", user="nova", check=False).returncode != 0
    private = machine.read(f"{NOVA_HOME}/.ssh/id_ed25519").splitlines()[2].decode()
    assert machine.sh(f"grep -rF {private} {BACKUPS}", check=False).stdout == ""
