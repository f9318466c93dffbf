"""Debian's nova.conf with one and the same my_ip on every host: Nova swaps disks, the agent warns."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import oracle, setup_by_hand
from tests.lab.fleet import Fleet
from tests.lab.provision import (
    agent,
    changed,
    everywhere,
    explained,
    hand_round,
    pairs_moved,
    pairs_ready,
    state,
)
from tests.lab.tree import PACKAGED_MY_IP

pytestmark = pytest.mark.lab

NAMES = ("compute1", "compute2")


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet(NAMES, configured=False) as fleet:
        fleet.start_sshd()
        setup_by_hand.key_per_host(fleet)
        yield fleet


@pytest.fixture(autouse=True)
def _explained(request: pytest.FixtureRequest, fleet: Fleet) -> Iterator[None]:
    yield from explained(request, fleet)


@pytest.mark.parametrize("name", NAMES)
def test_my_ip_of_no_interface_is_not_ready(fleet: Fleet, name: str) -> None:
    run = agent(fleet[name])
    assert run.status == 1, run
    [found] = run.about("my_ip_not_here")
    assert (found["outcome"], found["impact"], found["fixable"]) == ("fail", "wrong_disk", False)
    assert PACKAGED_MY_IP in found["message"], run
    assert run.report["roles"]["destination"]["ready"] is False, run


@pytest.mark.parametrize("name", NAMES)
def test_nova_conf_is_never_edited(fleet: Fleet, name: str) -> None:
    before = state(fleet[name], "/etc/nova")
    run = agent(fleet[name], "--fix")
    assert (run.status, changed(before, state(fleet[name], "/etc/nova"))) == (1, []), run
    assert "my_ip_not_here" in run.reasons("fail"), run


def test_where_nova_swaps_disks_no_pair_is_ready(fleet: Fleet) -> None:
    hand_round(fleet)
    runs = everywhere(fleet)
    outcomes = oracle.migrate_all(fleet)
    assert {outcome.verdict for outcome in outcomes.values()} == {"S"}, outcomes
    assert pairs_ready(runs) == pairs_moved(outcomes), runs
    for run in runs.values():
        assert {row["reason"] for row in run.rows.values()} == {"duplicate_address"}, run
