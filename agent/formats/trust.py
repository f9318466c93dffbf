"""What this host should trust by the peers' records and its own disk, as lines and texts.  Nothing is trusted on first use.

A record that is missing withdraws nothing: only a tombstone does, or a record that says something else now.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import NamedTuple, Optional

from agent.formats import authorized_keys, known_hosts, matching
from agent.formats.authorized_keys import ACCEPTED, MISSING, Answer, AuthorizedKeys
from agent.model import NovaConfig, PublicKey, Record, Snapshot

_WITH_PORT = re.compile(r"\[(.*)\]:[0-9]+")


@dataclass(frozen=True)
class HostTrust:
    """Host keys by the names they are looked up by.

    `claimed` are the bare names usable records speak for, `services` those by which the records themselves go.
    """

    hosts: tuple[tuple[tuple[str, ...], tuple[PublicKey, ...]], ...]
    claimed: frozenset[str]
    services: frozenset[str]
    withdrawn: frozenset[str]

    @cached_property
    def lines(self) -> tuple[bytes, ...]:
        return tuple(known_hosts.entry_line(names, key) for names, ks in self.hosts for key in ks)

    def whole_file(self, old: bytes) -> bytes:
        """The text of the file that is wholly ours.  What no record speaks about any more, and @revoked, stays."""
        kept: list[tuple[tuple[str, ...], tuple[PublicKey, ...]]] = []
        revoked: list[bytes] = []
        for entry in known_hosts.parse(old):
            if entry.marker == known_hosts.REVOKED:
                revoked.append(entry.raw.rstrip(b"\r") + b"\n")
            elif entry.ours:
                rest = self._unclaimed(entry.patterns.split(","))
                kept += [(rest, (entry.key,))] if rest else []
        return known_hosts.render([*self.hosts, *kept]) + b"".join(dict.fromkeys(revoked))

    def outdated(self, data: bytes) -> tuple[bytes, ...]:
        """Lines of ours in a shared file that the records contradict."""
        wanted = set(self.lines)
        found = (e for e in known_hosts.parse(data) if e.ours)
        raws = ((e.raw.rstrip(b"\r"), e.patterns.split(",")) for e in found)
        return tuple(r for r, names in raws if r not in wanted and self._is_contradicted(names))

    def _is_contradicted(self, names: Sequence[str]) -> bool:
        return self._unclaimed(names) != tuple(names)

    def _unclaimed(self, names: Sequence[str]) -> tuple[str, ...]:
        plain = {bare(name) for name in names}
        if plain & self.services or plain & self.withdrawn:
            return ()  # the line of a host that has a record now, or that is withdrawn
        return tuple(name for name in names if bare(name) not in self.claimed)


def bare(name: str) -> str:
    """A lookup name without its port."""
    match = _WITH_PORT.fullmatch(name)
    return match[1] if match else name


def lookup_names(names: Iterable[str], port: int) -> tuple[str, ...]:
    return _looked_up(tuple(names), port)


@lru_cache(maxsize=1 << 16)  # the names of one record are asked for by several checks
def _looked_up(names: tuple[str, ...], port: int) -> tuple[str, ...]:
    found = (known_hosts.lookup_name(name, port) for name in names if _is_dialled(name))
    return tuple(dict.fromkeys(found))


def _is_dialled(name: str) -> bool:
    """Never a loopback address: trust in one would hold for every host."""
    address = matching.parse_address(name)
    if address is not None:
        return not (address.is_loopback or address.is_unspecified)
    return re.fullmatch(r"[0-9A-Za-z._:-]+", name) is not None


def host_trust(snapshot: Snapshot, nova: NovaConfig) -> HostTrust:
    peers = [r for r in snapshot.records.peers(nova.host) if r.host_keys]
    own = (nova.address, nova.host, *snapshot.host.names)
    hosts = [(lookup_names(own, own_port(snapshot)), snapshot.host.host_keys)]
    hosts += [(lookup_names((r.address, r.name, *r.names), r.port), r.host_keys) for r in peers]
    usable = tuple((names, keys) for names, keys in hosts if names and keys)
    return HostTrust(
        hosts=usable,
        claimed=frozenset(bare(name) for names, _ in usable for name in names),
        services=frozenset(r.name for r in peers),
        withdrawn=frozenset(r.name for r in snapshot.records.withdrawn(nova.host)),
    )


def own_port(snapshot: Snapshot) -> int:
    listening = snapshot.listening if isinstance(snapshot.listening, tuple) else ()
    return (
        known_hosts.SSH_PORT if known_hosts.SSH_PORT in listening or not listening else listening[0]
    )


class Login(NamedTuple):
    """A host whose keys are to be accepted, and the address it comes from; "" where that is not a number."""

    name: str
    address: str
    keys: tuple[PublicKey, ...]


class Edit(NamedTuple):
    present: tuple[bytes, ...]
    absent: tuple[bytes, ...]


class UserTrust(NamedTuple):
    """User keys to be accepted.  `networks` is the from= list of our lines."""

    logins: tuple[Login, ...]
    withdrawn: frozenset[str]
    networks: str = ""

    def line(self, login: Login, key: PublicKey) -> Optional[bytes]:
        """None where our line would not let this host in, or the host's name cannot stand in it."""
        if self.networks and login.address and not self._lets_in(login.address):
            return None
        try:
            return authorized_keys.entry_line(login.name, key, self.networks)
        except ValueError:
            return None

    def _lets_in(self, address: str) -> bool:
        return matching.in_networks(address, self.networks)

    def edit(self, target: AuthorizedKeys, others: Sequence[AuthorizedKeys], now: datetime) -> Edit:
        """What the file `target` should gain and lose, where sshd reads `others` as well."""
        absent = tuple(dict.fromkeys(self._outdated(target)))
        gone = set(absent)
        left = AuthorizedKeys(tuple(e for e in target.entries if _text(e) not in gone))
        before = {(e.owner, e.key.line) for e in target.entries}
        present = dict.fromkeys(self._missing((left, *others), now, before))
        return Edit(tuple(present), tuple(line for line in absent if line not in present))

    def foreign_withdrawn(
        self, target: AuthorizedKeys
    ) -> Iterator[tuple[str, authorized_keys.Entry]]:
        """Lines that are not ours with a key of a withdrawn host: ours says which, or the comment's `...@HOST`."""
        used = {key.line for login in self.logins for key in login.keys}
        keys = {
            entry.key.line: owner
            for entry in target.entries
            if (owner := entry.owner) in self.withdrawn
        }
        for entry in target.entries:
            if entry.owner is not None or entry.key.line in used:
                continue
            named = entry.key.comment.rpartition("@")[2].lower()
            name = keys.get(entry.key.line) or (named if named in self.withdrawn else None)
            if name is not None:
                yield name, entry

    def _missing(
        self,
        lists: Sequence[AuthorizedKeys],
        now: datetime,
        before: Collection[tuple[Optional[str], str]],
    ) -> Iterator[bytes]:
        """`before` are the hosts and keys of lines that were there: what was ours is only written anew."""
        for login in self.logins:
            for key in login.keys:
                if accepts(lists, key, login.address, now).state == ACCEPTED:
                    continue
                anew = (login.name, key.line) in before
                if anew or not is_forbidden(lists, key, now, login.address):
                    line = self.line(login, key)
                    if line is not None:
                        yield line

    def _outdated(self, target: AuthorizedKeys) -> Iterator[bytes]:
        wanted = {self.line(login, key) for login in self.logins for key in login.keys}
        named: dict[str, set[str]] = defaultdict(set)
        for login in self.logins:
            for key in login.keys:
                named[key.line].add(login.name)
        speaks = self.withdrawn | {login.name for login in self.logins if login.keys}
        for entry in target.entries:
            owner, text = entry.owner, _text(entry)
            if owner is None or text in wanted or owner not in speaks:
                continue
            users = named[entry.key.line]
            # Written again with other networks; or nobody's key any more.
            if owner in users or not users:
                yield text


