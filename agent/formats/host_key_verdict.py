"""What ssh would say to the host key of a server, by the known_hosts lines it reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Optional

from agent.formats.keys import ALIASES
from agent.formats.known_hosts import CA, REVOKED, Entry, KnownHosts
from agent.model import PublicKey

KNOWN = "known"
UNKNOWN = "unknown"
CHANGED = "changed"
REVOKED_KEY = "revoked"
CA_ONLY = "cert_authority_only"

_WITH_PORT = re.compile(r"\[(.*)\]:[0-9]+", re.DOTALL)
_CERTIFICATE = re.compile(r"-cert-v[0-9]+@openssh\.com$")


class HostKeyVerdict(NamedTuple):
    """What ssh says with StrictHostKeyChecking yes.

    `file` and `line` name the entry that decided: the one that vouches, or the culprit.  `key_type`
    is the type of the key the server would show; empty (and the state `unknown`) when both sides
    have no algorithm in common.  `cert_authority_only`: plain keys cannot be judged by such a line.
    """

    state: str
    file: str = ""
    line: int = 0
    key_type: str = ""


def verdict(
    known: KnownHosts, name: str, keys: Sequence[PublicKey], algorithms: Sequence[str]
) -> HostKeyVerdict:
    """For a server that holds exactly `keys`; `algorithms` is `hostkeyalgorithms` of `ssh -G`."""
    entries = known.find(name)
    offer = negotiated(entries, keys, algorithms)
    if offer is None:
        return HostKeyVerdict(UNKNOWN)
    said = _judge(entries, offer, keys)
    bare = _WITH_PORT.fullmatch(name)
    if bare and said.state in (UNKNOWN, CA_ONLY):
        # A host unknown by its port is looked up without it; there a wrong key counts as unknown.
        again = _judge(known.find(bare[1]), offer, keys)
        if again.state in (KNOWN, REVOKED_KEY) or (again.state, said.state) == (CA_ONLY, UNKNOWN):
            return again
    return said


def negotiated(
    entries: Sequence[tuple[str, Entry]], keys: Sequence[PublicKey], algorithms: Sequence[str]
) -> Optional[PublicKey]:
    """The key the server shows to a client that knows `entries`."""
    offered = {key.type: key for key in reversed(keys)}
    chosen = _chosen(tuple(algorithms), frozenset(_known_types(entries)), frozenset(offered))
    return None if chosen is None else offered[chosen]


@lru_cache(maxsize=256)  # peers differ little in this
def _chosen(
    algorithms: tuple[str, ...], known: frozenset[str], offered: frozenset[str]
) -> Optional[str]:
    wanted = [word for text in algorithms for word in text.split(",") if word]
    plain = [a for a in _ordered(known, wanted) if not _CERTIFICATE.search(a)]
    return next((_type_of(a) for a in plain if _type_of(a) in offered), None)


def _ordered(known: frozenset[str], algorithms: Sequence[str]) -> Sequence[str]:
    """Known types first, unless the client's favourite is among them."""
    if not algorithms or _type_of(algorithms[0]) in known:
        return algorithms
    return sorted(algorithms, key=lambda algorithm: _type_of(algorithm) not in known)


def _known_types(entries: Sequence[tuple[str, Entry]]) -> set[str]:
    """A type whose first line is revoked does not count as known."""
    revoked = {entry.key.line for _, entry in entries if entry.marker == REVOKED}
    first: dict[str, PublicKey] = {}
    for _, entry in entries:
        if not entry.marker:
            first.setdefault(entry.key.type, entry.key)
    return {kind for kind, key in first.items() if not revoked or key.line not in revoked}


def _type_of(algorithm: str) -> str:
    """The plain key type an algorithm is signed with."""
    plain, certificate, _ = algorithm.partition("-cert-v01@")
    if certificate and plain.startswith("sk-"):
        plain += "@openssh.com"
    return ALIASES.get(plain, plain)


def _judge(
    entries: Sequence[tuple[str, Entry]], offer: PublicKey, keys: Sequence[PublicKey]
) -> HostKeyVerdict:
    same = [(file, entry) for file, entry in entries if entry.key.same_key(offer)]
    plain = [(file, entry) for file, entry in entries if not entry.marker]
    for state, marker in ((REVOKED_KEY, REVOKED), (KNOWN, "")):
        for file, entry in same:
            if entry.marker == marker:
                return HostKeyVerdict(state, file, entry.number, offer.type)
    if plain:
        file, entry = _culprit(plain, offer, keys)
        return HostKeyVerdict(CHANGED, file, entry.number, offer.type)
    authority = any(entry.marker == CA for _, entry in entries)
    return HostKeyVerdict(CA_ONLY if authority else UNKNOWN, key_type=offer.type)


def _culprit(
    plain: Sequence[tuple[str, Entry]], offer: PublicKey, keys: Sequence[PublicKey]
) -> tuple[str, Entry]:
    """ssh blames the last line whatever its type, be it right; the wrong line is what has to go."""
    held = {key.line for key in keys}

    def guilt(found: tuple[str, Entry]) -> tuple[bool, bool]:
        key = found[1].key
        return key.type == offer.type, key.line not in held

    return max(reversed(plain), key=guilt)
