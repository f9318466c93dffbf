"""Lines in a file that ssh, tools and people write too: what is not ours survives, whatever happens."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.formats import lines
from agent.host import impersonate, writing
from agent.host.descend import Refused
from agent.host.writing import Stale
from tests.host.ground import (
    NOVA_ID,
    OTHER_ID,
    a_home,
    a_user,
    contents,
    ground,
    just_before,
    needs_root,
)

P = PurePosixPath
A, B = b"ssh-ed25519 AAAA1 resize-agent:a", b"ssh-ed25519 AAAA2 resize-agent:b"
ME = (os.geteuid(), os.getegid())


def have(
    place: Path,
    present: Sequence[bytes],
    absent: Sequence[bytes] = (),
    *,
    existed: bool = True,
    owner: tuple[int, int] = ME,
    path: str = "/f",
    mode: int = 0o600,
) -> None:
    writing.have_lines(
        str(place), P(path), present, absent, mode=mode, owner=owner, existed=existed
    )


def test_foreign_bytes_survive_and_ours_follow(place: Path) -> None:
    foreign = b"# note\r\n\xff\xfe\0\n\n   ssh-rsa AAAA x\n"
    (place / "f").write_bytes(foreign)
    have(place, [A, B])
    assert (place / "f").read_bytes() == foreign + A + b"\n" + B + b"\n"


def test_a_second_time_changes_nothing(place: Path) -> None:
    (place / "f").write_bytes(b"x\n")
    have(place, [A], [B])
    before = (place / "f").stat()
    have(place, [A], [B])
    assert (place / "f").stat().st_mtime_ns == before.st_mtime_ns


def test_a_last_line_without_its_end_is_ended(place: Path) -> None:
    (place / "f").write_bytes(b"ssh-rsa AAAA mine")
    have(place, [A])
    assert (place / "f").read_bytes() == b"ssh-rsa AAAA mine\n" + A + b"\n"


def test_our_line_is_withdrawn_by_one_byte(place: Path) -> None:
    (place / "f").write_bytes(b"x\n" + A + b"\ny\n")
    have(place, [], [A])
    assert (place / "f").read_bytes() == b"x\n#" + A[1:] + b"\ny\n"


def test_what_a_crash_left_of_our_line_is_disabled(place: Path) -> None:
    (place / "f").write_bytes(b"x\n" + A[:-4])
    have(place, [A])
    assert (place / "f").read_bytes() == b"x\n#" + A[1:-4] + b"\n" + A + b"\n"


def test_a_line_wanted_and_unwanted_stays(place: Path) -> None:
    (place / "f").write_bytes(A + b"\n")
    have(place, [A], [A])
    assert (place / "f").read_bytes() == A + b"\n"


foreign = st.binary(max_size=12).map(lambda line: line.replace(b"\n", b" "))
ours = st.sampled_from([A, B])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(foreign, ours)), st.booleans(), st.lists(ours), st.lists(ours))
def test_what_is_written_is_what_the_diff_shows(
    texts: list[bytes], ended: bool, present: list[bytes], absent: list[bytes]
) -> None:
    old = b"\n".join(texts) + (b"\n" if ended else b"")
    with ground() as place:
        (place / "f").write_bytes(old)
        have(place, present, absent)
        assert (place / "f").read_bytes() == lines.result(old, present, absent)


def test_the_file_itself_stays_with_its_mode(place: Path) -> None:
    (place / "f").write_bytes(b"")
    (place / "f").chmod(0o640)
    before = (place / "f").stat()
    have(place, [A], mode=0o600)
    after = (place / "f").stat()
    assert (after.st_ino, stat.S_IMODE(after.st_mode)) == (before.st_ino, 0o640)


@needs_root
def test_a_new_file_has_owner_mode_and_nothing_beside_it(place: Path) -> None:
    have(place, [A], [B], existed=False, owner=(NOVA_ID, OTHER_ID), mode=0o600)
    seen = (place / "f").stat()
    assert (seen.st_uid, seen.st_gid, stat.S_IMODE(seen.st_mode)) == (NOVA_ID, OTHER_ID, 0o600)
    assert ((place / "f").read_bytes(), contents(place)) == (A + b"\n", ["f"])


def test_a_file_that_came_meanwhile_is_stale_and_untouched(place: Path) -> None:
    (place / "f").write_bytes(b"theirs")
    with pytest.raises(Stale):
        have(place, [A], existed=False)
    assert ((place / "f").read_bytes(), contents(place)) == (b"theirs", ["f"])


def test_a_file_that_went_meanwhile_is_stale_and_not_made(place: Path) -> None:
    with pytest.raises(Stale):
        have(place, [A])
    assert contents(place) == []


def test_a_link_is_refused_and_its_target_untouched(place: Path) -> None:
    (place / "target").write_bytes(b"x\n")
    (place / "f").symlink_to("target")
    with pytest.raises(Refused):
        have(place, [A])
    assert (place / "target").read_bytes() == b"x\n"


def test_a_dangling_link_makes_no_file(place: Path) -> None:
    (place / "f").symlink_to("elsewhere")
    with pytest.raises(Refused, match="symbolic link"):
        have(place, [A], existed=False)
    assert contents(place) == ["f"]


def test_a_hard_link_is_refused(place: Path) -> None:
    (place / "target").write_bytes(b"x\n")
    os.link(place / "target", place / "f")
    with pytest.raises(Refused):
        have(place, [A])
    assert (place / "target").read_bytes() == b"x\n"


@needs_root
def test_a_file_of_somebody_else_is_refused(place: Path) -> None:
    (place / "f").write_bytes(b"x\n")
    os.chown(place / "f", OTHER_ID, OTHER_ID)
    with pytest.raises(Refused, match=f"belongs to uid {OTHER_ID}"):
        have(place, [A], owner=(NOVA_ID, NOVA_ID))
    assert (place / "f").read_bytes() == b"x\n"


@needs_root
def test_root_does_not_follow_the_users_link_to_another_directory(place: Path) -> None:
    home = a_home(place)
    (place / "etc").mkdir()
    (home / ".ssh").symlink_to("../etc")
    with pytest.raises(Refused):
        have(place, [A], existed=False, path="/home/.ssh/authorized_keys")
    assert contents(place / "etc") == []


@needs_root
def test_the_user_itself_can_do_it_in_its_own_directory(place: Path) -> None:
    home = a_home(place)
    owner = (NOVA_ID, NOVA_ID)
    path = "/home/keys"
    impersonate.call(a_user(), 30, lambda: have(place, [A], existed=False, owner=owner, path=path))
    impersonate.call(a_user(), 30, lambda: have(place, [B], [A], owner=owner, path=path))
    assert (home / "keys").read_bytes() == b"#" + A[1:] + b"\n" + B + b"\n"
    assert (home / "keys").stat().st_uid == NOVA_ID


def test_a_file_too_large_to_be_a_list_of_keys_is_refused(place: Path) -> None:
    with open(place / "f", "wb") as stream:
        stream.truncate(9 << 20)
    with pytest.raises(Refused, match="larger than"):
        have(place, [A])


def test_a_file_that_grows_while_it_is_read_is_refused(place: Path) -> None:
    """Its owner can make it as large as a file may be, after we have asked for its size."""
    (place / "f").write_bytes(B + b"\n")
    with (
        just_before(os.pread, lambda: os.truncate(place / "f", 9 << 20)),
        pytest.raises(Refused, match="larger than"),
    ):
        have(place, [A])


def replaced(place: Path, text: Optional[bytes]) -> None:
    """As an editor saves: another file under the same name."""
    (place / "new").write_bytes(text or b"")
    os.rename(place / "new", place / "f")


@pytest.mark.parametrize("moment", [os.pread, os.write, os.fsync], ids=lambda m: m.__name__)
def test_a_file_that_is_replaced_while_we_work_is_done_again(place: Path, moment: object) -> None:
    (place / "f").write_bytes(b"old\n" + B + b"\n")
    with just_before(moment, lambda: replaced(place, b"theirs\n" + B + b"\n")):
        have(place, [A], [B])
    assert (place / "f").read_bytes() == b"theirs\n#" + B[1:] + b"\n" + A + b"\n"


def test_a_file_that_is_removed_while_we_work_is_stale(place: Path) -> None:
    (place / "f").write_bytes(b"old\n")
    with just_before(os.fsync, (place / "f").unlink), pytest.raises(Stale):
        have(place, [A])


def test_a_line_that_moved_while_we_work_is_not_struck_at_its_old_place(place: Path) -> None:
    (place / "f").write_bytes(A + b"\n" + b"x\n")
    theirs = b"another line, much longer than ours\n" + A + b"\n"
    with just_before(os.write, lambda: (place / "f").write_bytes(theirs)):
        have(place, [B], [A])
    assert (place / "f").read_bytes().startswith(b"another line")


def test_what_others_append_while_we_work_is_never_lost(place: Path) -> None:
    """Two writers, as ssh appends to known_hosts, against two hundred edits of ours."""
    (place / "f").write_bytes(b"")
    done, turns = threading.Event(), threading.Semaphore(0)
    written: list[list[bytes]] = [[], []]

    def append(number: int) -> None:
        while turns.acquire() and not done.is_set():
            line = b"host%d-%d ssh-ed25519 AAAA" % (number, len(written[number]))
            descriptor = os.open(place / "f", os.O_WRONLY | os.O_APPEND)
            os.write(descriptor, line + b"\n")
            os.close(descriptor)
            written[number].append(line)

    writers = [threading.Thread(target=append, args=(number,)) for number in (0, 1)]
    for writer in writers:
        writer.start()
    try:
        for number in range(200):
            turns.release(20)
            have(place, [A, B][number % 2 :][:1], [A, B][1 - number % 2 :][:1])
    finally:
        done.set()
        turns.release(len(writers))
        for writer in writers:
            writer.join()

    found = (place / "f").read_bytes().split(b"\n")
    for number in (0, 1):
        mine = [line for line in found if line.startswith(b"host%d-" % number)]
        assert mine == written[number]
    assert B in found and A not in found
    struck = {b"#" + A[1:], b"#" + B[1:], B, b""}
    assert {line for line in found if not line.startswith(b"host")} <= struck
