"""The way to what we change: links of root are followed inside the root, planted ones never."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from agent.host import Host
from agent.host.descend import Refused, opened, parent_of
from tests.host.ground import NOVA_ID, OTHER_ID, a_home, needs_root

P = PurePosixPath


def reached(root: Path, path: str) -> tuple[str, str]:
    with parent_of(str(root), P(path)) as (directory, name):
        return os.readlink(f"/proc/self/fd/{directory}"), name


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_a_plain_way(place: Path) -> None:
    (place / "a/b").mkdir(parents=True)
    assert reached(place, "/a/b/c") == (str(place / "a/b"), "c")
    assert reached(place, "/c") == (str(place), "c")


@needs_root
@pytest.mark.parametrize("target", ["/data", "../data", "../../../data", "/../data"])
def test_roots_own_link_is_followed_inside_the_root(place: Path, target: str) -> None:
    (place / "var").mkdir()
    (place / "data/x").mkdir(parents=True)
    (place / "var/lib").symlink_to(target)
    assert reached(place, "/var/lib/x/y") == (str(place / "data/x"), "y")


def test_dots_stop_at_the_root(place: Path) -> None:
    (place / "a").mkdir()
    assert reached(place, "/../../a/../a/f") == (str(place / "a"), "f")


@needs_root
def test_a_link_that_the_user_planted_is_refused(place: Path) -> None:
    home = a_home(place)
    (home / ".ssh").symlink_to("/etc")
    with pytest.raises(Refused, match=r"symbolic link, \.ssh -> /etc"):
        reached(place, "/home/.ssh/authorized_keys")


@needs_root
@pytest.mark.parametrize("mode", [0o775, 0o777, 0o1777])
def test_a_link_in_a_directory_that_others_may_write_in_is_refused(place: Path, mode: int) -> None:
    (place / "tmp").mkdir()
    (place / "tmp").chmod(mode)
    (place / "tmp/x").symlink_to("/")
    with pytest.raises(Refused):
        reached(place, "/tmp/x/f")


@needs_root
def test_roots_link_into_the_users_directory_does_not_make_the_next_link_roots(
    place: Path,
) -> None:
    home = a_home(place)
    (home / "next").symlink_to("/")
    (place / "way").symlink_to("home")
    with pytest.raises(Refused):
        reached(place, "/way/next/etc")


def test_a_loop_is_refused(place: Path) -> None:
    (place / "a").symlink_to("b")
    (place / "b").symlink_to("a")
    with pytest.raises(Refused):
        reached(place, "/a/x")


def test_a_missing_directory_is_an_error_and_nothing_stays_open(place: Path) -> None:
    before = open_descriptors()
    with pytest.raises(FileNotFoundError):
        reached(place, "/none/none/x")
    assert open_descriptors() == before


def test_a_file_on_the_way_is_an_error(place: Path) -> None:
    (place / "f").touch()
    with pytest.raises(NotADirectoryError):
        reached(place, "/f/x")


def refusal(place: Path, name: str, owners: tuple[int, ...], flags: int = os.O_RDWR) -> str:
    before = open_descriptors()
    directory = os.open(place, os.O_RDONLY)
    try:
        with pytest.raises(Refused) as caught:
            opened(directory, name, P("/") / name, flags, owners)
    finally:
        os.close(directory)
    assert open_descriptors() == before
    return str(caught.value.strerror)


def test_a_link_is_not_opened(place: Path) -> None:
    (place / "x").symlink_to("/etc/passwd")
    assert refusal(place, "x", (0,)) == "/x is a symbolic link"


def test_a_hard_link_is_not_opened(place: Path) -> None:
    (place / "x").touch()
    os.link(place / "x", place / "y")
    assert refusal(place, "x", (os.geteuid(),)) == "/x has 2 hard links"


def test_a_fifo_is_not_opened_and_does_not_hang(place: Path) -> None:
    os.mkfifo(place / "x")
    said = refusal(place, "x", (os.geteuid(),), os.O_RDONLY)
    assert said == "/x is neither a file nor a directory"


@needs_root
def test_a_file_of_somebody_else_is_not_opened(place: Path) -> None:
    (place / "x").touch()
    os.chown(place / "x", OTHER_ID, OTHER_ID)
    assert refusal(place, "x", (0, NOVA_ID)) == f"/x belongs to uid {OTHER_ID}"


@needs_root
def test_whose_a_place_is_is_asked_without_following_a_link(place: Path) -> None:
    home = a_home(place)
    (home / "link").symlink_to("/etc/passwd")
    host = Host(str(place))
    os.chown(home / "link", OTHER_ID, OTHER_ID, follow_symlinks=False)
    assert host.owner_of_parent(P("/home/link")) == NOVA_ID
    assert host.owner_of(P("/home/link")) == OTHER_ID
    assert host.owner_of(P("/home/none")) is None
