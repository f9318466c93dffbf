"""Where nova-compute lives, told from real processes with a root of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.host import Host
from agent.model import Account, Layout, NovaConfig, Unreadable
from agent.observe import accounts, nova
from agent.observe import layout as layouts
from agent.settings import Settings, parse
from tests.host.containers import container

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it makes mount namespaces"),
]


@pytest.fixture(autouse=True)
def alone() -> None:
    """The tests look at the whole machine."""
    host = Host()
    if list(host.everywhere("nova-compute")):
        pytest.skip("another nova-compute runs on this machine: a lab host's, for one")


CUSTOM = parse([("agent.yaml", b"profile: custom\nclient: {run: nsenter}\n")])


def test_a_container_is_looked_at_from_inside(tmp_path: Path) -> None:
    with container(tmp_path, "nova-compute") as pid:
        host = Host()
        found = layouts.find(host, CUSTOM)
        assert isinstance(found, Layout) and found.client is not None and found.client.pid == pid

        inside = host.at(found.client)
        people = accounts.read(inside, "nova", CUSTOM.shell)
        config = nova.config(inside, CUSTOM, people.account)

    assert isinstance(people.account, Account) and people.account.uid == 42436
    assert isinstance(config, NovaConfig) and config.my_ip == "10.100.0.77"
    assert (config.running, config.runs_as) == (pid, 0)


def test_one_that_nobody_knows_is_never_taken_for_a_package(tmp_path: Path) -> None:
    with container(tmp_path, "nova-compute"):
        found = layouts.find(Host(), Settings())

    assert isinstance(found, Unreadable) and "not known" in found.reason


def test_a_network_of_its_own_is_not_entered(tmp_path: Path) -> None:
    with container(tmp_path, "nova-compute", ("--mount", "--net")):
        found = layouts.find(Host(), CUSTOM)

    assert isinstance(found, Unreadable) and "a network of its own" in found.reason


def test_a_process_in_somebody_s_own_user_namespace_counts_for_nothing(tmp_path: Path) -> None:
    """Anybody can make one, and in it a root and a process called nova-compute."""
    with container(tmp_path, "nova-compute", ("--user", "--map-root-user", "--mount")) as pid:
        assert [(p, here) for p, _, here in Host().everywhere("nova-compute")] == [(pid, False)]
        found = layouts.find(Host(), Settings())

    assert isinstance(found, Layout) and found.profile == "package"


def test_without_a_container_nothing_speaks_of_one() -> None:
    found = layouts.find(Host(), Settings())

    assert isinstance(found, Layout)
    assert (found.profile, found.client, found.server) == ("package", None, None)
