from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.formats.sockets import listeners

HEAD = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n"


def test_only_those_who_listen_are_named() -> None:
    text = (
        HEAD + b"   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000\n"
        b"   1: 0100007F:08AE 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000\n"
    )
    assert list(listeners(text)) == [("0.0.0.0", 22)]


def test_ipv6_is_written_the_same_way() -> None:
    text = HEAD + b"   0: 00000000000000000000000000000000:08AE 0000:0000 0A 0 0\n"
    assert list(listeners(text)) == [("::", 2222)]


def test_the_words_of_an_address_are_in_the_machines_own_order() -> None:
    four = HEAD + b"   0: 1F0A640A:0016 00000000:0000 0A 0 0\n"
    six = HEAD + b"   0: 000000FD00000000000000001F000000:0016 0000:0000 0A 0 0\n"
    assert list(listeners(four)) == [("10.100.10.31", 22)]
    assert list(listeners(six)) == [("fd00::1f", 22)]


def test_the_heading_alone_means_nobody() -> None:
    assert list(listeners(HEAD)) == []
    assert list(listeners(b"")) == []


@given(st.binary())
def test_garbage_names_nobody_and_breaks_nothing(text: bytes) -> None:
    assert all(isinstance(port, int) for _, port in listeners(HEAD + text))
