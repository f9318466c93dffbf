"""Nothing that somebody else wrote can drive a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.formats.escape import visible, visible_bytes


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("compute2", "compute2"),
        ("größer ok", "größer ok"),
        ("a\x1b[31mred", r"a\x1b[31mred"),
        ("two\nlines\r\n", r"two\nlines\r\n"),
        ("nul\0", r"nul\x00"),
        ("c1 \x9b2J", r"c1 \x9b2J"),
        ("bidi \u202egnp.exe", r"bidi \u202egnp.exe"),
        ("isolate \u2066x", r"isolate \u2066x"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("blank\u3164letter", r"blank\u3164letter"),
        ("tag \U000e0041", r"tag \U000e0041"),
        ("no\u00a0break", r"no\xa0break"),
        ("lone \ud800", r"lone \ud800"),
        ("byte \udcff", r"byte \xff"),
    ],
)
def test_what_does_not_print_is_spelled_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_bytes_that_are_not_utf8_show_their_value() -> None:
    assert visible_bytes(b"Welc\xff\x00 \xc3\xa9") == r"Welc\xff\x00 é"


def test_long_text_is_cut_with_an_ellipsis() -> None:
    assert visible("abcdef", 6) == "abcdef"
    assert visible("abcdefg", 6) == "abcde…"


def test_a_cut_never_splits_an_escape() -> None:
    assert visible("ab\x1bcd", 5) == "ab…"


@settings(deadline=None)
@given(st.text(), st.integers(min_value=1, max_value=40))
def test_the_result_prints_and_keeps_to_its_limit(text: str, limit: int) -> None:
    shown = visible(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit


@settings(deadline=None)
@given(st.binary(), st.integers(min_value=1, max_value=40))
def test_bytes_are_shown_as_their_text_would_be(data: bytes, limit: int) -> None:
    assert visible_bytes(data, limit) == visible(data.decode("utf-8", "surrogateescape"), limit)
