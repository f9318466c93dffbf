"""What a killed run left is removed by the next one; what merely looks like it stays."""

from __future__ import annotations

import errno
import os
from pathlib import Path, PurePosixPath

import pytest

from agent.host import impersonate, key_pair, landing
from agent.host.descend import Refused
from tests.host.ground import NOVA_ID, a_home, a_user, contents, just_before, needs_root

P = PurePosixPath


def directory_of(place: Path) -> int:
    return os.open(place, os.O_RDONLY | os.O_DIRECTORY)


def test_a_new_file_replaces_nothing(place: Path) -> None:
    (place / "f").write_bytes(b"theirs")
    directory = directory_of(place)
    descriptor, temporary = landing.beside(directory, "f")
    with pytest.raises(FileExistsError):
        landing.where_nothing_is(directory, temporary, "f")
    os.close(descriptor)
    os.close(directory)
    assert (place / "f").read_bytes() == b"theirs"


def test_a_new_file_is_under_one_name_from_its_first_moment(place: Path) -> None:
    directory = directory_of(place)
    descriptor, temporary = landing.beside(directory, "f")
    landing.where_nothing_is(directory, temporary, "f")
    assert (os.fstat(descriptor).st_nlink, contents(place)) == (1, ["f"])
    os.close(descriptor)
    os.close(directory)


def test_a_leftover_with_our_own_process_id_is_no_obstacle(place: Path) -> None:
    (place / f".f.resize-agent.{os.getpid()}").write_bytes(b"half")
    directory = directory_of(place)
    descriptor, temporary = landing.beside(directory, "f")
    assert (place / temporary).read_bytes() == b""
    os.close(descriptor)
    os.close(directory)


LEFT = [".f.resize-agent.12", ".authorized_keys.resize-agent.99999", ".a.b.resize-agent.1"]
FOREIGN = [".f.resize-agent", "f.resize-agent.12", ".f.resize-agent.12x", ".resize-agent.x", ".f"]


def test_what_was_left_goes_and_the_rest_stays(place: Path) -> None:
    for name in LEFT + FOREIGN:
        (place / name).write_bytes(b"x")
    (place / ".resize-agent.7").mkdir()
    (place / ".resize-agent.7/key").write_bytes(b"x")
    (place / ".g.resize-agent.3").symlink_to("f")
    swept = landing.sweep(str(place), P("/"), [os.geteuid()])
    assert sorted(swept) == sorted([*LEFT, ".resize-agent.7"])
    assert contents(place) == sorted([*FOREIGN, ".g.resize-agent.3"])


def test_a_directory_that_is_not_there_is_an_error_and_no_crash(place: Path) -> None:
    with pytest.raises(OSError, match="No such file") as caught:
        landing.sweep(str(place), P("/none"), [0])
    assert caught.value.errno == errno.ENOENT


@needs_root
def test_root_removes_nothing_that_the_user_planted(place: Path) -> None:
    home = a_home(place)
    (home / ".f.resize-agent.12").write_bytes(b"x")
    os.chown(home / ".f.resize-agent.12", NOVA_ID, NOVA_ID)
    assert landing.sweep(str(place), P("/home"), [0]) == []
    assert contents(home) == [".f.resize-agent.12"]


def test_a_directory_that_was_about_to_get_its_name_goes_and_a_full_one_stays(place: Path) -> None:
    (place / ".instances.resize-agent.7").mkdir()
    assert landing.sweep(str(place), P("/"), [os.geteuid()]) == [".instances.resize-agent.7"]
    (place / ".instances.resize-agent.7/disk").mkdir(parents=True)
    assert landing.sweep(str(place), P("/"), [os.geteuid()]) == []
    assert contents(place) == [".instances.resize-agent.7"]


@needs_root
def test_root_removes_no_directory_that_the_user_may_have_renamed(place: Path) -> None:
    home = a_home(place)
    (home / ".resize-agent.7").mkdir()
    (home / ".resize-agent.7/roots").write_bytes(b"x")
    assert landing.sweep(str(place), P("/home"), [0, NOVA_ID]) == []
    assert contents(home / ".resize-agent.7") == ["roots"]


@needs_root
def test_the_user_removes_nothing_outside_of_its_directory(place: Path) -> None:
    home = a_home(place)
    (place / "secret").mkdir(mode=0o777)
    (place / "secret/key").write_bytes(b"x")
    (home / ".resize-agent.7").symlink_to("../secret")
    swept = impersonate.call(a_user(), 30, landing.sweep, str(place), P("/home"), [NOVA_ID])
    assert (swept, contents(place / "secret")) == ([], ["key"])


def a_pair(home: Path) -> str:
    made = key_pair.scratch(str(home), P("/"))
    (Path(made) / "key").write_bytes(b"private")
    (Path(made) / "key.pub").write_bytes(b"public")
    return made


def test_a_pair_lands_with_its_public_half_first(place: Path) -> None:
    made = a_pair(place)

    def nothing_private_yet() -> None:
        assert not (place / "id").exists()

    with just_before(os.link, nothing_private_yet):
        assert key_pair.land(made, "/elsewhere/id") == "public"
    key_pair.remove_scratch(made)
    assert contents(place) == ["id", "id.pub"]


def test_a_public_half_that_landed_alone_goes_with_its_scratch_directory(place: Path) -> None:
    made = a_pair(place)
    os.link(f"{made}/key.pub", place / "id.pub")
    (place / "other.pub").write_bytes(b"public")
    landing.sweep(str(place), P("/"), [os.geteuid()])
    assert contents(place) == ["other.pub"]


def test_a_public_half_goes_too_where_only_the_child_that_landed_it_was_killed(place: Path) -> None:
    made = a_pair(place)
    os.link(f"{made}/key.pub", place / "id.pub")
    (place / "other.pub").write_bytes(b"public")
    key_pair.remove_scratch(made)
    assert contents(place) == ["other.pub"]


@pytest.mark.parametrize("swept", [True, False])
def test_a_pair_that_landed_whole_stays(place: Path, swept: bool) -> None:
    made = a_pair(place)
    key_pair.land(made, "/id")
    if swept:
        landing.sweep(str(place), P("/"), [os.geteuid()])
    else:
        key_pair.remove_scratch(made)
    assert contents(place) == ["id", "id.pub"]
    assert (place / "id").stat().st_nlink == 1


def test_a_private_key_that_came_meanwhile_stays_and_no_public_half_beside_it(place: Path) -> None:
    made = a_pair(place)
    theirs = just_before(os.link, lambda: (place / "id").write_bytes(b"theirs"))
    with theirs, pytest.raises(Refused, match="never replaced"):
        key_pair.land(made, "/id")
    key_pair.remove_scratch(made)
    assert ((place / "id").read_bytes(), contents(place)) == (b"theirs", ["id"])


def test_public_halves_without_a_private_one_are_all_kept(place: Path) -> None:
    (place / "id.pub").write_bytes(b"second")
    (place / "id.pub.old").write_bytes(b"first")
    key_pair.land(made := a_pair(place), "/id")
    key_pair.remove_scratch(made)
    assert contents(place) == ["id", "id.pub", "id.pub.old", "id.pub.old1"]
    assert (place / "id.pub.old").read_bytes() == b"first"
    assert (place / "id.pub.old1").read_bytes() == b"second"
