"""The options in front of a key in authorized_keys, as sshd reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Callable, Optional

from agent.formats.keys import shown

Option = tuple[str, Optional[str]]

_EVENT = re.compile(rb'(?<!\\)"|[ \t]')
_FLAG = re.compile(
    rb"restrict|cert-authority|(?:no-)?(?:port-forwarding|agent-forwarding|x11-forwarding|"
    rb"touch-required|verify-required|pty|user-rc)",
    re.IGNORECASE,
)
_VALUED = re.compile(
    rb"(command|principals|from|expiry-time|environment|permitopen|permitlisten|tunnel)=",
    re.IGNORECASE,
)
_ONCE = ("command", "principals", "from")
_TIME = re.compile(
    r"([0-9]{4})([0-9]{2})([0-9]{2})(?:([0-9]{2})([0-9]{2})([0-9]{2})?)?(Z|UTC)?", re.IGNORECASE
)
_ENVIRONMENT = re.compile(r"[0-9A-Za-z_]+=.*", re.DOTALL)
_PERMIT = re.compile(r"(?:\[[^\]]*\]|[^\[:/][^:/]*|)[:/](.+)", re.DOTALL)
_SERVICE = re.compile(r"[A-Za-z][0-9A-Za-z-]*")
_TUNNEL = re.compile(r"any|[0-9]{1,10}", re.IGNORECASE)


def end_of_options(text: bytes) -> Optional[int]:
    """Where the first blank outside quotes stands.  None when a quote stays open."""
    quoted = False
    for event in _EVENT.finditer(text):
        if event[0] == b'"':
            quoted = not quoted
        elif not quoted:
            return event.start()
    return None if quoted else len(text)


def parse_options(text: bytes) -> tuple[tuple[Option, ...], str]:
    """The options up to the first that sshd does not take, and what is wrong with that one."""
    options: list[Option] = []
    seen: set[str] = set()
    at = 0
    while at < len(text):
        option, end, problem = _one(text, at)
        if not problem and text[end : end + 1] not in (b"", b","):
            problem = _unknown(text, at)
        if not problem and option and option[0] in _ONCE and option[0] in seen:
            problem = f"{option[0]}= is given twice"
        if problem:
            return tuple(options), problem
        if option:
            options.append(option)
            seen.add(option[0])
        at = end + 1
    return tuple(options), ""


def _one(text: bytes, at: int) -> tuple[Optional[Option], int, str]:
    """The option at an offset, the offset behind it, and what is wrong with it."""
    flag = _FLAG.match(text, at)
    if flag:
        return (flag[0].decode("ascii").lower(), None), flag.end(), ""
    valued = _VALUED.match(text, at)
    if not valued:
        return None, at, ""  # sshd takes an empty option; anything else is found out by the caller
    name = valued[1].decode("ascii").lower()
    start = valued.end() + 1
    end = _closing_quote(text, start) if text.startswith(b'"', valued.end()) else None
    if end is None:
        return None, at, f"the value of {name}= is not between quotes"
    value = shown(text[start:end].replace(b'\\"', b'"'))
    problem = "" if _VALID.get(name, _anything)(value) else f'{name}="{value[:80]}" is not valid'
    return (name, value), end + 1, problem


def _closing_quote(text: bytes, start: int) -> Optional[int]:
    at = text.find(b'"', start)
    while at > start and text[at - 1] == 0x5C:  # a backslash in front
        at = text.find(b'"', at + 1)
    return None if at < 0 else at


def _unknown(text: bytes, at: int) -> str:
    word = shown(text[at : at + 80].partition(b",")[0])
    return f"unknown key option {word}"


def parse_expiry(text: str) -> Optional[datetime]:
    """YYYYMMDD[HHMM[SS]], UTC when it ends in Z, else without a zone.  None if sshd refuses it."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    *digits, zone = match.groups()
    year, month, day, hour, minute, second = (int(part or 0) for part in digits)
    if not (1 <= year <= 9998 and 1 <= month <= 12 and 1 <= day <= 31):
        return None
    if hour > 23 or minute > 59 or second > 61:
        return None
    # As mktime(3): the thirtieth of February is a day in March.
    passed = timedelta(days=day - 1, hours=hour, minutes=minute, seconds=second)
    return datetime(year, month, 1, tzinfo=timezone.utc if zone else None) + passed


def _anything(value: str) -> bool:
    return True


def _is_permit(value: str) -> bool:
    """HOST:PORT.  A service name is believed: whether it exists is known to the server only."""
    match = _PERMIT.fullmatch(value)
    if match is None:
        return False
    if re.fullmatch(r"[0-9]{1,9}", match[1]):
        return 1 <= int(match[1]) <= 65535
    return match[1] == "*" or _SERVICE.fullmatch(match[1]) is not None


def _is_listen(value: str) -> bool:
    return _is_permit(value if ":" in value else f"*:{value}")


_VALID: Mapping[str, Callable[[str], bool]] = {
    "expiry-time": lambda value: parse_expiry(value) is not None,
    "environment": lambda value: _ENVIRONMENT.fullmatch(value) is not None,
    "permitopen": _is_permit,
    "permitlisten": _is_listen,
    "tunnel": lambda value: _TUNNEL.fullmatch(value) is not None,
}
