"""Trust that no record vouches for is withdrawn on request, and never by accident."""

from __future__ import annotations

from typing import Any

import pytest

from agent.checks import authorized_keys, known_hosts
from agent.formats import places
from agent.formats.prune import Guarded, pruned
from agent.model import (
    Finding,
    HaveLines,
    Record,
    RecordProblem,
    Records,
    Snapshot,
    Unreadable,
    WriteFile,
)
from agent.settings import Settings
from tests.hosts import KEYS, SSH, a_host, a_key, a_peer, a_tombstone, novas

FLEET = tuple(a_peer(f"compute{number}") for number in range(2, 12))


def known(*records: Record, trusting: tuple[Record, ...] = FLEET, **changes: Any) -> Snapshot:
    """A host whose files trust ten peers, and that has the records of these."""
    return a_host(peers=trusting, records=Records(records), **changes)


def withdrawn(snapshot: Snapshot) -> list[str]:
    assert not isinstance(snapshot.nova, Unreadable)
    return sorted(record.name for record in snapshot.records.withdrawn(snapshot.nova.host))


def steps(snapshot: Snapshot) -> list[Any]:
    """What the two checks of trust would have done."""
    found: list[Finding] = []
    for check in (authorized_keys.CHECK, known_hosts.CHECK):
        found += check.evaluate(snapshot, Settings())
    return [action for finding in found for action in finding.fix]


def test_without_being_asked_nothing_goes() -> None:
    assert steps(known(*FLEET[:9])) == []


def test_the_lines_of_a_host_without_record_go() -> None:
    keys, hosts = {}, {}
    for action in steps(pruned(known(*FLEET[:9]), 20)):
        if isinstance(action, HaveLines):
            keys[action.path] = action
        elif isinstance(action, WriteFile):
            hosts[action.path] = action
    assert keys[KEYS].present == ()
    assert [line.split()[-1] for line in keys[KEYS].absent] == [b"resize-agent:compute11"]
    text = hosts[places.GLOBAL_KNOWN_HOSTS].content
    assert b"compute11" not in text and b"10.100.0.11" not in text and b"compute10" in text


def test_all_names_of_the_host_go_whatever_line_they_are_in() -> None:
    assert withdrawn(pruned(known(*FLEET[:9]), 20)) == [
        *("10.100.0.11", "compute11", "compute11.example.org")
    ]


def test_lines_of_ours_in_novas_own_file_go() -> None:
    from agent.formats.known_hosts import entry_line

    line = entry_line(["compute11", "10.100.0.11"], a_key("host compute11"))
    foreign = b"compute11 " + a_key("by hand").line.encode()
    files = {SSH / "known_hosts": novas(line + b"\n" + foreign + b"\n")}
    found = steps(pruned(known(*FLEET[:9], files=files), 20))
    (edit,) = {a for a in found if isinstance(a, HaveLines) and a.path == SSH / "known_hosts"}
    assert (edit.present, edit.absent) == ((), (line,))


def test_where_every_record_is_there_nothing_goes() -> None:
    found = pruned(known(*FLEET), 0)
    assert withdrawn(found) == [] and steps(found) == []


def test_a_record_vouches_whatever_keys_it_names() -> None:
    bare = a_peer("compute11", user_keys=(), host_keys=())
    assert withdrawn(pruned(known(*FLEET[:9], bare), 20)) == []


def test_an_address_that_another_host_has_now_stays_trusted_for_that_one() -> None:
    heir = a_peer("compute12", address="10.100.0.11")
    found = pruned(known(*FLEET[:9], heir), 20)
    assert withdrawn(found) == ["compute11", "compute11.example.org"]
    (hosts,) = {a for a in steps(found) if isinstance(a, WriteFile)}
    lines = [line for line in hosts.content.splitlines() if b"10.100.0.11," in line]
    assert [a_key("host compute12").blob.encode() in line for line in lines] == [True]


def test_this_host_itself_needs_no_record() -> None:
    assert "compute1" not in withdrawn(pruned(known(*FLEET[:9]), 20))


def test_a_tombstone_is_no_loss() -> None:
    """Its lines go as they would have gone, and count."""
    assert steps(pruned(known(*FLEET[:9], a_tombstone("compute11")), 20))


@pytest.mark.parametrize(("left", "percent"), [(8, 20), (5, 50), (0, 100), (9, 0)])
def test_at_the_limit_it_is_done(left: int, percent: float) -> None:
    records = FLEET[:left] if left else (a_peer("compute77"),)
    assert withdrawn(pruned(known(*records), percent))


@pytest.mark.parametrize(("left", "percent"), [(7, 20), (4, 50), (1, 20), (8, 0)])
def test_beyond_the_limit_nothing_is_done_and_the_hosts_are_named(
    left: int, percent: float
) -> None:
    with pytest.raises(
        Guarded, match=r"--prune would withdraw the trust in \d+ of 10 hosts"
    ) as told:
        pruned(known(*FLEET[:left]), percent)
    assert "compute11" in str(told.value) and f"over {percent} %" in str(told.value)


@pytest.mark.parametrize("records", [(), (a_peer("compute1"),), (a_tombstone("compute2"),)])
def test_without_a_record_of_a_peer_nothing_is_done(records: tuple[Record, ...]) -> None:
    with pytest.raises(Guarded, match="there is none"):
        pruned(known(*records), 100)


def test_a_record_that_cannot_be_used_may_be_the_one_that_vouches() -> None:
    broken = RecordProblem("record_invalid", "compute11.yaml:3", "no mapping", "compute11")
    host = a_host(peers=FLEET, records=Records(FLEET[:9], (broken,)))
    with pytest.raises(Guarded, match=r"sound records: compute11\.yaml:3: no mapping"):
        pruned(host, 100)


@pytest.mark.parametrize(
    "changes",
    [
        {"nova": Unreadable("Permission denied")},
        {"account": None},
        {"host": {"live": False}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_not_known_is_not_pruned(changes: dict[str, Any]) -> None:
    with pytest.raises(Guarded, match="not known"):
        pruned(known(*FLEET[:9], **changes), 20)
