"""Blocks that could tell one peer from another make ssh be asked about each; others do not."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.formats.ssh_blocks import selective

SYSTEMD = b"""# of systemd 257
Host .host machine/.host
        ProxyCommand /usr/lib/systemd/systemd-ssh-proxy unix/run/ssh-unix-local/socket %p
Host unix/* vsock/* machine/*
        UserKnownHostsFile /dev/null
"""
FOR_ALL_OR_NONE = [
    b"",
    b"# Host compute7\nPort 2222\n",
    b"Host *\n  Port 2222\n",
    b"match all\n",
    b"Include /etc/ssh/ssh_config.d/*.conf\n",
    SYSTEMD,
]
FOR_SOME = [
    b"Host compute7\n",
    b"host=10.*\n",
    b"Host unix/* compute7\n",
    b"Host * !compute7\n",
    b"Host !unix/*\n",
    b'Host "compute7"\n',
    b"Host fd00:*\n",
    b"Match localuser nova\n",
    b"Match host unix/*\n",
    b"Include ~/.ssh/more\n",
]


@pytest.mark.parametrize("text", FOR_ALL_OR_NONE)
def test_nobody_is_told_apart(text: bytes) -> None:
    assert not selective(text)


@pytest.mark.parametrize("text", FOR_SOME)
def test_some_are_told_apart(text: bytes) -> None:
    assert selective(text)


@given(
    st.text("ab01.*?/,:!-", min_size=1, max_size=6),
    st.from_regex(r"[a-z0-9_][a-z0-9._:-]{0,5}", fullmatch=True),
)
def test_a_pattern_that_a_peer_can_match_tells_apart(pattern: str, name: str) -> None:
    if pattern != "*" and fnmatch.fnmatchcase(name, pattern):
        assert selective(f"Host {pattern}\n".encode())
