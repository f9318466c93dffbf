"""The only place where the arrows are joined: observe, dial, judge, plan, apply, look again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Optional

from agent import checks, plan, probes, schedule, state, verdict
from agent.formats import prune
from agent.host import Host
from agent.looked import Dialled, Looked, own_name, weighed, with_dials
from agent.model import (
    Check,
    CheckResult,
    Plan,
    Record,
    Report,
    Result,
    Scope,
    Snapshot,
    StepResult,
    Unreadable,
)
from agent.observe import observe
from agent.settings import Settings

_PASSES = 3  # a step can make room for another (a drop-in that turns out to have no effect); never more than this


class NoSuchPeer(ValueError):
    """`--peer` names nobody that a record speaks of."""


def _silent(done: int, total: int) -> None:
    """No progress wanted."""


@dataclass(frozen=True)
class Request:
    """What one run is asked to look at.  Times in seconds; `prune` in percent, see formats.prune."""

    checks: tuple[Check, ...]
    peer: str = ""
    probing: bool = True
    prune: Optional[float] = None
    omitted: tuple[str, ...] = ()
    timeout: float = 240.0
    peer_timeout: float = 20.0
    progress: Callable[[int, int], None] = _silent
    stop: threading.Event = field(default_factory=threading.Event)
    config_error: Optional[str] = None


def check(host: Host, want: Settings, request: Request) -> Report:
    """Look, dial, judge.  Changes nothing and saves nothing."""
    started = _begun(host, request)
    return _checked(host, want, request, started, ())


def planned(host: Host, want: Settings, request: Request) -> Report:
    """What `fix` would do: from local facts and records alone, nobody is dialled.  Raises prune.Guarded."""
    started = _begun(host, request)
    quiet = replace(request, probing=False)
    looked = look(host, want)
    looked = replace(looked, snapshot=_without_strangers(looked.snapshot, request))
    return report(host, want, quiet, started, looked)


def fix(host: Host, want: Settings, request: Request) -> Report:
    """Plan and apply until a look finds nothing left to do, then dial once; that look is what the report tells.

    Raises state.Locked, NoSuchPeer, prune.Guarded, OSError.
    """
    from agent import apply  # a plain check does not pay for it

    started = _begun(host, request)
    applied: list[StepResult] = []
    last: Optional[Looked] = None  # how the host looks since the last change
    with state.fixing(host):
        try:
            for _ in range(_PASSES):
                looked = look(host, want)
                snapshot = _without_strangers(looked.snapshot, request)
                _named(snapshot, request)  # a peer nobody knows is refused before a change
                results: tuple[StepResult, ...] = ()
                said = checks.evaluate(request.checks, snapshot, want)
                swept = False
                for door, part in apply.doors(host, snapshot, verdict.settle(said, snapshot)):
                    swept = apply.tidy(door, snapshot) or swept
                    todo = _new(plan.make(part), applied)
                    if not request.stop.is_set() and _all_done(results):
                        results += apply.carry_out(todo, door)
                applied += results
                # With --prune it was another host that was judged: one without strangers.
                looked = looked if request.prune is not None else replace(looked, judged=said)
                last = None if results or swept else looked
                if not results or not _all_done(results):
                    break
        finally:
            _remember(host, applied)
    return _checked(host, want, request, started, tuple(applied), last)


def _without_strangers(snapshot: Snapshot, request: Request) -> Snapshot:
    return snapshot if request.prune is None else prune.pruned(snapshot, request.prune)


def _all_done(results: Sequence[StepResult]) -> bool:
    return all(each.result is Result.DONE for each in results)


def _begun(host: Host, request: Request) -> float:
    started = time.monotonic()
    host.deadline = started + request.timeout
    return started


def _new(made: Plan, applied: Sequence[StepResult]) -> Plan:
    """Without what this run has tried already: a step that did not take is reported, not repeated."""
    tried = {result.step.action for result in applied}
    return Plan(tuple(s for s in made.steps if s.action not in tried), made.conflicts)


def _remember(host: Host, applied: Sequence[StepResult]) -> None:
    """Count the steps and have a running daemon look at what they made."""
    if not host.live:
        return
    done = sum(1 for each in applied if each.result is Result.DONE)
    if applied:
        with suppress(OSError):  # on a full disk the report of the failed step is what counts
            state.count(host, done, len(applied) - done)
    state.ask_daemon(host)


def _judged(snapshot: Snapshot, want: Settings, request: Request) -> tuple[CheckResult, ...]:
    return verdict.settle(checks.evaluate(request.checks, snapshot, want), snapshot)


def _checked(
    host: Host,
    want: Settings,
    request: Request,
    started: float,
    applied: tuple[StepResult, ...],
    looked: Optional[Looked] = None,
) -> Report:
    usable = request.probing and host.live and host.privileged
    kept = probes.load(state.read(host, state.PROBES)) if usable else {}
    looked = looked or look(host, want)
    if kept:
        looked = weighed(looked, want, kept)
    chosen = _chosen(looked, want, request, kept)
    dialled = Dialled()
    if request.probing and host.live and not request.stop.is_set():
        limit = started + request.timeout
        dialled = dial(host, want, request, looked.snapshot, chosen, limit)
    names = frozenset(r.name for r in chosen) if request.probing else frozenset()
    return report(host, want, request, started, with_dials(looked, dialled), names, applied)


def look(host: Host, want: Settings) -> Looked:
    """Observe.  Nobody is dialled."""
    snapshot = observe(host, want)
    known = snapshot.records.peers(own_name(snapshot))
    return Looked(snapshot, tuple(r for r in known if r.name not in want.peers_ignore))


def _chosen(
    looked: Looked, want: Settings, request: Request, kept: Mapping[str, probes.Kept]
) -> tuple[Record, ...]:
    """The peers whose turn it is: never tried, then failing, then the oldest."""
    if request.peer:
        named = _named(looked.snapshot, request)
        return tuple(r for r in named if r.name not in want.peers_ignore)
    if not request.probing:
        return ()
    by_name = {record.name: record for record in looked.peers}
    ring = schedule.ring(own_name(looked.snapshot), by_name)
    order = sorted(ring, key=lambda name: probes.urgency(kept.get(name)))
    return tuple(by_name[name] for name in order[: want.probe_peers])


def _named(snapshot: Snapshot, request: Request) -> tuple[Record, ...]:
    """Those that `--peer` means.  Raises NoSuchPeer."""
    if not request.peer:
        return ()
    known = snapshot.records.peers(own_name(snapshot))
    named = tuple(r for r in known if request.peer in (r.name, r.address, *r.names))
    if not named:
        raise NoSuchPeer(f"no peer record for {request.peer}")
    return named


def dial(
    host: Host,
    want: Settings,
    request: Request,
    snapshot: Snapshot,
    peers: Sequence[Record],
    limit: float,
) -> Dialled:
    """These peers, and this host itself on every port of `snapshot.listening`; `limit` on the monotonic clock."""
    from agent import rounds

    if isinstance(snapshot.layout, Unreadable):
        return Dialled()
    host = host.at(snapshot.layout.client)  # what ssh does there is what Nova meets
    limits = rounds.Limits(request.peer_timeout, limit, want.probe_parallel, request.stop)
    dials, itself = rounds.dial_all(host, snapshot, peers, limits, request.progress)
    return Dialled(dials, itself, rounds.resolved(host, peers, limits))


def report(
    host: Host,
    want: Settings,
    request: Request,
    started: float,
    looked: Looked,
    chosen: frozenset[str] = frozenset(),
    applied: tuple[StepResult, ...] = (),
) -> Report:
    """Judge what was seen.  `chosen` are the peers that should have been dialled in this run."""
    snapshot = looked.snapshot
    asked = {check.id for check in request.checks}
    judged = tuple(result for result in looked.judged if result.check.id in asked)
    results = verdict.settle(judged, snapshot) if judged else _judged(snapshot, want, request)
    rows = verdict.rows(snapshot, results, want, looked.worth.outdated, chosen)
    awaited = any(row.name not in want.peers_ignore for row in rows)
    omitted = request.omitted
    if not host.live:
        omitted = (*omitted, "--root: an image has no live side")
    return Report(
        host=own_name(snapshot),
        scope=Scope.PARTIAL if omitted else Scope.FULL,
        taken_at=snapshot.taken_at,
        valid_until=snapshot.taken_at + timedelta(seconds=3 * want.interval),
        duration_seconds=round(time.monotonic() - started, 3),
        interrupted=request.stop.is_set(),
        results=results,
        peers=rows,
        plan=plan.make(results),
        applied=applied,
        omitted=omitted,
        probed=bool(chosen) or (request.probing and awaited and not request.peer),
        interval=want.interval,
        fixes=state.fixes(host),
        config_error=request.config_error,
    )
