"""What permission bits let an account do with an inode (path_resolution(7)), and why something was not seen."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from agent.model import Absent, Account, File, Snapshot, Unreadable

READ, WRITE, EXECUTE = 4, 2, 1


def may(account: Account, wanted: int, file: File) -> bool:
    """Whether the class the account falls into has every wanted bit.  Access lists are not known here."""
    if account.uid == 0:
        return True
    if account.uid == file.uid:
        bits = file.mode >> 6
    elif file.gid == account.gid or file.gid in account.groups:
        bits = file.mode >> 3
    else:
        bits = file.mode
    return bits & wanted == wanted


def told_modes(text: str) -> list[int]:
    """Of each line of `stat -c %a` or `%a %s`; none where it says something else, as a program on nova's PATH can."""
    told = [re.fullmatch(r"([0-7]{1,4})(?: [0-9]+)?", line) for line in text.splitlines()]
    return [int(each[1], 8) for each in told if each] if all(told) else []


def unseen(snapshot: Snapshot) -> str:
    """The reason code of what could not be looked at."""
    return "not_observed" if snapshot.host.privileged else "needs_root"


def is_denied(seen: Unreadable) -> bool:
    """Whether it was permission that lacked, in the kernel's words or a program's."""
    return "permission denied" in seen.reason.lower()


def unanswered(snapshot: Snapshot) -> str:
    """The reason code where sshd does not say how it would treat nova."""
    return "sshd_unanswered" if snapshot.host.privileged else "needs_root"


def is_direct(snapshot: Snapshot, account: Account, path: PurePosixPath) -> bool:
    """Whether a path lies in the account's home with no link on the way below it.

    The account owns that home and could make a link lead anywhere.
    """
    if account.home not in path.parents or link_on_the_way(snapshot, account, path):
        return False
    seen = snapshot.file(path)
    if isinstance(seen, Absent):
        seen = snapshot.file(path.parent)
    return not isinstance(seen, Unreadable)


def link_on_the_way(snapshot: Snapshot, account: Account, path: PurePosixPath) -> str:
    """`PATH -> TARGET` where `path`, below the account's home, is a link or lies behind one; "" where it does not."""
    seen, home = snapshot.file(path), snapshot.file(account.home)
    if isinstance(seen, Absent) and not seen.link:
        seen, path = snapshot.file(path.parent), path.parent
    if isinstance(seen, Absent):
        return f"{path} -> {seen.link}" if seen.link else ""
    if not isinstance(seen, File) or seen.real is None:
        return ""
    top = home.real if isinstance(home, File) and home.real is not None else account.home
    return "" if seen.real == top / path.relative_to(account.home) else f"{path} -> {seen.real}"
