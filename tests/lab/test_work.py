"""How much work a run on a real host is, counted and not timed.  Every bound is what was measured: one program more fails.

A change that needs more says why here.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.formats import record
from tests.counting import Work, needs_strace, so_far, tracing, work
from tests.hosts import a_peer
from tests.lab.daemons import Daemon
from tests.lab.fleet import Fleet
from tests.lab.host import AGENT_HOME, ENVIRONMENT, Host
from tests.lab.provision import PEERS, converge, explained, hand_round

pytestmark = [pytest.mark.lab, needs_strace]

MANY = 60
"""Records more, of hosts that are not there."""
LOOK = Counter(["ssh", "ssh-keygen", "sshd"])
"""What one look at this host asks, whatever the number of peers: `ssh -G` and `ssh-keygen -y` as nova, `sshd -T`."""
DIAL = Counter({"ssh": 3, "scp": 1, "test": 1})
"""Nova's three commands, of which scp starts an ssh of its own; and whether the directory is here too (shared storage)."""
PEER = DIAL + Counter(["getent"])
ITSELF = DIAL + Counter({"stat": 1, "test": 2})
"""What arrived: its modes, and whether the qemu user can search the directory and read the file."""
FAR = {f"{PEERS}/far{each}.yaml": f"10.9.8.{each + 1}" for each in range(MANY)}


@dataclass
class Counted:
    """The runs of compute1, in this order."""

    first_fix: Work
    second_fix: Work
    check: Work
    one_peer: Work
    both_peers: Work
    logins: int  # at compute2, for one run that dials it
    turn: Work
    fix_of_many: Work
    check_of_many: Work


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet(["compute1", "compute2", "compute3"]) as fleet:
        fleet.start_sshd()
        yield fleet


@pytest.fixture(autouse=True)
def _explained(request: pytest.FixtureRequest, fleet: Fleet) -> Iterator[None]:
    yield from explained(request, fleet)


@pytest.fixture(scope="module")
def counted(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Counted:
    place, host, peer = tmp_path_factory.mktemp("traced"), fleet["compute1"], fleet["compute2"]

    def run(name: str, *arguments: str) -> Work:
        (place / name).mkdir()
        return traced(host, place / name, *arguments)

    hand_round(fleet)
    fixes = run("first", "--fix", "--no-probe"), run("second", "--fix", "--no-probe")
    converge(fleet)
    check, before = run("check", "--no-probe"), logins(peer)
    one, after = run("one", "--peer", "compute2"), logins(peer)
    both, turn = run("both"), a_turn(host, place / "daemon")
    for path, address in FAR.items():
        far = a_peer(Path(path).stem, address=address)
        Path(f"/proc/{host.pid}/root{path}").write_text(record.render(far))
    many = run("fix", "--fix", "--no-probe"), run("many", "--no-probe")
    return Counted(*fixes, check, one, both, after - before, turn, *many)


def traced(host: Host, place: Path, *arguments: str) -> Work:
    line = [*tracing(place), *host.way_in, "/usr/bin/python3", "-m", "agent", *arguments]
    said = {**ENVIRONMENT, "PYTHONPATH": AGENT_HOME, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(line, env=said, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 1), done
    return work(place)


def logins(host: Host) -> int:
    return host.log().count("Accepted publickey for nova")


def a_turn(host: Host, place: Path) -> Work:
    """Of a daemon that has dialled everybody and is asked to look again."""
    place.mkdir()
    daemon = Daemon(host)
    with contextlib.closing(daemon):
        daemon.start(tracing(place))
        daemon.await_that(lambda: passed(daemon) == {"compute2", "compute3"}, "all are dialled")
        before, told = so_far(place), daemon.report["taken_at"]
        daemon.signal("USR1")
        daemon.await_that(lambda: daemon.report["taken_at"] != told, "it looks again")
        return work(place, before)


def passed(daemon: Daemon) -> set[str]:
    rows = daemon.report.get("peers", [])
    return {row["name"] for row in rows if row["outcome"] == "pass"}


def kinds(changed: Counter[str]) -> Counter[str]:
    """By the call alone."""
    return Counter(call.split()[0] for call in changed.elements())


def test_a_check_asks_each_tool_once_and_changes_nothing(counted: Counted) -> None:
    check = counted.check
    assert Counter(check.programs) == LOOK
    assert check.started <= 3 + 6  # 5 children look as nova, one as qemu
    assert check.opened.total() <= 50  # six of them what PAM makes of the size of files
    assert check.changed == {}


def test_a_record_more_is_a_file_more_to_open_and_nothing_else(counted: Counted) -> None:
    few, many = counted.check, counted.check_of_many
    assert (few.programs, few.started) == (many.programs, many.started)
    assert many.opened - few.opened == Counter(FAR.keys())
    assert (few.opened - many.opened, many.changed) == ({}, {})


def test_a_fix_looks_twice_and_writes_each_file_once(counted: Counted) -> None:
    fix = counted.first_fix
    assert Counter(fix.programs) == LOOK + LOOK  # of ssh-keygen one makes the key
    assert fix.started <= 27
    assert kinds(fix.changed)["fsync"] <= 12
    assert fix.changed.total() <= 35


def test_sixty_records_more_are_two_files_to_write(counted: Counted) -> None:
    fix = counted.fix_of_many
    assert Counter(fix.programs) == LOOK + LOOK
    assert fix.started <= 23
    assert (
        kinds(fix.changed)["fsync"] <= 9
    )  # a file replaced, one appended to, their backups, and how many fixes there were
    assert fix.changed.total() <= 24


def test_a_fix_that_has_nothing_to_do_looks_once_and_takes_its_lock(counted: Counted) -> None:
    fix = counted.second_fix
    assert Counter(fix.programs) == LOOK
    assert fix.started <= 11
    assert fix.changed == {"open resize-agent.lock": 1}


def test_a_peer_is_three_logins_and_six_programs(counted: Counted) -> None:
    assert counted.logins == 3
    assert Counter(counted.one_peer.programs) == LOOK + ITSELF + PEER
    assert Counter(counted.both_peers.programs) == LOOK + ITSELF + PEER + PEER
    assert counted.one_peer.started <= 22 and counted.both_peers.started <= 27


def test_a_dial_writes_a_payload_and_a_lock_and_syncs_nothing(counted: Counted) -> None:
    one, both = counted.one_peer, counted.both_peers
    assert one.changed.total() <= 11 and kinds(one.changed)["fsync"] == 0
    assert both.changed.total() <= 12  # a lock more
    assert one.opened.total() <= 59 and both.opened.total() <= 59  # the scratch directory


def test_a_turn_of_the_daemon_looks_once_and_writes_two_files(counted: Counted) -> None:
    turn = counted.turn
    assert LOOK <= Counter(turn.programs) <= LOOK + ITSELF + PEER + PEER  # whose turn it is
    assert turn.programs.count("sshd") == 1
    assert turn.opened.total() <= 55 + 9  # those of a dial
    assert kinds(turn.changed)["renameat"] == 2
    assert kinds(turn.changed)["fsync"] <= 4  # of each file and its directory
