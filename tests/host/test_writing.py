"""Whole replacement, modes, owners and directories: done wholly as seen, or not at all."""

from __future__ import annotations

import errno
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Optional

import pytest

from agent.host import impersonate, writing
from agent.host.descend import Refused
from agent.host.writing import Stale
from tests.host.ground import (
    NOVA_ID,
    OTHER_ID,
    a_home,
    a_user,
    contents,
    just_before,
    needs_root,
)

P = PurePosixPath


def replace(place: Path, content: bytes, replaces: Optional[bytes], **changes: Any) -> None:
    told = {"mode": 0o644, "owner": (os.geteuid(), os.getegid()), **changes}
    path = told.pop("path", P("/f"))
    writing.replace_file(str(place), path, content, replaces=replaces, **told)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def owner_of(path: Path) -> tuple[int, int]:
    return path.lstat().st_uid, path.lstat().st_gid


@contextmanager
def limited(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Interrupted(BaseException):
    pass


def interrupt() -> None:
    raise Interrupted


def test_a_new_file_has_its_whole_text_and_mode(place: Path) -> None:
    replace(place, b"a\xff", None, mode=0o600)
    assert (place / "f").read_bytes() == b"a\xff"
    assert mode_of(place / "f") == 0o600
    assert contents(place) == ["f"]


@needs_root
def test_a_new_file_belongs_to_whom_it_should(place: Path) -> None:
    replace(place, b"", None, owner=(NOVA_ID, OTHER_ID))
    assert owner_of(place / "f") == (NOVA_ID, OTHER_ID)


@needs_root
def test_an_existing_file_keeps_owner_mode_and_attributes(place: Path) -> None:
    (place / "f").write_bytes(b"old")
    os.chown(place / "f", NOVA_ID, OTHER_ID)
    (place / "f").chmod(0o2751)
    os.setxattr(place / "f", "user.note", b"kept")

    replace(place, b"new", b"old", mode=0o600, owner=(0, 0))

    assert (place / "f").read_bytes() == b"new"
    assert (owner_of(place / "f"), mode_of(place / "f")) == ((NOVA_ID, OTHER_ID), 0o2751)
    assert os.getxattr(place / "f", "user.note") == b"kept"


def test_a_reader_keeps_the_old_text_whole(place: Path) -> None:
    (place / "f").write_bytes(b"old")
    with open(place / "f", "rb") as reader:
        replace(place, b"new", b"old")
        assert reader.read() == b"old"


@pytest.mark.parametrize("now", [b"", b"old ", b"other", b"new"])
def test_a_text_that_is_not_the_one_observed_is_stale(place: Path, now: bytes) -> None:
    (place / "f").write_bytes(now)
    with pytest.raises(Stale) as caught:
        replace(place, b"new", b"old")
    assert caught.value.errno == errno.ESTALE
    assert ((place / "f").read_bytes(), contents(place)) == (now, ["f"])


def test_a_file_that_came_or_went_is_stale(place: Path) -> None:
    with pytest.raises(Stale):
        replace(place, b"new", b"old")
    assert contents(place) == []
    (place / "f").write_bytes(b"")
    with pytest.raises(Stale):
        replace(place, b"new", None)
    assert (place / "f").read_bytes() == b""


def test_a_change_in_the_last_moment_is_stale(place: Path) -> None:
    (place / "f").write_bytes(b"old")
    with just_before(os.fsync, lambda: (place / "f").write_bytes(b"theirs")), pytest.raises(Stale):
        replace(place, b"new", b"old")
    assert ((place / "f").read_bytes(), contents(place)) == (b"theirs", ["f"])


def test_a_link_is_refused_and_its_target_untouched(place: Path) -> None:
    (place / "target").write_bytes(b"old")
    (place / "f").symlink_to("target")
    with pytest.raises(Refused, match="symbolic link"):
        replace(place, b"new", b"old")
    assert (place / "target").read_bytes() == b"old"
    assert contents(place) == ["f", "target"]


def test_a_hard_link_is_refused_and_its_target_untouched(place: Path) -> None:
    (place / "target").write_bytes(b"old")
    os.link(place / "target", place / "f")
    with pytest.raises(Refused, match="hard links"):
        replace(place, b"new", b"old")
    assert (place / "target").read_bytes() == b"old"


def test_a_fifo_is_refused(place: Path) -> None:
    os.mkfifo(place / "f")
    with pytest.raises(Refused):
        replace(place, b"new", b"")


@needs_root
def test_a_link_on_the_way_through_the_users_directory_is_refused(place: Path) -> None:
    home = a_home(place)
    (place / "etc").mkdir()
    (home / "d").symlink_to("../etc")
    with pytest.raises(Refused):
        replace(place, b"new", None, path=P("/home/d/f"))
    assert contents(place / "etc") == []


def test_too_large_a_file_leaves_the_old_one_and_no_litter(place: Path) -> None:
    (place / "f").write_bytes(b"old")
    with limited(1000), pytest.raises(OSError, match="File too large"):
        replace(place, b"x" * 5000, b"old")
    assert ((place / "f").read_bytes(), contents(place)) == (b"old", ["f"])


def test_an_interruption_leaves_the_old_one_and_no_litter(place: Path) -> None:
    (place / "f").write_bytes(b"old")
    with pytest.raises(Interrupted), just_before(os.rename, interrupt):
        replace(place, b"new", b"old")
    assert ((place / "f").read_bytes(), contents(place)) == (b"old", ["f"])


@needs_root
def test_a_closed_directory_leaves_the_old_one(place: Path) -> None:
    (place / "f").write_bytes(b"old")
    owner = (NOVA_ID, NOVA_ID)
    with pytest.raises(OSError, match="Permission denied") as caught:
        impersonate.call(a_user(), 30, lambda: replace(place, b"new", b"old", owner=owner))
    assert caught.value.errno == errno.EACCES
    assert ((place / "f").read_bytes(), contents(place)) == (b"old", ["f"])


SMALL_DISK = """
import os, sys
from pathlib import Path, PurePosixPath
from agent.host import writing
place = Path(sys.argv[1])
old = b"ssh-ed25519 AAAA foreign\\n"
(place / "f").write_bytes(old)
with open(place / "filler", "wb", buffering=0) as filler:
    try:
        while True:
            filler.write(b"x" * 4096)
    except OSError:
        pass
lines = [b"ssh-ed25519 AAAA%04d ours" % n for n in range(1000)]
me = (os.geteuid(), os.getegid())
def tried(function):
    try:
        function()
    except OSError as error:
        print(error.strerror)
tried(lambda: writing.replace_file(
    str(place), PurePosixPath("/f"), b"y" * 9000, mode=0o644, owner=me, replaces=old))
tried(lambda: writing.have_lines(
    str(place), PurePosixPath("/f"), lines, [], mode=0o600, owner=me, existed=True))
tried(lambda: writing.have_lines(
    str(place), PurePosixPath("/new"), lines, [], mode=0o600, owner=me, existed=False))
print((place / "f").read_bytes() == old, sorted(os.listdir(place)))
"""


@needs_root
def test_on_a_full_disk_every_edit_is_whole_or_does_not_happen(place: Path) -> None:
    script = 'mount -t tmpfs -o size=256k none "$1" && exec "$2" -c "$3" "$1"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", place, sys.executable, SMALL_DISK],
        capture_output=True,
        text=True,
    )
    if "unshare failed" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    full = os.strerror(errno.ENOSPC)
    expected = [full, full, full, "True ['f', 'filler']"]
    assert done.stdout.splitlines() == expected, done.stderr


