"""Accounts as the C library would see them."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.formats.passwd import account, accounts, members, password
from agent.model import Absent, Account, Password

PASSWD = b"""root:x:0:0:root:/root:/bin/bash
nova:x:64060:64060:Nova,,,:/var/lib/nova:/bin/sh
libvirt-qemu:x:64055:108:Libvirt Qemu,,,:/var/lib/libvirt:/usr/sbin/nologin
backup:x:34:64060::/var/backups:/bin/false
"""
GROUP = b"""root:x:0:
nova:x:64060:
libvirt:x:116:alice,nova
kvm:x:108:nova
disk:x:6:
"""


def test_an_account_has_every_group_of_a_login_its_primary_one_first() -> None:
    assert account(PASSWD, GROUP, "nova") == Account(
        name="nova",
        uid=64060,
        gid=64060,
        home=PurePosixPath("/var/lib/nova"),
        shell=PurePosixPath("/bin/sh"),
        groups=(64060, 116, 108),
        group_names=("nova", "libvirt", "kvm"),
    )


def test_a_name_without_an_entry_is_absent() -> None:
    assert account(PASSWD, GROUP, "nobody") == Absent()
    assert password(b"", "nova") == Absent()


@pytest.mark.parametrize(
    "line",
    [
        b"nova:x:64060",
        b"nova:x:many:64060::/home:/bin/sh",
        b"nova:x:-1:64060::/home:/bin/sh",
        b"nova:x:4294967296:64060::/home:/bin/sh",
        b"nova:x:1:2\0::/home:/bin/sh",
        b"#nova:x:1:1::/home:/bin/sh",
        b"+nova:x:1:1::/home:/bin/sh",
        b":x:1:1::/home:/bin/sh",
    ],
)
def test_a_malformed_line_does_not_hide_the_good_one(line: bytes) -> None:
    found = account(line + b"\n" + PASSWD, GROUP, "nova")
    assert isinstance(found, Account)
    assert found.uid == 64060


def test_of_two_entries_the_first_counts() -> None:
    assert accounts(b"nova:x:1:1::/a:/bin/sh\nnova:x:2:2::/b:/bin/sh\n")["nova"].uid == 1


def test_an_empty_shell_is_the_bourne_shell() -> None:
    assert accounts(b"nova:x:1:1::/a:\n")["nova"].shell == PurePosixPath("/bin/sh")


def test_a_carriage_return_belongs_to_the_shell() -> None:
    assert accounts(b"nova:x:1:1::/a:/bin/bash\r\n")["nova"].shell == PurePosixPath("/bin/bash\r")


def test_members_are_primary_ones_and_listed_ones_once() -> None:
    assert members(GROUP, PASSWD, 108) == ("libvirt-qemu", "nova")
    assert members(GROUP, PASSWD, 64060) == ("nova", "backup")
    assert members(GROUP, PASSWD, 6) == ()


ONLY_NOVA = b"nova:x:64060:64060::/var/lib/nova:/bin/sh\n"


@pytest.mark.parametrize(
    ("field", "usable", "locked"),
    [
        (b"$y$j9T$abc", True, False),
        (b"", True, False),
        (b"*", False, False),
        (b"!", False, True),
        (b"!!", False, True),
        (b"!$y$j9T$abc", False, True),
        (b"*LK*", False, False),
        (b"x", False, False),
        (b"ab1234567890.", True, False),
    ],
)
def test_a_password_is_judged_without_being_kept(field: bytes, usable: bool, locked: bool) -> None:
    found = password(b"nova:" + field + b":19000:0:99999:7:::\n", "nova")
    assert isinstance(found, Password)
    assert (found.usable, found.locked) == (usable, locked)
    assert "$y$" not in repr(found)


def test_ageing_counts_days_and_leaves_out_what_is_not_set() -> None:
    found = password(b"nova:!:0:0:90:7:14:20000:\n", "nova")
    assert found == Password(False, True, last_change=0, max_age=90, expires=20000)
    assert password(b"nova:!::::::-1:\n", "nova") == Password(usable=False, locked=True)


def test_an_old_short_shadow_line_counts_and_a_malformed_one_does_not() -> None:
    assert password(b"nova:*:1:0:99\n", "nova") == Password(False, False, 1, 99)
    assert password(b"nova:*:1:0:x:7:::\n", "nova") == Absent()


@settings(deadline=None)
@given(st.binary(), st.binary(), st.integers(min_value=0, max_value=9))
def test_garbage_is_never_an_error(passwd: bytes, group: bytes, gid: int) -> None:
    for name in accounts(passwd):
        account(passwd, group, name)
    members(group, passwd, gid)
    password(passwd, "nova")


def test_lines_of_one_name_are_counted() -> None:
    two = b"nova:x:1:1::/a:/bin/sh\n" * 2
    found = account(two, b"", "nova")
    assert isinstance(found, Account) and found.lines == 2
