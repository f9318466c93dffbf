"""A nova.conf written anew, without the state_path that the distribution's has: Nova's own default is beside its modules."""

from __future__ import annotations

import pytest

from tests.lab import oracle, setup_by_hand
from tests.lab.fleet import Fleet
from tests.lab.provision import everywhere, hand_round, pairs_moved, pairs_ready

pytestmark = pytest.mark.lab


@pytest.mark.slow
def test_without_a_state_path_the_agent_looks_where_nova_does() -> None:
    with Fleet(["compute1", "compute2"]) as fleet:
        fleet.start_sshd()
        setup_by_hand.key_per_host(fleet)
        for host in fleet:
            host.sh("sed -i '/^state_path/d' /etc/nova/nova.conf")
        hand_round(fleet)
        runs = everywhere(fleet)
        outcomes = oracle.migrate_all(fleet)

    assert pairs_ready(runs) == pairs_moved(outcomes), (runs, outcomes)
    assert {outcome.verdict for outcome in outcomes.values()} == {"R"}, outcomes
    for run in runs.values():
        assert "instances_missing" in run.reasons("fail"), run
