"""A record is written by another host: what it may say, and what it may not."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from pathlib import PurePosixPath
from typing import Union

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.formats.record import MAX_BYTES, parse, render
from agent.model import PublicKey, Record, RecordProblem, Storage
from tests.hosts import a_key

HERE = PurePosixPath("/etc/resize-agent/peers.d/compute2.yaml")
KEY = a_key("host compute2").line
FULL = f"""\
schema: 1
name: compute2
address: 10.100.0.32
names: [compute2.example.org]
port: 2222
host_keys: ["{KEY}"]
user_keys: ["{KEY} nova@compute2"]
nova: {{user: nova, uid: 64060, release: "26.2.2", instances_path: /var/lib/nova/instances, transport: ssh, image_cache: _base}}
storage: {{mountpoint: /, fstype: ext4, source: /dev/vda1}}
issued_at: 2026-11-22T10:00:00Z
state: present
"""
TOMBSTONE = "schema: 1\nname: compute2\nstate: absent\n"
LEAST = "schema: 1\nname: compute2\naddress: 10.0.0.2\nnova: {instances_path: /i}\n"


def read(text: str, path: PurePosixPath = HERE) -> Union[Record, RecordProblem]:
    return parse(path, text.encode())


def record(text: str) -> Record:
    found = read(text)
    assert isinstance(found, Record), found
    return found


def problem(text: str, *networks: str) -> RecordProblem:
    found = parse(HERE, text.encode(), tuple(ip_network(n) for n in networks))
    assert isinstance(found, RecordProblem), found
    return found


def changed(line: str) -> str:
    """The full record with the line of that key replaced."""
    key = line.partition(":")[0]
    return "\n".join(line if o.startswith(f"{key}:") else o for o in FULL.splitlines())


def test_everything_is_read() -> None:
    key = a_key("host compute2")
    assert record(FULL) == Record(
        name="compute2",
        present=True,
        path=HERE,
        address="10.100.0.32",
        names=("compute2.example.org",),
        port=2222,
        host_keys=(key,),
        user_keys=(key,),
        user="nova",
        uid=64060,
        release="26.2.2",
        instances_path="/var/lib/nova/instances",
        transport="ssh",
        image_cache="_base",
        storage=Storage("/", "ext4", "/dev/vda1"),
        issued_at="2026-11-22T10:00:00Z",
    )


def test_what_may_be_left_out_has_its_plain_value() -> None:
    found = record(LEAST)
    assert (found.port, found.user, found.transport) == (22, "nova", "ssh")
    assert (found.names, found.host_keys, found.uid, found.storage) == ((), (), None, None)
    assert found.present


def test_a_tombstone_needs_a_name_only() -> None:
    assert record(TOMBSTONE) == Record("compute2", False, HERE)


def test_a_tombstone_counts_whatever_else_it_says() -> None:
    assert record(changed("state: absent")) == Record("compute2", False, HERE)
    assert record(TOMBSTONE + "address: 127.0.0.1\n") == Record("compute2", False, HERE)


def test_keys_of_a_later_version_are_ignored() -> None:
    assert record(FULL + "colour: blue\nextra: {deep: [1]}\n") == record(FULL)


def test_a_higher_schema_is_not_used_whatever_it_looks_like() -> None:
    found = problem("schema: 2\nname: {first: compute2}\n")
    assert (found.reason, found.where) == ("record_newer", f"{HERE}:1")
    assert found.name == "compute2"


def test_case_does_not_matter() -> None:
    found = record(changed("name: Compute2"))
    assert found.name == "compute2"
    assert record(changed("names: [COMPUTE2.Example.ORG]")).names == ("compute2.example.org",)


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("10.100.0.32", "10.100.0.32"),
        ("fd00:0:0::0032", "fd00::32"),
        ("FD00::32", "fd00::32"),
        ("compute2.Example.org", "compute2.example.org"),
    ],
)
def test_an_address_has_one_spelling(written: str, read_as: str) -> None:
    assert record(changed(f"address: '{written}'")).address == read_as
    assert record(changed(f"names: ['{written}']")).names == (read_as,)


LOOPBACK = [
    "127.0.0.1",
    "127.8.8.8",
    "::1",
    "0.0.0.0",
    "::",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "localhost.localdomain",
    "compute2.localhost",
    "ip6-localhost",
    "ip6-loopback",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.9",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0",
]
NOT_A_NAME = [
    "*",
    "compute*",
    "compute?",
    "!compute2",
    "a,b",
    "a b",
    "a\\tb",
    "a\\nb",
    "a\\u0000b",
    "a\\u2028b",
    "a\\u202eb",
    "-oProxyCommand=id",
    "[compute2]:22",
    "compute2:22",
    "user@compute2",
    "a/b",
    "a%b",
    "fe80::1%eth0",
    "|1|abc=|def=",
    "@revoked",
    "#x",
    "",
    ".",
    "a\\\\b",
    "a'b",
    "$(id)",
    "compute\\u0661",
    "a" * 254,
]


@pytest.mark.parametrize("value", [*LOOPBACK, *NOT_A_NAME])
@pytest.mark.parametrize("key", ["address", "names"])
def test_what_is_no_name_of_another_host_is_refused(key: str, value: str) -> None:
    text = f'"{value}"' if key == "address" else f'["{value}"]'
    found = problem(changed(f"{key}: {text}"))
    assert found.reason == "record_invalid"
    assert found.message.startswith(f"{key}: ")
    assert found.message.isprintable()
    assert found.where.startswith(f"{HERE}:")


@pytest.mark.parametrize("value", ["224.0.0.1", "ff02::1"])
def test_a_group_address_is_refused(value: str) -> None:
    assert "no address of another host" in problem(changed(f'address: "{value}"')).message


@pytest.mark.parametrize("name", ["compute3", "compute2.yaml", "compute", "../compute2", "c,d"])
def test_a_file_speaks_for_nobody_else(name: str) -> None:
    found = problem(changed(f'name: "{name}"'))
    assert (found.where, found.name) == (f"{HERE}:2", "compute2")


def test_a_name_with_dots_and_the_file_of_that_name_are_one() -> None:
    path = PurePosixPath("/d/c.example.org.yaml")
    assert isinstance(parse(path, LEAST.replace("compute2", "c.example.org").encode()), Record)


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("schema: 0", 1),
        ("schema: '1'", 1),
        ("schema: one", 1),
        ("schema:", 1),
        ("name: [compute2]", 2),
        ("address: [10.0.0.2]", 3),
        ("address: {a: 1}", 3),
        ("names: compute2.example.org", 4),
        ("names: [[a]]", 4),
        ("names: [~]", 4),
        ("names: [yes]", 4),
        ("port: 0", 5),
        ("port: 65536", 5),
        ("port: -1", 5),
        ("port: '22'", 5),
        ("port: 0x16", 5),
        ("host_keys: [ssh-ed25519]", 6),
        ("host_keys: [ssh-ed25519 AAAA]", 6),
        (f'host_keys: ["{KEY}\\n{KEY}"]', 6),
        (f'host_keys: ["{KEY} c\\r@revoked"]', 6),
        (f'host_keys: ["command=\\"id\\" {KEY}"]', 6),
        (f'host_keys: ["* {KEY}"]', 6),
        (f'user_keys: ["from=\\"*\\" {KEY}"]', 7),
        (f'user_keys: ["{KEY} x\\n{KEY}"]', 7),
        ("user_keys: {a: b}", 7),
        ("nova: nova", 8),
        ("nova: {uid: 64060}", 8),
        ("nova: {instances_path: instances}", 8),
        ('nova: {instances_path: "/a\\nb"}', 8),
        ('nova: {instances_path: "/a\\x9bb"}', 8),
        ("nova: {instances_path: [/a]}", 8),
        ("nova: {instances_path: /i, uid: -1}", 8),
        ("nova: {instances_path: /i, uid: 4294967295}", 8),
        ("nova: {instances_path: /i, uid: nova}", 8),
        ('nova: {instances_path: /i, user: "a\\nb"}', 8),
        ("nova: {instances_path: /i, release: [26]}", 8),
        ('storage: {mountpoint: "/\\e[2J"}', 9),
        ("issued_at: [now]", 10),
        ("state: gone", 11),
        ("state: [absent]", 11),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_with_its_line(line: str, number: int) -> None:
    found = problem(changed(line))
    assert (found.reason, found.where) == ("record_invalid", f"{HERE}:{number}")
    assert found.message.isprintable()


@pytest.mark.parametrize("key", ["schema", "name", "address", "nova"])
def test_what_is_needed_and_missing_is_named(key: str) -> None:
    text = "\n".join(o for o in FULL.splitlines() if not o.startswith(f"{key}:"))
    assert problem(text).message.startswith(f"{key}: ")


@pytest.mark.parametrize(("key", "most"), [("names", 16), ("host_keys", 8), ("user_keys", 4)])
def test_there_are_limits(key: str, most: int) -> None:
    def listed(count: int) -> str:
        made = [a_key(str(n)).line if "keys" in key else f"n{n}" for n in range(count)]
        return changed(f"{key}: {made}")

    assert len(getattr(record(listed(most)), key)) == most
    assert f"more than {most}" in problem(listed(most + 1)).message


def test_a_record_of_more_than_64_kibibytes_is_not_parsed() -> None:
    padded = FULL + "#" * (MAX_BYTES - len(FULL))
    assert record(padded) == record(FULL)
    assert "larger than 65536 bytes" in problem(padded + "#").message


@pytest.mark.parametrize("text", ["", "- a", "just words", "~", "a: *b", "[" * 60000])
def test_what_is_no_record_at_all_is_one_problem(text: str) -> None:
    assert problem(text).reason == "record_invalid"


def test_only_trusted_networks_may_be_claimed() -> None:
    assert "outside trust.networks" in problem(FULL, "10.99.0.0/24", "fd00::/8").message
    found = problem(changed("names: [10.99.0.7]"), "10.100.0.0/24")
    assert found.message == "names: 10.99.0.7 is outside trust.networks"
    by_name = problem(changed("address: compute2.example.org"), "10.100.0.0/24")
    assert "cannot be held against trust.networks" in by_name.message


def test_an_address_inside_a_trusted_network_is_fine() -> None:
    networks = (ip_network("10.99.0.0/24"), ip_network("10.100.0.0/24"))
    assert isinstance(parse(HERE, FULL.encode(), networks), Record)


def test_networks_do_not_hold_up_a_tombstone() -> None:
    assert isinstance(parse(HERE, TOMBSTONE.encode(), (ip_network("10.99.0.0/24"),)), Record)


words = st.text(alphabet="abcdefghij0123456789-", min_size=1, max_size=12)
hosts = st.builds(lambda a, b: f"n{a}.{b}x", words, words)
addresses = st.one_of(
    hosts,
    st.integers(1, 250).map(lambda n: f"10.9.8.{n}"),
    st.integers(1, 65535).map(lambda n: f"fd00::{n:x}"),
)
# Categories that isprintable() lets pass, some of them beyond U+FFFF.
letters = st.one_of(
    st.characters(codec="ascii", categories=["L", "N", "P", "S"]), st.sampled_from("é漢😀𐀀 ")
)
printable = st.text(letters, min_size=1, max_size=12)
key_lists = st.lists(words.map(a_key), max_size=4).map(tuple)
paths = printable.map(lambda text: f"/{text}")
records = st.builds(
    Record,
    name=st.just("compute2"),
    present=st.just(True),
    path=st.just(HERE),
    address=addresses,
    names=st.lists(addresses, max_size=16).map(tuple),
    port=st.integers(1, 65535),
    host_keys=key_lists,
    user_keys=key_lists,
    user=printable,
    uid=st.one_of(st.none(), st.integers(0, (1 << 32) - 2)),
    release=st.one_of(st.none(), printable),
    instances_path=paths,
    transport=st.sampled_from(["ssh", "rsync"]),
    image_cache=printable,
    storage=st.one_of(st.none(), st.builds(Storage, printable, printable, printable)),
    issued_at=st.just("2026-11-22T10:00:00Z"),
)


@settings(deadline=None, max_examples=150)
@given(records)
def test_what_is_written_is_what_is_read(told: Record) -> None:
    assert parse(HERE, render(told).encode()) == told


def test_a_tombstone_is_written_as_one() -> None:
    assert record(render(Record("compute2", False, HERE))) == Record("compute2", False, HERE)


def test_the_comment_of_a_key_is_shown_and_not_believed() -> None:
    key = PublicKey("ssh-ed25519", a_key("x").blob, "nova@compute2")
    text = render(replace(record(FULL), user_keys=(key,)))
    assert f'"{key.line} nova@compute2"' in text
    assert record(text).user_keys == (a_key("x"),)


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=300))
def test_hostile_bytes_never_raise(data: bytes) -> None:
    assert isinstance(parse(HERE, data), RecordProblem)


@settings(deadline=None, max_examples=150)
@given(st.integers(0, len(FULL)), st.integers(0, 20), st.binary(max_size=20))
def test_a_record_damaged_anywhere_never_raises(at: int, cut: int, noise: bytes) -> None:
    text = FULL.encode()
    found = parse(HERE, text[:at] + noise + text[at + cut :])
    if isinstance(found, RecordProblem):
        assert found.where.startswith(str(HERE)) and found.message.isprintable()
    else:
        assert found.name == "compute2"
