"""known_hosts: what ssh reads in it, and the lines we write."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, Optional

from agent.formats import lines, matching
from agent.formats.keys import decoded, read, shown
from agent.model import PublicKey

CA = "@cert-authority"
REVOKED = "@revoked"
MARK = "resize-agent"
SSH_PORT = 22

_MARK = MARK.encode()
_MARKERS = {b"": "", CA.encode(): CA, REVOKED.encode(): REVOKED}
_HOSTS = re.compile(rb"([^ \t]+)[ \t]+([^#].*)", re.DOTALL)
_HASHED = re.compile(rb"\|1\|([^|]{1,1024})\|(.*)", re.DOTALL)
_SALT_OCTETS = 20
# What may stand in a host list without meaning anything but itself.
_NAME = re.compile(r"[0-9A-Za-z._:%-]+|\[[0-9A-Za-z._:%-]+\]:[0-9]{1,5}")

_HEADER = b"""\
# Host keys of the compute hosts that nova may dial from here.  Written by resize-agent.
# The agent rewrites this file from the records in /etc/resize-agent/peers.d; edits are lost.
# To trust, replace or withdraw a host key, change the record of that host.
"""


class Entry(NamedTuple):
    """One line that ssh can use.  `patterns` is the host list as written, hashed or not; `ours` as is_ours has it."""

    number: int
    raw: bytes
    marker: str
    patterns: str
    key: PublicKey
    hashed: bool
    ours: bool = False


def parse(data: bytes) -> tuple[Entry, ...]:
    return _parsed(data)[0]


def malformed(data: bytes) -> tuple[int, ...]:
    """Numbers of the lines that ssh skips although they are neither blank nor a comment."""
    return _parsed(data)[1]


@lru_cache(maxsize=4)  # several checks read the same few files, and a daemon again every minute
def _parsed(data: bytes) -> tuple[tuple[Entry, ...], tuple[int, ...]]:
    entries, skipped = [], []
    for number, raw in lines.numbered(data):
        text = lines.active(raw)
        entry = _entry(number, raw, text) if text else None
        if entry is not None:
            entries.append(entry)
        elif text:
            skipped.append(number)
    return tuple(entries), tuple(skipped)


def _entry(number: int, raw: bytes, text: bytes) -> Optional[Entry]:
    marker, text = _split_marker(text)
    hosts = _HOSTS.fullmatch(text)
    if marker not in _MARKERS or hosts is None:
        return None
    hashed = hosts[1].startswith(b"|")
    if hashed and _hash_parts(hosts[1]) is None:
        return None
    key = read(hosts[2])
    if key is None:
        return None
    return Entry(number, raw, _MARKERS[marker], shown(hosts[1]), key, hashed, is_ours(raw))


def _split_marker(text: bytes) -> tuple[bytes, bytes]:
    """ssh ends a marker at the first space of the line; at a tab only when there is no space."""
    if not text.startswith(b"@"):
        return b"", text
    marker, blank, rest = text.partition(b" ")
    if not blank:
        marker, _, rest = text.partition(b"\t")
    rest = rest.lstrip(b" \t")
    return marker, b"" if rest.startswith(b"@") else rest


def _hash_parts(hosts: bytes) -> Optional[tuple[bytes, bytes]]:
    """Salt and digest of a hashed name.  None when ssh calls the line bad."""
    parts = _HASHED.fullmatch(hosts)
    salt = decoded(parts[1]) if parts else None
    if parts is None or salt is None or len(salt) != _SALT_OCTETS:
        return None
    return salt, decoded(parts[2]) or b""


def lookup_name(address: str, port: int) -> str:
    """The name under which ssh looks up what it was told to dial."""
    name = matching.canonical_address(address) or address.lower()
    return name if port == SSH_PORT else f"[{name}]:{port}"


class KnownHosts:
    """The entries of several files in the order ssh reads them, ready for many lookups."""

    def __init__(self, entries: Iterable[tuple[str, Entry]]) -> None:
        self._entries = tuple(entries)
        self._exact: dict[bytes, list[int]] = {}
        self._globs: dict[bytes, dict[matching.Glob, list[int]]] = {}  # by literal beginning
        self._negated: dict[int, tuple[matching.Glob, ...]] = {}
        self._hashed: dict[bytes, dict[bytes, list[int]]] = {}  # by salt, by digest
        self._found: dict[str, tuple[tuple[str, Entry], ...]] = {}
        for place, (_, entry) in enumerate(self._entries):
            self._add(place, entry)

    @classmethod
    def of(cls, files: Iterable[tuple[str, bytes]]) -> KnownHosts:
        """`files` are (name, content): those of UserKnownHostsFile, then GlobalKnownHostsFile."""
        return cls((file, entry) for file, data in files for entry in parse(data))

    def find(self, name: str) -> tuple[tuple[str, Entry], ...]:
        """Every (file, entry) that speaks about `name`, in file order."""
        if name not in self._found:
            self._found[name] = tuple(self._entries[place] for place in sorted(self._places(name)))
        return self._found[name]

    def _add(self, place: int, entry: Entry) -> None:
        patterns = entry.patterns.encode("utf-8")
        parts = _hash_parts(patterns) if entry.hashed else None
        if parts is not None:
            salt, digest = parts
            self._hashed.setdefault(salt, {}).setdefault(digest, []).append(place)
            return
        members = tuple(matching.subpatterns(patterns))
        if any(len(pattern) > matching.LONGEST_PATTERN for _, pattern in members):
            return
        negated = tuple(matching.Glob.of(pattern) for no, pattern in members if no)
        if negated:
            self._negated[place] = negated
        for pattern in {pattern for no, pattern in members if not no}:
            self._where(pattern).append(place)

    def _where(self, pattern: bytes) -> list[int]:
        if not matching.is_wild(pattern):
            return self._exact.setdefault(pattern, [])
        bucket = self._globs.setdefault(matching.literal_prefix(pattern), {})
        return bucket.setdefault(matching.Glob.of(pattern), [])

    def _places(self, name: str) -> set[int]:
        octets = name.encode("utf-8", "backslashreplace")
        lower = octets.lower()
        places = set(self._exact.get(lower, ()))
        if self._globs:
            places.update(self._globbed(lower))
        if self._negated:
            places = {p for p in places if not self._denied(p, lower)}
        if self._hashed:
            places.update(self._hashed_places(octets))
        return places

    def _globbed(self, lower: bytes) -> Iterator[int]:
        for end in range(len(lower) + 1):
            for glob, where in self._globs.get(lower[:end], {}).items():
                if glob.matches(lower):
                    yield from where

    def _denied(self, place: int, lower: bytes) -> bool:
        return any(glob.matches(lower) for glob in self._negated.get(place, ()))

    def _hashed_places(self, octets: bytes) -> set[int]:
        import hmac  # brings OpenSSL with it

        found = (
            digests.get(hmac.digest(salt, octets, "sha1"), ())
            for salt, digests in self._hashed.items()
        )
        return set().union(*found)


def entry_line(names: Sequence[str], key: PublicKey) -> bytes:
    """One line of ours, without newline.  The names are those ssh looks up."""
    if not names or not all(map(_NAME.fullmatch, names)):
        raise ValueError(f"not host names: {names!r}")
    return f"{','.join(names)} {key.line} {MARK}".encode("ascii")


def is_ours(raw: bytes) -> bool:
    """Whether a line is exactly one that we write."""
    words = raw.rstrip(b"\r").split(b" ")
    if len(words) != 4 or words[3] != _MARK or read(b" ".join(words[1:3])) is None:
        return False
    names = words[0].decode("ascii", "replace").split(",")
    return all(map(_NAME.fullmatch, names))


def render(hosts: Sequence[tuple[Sequence[str], Sequence[PublicKey]]]) -> bytes:
    """The whole text of a file that is wholly ours."""
    body = {entry_line(names, key) for names, host_keys in hosts for key in host_keys}
    return _HEADER + b"".join([line + b"\n" for line in sorted(body)])