def _text(entry: authorized_keys.Entry) -> bytes:
    return entry.raw.rstrip(b"\r")


def accepts(lists: Iterable[AuthorizedKeys], key: PublicKey, address: str, now: datetime) -> Answer:
    """sshd asks one file after the other; the first that accepts wins."""
    refusal = Answer(MISSING)
    for each in lists:
        answer = each.accepts(key, address, now)
        if answer.state == ACCEPTED:
            return answer
        if refusal.state == MISSING:
            refusal = answer
    return refusal


def is_forbidden(
    lists: Iterable[AuthorizedKeys], key: PublicKey, now: datetime, address: str = ""
) -> bool:
    """Whether somebody restricted the key in a line that is not ours: a further line would get round that.

    A line with a damaged option restricts nothing; it is only broken.
    """
    return any(
        not entry.problem and authorized_keys.refuses(entry, address, now)
        for each in lists
        for entry in each.find(key)
        if entry.owner is None
    )


def user_trust(snapshot: Snapshot, nova: NovaConfig, networks: Iterable[object]) -> UserTrust:
    peers = tuple(login_of(r) for r in snapshot.records.peers(nova.host))
    own = Login(nova.host, numeric(nova.address), own_keys(snapshot))
    withdrawn = frozenset(r.name for r in snapshot.records.withdrawn(nova.host))
    return UserTrust((*peers, own), withdrawn, ",".join(map(str, networks)))


def own_keys(snapshot: Snapshot) -> tuple[PublicKey, ...]:
    return tuple(i.key for i in snapshot.identities if isinstance(i.key, PublicKey))


def login_of(record: Record) -> Login:
    return Login(record.name, numeric(record.address), record.user_keys)


def numeric(address: str) -> str:
    return address if matching.parse_address(address) is not None else ""
