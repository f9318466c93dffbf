"""Name services: hosts and users that no file of this machine knows (getaddrinfo(3), getpwnam(3), nsswitch.conf(5)).

They are asked in C, where Python hears no signal, and a dead server keeps the asker for minutes: so a child asks, and its time
is limited.
"""

from __future__ import annotations

import grp
import pwd
import socket
from collections.abc import Sequence
from typing import Any, Callable, Optional, Union

from agent.host import impersonate
from agent.model import Absent, Unreadable

# Seconds.  Of two dead name servers and a living one the resolver knows after ten (resolv.conf(5), timeout and attempts).
_PATIENCE = 20.0
Answer = Union[tuple[str, ...], Unreadable]


def addresses(name: str, left: float, halted: Callable[[], bool]) -> Answer:
    """What ssh would dial for `name`; empty where it does not resolve.  `left`: seconds of the run."""
    try:
        return _addresses(name, socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        pass  # no address, so somebody has to be asked
    try:
        found = impersonate.aside(min(_PATIENCE, left), _resolved, name, halted=halted)
    except impersonate.ChildFailed as error:
        return Unreadable(f"{name} was not resolved: {error.strerror}")
    return tuple(found)


def user(
    wanted: Sequence[str], left: float, halted: Callable[[], bool]
) -> Union[dict[str, Any], Absent, Unreadable]:
    """`name`, `uid`, `gid`, `home`, `shell` and `groups` (gid and name of each); of the first account that there is."""
    try:
        found: Optional[dict[str, Any]] = impersonate.aside(
            min(_PATIENCE, left), _user, wanted, halted=halted
        )
    except impersonate.ChildFailed as error:
        return Unreadable(
            f"the name service was asked for {' and '.join(wanted)}: {error.strerror}"
        )
    return Absent() if found is None else found


def _addresses(name: str, flags: int = 0) -> tuple[str, ...]:
    answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, flags=flags)
    return tuple(dict.fromkeys(str(answer[4][0]).split("%")[0] for answer in answers))


def _resolved(name: str) -> tuple[str, ...]:
    try:
        return _addresses(name)
    except (OSError, UnicodeError):
        return ()


def _user(wanted: Sequence[str]) -> Optional[dict[str, Any]]:
    for name in wanted:
        try:
            return _described(name, pwd.getpwnam(name))
        except KeyError:
            continue
    return None


def _described(name: str, entry: pwd.struct_passwd) -> dict[str, Any]:
    theirs = [g for g in grp.getgrall() if name in g.gr_mem or g.gr_gid == entry.pw_gid]
    return {
        "name": name,
        "uid": entry.pw_uid,
        "gid": entry.pw_gid,
        "home": entry.pw_dir,
        "shell": entry.pw_shell,
        "groups": [(g.gr_gid, g.gr_name) for g in theirs],
    }
