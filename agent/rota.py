"""The daemon's memory of dials: what the schedule has to know, and what it does not know of a dial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Optional

from agent import probes, schedule
from agent.looked import Dialled, Looked, own_name
from agent.model import Attempt, Record
from agent.probes import Kept
from agent.schedule import Pair, Turn
from agent.settings import Settings

_ITSELF = 600.0  # seconds from one dial of this host to itself to the next, where nothing changes
_REFUSED = "auth"
_AHEAD = 60.0  # seconds; a dial further in the future was made before a clock was set back


@dataclass
class Rota:
    """`kept` are the last dials by peer; `since` when one ceased to count; `tried` when one was meant to be made."""

    kept: dict[str, Kept]
    since: dict[str, float] = field(default_factory=dict)
    tried: dict[str, float] = field(default_factory=dict)
    resolved: dict[str, bool] = field(default_factory=dict)
    mine: tuple[Kept, ...] = ()
    mine_tried: float = 0.0
    asked: Optional[float] = None  # when whose turn it is was asked last

    def turn(self, looked: Looked, want: Settings, now: float) -> Turn:
        """Those that are ignored keep their place, so that all hosts have the same pattern."""
        own = own_name(looked.snapshot)
        names = [record.name for record in looked.snapshot.records.peers(own)]
        self._forget_all_but(names)
        for record in looked.peers:
            if record.name in looked.worth.counting:
                self.since.pop(record.name, None)
            else:
                # Not later than now: a clock that was set back would hold the dial up for as long.
                self.since[record.name] = min(self.since.get(record.name, now), now)
        known = {record.name: self._pair(record.name, now) for record in looked.peers}
        ring = schedule.ring(own, names)
        before, self.asked = self.asked, now
        return schedule.turn(own, ring, known, now, want.interval, want.probe_peers, before)

    def enter(self, looked: Looked, peers: Sequence[Record], met: Dialled, now: float) -> bool:
        """Whether one of them turned; a first good word is news only where there was none at all."""
        turned = bool(met.peers) and not looked.worth.counting
        for record in peers:
            self.tried[record.name] = now
        for attempt in met.peers:
            before = self.kept.get(attempt.name)
            facts = looked.facts.get(attempt.name, "")
            self.kept[attempt.name] = probes.after(before, attempt, facts)
            turned |= probes.failed(attempt) != (before is not None and before.failed)
        self.resolved.update(met.resolved)
        if met.itself:
            self.mine = tuple(
                self._after_mine(attempt, looked.facts_here) for attempt in met.itself
            )
        return turned

    def itself(self, looked: Looked, now: float) -> tuple[Attempt, ...]:
        """This host's dials to itself, as long as they count: not where it has failed to dial again since long."""
        return tuple(
            kept.attempt
            for kept in self.mine
            if kept.facts == looked.facts_here
            and -_AHEAD <= now - kept.attempt.at.timestamp() <= 2 * _ITSELF
        )

    def due_itself(self, looked: Looked, now: float) -> bool:
        """Soon after a change, seldom otherwise; after a refused login not for minutes."""
        if not self.mine:
            due = self.mine_tried
        else:
            due = max(self._due_mine(each, looked.facts_here) for each in self.mine)
        if now < due and self.mine_tried <= now + _AHEAD:
            return False
        self.mine_tried = now
        return True

    def _due_mine(self, each: Kept, facts: str) -> float:
        at = each.attempt.at.timestamp()
        if each.failed:
            pair = Pair(at, each.failures, _refused(each))
            port = str(each.attempt.port)
            later = at + schedule.retry_after(each.attempt.name, port, pair, 1, _ITSELF)
            return later if each.facts == facts else min(later, at + schedule.APART)
        return at + _ITSELF if each.facts == facts else at

    def _after_mine(self, attempt: Attempt, facts: str) -> Kept:
        before = next((k for k in self.mine if k.attempt.port == attempt.port), None)
        return probes.after(before, attempt, facts)

    def _pair(self, name: str, now: float) -> Pair:
        kept, tried = self.kept.get(name), self.tried.get(name, 0.0)
        since = self.since.get(name, 0.0)
        if kept is None:
            return Pair(at=tried, since=since)
        at = max(kept.attempt.at.timestamp(), tried)
        return Pair(at if at <= now + _AHEAD else 0.0, kept.failures, _refused(kept), since)

    def _forget_all_but(self, names: Sequence[str]) -> None:
        wanted = frozenset(names)
        for name in {*self.kept, *self.since, *self.tried, *self.resolved} - wanted:
            for forget in (self.kept.pop, self.since.pop, self.tried.pop, self.resolved.pop):
                forget(name, None)


def _refused(kept: Kept) -> bool:
    """A wrong login, which sshd counts against us; not one that was cut off before it was judged."""
    return kept.failed and kept.attempt.stage == _REFUSED and not kept.attempt.unknown
