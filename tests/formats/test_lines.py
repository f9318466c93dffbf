"""A shared file is edited without losing anything that is not ours."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.formats import lines

A = b"10.0.0.1 ssh-ed25519 AAAAC3Nza1 resize-agent"
B = b"10.0.0.2 ssh-ed25519 AAAAC3Nza2 resize-agent"

foreign_lines = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [b"# note", b"", b"\r", b"host ssh-rsa AAAA", b"\xff\xfe\0", A[:20], A + b"x", b"#" + A]
    ),
).map(lambda line: line.replace(b"\n", b" "))
our_lines = st.sampled_from([A, B, b"c", b"cc", b"c AAAA x"])


@st.composite
def files(draw: st.DrawFn) -> bytes:
    text = b"".join(
        line + draw(st.sampled_from([b"\n", b"\r\n"]))
        for line in draw(st.lists(st.one_of(foreign_lines, our_lines), max_size=8))
    )
    return text + draw(st.one_of(st.just(b""), foreign_lines, our_lines))


def test_a_line_is_added_at_the_end() -> None:
    assert lines.appended(b"x\n", [A, B]) == A + b"\n" + B + b"\n"


def test_an_unfinished_last_line_is_ended_first() -> None:
    assert lines.appended(b"x", [A]) == b"\n" + A + b"\n"


def test_an_empty_file_gets_no_blank_line() -> None:
    assert lines.appended(b"", [A]) == A + b"\n"


def test_nothing_is_written_when_nothing_is_missing() -> None:
    assert lines.appended(b"x\n" + A, [A, A]) == b""


def test_a_line_is_added_once() -> None:
    assert lines.missing(b"", [B, A, B]) == (B, A)


@pytest.mark.parametrize("text", [b"#" + A, b" " + A, A + b" x", A[:-1], b"y" + A])
def test_a_line_that_merely_contains_ours_does_not_count(text: bytes) -> None:
    assert lines.missing(text + b"\n", [A]) == (A,)


def test_a_file_turned_into_crlf_still_holds_our_line() -> None:
    assert lines.missing(A + b"\r\n", [A]) == ()
    assert lines.withdrawals(A + b"\r\n", [A]) == ((0, len(A) + 1),)


def test_every_copy_is_withdrawn_and_only_that() -> None:
    text = A + b"\n" + B + b"\n#" + A + b"\n" + A

    assert lines.result(text, [], [A]) == b"#" + A[1:] + b"\n" + B + b"\n#" + A + b"\n#" + A[1:]


def test_a_comment_and_a_blank_line_are_never_withdrawn() -> None:
    assert lines.withdrawals(b"\n# x\n\n", [b"", b"# x", b" "]) == ()


def test_a_line_wanted_and_unwanted_stays() -> None:
    assert lines.result(A + b"\n", [A], [A]) == A + b"\n"


def test_what_a_crash_left_of_our_line_is_disabled_and_written_again() -> None:
    torn = A[:28]

    assert lines.torn(b"x\n" + torn, [A]) == 2
    assert lines.result(b"x\n" + torn, [A], []) == b"x\n#" + torn[1:] + b"\n" + A + b"\n"


def test_a_torn_mark_is_disabled_because_nobody_could_withdraw_that_line_later() -> None:
    assert lines.torn(A[:-3], [A]) == 0


@pytest.mark.parametrize("end", [b"", b" "])
def test_somebodys_line_with_the_same_key_and_no_comment_is_not_torn(end: bytes) -> None:
    assert lines.torn(A.rpartition(b" ")[0] + end, [A]) is None


def test_a_finished_line_is_not_torn() -> None:
    assert lines.torn(A[:28] + b"\n", [A]) is None
    assert lines.torn(A, [A]) is None


@pytest.mark.parametrize("line", [b"", b"# note", b" \t", b"two\nlines"])
def test_only_a_line_that_can_be_found_again_may_be_added(line: bytes) -> None:
    with pytest.raises(ValueError, match="not a line to add"):
        lines.missing(b"", [line])


@settings(deadline=None, max_examples=100)
@given(files(), st.lists(our_lines), st.lists(st.one_of(our_lines, foreign_lines)))
def test_a_second_edit_changes_nothing(
    data: bytes, present: list[bytes], absent: list[bytes]
) -> None:
    once = lines.result(data, present, absent)

    assert lines.result(once, present, absent) == once
    assert lines.missing(once, present) == ()
    assert lines.appended(once, present) == b""


@settings(deadline=None, max_examples=100)
@given(files(), st.lists(our_lines), st.lists(our_lines))
def test_every_foreign_byte_survives_in_its_place(
    data: bytes, present: list[bytes], absent: list[bytes]
) -> None:
    text = lines.result(data, present, absent)
    touched = [offset for offset, _ in lines.withdrawals(data, absent)] + [
        lines.torn(data, present)
    ]
    expected = bytearray(data)
    for offset in touched:
        if offset is not None and text[offset : offset + 1] == b"#":
            expected[offset] = ord("#")

    assert text.startswith(bytes(expected))


@settings(deadline=None, max_examples=100)
@given(files(), st.lists(our_lines), st.lists(our_lines), st.data())
def test_a_crash_in_the_middle_of_the_write_is_healed_by_the_next_run(
    data: bytes, present: list[bytes], absent: list[bytes], cut: st.DataObject
) -> None:
    added = lines.appended(data, present)
    after_crash = data + added[: cut.draw(st.integers(0, len(added)))]
    healed = lines.result(after_crash, present, absent)

    assert lines.missing(healed, present) == ()
    assert healed[: len(data)].count(b"\n") == data.count(b"\n")


def test_lines_are_counted_as_ssh_counts_them() -> None:
    assert list(lines.numbered(b"a\n\nb\0\nc")) == [(1, b"a"), (2, b""), (3, b"b\0"), (4, b"c")]
    assert list(lines.numbered(b"")) == []


def test_a_large_file_is_edited_in_one_pass() -> None:
    data = b"".join(b"host%d ssh-ed25519 AAAA\n" % n for n in range(20_000))
    present = [b"new%d ssh-ed25519 AAAA" % n for n in range(5_000)]

    assert len(lines.missing(data, present)) == 5_000
    assert len(lines.withdrawals(data, data.split(b"\n")[:5_000])) == 5_000
