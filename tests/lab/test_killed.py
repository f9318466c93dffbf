"""A `--fix` that is killed at any moment costs nothing: what others wrote is whole, the next one finishes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.fleet import Fleet
from tests.lab.host import AGENT_HOME, Host
from tests.lab.provision import (
    AUTHORIZED_KEYS,
    NOVA_HOME,
    OUR_CLIENT_CONFIG,
    OUR_KNOWN_HOSTS,
    agent,
    explained,
    hand_round,
)

pytestmark = [pytest.mark.lab, pytest.mark.slow]

FOREIGN = b"# operators\nssh-ed25519 AAAA damaged@example.org\nno newline at the end"
MOMENTS = [tenths / 10 for tenths in range(2, 14)]
"""Seconds; a whole fix takes about one, so these reach from the look at the host to the dials."""


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet(["compute1", "compute2"]) as fleet:
        fleet.start_sshd()
        agent(fleet["compute2"], "--fix")
        hand_round(fleet)
        yield fleet


@pytest.fixture(autouse=True)
def _explained(request: pytest.FixtureRequest, fleet: Fleet) -> Iterator[None]:
    yield from explained(request, fleet)


@pytest.fixture
def host(fleet: Fleet) -> Host:
    """Raw again, but for lines of somebody else's."""
    host = fleet["compute1"]
    host.sh(f"rm -rf {NOVA_HOME}/.ssh {OUR_KNOWN_HOSTS} {OUR_CLIENT_CONFIG}")
    host.sh(f"mkdir -m 700 {NOVA_HOME}/.ssh", user="nova")
    host.write(AUTHORIZED_KEYS, FOREIGN, mode=0o600, owner="nova:nova")
    return host


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_a_killed_fix_leaves_is_whole_and_finished_by_the_next(
    host: Host, moment: float
) -> None:
    environment = {"PYTHONPATH": AGENT_HOME, "PYTHONDONTWRITEBYTECODE": "1"}
    kill = ["timeout", "-s", "KILL", str(moment), "/usr/bin/python3", "-m", "agent", "--fix"]
    host.run(kill, env=environment)
    assert host.read(AUTHORIZED_KEYS).startswith(FOREIGN)
    run = agent(host, "--fix")
    assert run.status == 0, run
    assert run.steps == [], run
    text = host.read(AUTHORIZED_KEYS)
    ours = [line for line in text.splitlines() if b"resize-agent:" in line and line[:1] != b"#"]
    assert text.startswith(FOREIGN + b"\n"), run
    assert len(ours) == len(set(ours)) == 2, text
    host.sh(f"ssh-keygen -y -f {NOVA_HOME}/.ssh/id_ed25519", user="nova")
    assert agent(host, "--fix").applied == [], run
