"""The probing schedule of a whole fleet, simulated: how many hosts meet at one sshd, and when every pair has been visited.

Usage: python3 -m bench.schedule [N ...]   (10 100 1000 5000; no root, no lab)
All daemons start within one minute and know nothing, which is the worst moment there is; their clocks are wrong by up to
30 s, each lacks one record in fifty, and one host in fifty is dead and keeps whoever dials it waiting until the limit.
"""

from __future__ import annotations

import heapq
import random
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agent import schedule
from agent.schedule import Pair

DIAL = 3.0  # seconds: three logins and a copy on a busy machine; 0.4 s were measured on an idle one
SILENT = 20.0  # seconds until a dial to a dead host is given up
INTERVAL = 60
EPOCH = 1_795_336_000.0  # when the first daemon starts
WATCHED = 60  # targets of whom every dial is kept, besides the dead ones
FOLLOWED = 100  # hosts that are followed until they have visited everybody
BUSY = 3600.0  # seconds in which all are: the start is when most is dialled


@dataclass(frozen=True)
class Host:
    """`late`: when its daemon starts; `skew`: how far its clock is ahead; `view`: names in its records."""

    name: str
    late: float
    skew: float
    view: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    hosts: int
    rotation: int  # seconds of one sweep
    together: int  # most dials in flight at one sshd
    dead: int  # the same, of those that do not answer
    visited: float  # seconds until the last pair was visited
    a_minute: float  # dials of one host in its busiest hour, by the minute


def exact(host: Host, dead: frozenset[str], until: float) -> Iterator[tuple[float, str]]:
    """(true time, peer) of every dial, as the program itself decides; slow."""
    peers = schedule.ring(host.name, host.view)
    known = {peer: Pair(since=host.late + host.skew) for peer in peers}
    now, before = host.late + host.skew, None
    while now - host.skew < until:
        turn = schedule.turn(host.name, peers, known, now, INTERVAL, 30, before)
        for peer in turn.peers:
            yield now - host.skew, peer
            failures = known[peer].failures + 1 if peer in dead else 0
            known[peer] = Pair(at=now, failures=failures)
        before, now = now, max(turn.again, now + taken(turn.peers, dead))


def taken(peers: Iterable[str], dead: frozenset[str]) -> float:
    """Seconds for which a daemon does nothing else: it dials them at once."""
    return max((SILENT if peer in dead else DIAL for peer in peers), default=0.0)


def quick(host: Host, dead: frozenset[str], until: float) -> Iterator[tuple[float, str]]:
    """The same where nothing changes after the start, with a heap in the place of a look at every peer."""
    own, peers, now = host.name, schedule.ring(host.name, host.view), host.late + host.skew
    hosts, sweep = len(peers) + 1, schedule.sweep_seconds(len(peers) + 1, INTERVAL)
    known = dict.fromkeys(peers, Pair(since=now))
    due = [(schedule.due_at(own, p, known[p], hosts, sweep), p) for p in peers]
    heapq.heapify(due)
    chosen, last, before = list(peers[: schedule.FIRST]), 0.0, now
    while now - host.skew < until:
        while due and due[0][0] != schedule.due_at(own, due[0][1], known[due[0][1]], hosts, sweep):
            heapq.heappop(due)
        soonest = due[0] if due else (float("inf"), "")
        turn = schedule.following(
            own, peers, known, chosen, soonest, last, before, now, INTERVAL, 30
        )
        chosen = []
        for peer in turn.peers:
            yield now - host.skew, peer
            last, failures = now, known[peer].failures + 1 if peer in dead else 0
            known[peer] = Pair(at=now, failures=failures)
            if failures:
                heapq.heappush(due, (schedule.due_at(own, peer, known[peer], hosts, sweep), peer))
        before, now = now, max(turn.again, now + taken(turn.peers, dead))


def fleet(number: int, chance: random.Random) -> tuple[list[Host], frozenset[str]]:
    names = [f"compute{n:04}" for n in range(1, number + 1)]
    dead = frozenset(chance.sample(names, max(1, number // 50)))
    hosts = []
    for name in names:
        lacking = set(chance.sample(names, number // 50)) - {name}
        view = tuple(each for each in names if each not in lacking)
        hosts.append(Host(name, EPOCH + chance.uniform(0, 60), chance.uniform(-30, 30), view))
    return [host for host in hosts if host.name not in dead], dead


def simulated(number: int, seed: int = 1) -> Outcome:
    chance = random.Random(seed)
    hosts, dead = fleet(number, chance)
    sweep = schedule.slot_seconds(number, INTERVAL) * (number - 1)
    until = EPOCH + 1.1 * sweep + 120
    watched = dead | frozenset(chance.sample([h.name for h in hosts], min(WATCHED, len(hosts))))
    starts: dict[str, list[float]] = {name: [] for name in watched}
    visited, busiest = 0.0, 0
    followed = frozenset(host.name for host in chance.sample(hosts, min(FOLLOWED, len(hosts))))
    for host in hosts:
        first: dict[str, float] = {}
        within = 0
        to_its_end = host.name in followed
        for when, peer in quick(host, dead, until if to_its_end else min(until, EPOCH + BUSY)):
            first.setdefault(peer, when)
            within += when < EPOCH + 3600
            if peer in watched:
                starts[peer].append(when)
        if to_its_end:
            missed = len(host.view) - 1 - len(first)
            visited = max(visited, float("inf") if missed else max(first.values()))
        busiest = max(busiest, within)
    alive = [most(times) for name, times in starts.items() if name not in dead]
    buried = [most(starts[name]) for name in dead]
    minutes = min(60, (until - EPOCH) / 60)
    return Outcome(number, sweep, max(alive), max(buried), visited - EPOCH, busiest / minutes)


def most(times: list[float]) -> int:
    """Dials in flight at once, each of DIAL seconds."""
    times.sort()
    return max(
        (n + 1 - bisect_right(times, when - DIAL) for n, when in enumerate(times)), default=0
    )


def main() -> int:
    print("hosts   sweep   every pair after   at one sshd   at a dead one   dials a minute")
    for number in [int(word) for word in sys.argv[1:]] or [10, 100, 1000, 5000]:
        seen = simulated(number)
        print(
            f"{seen.hosts:5}  {seen.rotation:5} s  {seen.visited:14.0f} s  {seen.together:12}"
            f"  {seen.dead:14}  {seen.a_minute:15.1f}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
