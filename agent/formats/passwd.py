"""passwd(5), group(5) and shadow(5), read as the C library reads them.

A line that getpwnam() would skip is skipped here; of two entries with one name the first counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import NamedTuple, Optional, Union

from agent.model import Absent, Account, Password

_NUMBER = re.compile(r"[0-9]{1,10}")
_LARGEST_ID = 2**32 - 1
_DAYS = re.compile(r"-?[0-9]{1,18}")
_HASH = re.compile(r"\$.+|_[./0-9A-Za-z]{19}|[./0-9A-Za-z]{13}")

# login(1) and sshd fall back to it for an empty field.
_DEFAULT_SHELL = "/bin/sh"


class _Group(NamedTuple):
    name: str
    gid: int
    members: tuple[str, ...]


def accounts(text: bytes) -> dict[str, Account]:
    """Every entry by name, each with its primary group only."""
    found: dict[str, Account] = {}
    for entry in _accounts(text):
        found.setdefault(entry.name, entry)
    return found


def account(passwd: bytes, group: bytes, name: str) -> Union[Account, Absent]:
    """The entry with the groups that a login as `name` would have."""
    entry = accounts(passwd).get(name)
    if entry is None:
        return Absent()
    theirs = [g for g in _groups(group) if name in g.members or g.gid == entry.gid]
    groups = tuple(dict.fromkeys((entry.gid, *(g.gid for g in theirs))))
    names = tuple(dict.fromkeys(g.name for g in theirs))
    same = sum(each.name == name for each in _accounts(passwd))
    return replace(entry, groups=groups, group_names=names, lines=same)


def password(shadow: bytes, name: str) -> Union[Password, Absent]:
    for fields in _entries(shadow):
        if fields[0] == name:
            entry = _password(fields)
            if entry is not None:
                return entry
    return Absent()


def memberships(group: bytes, passwd: bytes) -> dict[int, tuple[str, ...]]:
    """By group id: everybody whose primary group it is, then those the group itself lists."""
    found: dict[int, dict[str, None]] = {}
    for entry in _accounts(passwd):
        found.setdefault(entry.gid, {})[entry.name] = None
    for each in _groups(group):
        found.setdefault(each.gid, {}).update(dict.fromkeys(each.members))
    return {gid: tuple(names) for gid, names in found.items()}


def members(group: bytes, passwd: bytes, gid: int) -> tuple[str, ...]:
    return memberships(group, passwd).get(gid, ())


def _entries(text: bytes) -> Iterator[list[str]]:
    for line in text.split(b"\n"):
        # The C library sees a NUL as the end of the line.
        read = line.partition(b"\0")[0].lstrip(b" \t\r\v\f")
        if read and not read.startswith((b"#", b"+", b"-")):
            fields = read.decode("utf-8", "surrogateescape").split(":")
            if fields[0]:
                yield fields


def _accounts(text: bytes) -> Iterator[Account]:
    for fields in _entries(text):
        if len(fields) < 7:
            continue
        uid, gid = _id(fields[2]), _id(fields[3])
        if uid is None or gid is None:
            continue
        # Whatever follows the sixth colon is the shell, further colons and a CR included.
        shell = ":".join(fields[6:]) or _DEFAULT_SHELL
        home = PurePosixPath(fields[5])
        yield Account(fields[0], uid, gid, home, PurePosixPath(shell), (gid,))


def _groups(text: bytes) -> Iterator[_Group]:
    for fields in _entries(text):
        gid = _id(fields[2]) if len(fields) >= 3 else None
        if gid is None:
            continue
        listed = fields[3] if len(fields) > 3 else ""
        names = tuple(name.strip() for name in listed.split(",") if name.strip())
        yield _Group(fields[0], gid, names)


def _password(fields: list[str]) -> Optional[Password]:
    if len(fields) < 5:
        return None
    days = fields[2:8] + [""] * (8 - len(fields))
    if any(day and not _DAYS.fullmatch(day) for day in days):
        return None
    secret = fields[1]
    return Password(
        usable=secret == "" or _HASH.fullmatch(secret) is not None,
        locked=secret.startswith("!"),
        last_change=_days(days[0]),
        max_age=_days(days[2]),
        expires=_days(days[5]),
    )


def _id(field: str) -> Optional[int]:
    if not _NUMBER.fullmatch(field) or int(field) > _LARGEST_ID:
        return None
    return int(field)


def _days(field: str) -> Optional[int]:
    """None where the rule is not set: an empty field or a negative number."""
    return int(field) if field and int(field) >= 0 else None
