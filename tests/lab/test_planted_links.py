"""nova owns its home and may be hostile: a link planted there is refused, told, and its target untouched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.fleet import Fleet
from tests.lab.host import Host
from tests.lab.provision import (
    AUTHORIZED_KEYS,
    KNOWN_HOSTS,
    NOVA_HOME,
    agent,
    changed,
    explained,
    hand_round,
    state,
)

pytestmark = pytest.mark.lab

VICTIM = "/etc/victim"
SSH = f"{NOVA_HOME}/.ssh"
PLANTS = {
    "home/.ssh": (SSH, VICTIM),
    "authorized_keys": (AUTHORIZED_KEYS, f"{VICTIM}/file"),
    "authorized_keys-dangling": (AUTHORIZED_KEYS, f"{VICTIM}/new"),
    "known_hosts": (KNOWN_HOSTS, f"{VICTIM}/file"),
    "known_hosts-dangling": (KNOWN_HOSTS, f"{VICTIM}/new"),
}


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """Hosts as Debian ships them, but that the site wants host keys in nova's own file."""
    with Fleet(["compute1", "compute2"]) as fleet:
        fleet.start_sshd()
        for host in fleet:
            host.sh("mkdir -p /etc/resize-agent")
            host.write("/etc/resize-agent/agent.yaml", "known_hosts: user\n")
        agent(fleet["compute2"], "--fix")
        hand_round(fleet)
        yield fleet


@pytest.fixture(autouse=True)
def _explained(request: pytest.FixtureRequest, fleet: Fleet) -> Iterator[None]:
    yield from explained(request, fleet)


@pytest.fixture
def host(fleet: Fleet) -> Iterator[Host]:
    host = fleet["compute1"]
    host.sh(f"mkdir -m 755 {VICTIM}; echo root only >{VICTIM}/file; chmod 644 {VICTIM}/file")
    yield host
    host.sh(f"rm -rf {VICTIM} {SSH}")


def plant(host: Host, name: str, owner: str) -> str:
    link, target = PLANTS[name]
    if link != SSH:
        host.sh(f"mkdir -m 700 {SSH}", user="nova")
    host.sh(f"ln -s {target} {link}; chown -h {owner}: {link}; chown -R {owner}: {VICTIM}")
    return link


@pytest.mark.parametrize("owner", ["nova", pytest.param("root", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", PLANTS)
def test_the_target_of_a_planted_link_is_untouched(host: Host, name: str, owner: str) -> None:
    """Also if it is nova's own: it may have been a moment ago somebody else's."""
    link = plant(host, name, owner)
    before = state(host, VICTIM, link)
    run = agent(host, "--fix")
    assert run.stderr == "", run
    assert run.status == 1, run
    assert changed(before, state(host, VICTIM, link)) == [], run


@pytest.mark.parametrize("arguments", [(), ("--fix",)], ids=["check", "fix"])
@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_link_is_named(host: Host, name: str, arguments: tuple[str, ...]) -> None:
    link = plant(host, name, "nova")
    run = agent(host, *arguments)
    failed = [step["message"] for step in run.report["applied"] if step["result"] == "failed"]
    found = [f["subject"] + " " + f["message"] for f in run.findings if f["outcome"] != "pass"]
    assert [said for said in failed + found if "link" in said and link in said], run
