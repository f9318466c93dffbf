"""What an edit keeps: ACL, extended attributes, label, and whoever's backup."""

from __future__ import annotations

import os
import resource
import stat
import struct
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from agent.host import writing
from tests.host.ground import NOVA_ID, OTHER_ID, contents, just_before, needs_root

P = PurePosixPath
LINE = b"ssh-ed25519 AAAA1 resize-agent:a"
Edit = Callable[[Path], None]


def replaced(place: Path) -> None:
    writing.replace_file(
        str(place), P("/f"), b"new", mode=0o600, owner=(NOVA_ID, NOVA_ID), replaces=b"old\n"
    )


def lines_added(place: Path) -> None:
    owner = (os.geteuid(), os.getegid())
    writing.have_lines(str(place), P("/f"), [LINE], [], mode=0o600, owner=owner, existed=True)


EDITS = pytest.mark.parametrize("edit", [replaced, lines_added])


# acl(5) as the kernel keeps it: version 2, then tag, permissions and id of each entry.
OWNER, USER, GROUP_OF, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


def acl(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NOBODY = 0xFFFFFFFF
SOMEBODY_MAY = acl(
    (OWNER, 6, NOBODY),
    (USER, 6, OTHER_ID),
    (GROUP_OF, 4, NOBODY),
    (GROUP, 4, NOVA_ID),
    (MASK, 6, NOBODY),
    (OTHER, 0, NOBODY),
)


def set_attribute(path: Path, name: str, value: bytes) -> None:
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        pytest.skip(f"{name} cannot be set on this file system: {error.strerror}")


@pytest.fixture
def file(place: Path) -> Path:
    (place / "f").write_bytes(b"old\n")
    (place / "f").chmod(0o640)
    return place / "f"


@EDITS
def test_an_acl_is_kept(place: Path, file: Path, edit: Edit) -> None:
    set_attribute(file, ACCESS, SOMEBODY_MAY)
    edit(place)
    assert os.getxattr(file, ACCESS) == SOMEBODY_MAY


@EDITS
def test_a_directorys_default_acl_does_not_open_a_file_that_had_none(
    place: Path, file: Path, edit: Edit
) -> None:
    set_attribute(place, DEFAULT, SOMEBODY_MAY)
    edit(place)
    assert ACCESS not in os.listxattr(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@EDITS
@pytest.mark.parametrize("name", ["user.note", "security.selinux", "trusted.note"])
def test_extended_attributes_are_kept(place: Path, file: Path, edit: Edit, name: str) -> None:
    value = b"system_u:object_r:ssh_home_t:s0"
    set_attribute(file, name, value)
    edit(place)
    assert os.getxattr(file, name) == value


@needs_root
def test_lines_are_kept_with_owner_and_mode_though_others_are_asked_for(
    place: Path, file: Path
) -> None:
    os.chown(file, OTHER_ID, NOVA_ID)
    file.chmod(0o604)
    writing.have_lines(
        str(place), P("/f"), [LINE], [], mode=0o600, owner=(OTHER_ID, 0), existed=True
    )
    found = file.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (OTHER_ID, NOVA_ID, 0o604)


@needs_root
def test_a_file_of_roots_is_made_readable_and_keeps_the_rest_of_its_mode(
    place: Path, file: Path
) -> None:
    file.chmod(0o460)
    writing.replace_file(str(place), P("/f"), b"new", mode=0o644, owner=(0, 0), replaces=b"old\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o664


def short(place: Path, size: int) -> None:
    """An append with which the file may not grow beyond `size`, as it turns out when room had been promised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = just_before(os.write, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard)))
    me = (os.geteuid(), os.getegid())
    both = [LINE, LINE + b"b"]
    try:
        with limit, pytest.raises(OSError, match="only a part"):
            writing.have_lines(str(place), P("/f"), both, [], mode=0o600, owner=me, existed=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("keep", range(1, 2 * len(LINE) + 2))
def test_a_line_that_was_cut_short_is_struck_out_and_ended(
    place: Path, file: Path, keep: int
) -> None:
    """ssh before 9.3 does not end somebody else's last line: its own would be joined to ours and be lost."""
    short(place, len(b"old\n") + keep)
    with open(file, "ab") as stream:
        stream.write(b"ssh's own line\n")
    found = file.read_bytes().split(b"\n")
    assert (found[0], found[-2]) == (b"old", b"ssh's own line")
    whole = (LINE, LINE + b"b")
    assert all(line in whole or not line or line.startswith(b"#") for line in found[1:-2])


@pytest.mark.parametrize("caller_umask", [0o000, 0o027, 0o077])
def test_the_mode_of_a_new_directory_is_not_the_callers_to_narrow(
    place: Path, caller_umask: int
) -> None:
    before = os.umask(caller_umask)
    try:
        writing.make_directory(str(place), P("/d"), 0o755, os.geteuid(), os.getegid())
    finally:
        left = os.umask(before)
    assert (stat.S_IMODE((place / "d").stat().st_mode), left) == (0o755, caller_umask)
    assert contents(place) == ["d"]


def test_a_file_that_still_holds_the_old_text_is_told_from_one_that_does_not(
    place: Path, file: Path
) -> None:
    assert writing.holds(str(place), P("/f"), b"old\n")
    assert not writing.holds(str(place), P("/f"), b"older\n")
    file.unlink()
    assert not writing.holds(str(place), P("/f"), b"old\n")
