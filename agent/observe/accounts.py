"""The nova account, its shadow entry, its groups, the qemu account, and the files that keep people out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import NamedTuple, Union

from agent.formats import passwd, places
from agent.host import Host
from agent.model import Absent, Account, File, Password, Unreadable

PASSWD = PurePosixPath("/etc/passwd")
GROUP = PurePosixPath("/etc/group")
SHADOW = PurePosixPath("/etc/shadow")
# Who qemu runs as, by distribution (libvirt's qemu.conf): Debian and Ubuntu, then RPM systems.
QEMU = ("libvirt-qemu", "qemu")

_SHELLS = (PurePosixPath("/bin/bash"), PurePosixPath("/bin/sh"))
Seen = Union[File, Absent, Unreadable]


class People(NamedTuple):
    account: Union[Account, Absent, Unreadable]
    password: Union[Password, Absent, Unreadable]
    qemu: Union[Account, Absent, Unreadable]
    groups: Mapping[int, tuple[str, ...]]
    files: Mapping[PurePosixPath, Seen]


def read(host: Host, user: str, shell: PurePosixPath) -> People:
    """`shell` is the one that a fix would set, looked at beside the present one."""
    users, groups = host.file(PASSWD), host.file(GROUP)
    account = _account(host, users, groups, user)
    files = {path: host.file(path, content=False) for path in (*places.NOLOGIN, *_SHELLS, shell)}
    if isinstance(account, Account):
        files[account.shell] = host.file(account.shell, content=False)
    return People(
        account=account,
        password=_password(host.file(SHADOW), user),
        qemu=_account(host, users, groups, *QEMU),
        groups=_members(users, groups),
        files=files,
    )


def _text(seen: Seen) -> Union[bytes, Unreadable]:
    if isinstance(seen, File):
        return seen.content if seen.content is not None else Unreadable("is not a regular file")
    return seen if isinstance(seen, Unreadable) else b""


def _account(
    host: Host, users: Seen, groups: Seen, *wanted: str
) -> Union[Account, Absent, Unreadable]:
    """The first of these: from the files, and where they know none, from name service (sssd, LDAP)."""
    user_text, group_text = _text(users), _text(groups)
    if isinstance(user_text, Unreadable):
        return user_text
    group_bytes = b"" if isinstance(group_text, Unreadable) else group_text
    for name in wanted:
        found = passwd.account(user_text, group_bytes, name)
        if not isinstance(found, Absent):
            return found
    return _from_name_service(host, *wanted) if host.live and host.seat is None else Absent()


def _from_name_service(host: Host, *wanted: str) -> Union[Account, Absent, Unreadable]:
    entry = host.user_elsewhere(*wanted)
    if isinstance(entry, (Absent, Unreadable)):
        return entry
    groups = entry["groups"]
    return Account(
        entry["name"],
        entry["uid"],
        entry["gid"],
        PurePosixPath(entry["home"]),
        PurePosixPath(entry["shell"] or "/bin/sh"),
        tuple(sorted({entry["gid"], *(gid for gid, _ in groups)})),
        tuple(each for _, each in groups),
    )


def _password(shadow: Seen, user: str) -> Union[Password, Absent, Unreadable]:
    text = _text(shadow)
    return text if isinstance(text, Unreadable) else passwd.password(text, user)


def _members(users: Seen, groups: Seen) -> dict[int, tuple[str, ...]]:
    user_text, group_text = _text(users), _text(groups)
    if isinstance(user_text, Unreadable) or isinstance(group_text, Unreadable):
        return {}
    return passwd.memberships(group_text, user_text)
