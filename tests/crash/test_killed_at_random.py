"""kill -9 at random moments of whole runs, dials and all; the seed is printed and can be given again."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from tests.crash.ground import FOREIGN_KEYS, FOREIGN_KNOWN
from tests.lab.fleet import Fleet
from tests.lab.host import AGENT_HOME, Host
from tests.lab.provision import (
    AUTHORIZED_KEYS,
    KNOWN_HOSTS,
    NOVA_HOME,
    OUR_CLIENT_CONFIG,
    OUR_KNOWN_HOSTS,
    agent,
    hand_round,
)

pytestmark = pytest.mark.lab

ACCOUNTS = "pwck -r; grpck -r"
# A killed dial leaves its directory, which the agent there removes when it is an hour old.
LITTER = rf"""
find {NOVA_HOME} /etc/ssh /var/lib/resize-agent /run /tmp /var/tmp -xdev \
    \( -name '*resize-agent.[0-9]*' -o -name '.*.new' -o -name 'resize-agent-*' \) -print
ls -A {NOVA_HOME}/instances | grep -v '^7e512ea9-' || true
"""


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet(["compute1", "compute2"]) as fleet:
        fleet.start_sshd()
        agent(fleet["compute2"], "--fix")
        hand_round(fleet)
        yield fleet


def raw(host: Host) -> None:
    host.sh(
        f"rm -rf {NOVA_HOME}/.ssh {OUR_KNOWN_HOSTS} {OUR_CLIENT_CONFIG};"
        " usermod --shell /usr/sbin/nologin nova"
    )
    host.sh(f"mkdir -m 700 {NOVA_HOME}/.ssh", user="nova")
    host.write(AUTHORIZED_KEYS, FOREIGN_KEYS, mode=0o600, owner="nova:nova")
    host.write(KNOWN_HOSTS, FOREIGN_KNOWN, mode=0o600, owner="nova:nova")


def killed_after(host: Host, seconds: float) -> None:
    """The whole process group of the agent; what left it goes on, as it would."""
    argv = ["timeout", "-s", "KILL", f"{seconds:.3f}", "/usr/bin/python3", "-m", "agent", "--fix"]
    host.run(argv, env={"PYTHONPATH": AGENT_HOME, "PYTHONDONTWRITEBYTECODE": "1"})


@pytest.mark.parametrize("rounds", [4, pytest.param(100, marks=pytest.mark.slow)])
def test_a_kill_at_any_moment_loses_no_byte(fleet: Fleet, rounds: int) -> None:
    seed = os.environ.get("CRASH_SEED", str(random.SystemRandom().randrange(1 << 32)))
    print(f"CRASH_SEED={seed}")
    moments = random.Random(seed)
    host = fleet["compute1"]
    accounts = host.sh(ACCOUNTS, check=False).stdout
    for number in range(rounds):
        raw(host)
        for _ in range(moments.randrange(1, 4)):  # killed again before anybody finished the work
            killed_after(host, moments.uniform(0.1, 3.0))
            assert host.read(AUTHORIZED_KEYS).startswith(FOREIGN_KEYS), (seed, number)
            assert host.read(KNOWN_HOSTS) == FOREIGN_KNOWN, (seed, number)
        run = agent(host, "--fix")
        assert (run.status, run.steps) == (0, []), (seed, number, run)
        host.sh(f"ssh-keygen -y -f {NOVA_HOME}/.ssh/id_ed25519", user="nova")
        ours = [
            line
            for line in host.read(AUTHORIZED_KEYS)[len(FOREIGN_KEYS) :].splitlines()
            if line and not line.startswith(b"#")
        ]
        assert len(ours) == 2 and all(b"AAAA" in line for line in ours), (seed, number, ours)
        assert host.sh(ACCOUNTS, check=False).stdout == accounts, (seed, number)
        assert host.sh(LITTER).stdout == "", (seed, number)
        assert agent(host, "--fix").applied == [], (seed, number)
