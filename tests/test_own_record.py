"""What this host tells the others of itself: what is true, or nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from agent import own_record
from agent.formats.record import parse, render
from agent.model import Identity, Record, Records, Snapshot, Storage, Unreadable
from tests.hosts import KEY, NOVA_UID, NOW, P, a_host, a_key, a_peer, a_tombstone, novas


def built(snapshot: Snapshot) -> Record:
    record = own_record.build(snapshot)
    assert isinstance(record, Record), record
    return record


def refusal(snapshot: Snapshot) -> str:
    record = own_record.build(snapshot)
    assert isinstance(record, Unreadable)
    return record.reason


def test_a_healthy_host_tells_everything() -> None:
    record = built(a_host())
    assert record == Record(
        name="compute1",
        present=True,
        path=P("/etc/resize-agent/peers.d/compute1.yaml"),
        address="10.100.0.1",
        names=("compute1.example.org",),
        port=22,
        host_keys=(a_key("host compute1"),),
        user_keys=(a_key("nova@compute1", "nova@compute1"),),
        user="nova",
        uid=NOVA_UID,
        release="26.2.2",
        instances_path="/var/lib/nova/instances",
        storage=Storage("/", "ext4", "/dev/vda1"),
        issued_at="2026-11-22T10:00:00Z",
    )


@pytest.mark.parametrize(
    "snapshot",
    [
        a_host(),
        a_host(identities=()),
        a_host(instances=Unreadable("stale file handle")),
        a_host(listening=Unreadable("denied")),
        a_host(nova={"address": "FD00:0::0001", "release": None}),
        a_host(nova={"address": "Compute1.Example.org"}),
        a_host(host={"names": tuple(f"n{n}" for n in range(40))}),
        a_host(host={"host_keys": tuple(a_key(f"h{n}") for n in range(20))}),
    ],
    ids=["healthy", "no key", "no storage", "no ports", "IPv6", "by name", "names", "host keys"],
)
def test_another_agent_reads_what_is_told(snapshot: Snapshot) -> None:
    record = built(snapshot)
    read = parse(record.path, render(record).encode())
    assert isinstance(read, Record)
    assert own_record.differences(read, record) == ()
    assert read.issued_at == record.issued_at


def test_before_there_is_a_key_none_is_told() -> None:
    assert built(a_host(identities=())).user_keys == ()


def test_a_record_without_the_key_there_is_would_be_wrong() -> None:
    broken = Identity(KEY, novas(), Unreadable("passphrase"), a_key("beside it"))
    assert isinstance(own_record.build(a_host(identities=(broken,))), Unreadable)
    blind = a_host(identities=(), client=Unreadable("only root can ask"))
    assert isinstance(own_record.build(blind), Unreadable)
    assert built(a_host(identities=())).user_keys == ()


@pytest.mark.parametrize(
    ("ports", "told"), [((22,), 22), ((22, 2222), 22), ((2222, 22), 22), ((2222,), 2222), ((), 22)]
)
def test_the_port_is_22_unless_sshd_listens_elsewhere_only(
    ports: tuple[int, ...], told: int
) -> None:
    assert built(a_host(listening=ports)).port == told


@pytest.mark.parametrize(
    ("snapshot", "why"),
    [
        (a_host(nova=Unreadable("nova.conf: Permission denied")), "nova.conf: Permission denied"),
        (a_host(account=Unreadable("no passwd")), "no passwd"),
        (a_host(account=None), "there is no nova account"),
        (a_host(nova={"address": ""}), "the address peers dial is not known"),
        (a_host(nova={"address": "", "problems": ("my_ip: bad",)}), "my_ip: bad"),
        (a_host(host={"host_keys": ()}), "no host key of sshd can be read"),
    ],
)
def test_what_cannot_be_known_is_not_guessed(snapshot: Snapshot, why: str) -> None:
    assert refusal(snapshot) == why


def again(told: Record, **changes: Any) -> Record:
    later = NOW + timedelta(days=30)
    return built(replace(a_host(records=Records((told,))), taken_at=later, **changes))


def test_the_date_changes_only_with_the_content() -> None:
    told = built(a_host())
    assert again(told).issued_at == told.issued_at
    assert again(told, listening=(2222,)).issued_at == "2026-12-22T10:00:00Z"


def test_the_date_stays_however_the_address_is_spelled() -> None:
    host = a_host(nova={"address": "FD00::0001"})
    told = built(host)
    read = parse(told.path, render(told).encode())
    assert isinstance(read, Record)
    later = replace(host, records=Records((read,)), taken_at=NOW + timedelta(days=30))
    assert built(later).issued_at == told.issued_at


def test_a_tombstone_of_ourselves_lends_no_date() -> None:
    assert again(a_tombstone("compute1")).issued_at == "2026-12-22T10:00:00Z"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("address", "10.0.0.9"),
        ("names", ()),
        ("port", 2222),
        ("host_keys", ()),
        ("user_keys", (a_key("old"),)),
        ("user", "nova2"),
        ("uid", 1),
        ("release", "27.0.0"),
        ("instances_path", "/i"),
        ("transport", "rsync"),
        ("image_cache", "cache"),
        ("storage", None),
    ],
)
def test_every_difference_is_named(key: str, value: object) -> None:
    record = built(a_host())
    assert own_record.differences(replace(record, **{key: value}), record) == (key,)  # type: ignore[arg-type]


def test_order_and_comments_are_no_difference() -> None:
    one = a_peer("c2", host_keys=(a_key("a"), a_key("b")), names=("x", "y"))
    other = replace(one, host_keys=(a_key("b", "new"), a_key("a")), names=("y", "x"))
    assert own_record.differences(one, other) == ()


def test_an_address_that_is_not_here_is_doubted_and_still_told():
    elsewhere = a_host(host={"addresses": ("10.100.0.9",)})
    assert "no interface" in own_record.doubt(elsewhere)
    assert own_record.doubt(a_host()) == ""
