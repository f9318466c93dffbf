"""A door that looks from inside a container: another root in a mount namespace of its own."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from pathlib import PurePosixPath as P

import pytest

from agent import apply
from agent.host import Host
from agent.model import (
    Absent,
    Account,
    File,
    HaveLines,
    MakeDirectory,
    MakeKeyPair,
    Seat,
    SetMode,
    SetOwner,
    Unreadable,
)
from tests.host.containers import await_title, container

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

    assert (pid, False) in [(p, here) for p, _, here in host.outside.everywhere("cat")]
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
        await_title(process, "cat")
        assert process.pid in [pid for pid, _ in Host().processes("cat")]
        assert (process.pid, False) not in [(p, here) for p, _, here in Host().everywhere("cat")]
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


def test_steps_of_a_fix_are_carried_out_there(inside: tuple[Host, int]) -> None:
    host, _ = inside
    host.run(["sh", "-c", "chown 42436:42436 /home; mkdir -m 775 /etc/mine"])
    keys = P("/home/.ssh/authorized_keys")

    apply.perform(MakeDirectory(P("/home/.ssh"), 0o700, 42436, 42436), host)
    apply.perform(HaveLines(keys, (b"ssh-ed25519 AAAA x",), (), 0o600, 42436, 42436, None), host)
    apply.perform(SetMode(P("/etc/mine"), 0o755, 0o775), host)
    apply.perform(SetOwner(P("/etc/mine"), 42436, 42436, (0, 0)), host)

    seen = host.run(["stat", "-c", "%u %a", "/home/.ssh", str(keys), "/etc/mine"]).stdout
    assert seen.split("\n")[:3] == ["42436 700", "42436 600", "42436 755"]
    assert host.run(["cat", str(keys)]).stdout == "ssh-ed25519 AAAA x\n"
    with pytest.raises(OSError) as stale:
        apply.perform(SetMode(P("/etc/mine"), 0o755, 0o777), host)
    assert stale.value.errno == errno.ESTALE


def test_a_key_pair_is_made_there(inside: tuple[Host, int]) -> None:
    host, _ = inside
    host.run(["sh", "-c", "chown 42436:42436 /home"])
    apply.perform(MakeDirectory(P("/home/.ssh"), 0o700, 42436, 42436), host)

    pair = MakeKeyPair(P("/home/.ssh/id_ed25519"), "nova", 42436, 42436, "nova@compute1", None)
    made = apply.perform(pair, host)

    assert made.startswith("SHA256:")
    assert host.names(P("/home/.ssh")) == ("id_ed25519", "id_ed25519.pub")
