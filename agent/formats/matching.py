"""Patterns and addresses as OpenSSH compares them (PATTERNS in ssh_config(5), from= in sshd(8))."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, Optional, Union

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

LONGEST_PATTERN = 1022  # one longer spoils the whole list
LONGEST_NETWORK = 63

_WILDCARD = re.compile(rb"[*?]")
_IPV4_PART = re.compile(r"0[xX][0-9a-fA-F]{1,8}|[0-9]{1,11}")
_MAPPED = 0xFFFF << 32


class Glob(NamedTuple):
    """One pattern, cut at its stars."""

    pieces: tuple[bytes, ...]
    shortest: int

    @classmethod
    def of(cls, pattern: bytes) -> Glob:
        pieces = tuple(re.split(rb"\*+", pattern))
        return cls(pieces, sum(map(len, pieces)))

    def matches(self, text: bytes) -> bool:
        """Leftmost placement of each piece; never backtracks."""
        first, *middle = self.pieces
        if len(text) < self.shortest or not _fits(text, first, 0):
            return False
        if not middle:
            return len(text) == len(first)
        last = middle.pop()
        end = len(text) - len(last)
        if not _fits(text, last, end):
            return False
        at = len(first)
        for piece in middle:
            at = _end_of(text, piece, at, end)
            if at < 0:
                return False
        return True


def _fits(text: bytes, piece: bytes, at: int) -> bool:
    if b"?" not in piece:
        return text.startswith(piece, at)
    part = text[at : at + len(piece)]
    return len(part) == len(piece) and all(p in (c, 0x3F) for c, p in zip(part, piece))


def _end_of(text: bytes, piece: bytes, start: int, end: int) -> int:
    """Offset behind the first place of a piece, -1 when there is none."""
    if b"?" not in piece:
        at = text.find(piece, start, end)
    else:
        places = range(start, end - len(piece) + 1)
        at = next((at for at in places if _fits(text, piece, at)), -1)
    return at if at < 0 else at + len(piece)


def is_wild(pattern: bytes) -> bool:
    return _WILDCARD.search(pattern) is not None


def literal_prefix(pattern: bytes) -> bytes:
    return _WILDCARD.split(pattern, maxsplit=1)[0]


def subpatterns(patterns: bytes) -> Iterator[tuple[bool, bytes]]:
    """(negated, pattern in lower case) for each member of a comma list; an empty text has none."""
    parts = patterns.lower().split(b",")
    if not parts[-1]:
        parts.pop()  # a comma at the end opens no further member
    for part in parts:
        yield part.startswith(b"!"), part[1:] if part.startswith(b"!") else part


def matches_list(name: bytes, patterns: bytes) -> int:
    """-1 when a negated member matches, 1 when only others do, 0 when none does."""
    found = 0
    for negated, pattern in subpatterns(patterns):
        if len(pattern) > LONGEST_PATTERN:
            return 0
        if Glob.of(pattern).matches(name):
            if negated:
                return -1
            found = 1
    return found


def parse_address(text: str) -> Optional[Address]:
    """A numeric address in any spelling the C library takes, without a zone."""
    try:
        if ":" in text:
            return ipaddress.IPv6Address(text)
        return _ipv4(text) if text[:1].isdigit() else None
    except ValueError:
        return None


@lru_cache(maxsize=1 << 16)
def _ipv4(text: str) -> Optional[ipaddress.IPv4Address]:
    """inet_aton(3): up to four parts, decimal, octal or hexadecimal; the last fills the rest."""
    parts = text.split(".")
    if len(parts) > 4 or not all(map(_IPV4_PART.fullmatch, parts)):
        return None
    values = [int(p, 16 if p[:2] in ("0x", "0X") else 8 if p[0] == "0" else 10) for p in parts]
    if max(values[:-1], default=0) > 255 or values[-1] >= 256 ** (5 - len(values)):
        return None
    head = sum(value << (24 - 8 * place) for place, value in enumerate(values[:-1]))
    return ipaddress.IPv4Address(head + values[-1])


def canonical_address(text: str) -> Optional[str]:
    """The spelling getnameinfo(3) gives; None when `text` is a name."""
    bare, percent, zone = text.partition("%")
    if "%" in zone or (percent and not zone):
        return None
    address = parse_address(bare)
    if address is None or (percent and address.version == 4):
        return None
    return _spelled(address) + percent + zone


def _spelled(address: Address) -> str:
    if isinstance(address, ipaddress.IPv6Address):
        number = int(address)
        low = str(ipaddress.IPv4Address(number & 0xFFFFFFFF))
        if number >> 32 == _MAPPED >> 32:
            return f"::ffff:{low}"
        if number >> 32 == 0 and number >> 16:
            return f"::{low}"
    return str(address)


class InvalidList(ValueError):
    """sshd takes no login by a from= list with such a member."""


def in_networks(address: str, networks: str) -> bool:
    """Whether from= lets `address` in while UseDNS is no.  Raises InvalidList."""
    numeric = parse_address(address)
    if isinstance(numeric, ipaddress.IPv6Address) and numeric.ipv4_mapped is not None:
        numeric = numeric.ipv4_mapped  # sshd calls such a client by its IPv4 address
    text = address.lower() if numeric is None else _spelled(numeric)
    by_address = 0 if numeric is None else _matches_networks(numeric, text, networks)
    by_name = matches_list(text.encode("utf-8", "replace"), networks.encode("utf-8", "replace"))
    return -1 not in (by_address, by_name) and (by_address, by_name) != (0, 0)


def _matches_networks(address: Address, text: str, networks: str) -> int:
    found = 0
    for member in networks.split(","):
        negated = member.startswith("!")
        if _matches_network(address, text, member[1:] if negated else member):
            if negated:
                return -1
            found = 1
    return found


def _matches_network(address: Address, text: str, member: str) -> bool:
    if not member:
        raise InvalidList("it has an empty member")
    network = parse_network(member)
    if network is None:
        return Glob.of(member.encode("utf-8", "replace")).matches(text.encode("utf-8", "replace"))
    base, bits = network
    shift = base.max_prefixlen - bits
    return base.version == address.version and int(base) >> shift == int(address) >> shift


def parse_network(member: str) -> Optional[tuple[Address, int]]:
    """Address and mask length; None when it is no address.  Raises InvalidList."""
    host, slash, mask = member.partition("/")
    base = parse_address(host)
    if len(member) > LONGEST_NETWORK or base is None:
        return None
    if not slash:
        return base, base.max_prefixlen
    if not re.fullmatch(r"[0-9]{1,9}", mask):
        return None
    bits = int(mask)
    if bits > base.max_prefixlen or int(base) & ((1 << base.max_prefixlen - bits) - 1):
        raise InvalidList(f"{member} is not a network: bits are set beyond the mask")
    return base, bits


def could_match_an_address(networks: str) -> bool:
    """Whether any client address at all could pass this from= list.  Raises InvalidList."""
    members = networks.split(",")
    if not all(member.lstrip("!") for member in members):
        raise InvalidList("it has an empty member")
    found = False
    for member in members:
        numeric = parse_network(member.lstrip("!")) is not None
        if not member.startswith("!"):
            found = found or numeric or _could_be_address(member)
        elif member == "!*":
            return False
    return found


def _could_be_address(pattern: str) -> bool:
    return re.fullmatch(r"[0-9A-Fa-f.:*?]*[*?][0-9A-Fa-f.:*?]*", pattern) is not None
