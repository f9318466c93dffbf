"""A firewall that drops packets: our verdict comes by our own limit, and says how long Nova would wait."""

from __future__ import annotations

import pytest

from tests.lab.provision import agent
from tests.lab.scenarios.fault import DESTINATION, SOURCE
from tests.lab.scenarios.golden import provision, thawed
from tests.lab.tree import SUITE

pytestmark = pytest.mark.lab

# As the machine has it, which the scenarios shorten: six more tries, two minutes in all.
PATIENT = "sysctl -q -w net.ipv4.tcp_syn_retries=6"
BOTH_WAYS = "for chain in INPUT OUTPUT; do iptables -A $chain -p tcp -j DROP; done"


def test_the_verdict_comes_by_our_limit_and_says_that_nova_would_wait_minutes() -> None:
    with thawed(provision("by-hand", ipv6=False, suite=SUITE)) as fleet:
        fleet.start_sshd()
        fleet[SOURCE].sh(PATIENT)
        fleet[DESTINATION].sh(BOTH_WAYS)
        run = agent(fleet[SOURCE], "--peer-timeout", "5")
    row = run.rows[DESTINATION]
    assert (row["outcome"], row["stage"], row["reason"]) == ("fail", "connect", "connect_timeout")
    assert (row["side"], row["impact"]) == ("network", "rollback")
    assert "Connecting to" in row["message"], "ssh itself gave up before our limit ended it"
    assert "Nova" in row["message"] and "would wait minutes" in row["message"]
