"""Where ssh and sshd look for the files of one account, as their manuals say."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from agent.formats import places
from agent.model import Account, ClientConfig, ServerConfig, frozen

P = PurePosixPath
NOVA = Account("nova", 64060, 64060, P("/var/lib/nova"), P("/bin/bash"))


def keys(value: str) -> list[str]:
    server = ServerConfig(frozen({"authorizedkeysfile": (value,)}))
    return [str(path) for path in places.authorized_keys(server, NOVA)]


def client(**values: str) -> ClientConfig:
    return ClientConfig(frozen({key: (value,) for key, value in values.items()}))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (".ssh/authorized_keys", ["/var/lib/nova/.ssh/authorized_keys"]),
        ("/etc/ssh/keys/%u", ["/etc/ssh/keys/nova"]),
        ("%h/keys", ["/var/lib/nova/keys"]),
        ("/keys/%U", ["/keys/64060"]),
        ("/k/100%%u", ["/k/100%u"]),
        ("/k/%x", ["/k/%x"]),
        ("/k/%", ["/k/%"]),
        ("a /b", ["/var/lib/nova/a", "/b"]),
        ("none", []),
        ("", []),
    ],
)
def test_the_files_of_accepted_keys(value: str, expected: list[str]) -> None:
    assert keys(value) == expected


def test_known_hosts_are_the_users_first() -> None:
    asked = client(
        userknownhostsfile="~/.ssh/known_hosts ~/.ssh/known_hosts2",
        globalknownhostsfile="/etc/ssh/ssh_known_hosts none",
    )
    assert [str(path) for path in places.known_hosts(asked, NOVA)] == [
        "/var/lib/nova/.ssh/known_hosts",
        "/var/lib/nova/.ssh/known_hosts2",
        "/etc/ssh/ssh_known_hosts",
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("~/.ssh/id_rsa", ["/var/lib/nova/.ssh/id_rsa"]),
        ("%d/.ssh/%u", ["/var/lib/nova/.ssh/nova"]),
        ("/keys/%i", ["/keys/64060"]),
        ("none", []),
    ],
)
def test_the_private_keys_that_ssh_offers(value: str, expected: list[str]) -> None:
    assert [str(path) for path in places.identities(client(identityfile=value), NOVA)] == expected


def test_a_new_key_lies_where_ssh_looks_by_itself() -> None:
    new = places.new_identity(NOVA)
    assert new.parent == P("/var/lib/nova/.ssh")
    assert new.name == "id_ed25519"


def test_the_drop_in_speaks_of_one_user_and_keeps_the_systems_own_files() -> None:
    text = places.drop_in("nova").decode()
    match, keyword = text.splitlines()[1:3]
    assert match == "Match localuser nova"
    assert keyword.split() == [
        "GlobalKnownHostsFile",
        "/etc/ssh/ssh_known_hosts",
        "/etc/ssh/ssh_known_hosts2",
        str(places.GLOBAL_KNOWN_HOSTS),
    ]
    assert text.endswith("\n")


def test_a_path_that_nobody_can_open_is_no_place_to_look_at() -> None:
    long = "/a" * 3000
    asked = client(
        userknownhostsfile=f"{long} ~/.ssh/known_hosts", identityfile=f"~{long} ~/.ssh/id_rsa"
    )
    assert places.known_hosts(asked, NOVA) == (P("/var/lib/nova/.ssh/known_hosts"),)
    assert places.identities(asked, NOVA) == (P("/var/lib/nova/.ssh/id_rsa"),)
