"""The main job on hosts that differ from Debian's: shells, transport, address family."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.lab import oracle, setup_by_hand
from tests.lab.conftest import MakeFleet
from tests.lab.fleet import Fleet
from tests.lab.provision import (
    converge,
    everywhere,
    hand_round,
    on_each,
    pairs_moved,
    pairs_ready,
)

pytestmark = pytest.mark.lab

TWO = ("compute1", "compute2")


def with_shell(path: str) -> Callable[[Fleet], None]:
    """/bin/false: Ubuntu; /usr/sbin/nologin: RDO, and what the CIS benchmark asks for."""

    def change(fleet: Fleet) -> None:
        on_each(fleet, lambda host: host.sh(f"usermod --shell {path} nova"))

    return change


def with_rsync(fleet: Fleet) -> None:
    line = "remote_filesystem_transport = rsync"
    edit = f"sed -i 's/^\\[libvirt\\]$/&\\n{line}/' /etc/nova/nova.conf; grep -q {line!r} /etc/nova/nova.conf"
    on_each(fleet, lambda host: host.sh(edit))


def unchanged(fleet: Fleet) -> None:
    """As the packages leave it."""


@pytest.mark.parametrize(
    ("change", "ipv6"),
    [
        pytest.param(with_shell("/bin/false"), False, id="false", marks=pytest.mark.slow),
        pytest.param(with_shell("/usr/sbin/nologin"), False, id="nologin", marks=pytest.mark.slow),
        pytest.param(with_rsync, False, id="rsync", marks=pytest.mark.slow),
        pytest.param(unchanged, True, id="ipv6", marks=pytest.mark.slow),
        pytest.param(with_rsync, True, id="ipv6-rsync"),
    ],
)
def test_raw_hosts_become_a_fleet_in_which_every_resize_works(
    make_fleet: MakeFleet, change: Callable[[Fleet], None], *, ipv6: bool
) -> None:
    fleet = make_fleet(*TWO, ipv6=ipv6)
    fleet.start_sshd()
    change(fleet)
    raw = everywhere(fleet)
    assert {run.status for run in raw.values()} == {1}, raw
    fixed = converge(fleet)
    final = everywhere(fleet)
    outcomes = oracle.migrate_all(fleet)
    assert {outcome.verdict for outcome in outcomes.values()} == {"OK"}, (outcomes, fixed)
    assert pairs_ready(final) == pairs_moved(outcomes), final
    assert {run.status for run in final.values()} == {0}, final
    again = everywhere(fleet, "--fix")
    assert [run.applied for run in again.values()] == [[], []], again


@pytest.mark.parametrize(
    "shell", ["/bin/false", pytest.param("/usr/sbin/nologin", marks=pytest.mark.slow)]
)
def test_the_shell_is_named_while_everything_else_is_right(
    make_fleet: MakeFleet, shell: str
) -> None:
    """Keys and host keys are there: the login succeeds and every command fails."""
    fleet = make_fleet(*TWO)
    fleet.start_sshd()
    setup_by_hand.key_per_host(fleet)
    hand_round(fleet)
    fleet["compute2"].sh(f"usermod --shell {shell} nova")
    runs = everywhere(fleet)
    outcomes = oracle.migrate_all(fleet)
    assert pairs_ready(runs) == pairs_moved(outcomes), (runs, outcomes)
    assert outcomes["compute1", "compute2"].verdict == "R", outcomes
    row = runs["compute1"].rows["compute2"]
    assert (row["reason"], row["stage"], row["side"], row["impact"]) == (
        "shell_refuses_commands",
        "shell",
        "peer",
        "rollback",
    ), runs["compute1"]
    assert runs["compute2"].about("shell_refuses_commands"), runs["compute2"]
    assert runs["compute2"].report["roles"]["source"]["ready"] is True, runs["compute2"]
