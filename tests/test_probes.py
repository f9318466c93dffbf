"""What is kept of a dial, and for how long it counts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import checks, probes
from agent.model import Absent, Attempt, Outcome, Snapshot, Tool
from agent.probes import Kept
from agent.settings import Settings
from tests.hosts import KEY, NOW, P, a_client, a_host, a_key, a_peer, an_attempt, novas

HOUR = 3600.0


def a_dial(name: str = "compute2", **changes: Any) -> Attempt:
    return an_attempt(name=name, directory_mode=None, file_mode=None, **changes)


attempts = st.builds(
    a_dial,
    name=st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True),
    passed=st.lists(st.sampled_from(["resolve", "connect", "auth"]), max_size=3).map(tuple),
    stage=st.sampled_from(["auth", "copy", "cleanup"]),
    reason=st.sampled_from([None, "permission_denied", "too_slow"]),
    detail=st.text(max_size=40),
    seconds=st.floats(0, 1e6),
    at=st.timedeltas(timedelta(0), timedelta(days=900)).map(lambda age: NOW - age),
    unknown=st.booleans(),
    server_key=st.sampled_from([None, "SHA256:abc"]),
)
kept = st.builds(Kept, attempts, st.text("0123456789abcdef", max_size=32), st.integers(0, 99))


@given(st.lists(kept, max_size=4))
def test_what_is_saved_is_what_is_read(found: list[Kept]) -> None:
    every = {each.attempt.name: each for each in found}
    text = probes.dump(every)
    assert text.isascii()
    assert probes.load(json.loads(text)) == every


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(anything)
def test_garbage_is_nothing_kept(value: Any) -> None:
    assert probes.load(None) == {}
    assert probes.load({"schema_version": 1, "dials": value}) == {}
    assert probes.load({"schema_version": value, "dials": []}) == {}


@given(anything, st.data())
def test_one_broken_row_costs_no_other(value: Any, data: st.DataObject) -> None:
    good = {name: Kept(a_dial(name), "f") for name in ("compute2", "compute3")}
    told = json.loads(probes.dump(good))
    key = data.draw(st.sampled_from(sorted(told["dials"][0])))
    told["dials"][0][key] = value
    assert probes.load(told)["compute3"] == good["compute3"]


def test_another_schema_is_not_guessed_at() -> None:
    told = json.loads(probes.dump({"compute2": Kept(a_dial(), "f")}))
    assert probes.load({**told, "schema_version": 2}) == {}


def test_failures_in_a_row_are_counted_and_forgotten() -> None:
    denied = a_dial(stage="auth", reason="permission_denied")
    twice = probes.after(probes.after(None, denied, "f"), denied, "f")
    assert twice.failures == 2
    assert probes.after(twice, a_dial(), "f").failures == 0


def test_a_probe_that_left_its_directory_has_not_failed() -> None:
    assert not probes.failed(a_dial(stage="cleanup", reason="leftover_probe"))


# Whether it still counts

PEER = a_peer("compute2")


def facts(host: Snapshot) -> str:
    judged = checks.evaluate(checks.catalogue(), host, Settings())
    return probes.facts(host, judged, host.records.peers("compute1"))["compute2"]


SAME = facts(a_host())


@pytest.mark.parametrize(
    "host",
    [
        a_host(peers=[PEER, a_peer("compute3")]),
        a_host(peers=[replace(PEER, issued_at="2026-11-23T10:00:00Z", path=P("/elsewhere"))]),
        a_host(taken_at=NOW + timedelta(days=1)),
        a_host(dials=(a_dial(),), resolved={"compute2": True}),
        a_host(client=a_client(hostname="10.100.0.9", host="10.100.0.9")),
        a_host(instances={"free_bytes": 0}),
        a_host(self_dials=()),
    ],
    ids=["another peer", "issued again", "later", "dialled", "asked for another", "room", "alone"],
)
def test_what_has_nothing_to_do_with_the_way_to_a_peer_changes_nothing(host: Snapshot) -> None:
    assert facts(host) == SAME


@pytest.mark.parametrize(
    "host",
    [
        a_host(peers=[replace(PEER, address="10.100.0.99")]),
        a_host(peers=[replace(PEER, host_keys=(a_key("new"),))]),
        a_host(peers=[replace(PEER, user_keys=())]),
        a_host(client=a_client(stricthostkeychecking="yes")),
        a_host(nova={"transport": "rsync"}),
        a_host(nova={"instances_path": P("/srv")}),
        a_host(identities=()),
        a_host(files={P("/etc/ssh/ssh_known_hosts.nova"): Absent()}),
        a_host(tools={"ssh": Tool("ssh", P("/usr/bin/ssh"), executable=True)}),
    ],
    ids="address hostkey userkey client transport path identity known_hosts scp".split(),
)
def test_what_a_dial_depends_on_ends_its_word(host: Snapshot) -> None:
    assert facts(host) != SAME


def test_a_key_that_nova_can_no_longer_read_ends_it_too() -> None:
    healthy = a_host()
    [identity] = healthy.identities
    broken = replace(identity, file=novas(mode=0o644))
    assert identity.path == KEY
    assert facts(a_host(identities=(broken,))) != SAME


def worth(each: Kept, now: Any = NOW, known: str = "f") -> probes.Worth:
    return probes.worth({"compute2": each}, {"compute2": known}, [PEER], now, HOUR)


def test_a_dial_counts_for_two_sweeps() -> None:
    each = Kept(a_dial(), "f")
    assert worth(each, NOW + timedelta(hours=1)).counting == {"compute2": each}
    late = worth(each, NOW + timedelta(hours=1, seconds=1))
    assert late.counting == {}
    row = late.outdated["compute2"]
    assert (row.outcome, row.reason, row.checked_at) == (Outcome.UNKNOWN, "dial_expired", NOW)


def test_a_dial_from_the_future_is_not_believed() -> None:
    assert worth(Kept(a_dial(), "f"), NOW - timedelta(seconds=61)).counting == {}
    assert worth(Kept(a_dial(), "f"), NOW - timedelta(seconds=59)).outdated == {}


def test_a_change_since_makes_it_unknown() -> None:
    row = worth(Kept(a_dial(), "f"), known="g").outdated["compute2"]
    assert (row.outcome, row.reason) == (Outcome.UNKNOWN, "dial_outdated")


def test_who_was_never_dialled_has_no_row_yet() -> None:
    found = probes.worth({}, {}, [PEER], NOW, HOUR)
    assert (found.counting, found.outdated) == ({}, {})


def test_a_host_without_a_record_is_forgotten() -> None:
    found = probes.worth({"gone": Kept(a_dial("gone"), "f")}, {}, [PEER], NOW, HOUR)
    assert (found.counting, found.outdated) == ({}, {})
