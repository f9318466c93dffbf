"""No unit has a privilege that it does not need: each is taken away, and what breaks is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.guests.compute import daemon_report, journal, plain_report
from tests.guests.situations import (
    FIX_DROP_IN,
    connection_shared_in_var_tmp,
    home_elsewhere,
    key_in_an_agent,
    others_record,
    peer_by_ipv6,
    raw,
    ready,
    ssh_looks_at_processes,
    ssh_looks_into_proc,
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
    "var_tmp": Loss(
        "ReadWritePaths=\nReadWritePaths=-/var/lib/nova /tmp",
        "peer c2",
        connection_shared_in_var_tmp,
    ),
    "homes": Loss("ProtectHome=yes", "check identity", home_elsewhere),
    "users": Loss("PrivateUsers=yes", "check nova_config"),
    "privileged_calls": Loss("SystemCallFilter=~@privileged", "check nova_config"),
    "proc": Loss("ProcSubset=pid", "peer c2", ssh_looks_into_proc),
    "processes": Loss("ProtectProc=invisible", "peer c2", ssh_looks_at_processes),
    "network": Loss("PrivateNetwork=yes", "peer c2"),
    "ipv4": Loss("RestrictAddressFamilies=~AF_INET", "peer c2"),
    "ipv6": Loss("RestrictAddressFamilies=~AF_INET6", "peer c2", peer_by_ipv6),
}


@pytest.mark.parametrize("name", LOSSES)
def test_each_privilege_is_needed(c1: Host, name: str):
    loss = LOSSES[name]
    loss.situation(c1)
    before = verdicts(daemon_report(c1))
    assert before == verdicts(plain_report(c1))
    take_away(c1, loss.lines)

    after = verdicts(daemon_report(c1, dialled="peer" in loss.lost))

    differing = {
        key: (before[key], after.get(key)) for key in before if before[key] != after.get(key)
    }
    assert loss.lost in differing, differing


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        # Its own addresses come by netlink; what acts as nova has to be ended.
        ("RestrictAddressFamilies=~AF_NETLINK", "own addresses cannot be listed (netlink)"),
        ("CapabilityBoundingSet=~CAP_KILL", "needs CAP_KILL"),
        ("User=games", "run it as root"),
        # The way to systemd itself, and to the log.
        ("RestrictAddressFamilies=~AF_UNIX\nTimeoutStartSec=5s", "start operation timed out"),
    ],
)
def test_without_these_the_daemon_does_not_start(c1: Host, lines: str, said: str):
    take_away(c1, lines)

    assert c1.run(["systemctl", "restart", "resize-agent"]).returncode == 1
    assert said in journal(c1)


def fix(host: Host) -> None:
    host.run(["systemctl", "start", "resize-agent-fix.service"], timeout=300)


def left(host: Host) -> list[str]:
    """What a fix has not made of a raw host: steps that are still to do, and a bit that has nothing to do with it."""
    steps = [f"{s['action']} {s['target']}" for s in plain_report(host)["plan"]["steps"]]
    mode = host.sh("stat -c %a /var/lib/nova").stdout.strip()
    return steps if mode == "2755" else [*steps, f"mode {mode} of nova's home"]


@pytest.mark.parametrize("name", ["SETUID", "SETGID", "DAC_OVERRIDE", "CHOWN", "FOWNER", "FSETID"])
def test_each_capability_of_the_fix_is_needed(c1: Host, name: str):
    raw(c1)
    take_away(c1, f"CapabilityBoundingSet=~CAP_{name}", FIX_DROP_IN)
    fix(c1)
    without = left(c1)

    c1.sh(f"rm {FIX_DROP_IN}; systemctl daemon-reload")
    raw(c1)
    fix(c1)

    assert left(c1) == []
    assert without != []
