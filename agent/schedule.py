"""Who is dialled when: from the names of the hosts and the clock alone, without anybody who coordinates.

Time is cut into slots.  In slot k every host dials the one that stands 1 + k mod (n-1) places further in the sorted list
of names, so that each sshd is dialled by one host, and every pair has had its turn after n-1 slots.  Hosts that know
other names, are late or are missing break the pattern for themselves only: what they dial then is as good as chosen by lot.

Besides, outside the slots: what failed is tried again with back-off, and what changed soon.  Both are spread so that the
hosts of a fleet together dial one sshd about every third second at most, far from MaxStartups 10:30:100, and one host
dials another so seldom that no PerSourcePenalties add up (each wrong login is 5 s of the 15 s that sshd forgives).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Optional

_SWEEP = 3600.0  # seconds for all peers, where that needs no shorter slots than the last one here
_SHORTEST = 600  # seconds of a sweep; in a small fleet a peer has several turns in it
# Each divides the minute, so fleets of nearly one size share their slots.
_SLOTS = (60, 30, 20, 15, 12, 10)
_WITHIN = 0.8  # part of a slot in which its dial begins
APART = 60.0  # seconds at least between two dials of one pair, whatever happens
_FAILED = 60.0  # seconds after a first failure
_REFUSED = 300.0  # the same after a refused login
_MOST = 3600.0  # seconds; longer only where the fleet is so large that its retries would meet
_SPREAD = 3.0  # seconds for each host of the fleet, over which retries and changes are spread
EXTRA = 5.0  # seconds between the last dial of a host and one besides its turn
# Dials at once where nothing at all is known, so that one dead peer does not stand for all.
FIRST = 3
_MADE_UP = 10  # slots; a host that slept for longer does not dial everybody at once


class Pair(NamedTuple):
    """What is known of the way to one peer.  Times in seconds since 1970.

    `at`: when last dialled, 0 for never.  `failures` in a row; `refused`: the last one was a refused login.  `since`: the
    moment from which the last dial counts no more (never dialled, too old, or something changed); 0 while it counts.
    """

    at: float = 0.0
    failures: int = 0
    refused: bool = False
    since: float = 0.0


class Turn(NamedTuple):
    """Whom to dial now, and when to ask again."""

    peers: tuple[str, ...]
    again: float


def slot_seconds(hosts: int, interval: int) -> int:
    """Of a fleet of that size; never longer than the interval of the local checks, as far as there is such a slot."""
    fitting = [slot for slot in _SLOTS if slot <= max(interval, _SLOTS[-1])]
    peers = max(1, hosts - 1)
    return next((slot for slot in fitting if slot * peers <= _SWEEP), fitting[-1])


def sweep_seconds(hosts: int, interval: int) -> int:
    """In which every peer has its turn at least once; a dial counts for twice as long."""
    return max(_SHORTEST, slot_seconds(hosts, interval) * max(1, hosts - 1))


def ring(own: str, names: Iterable[str]) -> tuple[str, ...]:
    """Every other name, beginning with the one behind our own: hosts that take the first few take different ones."""
    order = sorted({*names} - {own})
    place = bisect_left(order, own)
    return tuple(order[place:] + order[:place])


def scheduled(others: Sequence[str], slot: int) -> str:
    """Whose turn it is, of `ring`."""
    return others[slot % len(others)]


def retry_after(own: str, peer: str, pair: Pair, hosts: int, sweep: float) -> float:
    """Seconds from a failed dial to the next."""
    first = _REFUSED if pair.refused else _FAILED
    grown = min(first * 2.0 ** min(pair.failures - 1, 20), _MOST, sweep)
    return max(grown, hosts * _SPREAD) * (1 + _share("retry", own, peer, pair.failures) / 2)


def changed_at(own: str, peer: str, pair: Pair, hosts: int) -> float:
    """When a pair whose last dial counts no more is dialled besides its turn."""
    spread = _share("changed", own, peer, int(pair.since)) * hosts * _SPREAD
    return max(pair.since + spread, pair.at + APART)


def turn(
    own: str,
    peers: Sequence[str],
    known: Mapping[str, Pair],
    now: float,
    interval: int,
    most: int,
    before: Optional[float] = None,
) -> Turn:
    """`peers` in the order of `ring`; of those that are not in `known` nobody is dialled; at most `most` are named.

    `before`: when this was asked last.  Turns that have passed since, while a dead peer kept us waiting, are made up for.
    """
    if not peers:
        return Turn((), now + interval)
    hosts = len(peers) + 1
    sweep = sweep_seconds(hosts, interval)
    soonest = min((due_at(own, p, known.get(p, Pair()), hosts, sweep), p) for p in peers)
    last = max((pair.at for pair in known.values()), default=0.0)
    chosen: list[str] = []
    if not any(pair.at and not pair.since for pair in known.values()):
        first = [peer for peer in peers if peer in known][:FIRST]
        chosen = [peer for peer in first if now - known[peer].at >= APART]
    since = now if before is None else before
    return following(own, peers, known, chosen, soonest, last, since, now, interval, most)


def following(
    own: str,
    peers: Sequence[str],
    known: Mapping[str, Pair],
    chosen: Sequence[str],
    soonest: tuple[float, str],
    last: float,
    before: float,
    now: float,
    interval: int,
    most: int,
) -> Turn:
    """`chosen` if there are any, else whose turn it is, else the one that is due soonest besides; `last`: the latest dial."""
    length = slot_seconds(len(peers) + 1, interval)
    slot = int(now // length)
    if not chosen:
        chosen = _whose_turn(own, peers, known, before, now, interval)
    if not chosen and max(soonest[0], last + EXTRA) <= now:
        chosen = [soonest[1]]
    begin, later = (begins(own, each, length) for each in (slot, slot + 1))
    again = min(begin if begin > now else later, max(soonest[0], last + EXTRA))
    return Turn(tuple(chosen[:most]), max(again, now + 1))


def _whose_turn(
    own: str,
    peers: Sequence[str],
    known: Mapping[str, Pair],
    before: float,
    now: float,
    interval: int,
) -> list[str]:
    """Of this slot, and of those that began between `before` and now."""
    hosts = len(peers) + 1
    length, sweep = slot_seconds(hosts, interval), sweep_seconds(hosts, interval)
    slot = int(now // length)
    found: dict[str, None] = {}
    first = min(slot, int(before // length))  # a clock that was set back has no past to make up for
    for each in range(max(slot - _MADE_UP, first), slot + 1):
        begin, peer = begins(own, each, length), scheduled(peers, each)
        if peer not in known or begin > now or (each < slot and begin <= before):
            continue
        held = due_at(own, peer, known[peer], hosts, sweep)
        if _free(known[peer], held, each * length, now):
            found[peer] = None
    return list(found)


def begins(own: str, slot: int, length: int) -> float:
    """When a host dials in a slot."""
    return (slot + _share("slot", own, slot) * _WITHIN) * length


def due_at(own: str, peer: str, pair: Pair, hosts: int, sweep: float) -> float:
    """When a pair is dialled besides its turn: never where the last dial counts and passed."""
    if pair.since:
        return changed_at(own, peer, pair, hosts)
    if pair.failures:
        return pair.at + retry_after(own, peer, pair, hosts, sweep)
    return float("inf")


def _free(pair: Pair, due: float, start: float, now: float) -> bool:
    """Whether a pair may have its turn: not dialled in this slot yet, and not held back by a failure."""
    if pair.at >= start:
        return False
    return not pair.failures or bool(pair.since) or due <= now


def _share(*words: object) -> float:
    """The same number below 1 for the same words, on every host and in every run."""
    from hashlib import blake2b  # brings OpenSSL with it, and without a dial nobody has a turn

    text = "\0".join(map(str, words)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") / 2.0**64
