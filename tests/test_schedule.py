"""Who dials whom when: nobody meets, everybody is visited, nobody is pestered."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import schedule
from agent.schedule import APART, Pair
from bench import schedule as simulation

INTERVAL = 60
NOW = 1795336000.0

names = st.sets(st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True), min_size=2, max_size=25)
slots = st.integers(0, 1 << 33)


def targets(hosts: set[str], slot: int) -> dict[str, str]:
    return {own: schedule.scheduled(schedule.ring(own, hosts), slot) for own in hosts}


@given(names, slots)
def test_in_one_slot_no_two_hosts_dial_the_same_one(hosts: set[str], slot: int) -> None:
    dialled = targets(hosts, slot)
    assert set(dialled.values()) == hosts
    assert all(own != peer for own, peer in dialled.items())


@given(names, slots)
def test_as_many_slots_as_peers_visit_every_pair(hosts: set[str], slot: int) -> None:
    seen = Counter(
        pair for later in range(len(hosts) - 1) for pair in targets(hosts, slot + later).items()
    )
    assert len(seen) == len(hosts) * (len(hosts) - 1)
    assert set(seen.values()) == {1}


@given(names, slots, st.data())
def test_hosts_that_know_others_meet_at_most_once_for_each_opinion(
    hosts: set[str], slot: int, data: st.DataObject
) -> None:
    lacking = data.draw(st.lists(st.sampled_from(sorted(hosts)), max_size=3))
    views = [hosts, *(hosts - {name} for name in lacking)]
    held = {own: data.draw(st.integers(0, len(views) - 1)) for own in sorted(hosts)}
    rings = {own: schedule.ring(own, views[n] | {own}) for own, n in held.items()}
    met = Counter(schedule.scheduled(ring, slot) for ring in rings.values() if ring)
    opinions = {frozenset(views[n] | {own}) for own, n in held.items()}
    assert max(met.values(), default=0) <= len(opinions)


@given(names)
def test_the_first_few_of_two_hosts_are_different_ones(hosts: set[str]) -> None:
    assert len({schedule.ring(own, hosts)[0] for own in hosts}) == len(hosts)


@pytest.mark.parametrize(
    ("hosts", "interval", "slot"),
    [(2, 60, 60), (61, 60, 60), (62, 60, 30), (100, 60, 30), (361, 60, 10), (5000, 60, 10)],
)
def test_slots_shrink_with_the_fleet_and_divide_the_minute(
    hosts: int, interval: int, slot: int
) -> None:
    assert schedule.slot_seconds(hosts, interval) == slot
    assert 60 % slot == 0


@pytest.mark.parametrize(("interval", "slot"), [(10, 10), (45, 30), (600, 60)])
def test_a_slot_is_no_longer_than_the_interval(interval: int, slot: int) -> None:
    assert schedule.slot_seconds(3, interval) == slot


@pytest.mark.parametrize(("hosts", "sweep"), [(10, 600), (100, 2970), (1000, 9990), (5000, 49990)])
def test_a_sweep_takes_what_is_documented(hosts: int, sweep: int) -> None:
    assert schedule.sweep_seconds(hosts, INTERVAL) == sweep


pairs = st.builds(
    Pair,
    at=st.sampled_from([0.0, NOW - 5000, NOW - 61, NOW - 30, NOW - 1, NOW + 30]),
    failures=st.integers(0, 40),
    refused=st.booleans(),
    since=st.sampled_from([0.0, NOW - 5000, NOW - 1, NOW]),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(names, st.data(), st.integers(10, 600), st.integers(1, 30))
def test_whatever_is_known_few_are_dialled_and_the_next_question_lies_ahead(
    hosts: set[str], data: st.DataObject, interval: int, most: int
) -> None:
    own = min(hosts)
    peers = schedule.ring(own, hosts)
    known = {peer: data.draw(pairs) for peer in peers if data.draw(st.booleans())}
    turn = schedule.turn(own, peers, known, NOW, interval, most)
    assert len(turn.peers) <= min(most, schedule.FIRST)
    assert set(turn.peers) <= set(known)
    assert NOW + 1 <= turn.again < NOW + 2 * max(60, interval)


@given(st.integers(2, 5000), st.integers(1, 60), st.booleans(), st.integers(10, 600))
def test_a_failure_is_tried_again_later_and_later_but_before_the_row_is_too_old(
    hosts: int, failures: int, refused: bool, interval: int
) -> None:
    sweep = schedule.sweep_seconds(hosts, interval)

    def after(number: int) -> float:
        return schedule.retry_after("a", "b", Pair(NOW, number, refused), hosts, sweep)

    assert after(failures) >= (300 if refused else APART)
    assert after(failures) < 2 * sweep


def test_the_back_off_grows_and_ends() -> None:
    told = [schedule.retry_after("a", "b", Pair(NOW, n), 100, 2970) for n in (1, 4, 7, 10, 13)]
    assert told[0] < told[1] < told[2]
    assert max(told) < 1.5 * 2970 + 1


def test_a_pair_that_changed_is_dialled_within_seconds_in_a_small_fleet() -> None:
    peers = schedule.ring("a", "abcdefgh")
    good = {peer: Pair(at=NOW - 300) for peer in peers}
    known = {**good, "c": Pair(at=NOW - 300, since=NOW)}
    due = schedule.changed_at("a", "c", known["c"], 8)
    assert NOW <= due <= NOW + 24
    first = schedule.turn("a", peers, known, due, INTERVAL, 30)
    known = {**known, **{peer: Pair(at=due) for peer in first.peers}}
    second = schedule.turn("a", peers, known, due + schedule.EXTRA, INTERVAL, 30)
    assert "c" in (*first.peers, *second.peers)


def test_where_nothing_is_known_three_are_dialled_at_once() -> None:
    peers = schedule.ring("c", "abcdefgh")
    known = {peer: Pair(since=NOW) for peer in peers}
    assert schedule.turn("c", peers, known, NOW, INTERVAL, 30).peers == ("d", "e", "f")


def test_who_is_ignored_keeps_the_place_and_is_not_dialled() -> None:
    peers = schedule.ring("a", "abc")
    for slot in range(4):
        turn = schedule.turn("a", peers, {"c": Pair(since=NOW)}, NOW + 60 * slot, INTERVAL, 30)
        assert set(turn.peers) <= {"c"}


def test_alone_there_is_nobody_to_dial() -> None:
    assert schedule.turn("a", (), {}, NOW, INTERVAL, 30) == schedule.Turn((), NOW + INTERVAL)


def test_two_dials_of_a_dead_peer_are_a_minute_apart_at_least() -> None:
    host = simulation.Host("h3", NOW, 5.0, tuple(f"h{n}" for n in range(1, 8)))
    times = [
        when for when, peer in simulation.exact(host, frozenset({"h5"}), NOW + 7200) if peer == "h5"
    ]
    gaps = [after - before for before, after in pairwise(times)]
    assert len(gaps) > 5
    assert min(gaps) >= APART


def test_who_stands_behind_a_dead_host_is_visited_in_every_sweep() -> None:
    """A dial to it is given up after twenty seconds, in which the turns of others pass: they are made up for."""
    names = tuple(f"h{n:03}" for n in range(200))
    sweep = schedule.sweep_seconds(len(names), INTERVAL)
    host = simulation.Host("h050", NOW, 0.0, names)
    visits: dict[str, list[float]] = {}
    for when, peer in simulation.exact(host, frozenset({"h100"}), NOW + 3 * sweep):
        visits.setdefault(peer, []).append(when)
    del visits["h100"]
    gaps = [after - before for times in visits.values() for before, after in pairwise(times)]
    assert len(visits) == 198
    assert max(gaps) <= sweep + simulation.SILENT + schedule.slot_seconds(len(names), INTERVAL)


def pairwise(times: list[float]) -> list[tuple[float, float]]:
    return list(zip(times, times[1:]))


def test_a_host_that_slept_for_hours_does_not_dial_everybody_at_once() -> None:
    peers = schedule.ring("a", [f"h{n:03}" for n in range(200)])
    known = {peer: Pair(at=NOW - 7200) for peer in peers}
    turn = schedule.turn("a", peers, known, NOW, INTERVAL, 30, NOW - 7000)
    assert 1 < len(turn.peers) <= 11


def test_a_clock_that_was_set_back_costs_nobody_the_turn() -> None:
    peers = schedule.ring("a", "abc")
    known = {peer: Pair(at=NOW - 7200) for peer in peers}
    late = NOW // 60 * 60 + 59  # whenever in its slot a host dials, that has passed
    asked = [
        schedule.turn("a", peers, known, late, INTERVAL, 30, late + ahead).peers
        for ahead in (0, 86400)
    ]
    assert asked[0] == asked[1] and len(asked[0]) == 1


def test_the_quick_simulation_dials_as_the_program_does() -> None:
    hosts, dead = simulation.fleet(12, random.Random(7))
    for host in hosts[:4]:
        quick = list(simulation.quick(host, dead, simulation.EPOCH + 3000))
        assert quick == list(simulation.exact(host, dead, simulation.EPOCH + 3000))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([3, 10, 24]))
def test_a_fleet_that_starts_at_once_meets_nowhere_and_knows_all_within_a_sweep(
    seed: int, number: int
) -> None:
    seen = simulation.simulated(number, seed)
    assert max(seen.together, seen.dead) < 10, "sshd's MaxStartups 10:30:100 begins to refuse here"
    assert seen.visited <= seen.rotation + 60
