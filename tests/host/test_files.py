"""Looking is harmless: no link leads out of the root, nothing hangs, nothing huge is read."""

from __future__ import annotations

import os
import socket
from pathlib import Path, PurePosixPath

import pytest

from agent.host import Host, files
from agent.model import Absent, File, Kind, Unreadable
from tests.host.ground import a_user, needs_root

P = PurePosixPath


def look(place: Path, path: str, *, limit: int = files.MAX_CONTENT) -> files.Seen:
    return files.look(str(place / "root"), P(path), content=True, limit=limit)


def content(seen: files.Seen) -> object:
    return seen.content if isinstance(seen, File) else seen


@pytest.fixture
def root(place: Path) -> Path:
    """A tree beside which lies what must never be seen."""
    (place / "secret").write_text("outside")
    (place / "root" / "etc").mkdir(parents=True)
    (place / "root" / "secret").write_text("inside")
    return place / "root"


def test_a_file_says_what_it_is(place: Path, root: Path) -> None:
    (root / "etc/passwd").write_bytes(b"root\xff")
    (root / "etc/passwd").chmod(0o640)
    os.link(root / "etc/passwd", root / "etc/passwd-")

    seen = look(place, "/etc/passwd")

    assert seen == File(Kind.FILE, 0o640, os.geteuid(), os.getegid(), 5, 2, b"root\xff")


def test_what_is_not_there_is_absent(place: Path, root: Path) -> None:
    assert look(place, "/etc/none") == Absent()
    assert look(place, "/none/none") == Absent()
    assert look(place, "/secret/below-a-file") == Absent()


@pytest.mark.parametrize(
    "target", ["/secret", "../secret", "../../secret", "../../../../secret", "/../../secret"]
)
def test_a_link_stays_inside_the_root(place: Path, root: Path, target: str) -> None:
    (root / "etc/link").symlink_to(target)
    assert content(look(place, "/etc/link")) == b"inside"


def test_a_linked_directory_on_the_way_stays_inside_the_root(place: Path, root: Path) -> None:
    (root / "lib").symlink_to("/../etc")
    (root / "etc/f").write_text("f")
    assert content(look(place, "/lib/f")) == b"f"
    assert content(look(place, "/lib/../secret")) == b"inside"


def test_dots_in_the_path_asked_for_stop_at_the_root(place: Path, root: Path) -> None:
    assert content(look(place, "/../../secret")) == b"inside"


def test_a_loop_of_links_is_not_absent(place: Path, root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("/a")
    assert isinstance(look(place, "/a"), Unreadable)
    assert isinstance(look(place, "/a/x"), Unreadable)


def test_a_loop_on_the_running_system_is_not_absent(place: Path) -> None:
    (place / "a").symlink_to("a")
    assert isinstance(files.look("/", P(place / "a"), content=True), Unreadable)


def test_a_dangling_link_is_absent_and_tells_where_it_leads(place: Path, root: Path) -> None:
    (root / "a").symlink_to("/none")
    assert look(place, "/a") == Absent("/none")


def test_on_the_running_system_a_file_knows_where_it_really_lies(place: Path) -> None:
    (place / "real").write_text("")
    (place / "link").symlink_to("real")
    seen = files.look("/", P(place / "link"), content=False)
    assert isinstance(seen, File) and seen.real == P(place / "real")


def test_a_fifo_does_not_hang(place: Path, root: Path) -> None:
    os.mkfifo(root / "fifo")
    seen = look(place, "/fifo")
    assert isinstance(seen, File) and (seen.kind, seen.content) == (Kind.PIPE, None)


def test_a_socket_is_not_read(place: Path, root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "s"))
        seen = look(place, "/s")
    assert isinstance(seen, File) and (seen.kind, seen.content) == (Kind.OTHER, None)


def test_an_endless_device_is_not_read() -> None:
    seen = files.look("/", P("/dev/zero"), content=True)
    assert isinstance(seen, File) and seen.content is None


def test_a_huge_file_is_not_read(place: Path, root: Path) -> None:
    with open(root / "huge", "wb") as stream:
        stream.truncate(1 << 40)
    seen = look(place, "/huge")
    assert isinstance(seen, Unreadable) and "larger than" in seen.reason
    sized = files.look(str(root), P("/huge"), content=False)
    assert isinstance(sized, File) and sized.size == 1 << 40


def test_the_limit_itself_is_read(place: Path, root: Path) -> None:
    (root / "f").write_bytes(b"1234")
    assert content(look(place, "/f", limit=4)) == b"1234"
    assert isinstance(look(place, "/f", limit=3), Unreadable)


def test_a_directory_has_no_content(place: Path, root: Path) -> None:
    seen = look(place, "/etc")
    assert isinstance(seen, File) and (seen.kind, seen.content) == (Kind.DIRECTORY, None)


def test_names_are_sorted(root: Path) -> None:
    for name in ("b", "a", "B"):
        (root / "etc" / name).touch()
    assert Host(str(root)).names(P("/etc")) == ("B", "a", "b")
    assert Host(str(root)).names(P("/none")) == Absent()


@needs_root
def test_a_closed_directory_is_not_an_empty_one(root: Path) -> None:
    (root / "etc").chmod(0o700)
    host = Host(str(root))
    seen = host.files_as(a_user(), [P("/etc/none")], content=True)[P("/etc/none")]
    assert isinstance(seen, Unreadable) and "Permission denied" in seen.reason


def test_a_root_that_is_a_link_is_the_directory_it_names(place: Path, root: Path) -> None:
    (place / "image").symlink_to("root")
    host = Host(str(place / "image"))
    assert content(host.file(P("/secret"))) == b"inside"
    assert not host.live
