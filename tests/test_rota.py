"""What the daemon remembers of dials from one round to the next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent import checks, probes
from agent.looked import Dialled, Looked, weighed
from agent.model import Attempt, Snapshot
from agent.rota import Rota
from agent.settings import Settings
from tests.hosts import NOW, a_host, a_peer, an_attempt

T = NOW.timestamp()
WANT = Settings()
PEERS = [a_peer(f"compute{n}") for n in (2, 3, 4, 5)]


def a_dial(name: str, **changes: Any) -> Attempt:
    return an_attempt(name=name, **changes)


DENIED = {"stage": "auth", "reason": "permission_denied"}


def looked(rota: Rota, snapshot: Snapshot | None = None, *ignored: str) -> Looked:
    seen = snapshot or a_host(peers=PEERS, self_dials=())
    peers = tuple(r for r in seen.records.peers("compute1") if r.name not in ignored)
    return weighed(Looked(seen, peers), WANT, rota.kept)


def dialled(rota: Rota, *attempts: Attempt, now: float = T) -> Looked:
    seen = looked(rota)
    peers = [r for r in seen.peers if r.name in {a.name for a in attempts}]
    rota.enter(seen, peers, Dialled(attempts), now)
    return looked(rota)


def test_a_fresh_daemon_begins_with_those_behind_it() -> None:
    rota = Rota({})
    assert rota.turn(looked(rota), WANT, T).peers == ("compute2", "compute3", "compute4")


def test_a_dial_that_counts_is_not_repeated_before_its_turn() -> None:
    rota = Rota({})
    seen = dialled(rota, *(a_dial(r.name) for r in PEERS))
    assert set(seen.worth.counting) == {r.name for r in PEERS}
    assert rota.turn(seen, WANT, T + 1).peers == ()
    assert rota.since == {}


def test_what_could_not_be_dialled_is_not_asked_for_again_and_again() -> None:
    rota = Rota({})
    seen = looked(rota)
    turn = rota.turn(seen, WANT, T)
    rota.enter(seen, [r for r in seen.peers if r.name in turn.peers], Dialled(), T)
    assert rota.turn(seen, WANT, T + 2).peers == ()


def test_a_peer_that_answers_differently_is_news() -> None:
    rota = Rota({})
    seen = looked(rota)
    assert rota.enter(seen, PEERS[:1], Dialled((a_dial("compute2"),)), T)
    seen = looked(rota)
    assert not rota.enter(seen, PEERS[:1], Dialled((a_dial("compute2"),)), T)
    assert rota.enter(seen, PEERS[:1], Dialled((a_dial("compute2", **DENIED),)), T)


def test_a_changed_record_is_dialled_again_soon() -> None:
    rota = Rota({})
    dialled(rota, *(a_dial(r.name) for r in PEERS))
    moved = [replace(PEERS[0], address="10.100.9.9"), *PEERS[1:]]
    seen = looked(rota, a_host(peers=moved, self_dials=()))
    assert set(seen.worth.outdated) == {"compute2"}
    asked = [rota.turn(seen, WANT, T + seconds).peers for seconds in range(60, 100)]
    assert ("compute2",) in asked


def test_a_refused_login_is_left_alone_for_minutes() -> None:
    rota = Rota({})
    others = [a_dial(r.name) for r in PEERS[1:]]
    seen = dialled(rota, a_dial("compute2", **DENIED), *others)
    for seconds in range(5, 300, 5):
        assert "compute2" not in rota.turn(seen, WANT, T + seconds).peers


def test_a_login_that_was_cut_off_is_tried_again_soon() -> None:
    rota = Rota({})
    busy = {"stage": "auth", "reason": "peer_busy", "unknown": True}
    seen = dialled(rota, a_dial("compute2", **busy), *(a_dial(r.name) for r in PEERS[1:]))
    asked = [rota.turn(seen, WANT, T + seconds).peers for seconds in range(60, 100)]
    assert ("compute2",) in asked


def test_who_is_ignored_is_not_dialled_and_who_left_is_forgotten() -> None:
    rota = Rota({})
    seen = looked(rota, None, "compute2")
    assert "compute2" not in rota.turn(seen, WANT, T).peers
    dialled(rota, a_dial("compute3"))
    rota.turn(looked(rota, a_host(peers=PEERS[:1], self_dials=())), WANT, T)
    assert rota.kept == {} and rota.tried == {}


def test_this_host_dials_itself_after_a_change_and_seldom_otherwise() -> None:
    rota = Rota({})
    seen = looked(rota)
    assert rota.due_itself(seen, T)
    rota.enter(seen, [], Dialled(itself=(a_dial("compute1"),)), T)
    assert not rota.due_itself(seen, T + 599)
    assert rota.due_itself(seen, T + 601)
    assert [a.name for a in rota.itself(seen, T)] == ["compute1"]
    changed = looked(rota, a_host(peers=PEERS, self_dials=(), listening=()))
    assert rota.itself(changed, T) == ()
    assert rota.due_itself(changed, T + 1)


def test_a_dial_to_itself_that_cannot_be_made_again_ceases_to_count() -> None:
    rota = Rota({})
    seen = looked(rota)
    rota.enter(seen, [], Dialled(itself=(a_dial("compute1"),)), T)
    rota.enter(seen, [], Dialled(), T + 601)
    assert rota.itself(seen, T + 1199) != ()
    assert rota.itself(seen, T + 1201) == ()
    assert rota.itself(seen, T - 61) == ()  # made before the clock was set back


def test_a_clock_that_was_set_back_holds_no_dial_up() -> None:
    rota = Rota({})
    rota.turn(looked(rota), WANT, T + 86400)
    rota.turn(looked(rota), WANT, T)
    assert set(rota.since.values()) == {T}


def test_its_own_refused_login_is_left_alone_for_minutes_too() -> None:
    rota = Rota({})
    seen = looked(rota)
    rota.enter(seen, [], Dialled(itself=(a_dial("compute1", **DENIED),)), T)
    assert not rota.due_itself(seen, T + 299)
    assert rota.due_itself(seen, T + 460)


def test_dials_of_the_future_are_made_again() -> None:
    kept = {"compute2": probes.Kept(a_dial("compute2"), "")}
    rota = Rota(kept)
    assert "compute2" in rota.turn(looked(rota), WANT, T - 7200).peers


def test_predictions_that_dials_excused_are_part_of_what_they_rest_on() -> None:
    healthy = a_host(peers=PEERS)
    judged = checks.evaluate(checks.catalogue(), healthy, WANT)
    assert set(probes.facts(healthy, judged, PEERS)) == {r.name for r in PEERS}
