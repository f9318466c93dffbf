"""The configuration is strict: a word it does not know is an error with file, line and key."""

from __future__ import annotations

from dataclasses import fields
from ipaddress import ip_network
from pathlib import PurePosixPath

import pytest

from agent.document import DocumentError
from agent.settings import Settings, parse, shown

FULL = b"""\
user: nova
shell: /bin/sh
known_hosts: user
nova:
  release: 26.2
  config_files: [/etc/nova/nova.conf]
peers:
  ignore: [compute7]
trust:
  networks: [10.100.0.0/24, "fd00::/8"]
  from: [10.0.0.0/8]
probe:
  peers: 5
  parallel: 2
interval: 120
room:
  warn_bytes: 0
"""


def refusal(text: bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        parse([("agent.yaml", text)])
    return str(caught.value)


def test_every_key_can_be_set() -> None:
    want = parse([("agent.yaml", FULL)])
    assert want == Settings(
        user="nova",
        shell=PurePosixPath("/bin/sh"),
        known_hosts="user",
        nova_release="26.2",
        nova_config_files=(PurePosixPath("/etc/nova/nova.conf"),),
        peers_ignore=("compute7",),
        trust_networks=(ip_network("10.100.0.0/24"), ip_network("fd00::/8")),
        trust_from=(ip_network("10.0.0.0/8"),),
        probe_peers=5,
        probe_parallel=2,
        interval=120,
        warn_free_bytes=0,
        origin=want.origin,
    )


@pytest.mark.parametrize(
    "texts", [[], [("agent.yaml", b"")], [("agent.yaml", b"# all defaults\n")], [("a", b"---\n")]]
)
def test_nothing_said_means_the_defaults(texts: list[tuple[str, bytes]]) -> None:
    assert parse(texts) == Settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"user: nova\nusers: x\n", "agent.yaml:2: users: unknown key"),
        (b"nova:\n  relase: 1\n", "agent.yaml:2: nova.relase: unknown key"),
        (b"probe:\n  peers:\n    - 3\n", "agent.yaml:2: probe.peers: expected a whole number"),
        (b"nova: {release: 1}\nnova.release: 2\n", "agent.yaml:2: nova.release: given twice"),
        (b"user: [a]\n", "agent.yaml:1: user: expected a word"),
        (b"user: ''\n", "agent.yaml:1: user: expected a word"),
        (b"user: a b\n", "agent.yaml:1: user: expected a word"),
        (b"user: 7\n", "agent.yaml:1: user: expected a word"),
        (b"user: no\n", "agent.yaml:1: user: expected a word"),
        (b"user:\n", "agent.yaml:1: user: expected a word"),
        (b'user: "a\\u202eb"\n', "agent.yaml:1: user: expected a word"),
        (b"\nshell: bash\n", "agent.yaml:2: shell: expected an absolute path"),
        (b'shell: "/bin/sh\\n"\n', "agent.yaml:1: shell: expected an absolute path"),
        (b"known_hosts: both\n", "agent.yaml:1: known_hosts: expected one of: global, user"),
        (b"known_hosts: [user]\n", "agent.yaml:1: known_hosts: expected one of"),
        (b"interval: 9\n", "agent.yaml:1: interval: expected a whole number, 10 or more"),
        (b"interval: -60\n", "agent.yaml:1: interval"),
        (b"interval: 60.0\n", "agent.yaml:1: interval"),
        (b"interval: 1m\n", "agent.yaml:1: interval"),
        (b"interval: 0x40\n", "agent.yaml:1: interval"),
        (b"interval: " + b"9" * 5000, "agent.yaml:1: interval"),
        (b"probe: {peers: 0}\n", "agent.yaml:1: probe.peers: expected a whole number, 1 or more"),
        (b"trust: {networks: 10.0.0.0/8}\n", "agent.yaml:1: trust.networks: expected a list"),
        (b"trust: {networks: [10.0.0.1/8]}\n", "agent.yaml:1: trust.networks: expected a network"),
        (b"trust: {networks: [everywhere]}\n", "agent.yaml:1: trust.networks: expected a network"),
        (b"nova: {release: [1]}\n", "agent.yaml:1: nova.release: expected a version"),
        (b"nova: 26\n", "agent.yaml:1: nova: expected a mapping"),
        (b"- user\n", "agent.yaml:1: expected a mapping"),
        (b"user: a\nuser: b\n", "agent.yaml:2: 'user': given twice"),
    ],
)
def test_an_error_names_file_line_and_key(text: bytes, said: str) -> None:
    assert refusal(text).startswith(said)


def test_an_unknown_key_is_answered_with_the_known_ones() -> None:
    assert "known_hosts" in refusal(b"known_host: user\n")


def test_a_later_file_wins_key_by_key() -> None:
    want = parse(
        [
            ("agent.yaml", b"interval: 60\nprobe: {peers: 5, parallel: 2}\n"),
            ("conf.d/10.yaml", b"probe: {peers: 7}\n"),
            ("conf.d/20.yaml", b"interval: 90\n"),
        ]
    )
    assert (want.interval, want.probe_peers, want.probe_parallel) == (90, 7, 2)


def test_a_list_in_a_later_file_replaces_the_earlier_one() -> None:
    texts = [("a", b"peers: {ignore: [x, y]}\n"), ("b", b"peers: {ignore: []}\n")]
    assert parse(texts).peers_ignore == ()


def test_an_error_in_a_drop_in_names_the_drop_in() -> None:
    with pytest.raises(DocumentError, match=r"^conf\.d/x\.yaml:1: foo: unknown key"):
        parse([("agent.yaml", FULL), ("conf.d/x.yaml", b"foo: 1\n")])


def test_every_value_is_shown_with_its_origin() -> None:
    want = parse([("agent.yaml", FULL), ("conf.d/1.yaml", b"\n\ninterval: 30\n")])
    rows = {key: (value, origin) for key, value, origin in shown(want)}
    assert rows["interval"] == ("30", "conf.d/1.yaml:3")
    assert rows["trust.networks"] == ("[10.100.0.0/24, fd00::/8]", "agent.yaml:10")
    assert rows["nova.release"] == ("26.2", "agent.yaml:5")
    assert len(rows) == len(fields(Settings)) - 1


def test_what_nobody_set_is_shown_as_the_default() -> None:
    assert {origin for _, _, origin in shown(Settings())} == {"default"}