def test_a_mode_is_narrowed(place: Path) -> None:
    (place / "f").touch()
    (place / "f").chmod(0o664)
    writing.set_mode(str(place), P("/f"), 0o600, 0o664)
    assert mode_of(place / "f") == 0o600


@pytest.mark.parametrize(
    ("mode", "was"), [(0o644, 0o600), (0o700, 0o600), (0o4755, 0o755), (0o060, 0o600)]
)
def test_a_mode_is_never_widened(place: Path, mode: int, was: int) -> None:
    (place / "f").touch()
    (place / "f").chmod(was)
    with pytest.raises(Refused, match="would widen"):
        writing.set_mode(str(place), P("/f"), mode, was)
    assert mode_of(place / "f") == was


def test_a_mode_that_changed_meanwhile_is_stale(place: Path) -> None:
    (place / "f").touch()
    (place / "f").chmod(0o640)
    with pytest.raises(Stale):
        writing.set_mode(str(place), P("/f"), 0o600, 0o664)
    assert mode_of(place / "f") == 0o640


def test_the_mode_of_what_a_link_names_is_never_set(place: Path) -> None:
    (place / "target").touch()
    (place / "target").chmod(0o664)
    (place / "f").symlink_to("target")
    with pytest.raises(Refused):
        writing.set_mode(str(place), P("/f"), 0o600, 0o664)
    assert mode_of(place / "target") == 0o664


