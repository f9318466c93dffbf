"""limits.conf(5) as pam_limits(8) applies it to the size of files, and proc_pid_limits(5), which it starts from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple, Optional

from agent.formats.escape import visible
from agent.model import Account, SizeLimit

_USER, _GROUP, _EVERYBODY, _NOBODY = range(4)  # which line wins; of two equal ones the later
_UNLIMITED = ("-1", "-", "unlimited", "infinity")
_INFINITY = 2**64 - 1
_NUMBER = re.compile(r"([+-]?)([0-9]{1,30})")
_ID = re.compile(r"[0-9]{1,20}")
_CAPABILITIES = re.compile(rb"^CapEff:\s*([0-9a-f]+)", re.MULTILINE)
_SYS_RESOURCE = 1 << 24  # capabilities(7)
_OF_PROCESS = re.compile(rb"^Max file size +(\S+) +(\S+)", re.MULTILINE)


class Limits(NamedTuple):
    soft: SizeLimit
    hard: SizeLimit


def may_raise(status: bytes) -> bool:
    """Whether a process, from its /proc/PID/status, may raise a hard limit: in a container root often may not."""
    found = _CAPABILITIES.search(status)
    return found is None or bool(int(found[1], 16) & _SYS_RESOURCE)


def is_above(limits: Limits, others: Limits) -> bool:
    """Whether the hard limit is higher: without the right to raise it both stay as they were (setrlimit(2))."""
    new, old = limits.hard.bytes, others.hard.bytes
    return old is not None and (new is None or new > old)


def of_process(text: bytes, origin: str) -> Optional[Limits]:
    """From /proc/PID/limits."""
    found = _OF_PROCESS.search(text)
    if found is None:
        return None
    soft, hard = (int(word) if word.isdigit() else None for word in found.groups())
    return Limits(SizeLimit(soft, origin), SizeLimit(hard, origin))


def applied(
    before: Limits, files: Iterable[tuple[PurePosixPath, bytes]], account: Account
) -> Limits:
    """What a session has after pam_limits has read these files, in this order."""
    after, ranks = before, {"soft": _NOBODY, "hard": _NOBODY}
    for origin, words in _lines(files):
        rank = _rank(words[0], account)
        kind = words[1].lower()
        if rank is None:
            continue
        if len(words) == 2 and kind.startswith("-") and rank is not _EVERYBODY:
            return before  # nobody limits this one
        if len(words) < 4 or words[2].lower() != "fsize":
            continue
        value = _value(words[3].lower())
        kinds = {"-": ("soft", "hard"), "soft": ("soft",), "hard": ("hard",)}.get(kind, ())
        for each in kinds if value is not None else ():
            if rank > ranks[each]:
                break
            ranks[each] = rank
            limit = SizeLimit(None if value == _INFINITY else value, origin)
            after = after._replace(**{each: limit})
    return _within(after)


def _within(limits: Limits) -> Limits:
    """A soft limit above the hard one is lowered to it, whichever was set."""
    soft, hard = limits.soft.bytes, limits.hard.bytes
    if hard is None or (soft is not None and soft <= hard):
        return limits
    return limits._replace(soft=limits.hard)


def _lines(
    files: Iterable[tuple[PurePosixPath, bytes]],
) -> Iterator[tuple[str, list[str]]]:
    for path, text in files:
        for number, raw in enumerate(text.decode("utf-8", "replace").split("\n"), 1):
            words = raw.partition("#")[0].split()
            if len(words) > 1:
                yield f"{path} line {number}: {visible(' '.join(words))}", words


def _rank(domain: str, account: Account) -> Optional[int]:
    """How near to the account a line's domain is; None where it speaks of others."""
    if domain == account.name:
        return _USER
    if domain.startswith("@"):
        return _GROUP if _is_member(domain[1:], account) else None
    if ":" in domain:
        return _USER if _in_range(domain, (account.uid,), account.uid) else None
    return _EVERYBODY if domain == "*" else None


def _is_member(group: str, account: Account) -> bool:
    if ":" in group:
        return _in_range(group, account.groups, account.gid)
    return group in account.group_names


def _in_range(written: str, exact: Iterable[int], own: int) -> bool:
    """`:N` is N itself, among `exact`; `N:` and `N:M` hold for `own`."""
    low, _, high = written.partition(":")
    if not all(_ID.fullmatch(word) for word in (low, high) if word) or not (low or high):
        return False
    if not low:
        return int(high) in exact
    return int(low) <= own <= (int(high) if high else own)


def _value(word: str) -> Optional[int]:
    """In bytes; None where it is no number.  strtoul(3) reads the digits it finds first, and wraps below zero."""
    if word in _UNLIMITED:
        return _INFINITY
    found = _NUMBER.match(word)
    if found is None:
        return None
    kibibytes = int(found[2])
    if found[1] == "-" and kibibytes:
        return _INFINITY
    return _INFINITY if kibibytes >= _INFINITY // 1024 else kibibytes * 1024
