"""A configuration that the running sshd has not read yet is told as that, and a reload ends it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.fleet import Fleet
from tests.lab.host import Host, await_that
from tests.lab.provision import Run, agent, converge, explained

pytestmark = pytest.mark.lab

CHANGED = "echo 'AllowUsers root nova' >/etc/ssh/sshd_config.d/site.conf"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet(["compute1"]) as fleet:
        fleet.start_sshd()
        converge(fleet)
        yield fleet


@pytest.fixture(autouse=True)
def _explained(request: pytest.FixtureRequest, fleet: Fleet) -> Iterator[None]:
    yield from explained(request, fleet)


def told(host: Host) -> list[str]:
    run: Run = agent(host)
    return [finding["message"] for finding in run.about("sshd_not_reloaded")]


def test_a_change_is_told_until_sshd_is_reloaded(fleet: Fleet) -> None:
    host = fleet["compute1"]
    assert told(host) == []
    host.sh(CHANGED)
    [message] = told(host)
    assert "/etc/ssh/sshd_config.d" in message
    before = host.sh("stat -c %y /run/sshd.pid").stdout
    host.sh("kill -HUP $(cat /run/sshd.pid)")
    await_that(
        lambda: host.sh("stat -c %y /run/sshd.pid", check=False).stdout not in ("", before),
        "reload",
        host.log,
    )
    assert told(host) == []
