"""pam_umask(8): what a session that meets it has for a umask."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Optional

_OF_PROCESS = re.compile(rb"^Umask:\s*([0-7]+)", re.MULTILINE)


def of_process(status: bytes) -> Optional[int]:
    """From /proc/PID/status."""
    found = _OF_PROCESS.search(status)
    return int(found[1], 8) if found else None


def applied(before: int, arguments: Sequence[str], login_defs: bytes) -> int:
    """`before`, or what the arguments or login.defs(5) say instead.  A user's group is taken for its own."""
    said = [a.partition("=")[2] for a in arguments if a.startswith("umask=")]
    mask = _octal(said[-1] if said else _value(login_defs, b"UMASK"))
    own_group = not said and _value(login_defs, b"USERGROUPS_ENAB").lower() == "yes"
    if "usergroups" in arguments or (own_group and "nousergroups" not in arguments):
        before = _as_owner(before)
        mask = None if mask is None else _as_owner(mask)
    return before if mask is None else mask


def _as_owner(mask: int) -> int:
    """The group may what its only member may."""
    return (mask & ~0o070) | ((mask >> 3) & 0o070)


def _octal(word: str) -> Optional[int]:
    return int(word, 8) & 0o777 if re.fullmatch(r"[0-7]{1,12}", word) else None


def _value(text: bytes, key: bytes) -> str:
    found = re.findall(rb"^\s*" + key + rb"[ \t=]+\"?([^\s\"#]+)", text, re.MULTILINE)
    return found[0].decode("ascii", "replace") if found else ""
