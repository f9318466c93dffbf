"""pam_umask(8): what a session that meets it has for a umask."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Optional

_OF_PROCESS = re.compile(rb"^Umask:\s*([0-7]+)", re.MULTILINE)
_SETTING = re.compile(rb"^\s*umask[ \t=]+([^\s#]+)", re.MULTILINE | re.IGNORECASE)


def of_process(status: bytes) -> Optional[int]:
    """From /proc/PID/status."""
    found = _OF_PROCESS.search(status)
    return int(found[1], 8) if found else None


def applied(before: int, arguments: Sequence[str], files: Iterable[bytes], *, own: bool) -> int:
    """`before`, or what the arguments or else the first of `files` (login.defs(5), /etc/default/login) that has one says instead.

    `own` says whether the user, not root, has a group of its own name.  What the comment field of passwd(5) says is not known here.
    """
    said = [a.partition("=")[2] for a in arguments if a.lower().startswith("umask=")]
    said = said[-1:] or [m[1].decode("ascii", "replace") for m in map(_SETTING.search, files) if m]
    mask = before
    if said and re.fullmatch(r"[0-7]{1,12}", said[0]):
        mask = int(said[0], 8) & 0o777
    groups = [a.lower() for a in arguments if a.lower() in ("usergroups", "nousergroups")]
    if own and groups[-1:] == ["usergroups"]:
        mask = (mask & ~0o070) | ((mask >> 3) & 0o070)
    return mask