@needs_root
def test_a_directory_changes_hands_and_what_is_in_it_does_not(place: Path) -> None:
    (place / "d").mkdir()
    (place / "d/f").touch()
    writing.set_owner(str(place), P("/d"), NOVA_ID, NOVA_ID, (0, 0))
    assert owner_of(place / "d") == (NOVA_ID, NOVA_ID)
    assert owner_of(place / "d/f") == (0, 0)


@needs_root
@pytest.mark.parametrize("now", [(OTHER_ID, 0), (0, OTHER_ID)])
def test_an_owner_that_changed_meanwhile_is_stale(place: Path, now: tuple[int, int]) -> None:
    (place / "d").mkdir()
    os.chown(place / "d", *now)
    with pytest.raises(Stale):
        writing.set_owner(str(place), P("/d"), NOVA_ID, NOVA_ID, (0, 0))
    assert owner_of(place / "d") == now


@needs_root
def test_what_a_link_names_never_changes_hands(place: Path) -> None:
    home = a_home(place)
    (place / "target").mkdir()
    (home / "d").symlink_to("../target")
    with pytest.raises(Refused):
        writing.set_owner(str(place), P("/home/d"), NOVA_ID, NOVA_ID, (0, 0))
    assert owner_of(place / "target") == (0, 0)


@needs_root
def test_a_hard_link_to_a_file_of_root_never_changes_hands(place: Path) -> None:
    home = a_home(place)
    (place / "shadow").touch()
    os.link(place / "shadow", home / "f")
    with pytest.raises(Refused):
        writing.set_owner(str(place), P("/home/f"), NOVA_ID, NOVA_ID, (0, 0))
    assert owner_of(place / "shadow") == (0, 0)


@needs_root
def test_a_directory_is_made_with_owner_and_mode(place: Path) -> None:
    before = os.umask(0o077)
    try:
        writing.make_directory(str(place), P("/d"), 0o755, NOVA_ID, OTHER_ID)
    finally:
        os.umask(before)
    assert (mode_of(place / "d"), owner_of(place / "d")) == (0o755, (NOVA_ID, OTHER_ID))


@pytest.mark.parametrize("kind", ["directory", "file", "link"])
def test_a_directory_that_came_meanwhile_is_stale(place: Path, kind: str) -> None:
    made = place / "d"
    made.mkdir(0o700) if kind == "directory" else None
    made.touch(0o600) if kind == "file" else None
    made.symlink_to("none") if kind == "link" else None
    before = made.lstat()
    with pytest.raises(Stale):
        writing.make_directory(str(place), P("/d"), 0o755, os.geteuid(), os.getegid())
    assert made.lstat() == before
    assert contents(place) == ["d"]
