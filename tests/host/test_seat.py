"""A door that looks from inside a container: another root in a mount namespace of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from pathlib import PurePosixPath as P

import pytest

from agent.host import Host
from agent.model import Absent, Account, File, Seat, Unreadable
from tests.host.containers import container

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it makes a mount namespace"),
]

NOVA = Account("nova", 42436, 42436, P("/home"), P("/bin/sh"), (42436, 42401))


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[tuple[Host, int]]:
    with container(tmp_path) as pid:
        host = Host()
        yield host.at(host.seat_of(pid)), pid


def test_files_are_those_of_the_container(inside: tuple[Host, int]) -> None:
    host, _ = inside

    seen = host.file(P("/etc/where"))

    assert isinstance(seen, File) and seen.content == b"inside\n"
    assert isinstance(host.outside.file(P("/etc/where")), Absent)
    assert host.names(P("/etc")) == ("nova", "passwd", "where")
    assert isinstance(host.names(P("/nowhere")), Absent)
    assert host.changed(P("/etc/where")) is not None and host.changed(P("/nowhere")) is None


@pytest.mark.parametrize("name", ["link", "up"])
def test_a_link_stays_in_the_container(inside: tuple[Host, int], name: str) -> None:
    host, _ = inside

    path = P("/home") / name
    seen = host.files_as(NOVA, [path], content=True)[path]

    assert isinstance(seen, File) and seen.content == b"inside\n" and seen.real == P("/etc/where")


def test_programs_run_there_as_the_account(inside: tuple[Host, int]) -> None:
    host, _ = inside

    said = host.run(["sh", "-c", "id -u; id -G; cat /etc/where; pwd"], account=NOVA)

    assert said.stdout.split() == ["42436", "42436", "42401", "inside", "/"]
    assert host.run(["no-such-program"], account=NOVA).missing


def test_a_look_as_the_account_gives_everything_up(inside: tuple[Host, int]) -> None:
    host, _ = inside

    assert host.call_as(NOVA, os.getresuid) == [42436] * 3
    assert sorted(host.call_as(NOVA, os.getgroups)) == [42401, 42436]
    assert sorted(host.call_as(NOVA, os.listdir, "/home")) == ["link", "up"]


def test_what_is_put_there_for_a_dial_is_gone_afterwards(inside: tuple[Host, int]) -> None:
    host, _ = inside

    with host.scratch() as made:
        host.put(f"{made}/disk", b"x" * 1000)
        size = host.run(["stat", "-c", "%s %a", f"{made}/disk"], account=NOVA).stdout

    assert size == "1000 644\n"
    assert isinstance(host.file(P(made)), Absent)
    assert not Path(made).exists()


def test_a_container_that_has_gone_is_no_missing_program_and_no_missing_file(
    inside: tuple[Host, int],
) -> None:
    host, pid = inside
    assert host.seat is not None

    gone = host.at(Seat(pid, host.seat.namespace + 1))

    done = gone.run(["true"])
    assert done.returncode is None and not done.missing and "cannot be entered" in done.stderr
    assert isinstance(gone.file(P("/etc/where")), Unreadable)
    with pytest.raises(OSError, match="cannot be entered"):
        gone.call_as(NOVA, os.getresuid)


def test_processes_are_told_apart_by_their_root(inside: tuple[Host, int]) -> None:
    host, pid = inside

    assert pid in list(host.outside.elsewhere("cat"))
    assert pid not in [each for each, _ in host.outside.processes("cat")]
    assert pid in [each for each, _ in host.processes("cat")]
    assert host.outside.shares(pid, "user") and host.outside.shares(pid, "net")
    assert not host.outside.shares(pid, "mnt")


def test_a_service_with_a_mount_namespace_of_its_own_lives_on_the_host() -> None:
    """As systemd makes one for PrivateTmp= or ProtectSystem=."""
    argv = ["unshare", "--mount", "sh", "-c", "mount --bind / / && echo ready && exec cat"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        assert process.pid in [pid for pid, _ in Host().processes("cat")]
        assert process.pid not in list(Host().elsewhere("cat"))
    finally:
        process.communicate()


def imports() -> bool:
    """Whether something that is not imported yet can be."""
    try:
        import colorsys  # noqa: F401
    except ImportError:
        return False
    return True


def test_python_imports_nothing_from_a_container(inside: tuple[Host, int]) -> None:
    host, _ = inside

    assert host.act(imports) is False
    assert imports()
