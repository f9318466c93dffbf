"""authorized_keys: what sshd accepts by it, and the lines we write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import lru_cache
from typing import NamedTuple, Optional, Union

from agent.formats import lines, matching
from agent.formats.key_options import Option, end_of_options, parse_expiry, parse_options
from agent.formats.keys import read
from agent.model import PublicKey

MARK = "resize-agent:"

ACCEPTED = "accepted"
MISSING = "missing"
REFUSED = "refused"

_OWNER = re.compile("[!-~]+")
_OURS = re.compile(
    rb'restrict(?:,from="([^"\\\x00-\x20\x7f-\xff]+)")? ([!-~]+ [!-~]+) resize-agent:([!-~]+)'
)


class Entry(NamedTuple):
    """One line with a readable key.  Option names are in lower case, values without their quotes.

    `problem` says why sshd ignores the line although the key is good: a damaged or unknown option.  `owner` as owner_of has it.
    """

    number: int
    raw: bytes
    options: tuple[Option, ...]
    key: PublicKey
    problem: str = ""
    owner: Optional[str] = None

    def option(self, name: str) -> Optional[str]:
        """The value of an option, "" for a flag that is set, None where it is not given."""
        return next((value or "" for given, value in self.options if given == name), None)


def parse(data: bytes) -> tuple[Entry, ...]:
    return tuple(entry for _, entry in _read(data) if entry is not None)


def malformed(data: bytes) -> tuple[int, ...]:
    """Numbers of the lines that sshd ignores although they are neither blank nor a comment."""
    return tuple(number for number, entry in _read(data) if entry is None or entry.problem)


@lru_cache(maxsize=4)  # several checks read the same few files, and a daemon again every minute
def _read(data: bytes) -> tuple[tuple[int, Optional[Entry]], ...]:
    return tuple(_lines(data))


def _lines(data: bytes) -> Iterator[tuple[int, Optional[Entry]]]:
    for number, raw in lines.numbered(data):
        text = lines.active(raw)
        if text:
            yield number, _entry(number, raw, text)


def _entry(number: int, raw: bytes, text: bytes) -> Optional[Entry]:
    key = read(text)
    if key is not None:
        return Entry(number, raw, (), key)
    end = end_of_options(text)
    key = read(text[end:].lstrip(b" \t")) if end is not None else None
    if key is None:
        return None
    options, problem = parse_options(text[:end])
    return Entry(number, raw, options, key, problem, owner_of(raw))


class Answer(NamedTuple):
    """`line` numbers the accepting line, or the first that refuses; `reason` is why it does.

    `command` is the forced command of the accepting line, `unrestricted` that it lacks `restrict`.
    """

    state: str
    line: int = 0
    reason: str = ""
    command: Optional[str] = None
    unrestricted: bool = False


class AuthorizedKeys:
    """One file, ready for many lookups."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        self._by_key: dict[str, list[Entry]] = {}
        for entry in entries:
            self._by_key.setdefault(entry.key.line, []).append(entry)

    @classmethod
    def of(cls, data: bytes) -> AuthorizedKeys:
        return cls(parse(data))

    def find(self, key: PublicKey) -> tuple[Entry, ...]:
        """Every line that holds the key, in file order."""
        return tuple(self._by_key.get(key.line, ()))

    def accepts(self, key: PublicKey, address: str = "", now: Optional[datetime] = None) -> Answer:
        """See `accepts`."""
        refusal = Answer(MISSING)
        for entry in self._by_key.get(key.line, ()):
            reason = refuses(entry, address, now)
            if not reason:
                bare = entry.option("restrict") is None
                return Answer(ACCEPTED, entry.number, "", entry.option("command"), bare)
            if refusal.state == MISSING:
                refusal = Answer(REFUSED, entry.number, reason)
        return refusal


def accepts(
    data: Union[bytes, AuthorizedKeys],
    key: PublicKey,
    address: str = "",
    now: Optional[datetime] = None,
) -> Answer:
    """Whether sshd takes this plain key from a client at `address`, as far as this file goes.

    Without an address a `from=` refuses only when no address could pass; without `now` nothing has
    expired.  An expiry-time that does not end in Z is local time: it is read in the zone of `now`.
    """
    index = data if isinstance(data, AuthorizedKeys) else AuthorizedKeys.of(data)
    return index.accepts(key, address, now)


def refuses(entry: Entry, address: str = "", now: Optional[datetime] = None) -> str:
    """Why sshd takes no login with a plain key by this line; "" when it does."""
    if entry.problem:
        return entry.problem
    if entry.option("cert-authority") is not None:
        return "cert-authority stands before a plain key"
    if now is not None and _expired(entry, now):
        return f"expiry-time {entry.option('expiry-time')} has passed"
    if entry.option("principals") is not None:
        return "principals= stands before a plain key"
    networks = entry.option("from")
    return "" if networks is None else _outside(networks, address)


def _expired(entry: Entry, now: datetime) -> bool:
    """The earliest counts where there are several."""
    times = [parse_expiry(value or "") for name, value in entry.options if name == "expiry-time"]
    return any(moment is not None and _passed(moment, now) for moment in times)


def _passed(moment: datetime, now: datetime) -> bool:
    if moment.tzinfo is None:
        return moment < now.replace(tzinfo=None)
    return moment < (now if now.tzinfo else now.replace(tzinfo=timezone.utc))


def _outside(networks: str, address: str) -> str:
    try:
        if address:
            allowed = matching.in_networks(address, networks)
        else:
            allowed = matching.could_match_an_address(networks)
    except matching.InvalidList as error:
        return f'from="{_cut(networks)}" is not valid: {error}'
    return "" if allowed else f'from="{_cut(networks)}" does not let {address or "any address"} in'


def _cut(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "..."


def entry_line(name: str, key: PublicKey, networks: str = "") -> bytes:
    """Our line for the host `name`, without newline.  `networks` is a from= list."""
    source = f',from="{networks}"' if networks else ""
    line = f"restrict{source} {key.line} {MARK}{name}".encode("ascii", "replace")
    if owner_of(line) != name or (networks and not matching.could_match_an_address(networks)):
        raise ValueError(f"cannot write a line for {name!r} from {networks!r}")
    return line


def can_hold(name: str) -> bool:
    """Whether a line of ours can be for a host of this name."""
    return _OWNER.fullmatch(name) is not None


def owner_of(raw: bytes) -> Optional[str]:
    """The host a line of ours is for; None for a line that is not exactly of our form."""
    line = _OURS.fullmatch(raw.rstrip(b"\r"))
    if line is None or read(line[2]) is None:
        return None
    return line[3].decode("ascii")
