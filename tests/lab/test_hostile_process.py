"""Anybody can call a process nova-compute, and nova can put anything in its environment: root hands nothing over on that."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.fleet import Fleet
from tests.lab.host import Host
from tests.lab.provision import agent, explained

pytestmark = pytest.mark.lab

VICTIM = "/etc/cron.d"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet(["compute1"]) as fleet:
        fleet.start_sshd()
        yield fleet


@pytest.fixture(autouse=True)
def _explained(request: pytest.FixtureRequest, fleet: Fleet) -> Iterator[None]:
    yield from explained(request, fleet)


def pretend(host: Host, user: str, environment: str) -> None:
    """A process of `user` whose command line is nova-compute's."""
    host.sh(
        f"mkdir -p {VICTIM}; cd /; setsid env -i {environment} setpriv --reuid {user} --regid {user}"
        f" --clear-groups bash -c 'exec -a /usr/bin/nova-compute sleep infinity' </dev/null >/dev/null 2>&1 &"
        " until pgrep -f '^/usr/bin/nova-compute' >/dev/null; do :; done"
    )


@pytest.mark.parametrize("user", ["nova", "daemon"])
def test_a_directory_named_by_a_process_is_not_handed_over(fleet: Fleet, user: str) -> None:
    host = fleet["compute1"]
    pretend(host, user, f"PATH=/usr/bin:/bin OS_DEFAULT__INSTANCES_PATH={VICTIM}")
    try:
        run = agent(host, "--fix")
        assert host.sh(f"stat -c %U {VICTIM}").stdout.strip() == "root"
        said = [finding["subject"] for finding in run.findings if finding["subject"] == VICTIM]
        assert bool(said) is (user == "nova"), (
            "nova's own process counts as nova-compute, others do not"
        )
    finally:
        host.sh("pkill -f '^/usr/bin/nova-compute'")


def keys_told(host: Host) -> list[str]:
    return [line for line in host.agent("facts").stdout.splitlines() if line.startswith("  - ")]


def test_a_process_that_calls_itself_sshd_does_not_tell_which_host_keys_are_ours(
    fleet: Fleet,
) -> None:
    host = fleet["compute1"]
    before = keys_told(host)
    host.write(
        "/tmp/evil", "HostKey /tmp/evil_key\nAuthorizedKeysFile /tmp/evil_keys\n", mode=0o644
    )
    host.sh("ssh-keygen -q -t ed25519 -N '' -f /tmp/evil_key")
    host.stop_sshd()
    host.sh(
        "cd /; setsid setpriv --reuid daemon --regid daemon --clear-groups"
        " bash -c 'exec -a \"sshd: /usr/sbin/sshd -f /tmp/evil [listener]\" sleep infinity' </dev/null >/dev/null 2>&1 &"
        " until pgrep -f '^sshd: .*evil' >/dev/null; do :; done"
    )
    host.start_sshd()
    try:
        assert keys_told(host) == before != []
    finally:
        host.sh("pkill -f '^sshd: .*evil'")
