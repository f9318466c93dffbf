"""No unit has a privilege that it does not need: each is taken away, and what breaks is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.guests.compute import daemon_report, journal, plain_report
from tests.guests.situations import (
    key_in_an_agent,
    others_record,
    ready,
    take_away,
    verdicts,
)
from tests.lab.host import Host

pytestmark = [pytest.mark.lab, pytest.mark.slow]


@dataclass(frozen=True)
class Loss:
    """A privilege taken away, and what of a report is then lost."""

    lines: str
    lost: str
    situation: Callable[[Host], None] = ready


LOSSES = {
    "dac_read_search": Loss(
        "CapabilityBoundingSet=~CAP_DAC_READ_SEARCH", "check records", others_record
    ),
    "setuid": Loss("CapabilityBoundingSet=~CAP_SETUID", "check nova_config"),
    "setgid": Loss("CapabilityBoundingSet=~CAP_SETGID", "check nova_config"),
    "writable_home": Loss("ReadWritePaths=\nReadWritePaths=/tmp", "check instances_directory"),
    "tmp": Loss("PrivateTmp=yes", "peer c2", key_in_an_agent),
}


@pytest.mark.parametrize("name", LOSSES)
def test_each_privilege_is_needed(c1: Host, name: str):
    loss = LOSSES[name]
    loss.situation(c1)
    before = verdicts(daemon_report(c1))
    assert before == verdicts(plain_report(c1))
    take_away(c1, loss.lines)

    after = verdicts(daemon_report(c1, dialled=False))

    assert after[loss.lost] != before[loss.lost]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        # Its own addresses come by netlink; what acts as nova has to be ended.
        ("RestrictAddressFamilies=~AF_NETLINK", "own addresses cannot be listed (netlink)"),
        ("CapabilityBoundingSet=~CAP_KILL", "needs CAP_KILL"),
        ("User=games", "run it as root"),
    ],
)
def test_without_these_the_daemon_does_not_start(c1: Host, lines: str, said: str):
    take_away(c1, lines)

    assert c1.run(["systemctl", "restart", "resize-agent"]).returncode == 1
    assert said in journal(c1)
