"""What a step relies on changes between the look and the step: it is stale, writes nothing, and the next run looks again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.ground import FIX, Ground, ground, raw
from tests.lab.provision import (
    AUTHORIZED_KEYS,
    NOVA_HOME,
    OUR_CLIENT_CONFIG,
    OUR_KNOWN_HOSTS,
    agent,
)

pytestmark = pytest.mark.lab

PRIVATE = f"{NOVA_HOME}/.ssh/id_ed25519"


@pytest.fixture(scope="module")
def host() -> Iterator[Ground]:
    with ground(raw) as stand:
        yield stand


def first_change(host: Ground) -> int:
    """Everything was looked at by then, and nothing is done yet."""
    return next(
        n
        for n, point in enumerate(host.points)
        if ": execve " not in point and "/run/lock" not in point
    )


@pytest.mark.parametrize(
    ("command", "shown", "result"),
    [
        pytest.param(
            f"mkdir {NOVA_HOME}/instances", f"ls -ld {NOVA_HOME}/instances", "stale", id="directory"
        ),
        pytest.param(
            f"echo theirs >{OUR_CLIENT_CONFIG}", f"cat {OUR_CLIENT_CONFIG}", "stale", id="drop-in"
        ),
        pytest.param(
            f"echo theirs >{OUR_KNOWN_HOSTS}", f"cat {OUR_KNOWN_HOSTS}", "stale", id="host-keys"
        ),
        pytest.param(f"rm {AUTHORIZED_KEYS}", f"ls {NOVA_HOME}/.ssh", "stale", id="key-list-gone"),
        pytest.param(
            f"echo theirs >{PRIVATE}; chown nova: {PRIVATE}", f"cat {PRIVATE}", "failed", id="key"
        ),
        pytest.param("usermod --shell /bin/sh nova", "getent passwd nova", "stale", id="shell"),
    ],
)
def test_the_step_is_not_done_and_what_they_did_stays(
    host: Ground, command: str, shown: str, result: str
) -> None:
    run = host.driven(first_change(host), f"sh:{command}; {shown} >/run/theirs 2>&1")
    machine = host.host
    last = run.report["applied"][-1]
    assert (run.status, last["result"]) == (1, result), run.stdout
    assert last["message"], last
    theirs = machine.sh("cat /run/theirs; rm /run/theirs").stdout
    assert machine.sh(shown).stdout == theirs
    assert "resize-agent" not in machine.sh(f"ls -A {NOVA_HOME}/.ssh /etc/ssh").stdout


def test_the_next_run_looks_again(host: Ground) -> None:
    host.driven(first_change(host), f"sh:echo theirs >{OUR_KNOWN_HOSTS}")
    run = agent(host.host, *FIX)
    assert (run.status, run.steps) == (0, []), run
    assert host.host.read(OUR_KNOWN_HOSTS) == host.after.texts[OUR_KNOWN_HOSTS]
