"""A fleet that somebody set up by hand: the agent calls it ready and has next to nothing to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.lab import oracle, setup_by_hand
from tests.lab.fleet import Fleet
from tests.lab.oracle import Outcome
from tests.lab.provision import (
    AUTHORIZED_KEYS,
    KNOWN_HOSTS,
    NOVA_HOME,
    Pair,
    Run,
    changed,
    everywhere,
    explained,
    hand_round,
    on_each,
    pairs_moved,
    pairs_ready,
    state,
)

pytestmark = pytest.mark.lab

NAMES = ("compute1", "compute2", "compute3")
ACCOUNTS = ("/etc/passwd", "/etc/shadow", "/etc/group")


def hashed(fleet: Fleet) -> None:
    """As Debian's ssh writes known_hosts itself: names that only a lookup can find."""
    setup_by_hand.key_per_host(fleet)
    hide = f"ssh-keygen -q -H -f {KNOWN_HOSTS} && rm {KNOWN_HOSTS}.old"
    on_each(fleet, lambda host: host.sh(hide, user="nova"))


@dataclass(repr=False)
class ByHand:
    """What was said and what was there before and after the agent's first `--fix`."""

    fleet: Fleet
    checked: dict[str, Run]
    outcomes: dict[Pair, Outcome]
    fixed: dict[str, Run]
    differs: dict[str, list[str]]
    texts: dict[str, tuple[bytes, bytes]]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(setup_by_hand.shared_key, id="shared_key"),
        pytest.param(setup_by_hand.key_per_host, id="key_per_host", marks=pytest.mark.slow),
        pytest.param(hashed, id="hashed", marks=pytest.mark.slow),
    ],
)
def by_hand(request: pytest.FixtureRequest) -> Iterator[ByHand]:
    with Fleet(NAMES) as fleet:
        fleet.start_sshd()
        request.param(fleet)
        hand_round(fleet)
        checked = everywhere(fleet)
        outcomes = oracle.migrate_all(fleet)
        texts = {host.name: (host.read(KNOWN_HOSTS), host.read(AUTHORIZED_KEYS)) for host in fleet}
        before = on_each(fleet, lambda host: state(host, NOVA_HOME, *ACCOUNTS))
        fixed = everywhere(fleet, "--fix")
        after = on_each(fleet, lambda host: state(host, NOVA_HOME, *ACCOUNTS))
        differs = {name: changed(before[name], after[name]) for name in before}
        yield ByHand(fleet, checked, outcomes, fixed, differs, texts)


@pytest.fixture(autouse=True)
def _explained(request: pytest.FixtureRequest, by_hand: ByHand) -> Iterator[None]:
    yield from explained(request, by_hand.fleet)


def test_it_is_ready_before_any_fix(by_hand: ByHand) -> None:
    assert {o.verdict for o in by_hand.outcomes.values()} == {"OK"}, by_hand.outcomes
    assert pairs_ready(by_hand.checked) == pairs_moved(by_hand.outcomes), by_hand.checked
    assert {run.status for run in by_hand.checked.values()} == {0}, by_hand.checked


@pytest.mark.parametrize("name", NAMES)
def test_no_account_and_no_key_of_novas_is_touched(by_hand: ByHand, name: str) -> None:
    """A line may be added to authorized_keys; nothing is taken away, made or replaced."""
    run = by_hand.fixed[name]
    assert run.status == 0, run
    assert [line for line in by_hand.differs[name] if AUTHORIZED_KEYS not in line] == [], run
    known, accepted = by_hand.texts[name]
    assert by_hand.fleet[name].read(KNOWN_HOSTS) == known, run
    assert by_hand.fleet[name].read(AUTHORIZED_KEYS).startswith(accepted), run


@pytest.mark.parametrize("name", NAMES)
def test_all_that_is_done_is_to_add_lines_of_ours(by_hand: ByHand, name: str) -> None:
    run = by_hand.fixed[name]
    places = ("/etc/ssh/", AUTHORIZED_KEYS)
    assert all(target.startswith(places) for _, target, _ in run.applied), run


def test_it_still_works_after_the_fix(by_hand: ByHand) -> None:
    moved = oracle.migrate(by_hand.fleet, "compute3", "compute1")
    assert moved.verdict == "OK", moved
