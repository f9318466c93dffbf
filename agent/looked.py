"""One look at this host, and what earlier dials are still worth beside it.  Pure: nobody is looked at or dialled here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from agent import checks, probes, schedule
from agent.model import Attempt, CheckResult, NovaConfig, Record, Snapshot, frozen
from agent.settings import Settings


@dataclass(frozen=True)
class Looked:
    """This host as it is, and what earlier dials are still worth; `facts` by peer as `probes.facts` has them.

    `judged` is what every check said of `snapshot`; () where nobody asked them, or something was added that they look at.
    """

    snapshot: Snapshot
    peers: tuple[Record, ...]  # without those that are ignored
    facts: Mapping[str, str] = field(default_factory=dict)
    facts_here: str = ""
    worth: probes.Worth = probes.Worth({}, {})
    judged: tuple[CheckResult, ...] = ()


@dataclass(frozen=True)
class Dialled:
    """What dials met."""

    peers: tuple[Attempt, ...] = ()
    itself: tuple[Attempt, ...] = ()
    resolved: Mapping[str, bool] = field(default_factory=dict)


def own_name(snapshot: Snapshot) -> str:
    nova = snapshot.nova
    return nova.host if isinstance(nova, NovaConfig) else snapshot.host.name.lower()


def weighed(looked: Looked, want: Settings, kept: Mapping[str, probes.Kept]) -> Looked:
    """What is kept of earlier dials, held against the host as it is now."""
    snapshot = looked.snapshot
    # Every check counts here, also those that a run leaves out.
    predicted = checks.evaluate(checks.catalogue(), snapshot, want)
    facts = probes.facts(snapshot, predicted, looked.peers)
    here = probes.facts_here(snapshot, predicted)
    known = replace(looked, facts=facts, facts_here=here, judged=predicted)
    return weighed_again(known, want, kept, snapshot.taken_at)


def weighed_again(
    looked: Looked, want: Settings, kept: Mapping[str, probes.Kept], now: datetime
) -> Looked:
    """The same with dials made since."""
    hosts = len(looked.snapshot.records.peers(own_name(looked.snapshot))) + 1
    horizon = 2 * schedule.sweep_seconds(hosts, want.interval)
    return replace(looked, worth=probes.worth(kept, looked.facts, looked.peers, now, horizon))


def with_dials(looked: Looked, dialled: Dialled) -> Looked:
    """Fresh dials, and of the others those that still count."""
    fresh = {attempt.name for attempt in dialled.peers}
    older = (k.attempt for name, k in looked.worth.counting.items() if name not in fresh)
    before = looked.snapshot
    # No check looks at the dials to peers: verdict does.
    same = before.self_dials == dialled.itself and before.resolved == dialled.resolved
    snapshot = replace(
        before,
        dials=(*dialled.peers, *older),
        self_dials=dialled.itself,
        resolved=frozen(dialled.resolved),
    )
    return replace(looked, snapshot=snapshot, judged=looked.judged if same else ())
