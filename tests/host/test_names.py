"""Hosts and users that only a name service knows: asked aside, and not waited for without end."""

from __future__ import annotations

import os
import pwd

import pytest

from agent.host import Host, names
from agent.model import Absent, Unreadable


@pytest.mark.parametrize("literal", ["10.100.0.31", "fd00::1", "::1"])
def test_an_address_is_itself_and_nobody_is_asked(literal: str) -> None:
    assert names.addresses(literal, 0.0, lambda: True) == (literal,)


def test_a_zone_is_left_out() -> None:
    assert names.addresses("fe80::1%lo", 0.0, lambda: True) == ("fe80::1",)


def test_a_name_is_what_it_resolves_to() -> None:
    assert set(Host().resolve("localhost")) <= {"127.0.0.1", "::1"}
    assert Host().resolve("localhost")


@pytest.mark.parametrize("name", ["", "a" * 300, "no such name", "\udcff"])
def test_a_name_that_is_none_does_not_resolve(name: str) -> None:
    assert Host().resolve(name) == ()


def test_nobody_is_waited_for_when_the_run_is_over() -> None:
    found = names.addresses("compute1.example.org", 0.0, bool)
    assert isinstance(found, Unreadable)
    assert found.reason == "compute1.example.org was not resolved: asking took too long"
    user = names.user(["root"], 0.0, bool)
    assert isinstance(user, Unreadable)


def test_a_user_is_what_the_system_says() -> None:
    mine = pwd.getpwuid(os.getuid())
    found = Host().user_elsewhere(mine.pw_name)
    assert isinstance(found, dict)
    assert (found["uid"], found["gid"], found["home"]) == (mine.pw_uid, mine.pw_gid, mine.pw_dir)
    assert mine.pw_gid in [gid for gid, _ in found["groups"]]


def test_of_several_users_the_first_that_there_is_counts() -> None:
    mine = pwd.getpwuid(os.getuid())
    found = Host().user_elsewhere("nobody-of-that-name", mine.pw_name, "root")
    assert isinstance(found, dict) and found["name"] == mine.pw_name


def test_a_user_nobody_knows_is_none() -> None:
    assert isinstance(Host().user_elsewhere("nobody-of-that-name"), Absent)
