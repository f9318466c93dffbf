"""The only place where the arrows are joined: observe, dial, judge, plan, apply, look again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from agent import checks, plan, verdict
from agent.host import Host
from agent.model import (
    Check,
    CheckResult,
    NovaConfig,
    Plan,
    Record,
    Report,
    Result,
    Scope,
    Snapshot,
    StepResult,
    frozen,
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
    """What one run is asked to look at.  Times in seconds."""

    checks: tuple[Check, ...]
    peer: str = ""
    probing: bool = True
    omitted: tuple[str, ...] = ()
    timeout: float = 240.0
    peer_timeout: float = 20.0
    progress: Callable[[int, int], None] = _silent
    stop: threading.Event = field(default_factory=threading.Event)


def check(host: Host, want: Settings, request: Request) -> Report:
    """Look, dial, judge.  Changes nothing and saves nothing."""
    started = _begun(host, request)
    return _report(host, want, request, started, _dialled(host, want, request, started), ())


def planned(host: Host, want: Settings, request: Request) -> Report:
    """What `fix` would do: from local facts and records alone, nobody is dialled."""
    started = _begun(host, request)
    quiet = replace(request, probing=False)
    return _report(host, want, quiet, started, observe(host, want), ())


def fix(host: Host, want: Settings, request: Request) -> Report:
    """Plan and apply until nothing is left to do, then look again and dial once.  Raises state.Locked, OSError."""
    from agent import apply, state  # a plain check pays for neither

    started = _begun(host, request)
    applied: list[StepResult] = []
    with state.fixing(host):
        for _ in range(_PASSES):
            snapshot = observe(host, want)
            _chosen(
                snapshot, want, request
            )  # a peer nobody knows is refused before anything is changed
            todo = _new(plan.make(_judged(snapshot, want, request)), applied)
            if not todo.steps or request.stop.is_set():
                break
            results = apply.carry_out(todo, host)
            applied += results
            if results[-1].result is not Result.DONE:
                break
    snapshot = _dialled(host, want, request, started)
    return _report(host, want, request, started, snapshot, tuple(applied))


def _begun(host: Host, request: Request) -> float:
    started = time.monotonic()
    host.deadline = started + request.timeout
    return started


def _new(made: Plan, applied: Sequence[StepResult]) -> Plan:
    """Without what this run has tried already: a step that did not take is reported, not repeated."""
    tried = {result.step.action for result in applied}
    return Plan(tuple(s for s in made.steps if s.action not in tried), made.conflicts)


def _judged(snapshot: Snapshot, want: Settings, request: Request) -> tuple[CheckResult, ...]:
    return verdict.settle(checks.evaluate(request.checks, snapshot, want), snapshot)


def _dialled(host: Host, want: Settings, request: Request, started: float) -> Snapshot:
    snapshot = observe(host, want)
    if not request.probing or not host.live or request.stop.is_set():
        return snapshot
    from agent import rounds

    limits = rounds.Limits(
        request.peer_timeout, started + request.timeout, want.probe_parallel, request.stop
    )
    peers = _chosen(snapshot, want, request)
    dials, self_dials = rounds.dial_all(host, snapshot, peers, limits, request.progress)
    names = frozen(rounds.resolved(host, peers, limits))
    return replace(snapshot, dials=dials, self_dials=self_dials, resolved=names)


def _chosen(snapshot: Snapshot, want: Settings, request: Request) -> tuple[Record, ...]:
    """The peers whose turn it is."""
    own = snapshot.nova.host if isinstance(snapshot.nova, NovaConfig) else ""
    known = snapshot.records.peers(own)
    if request.peer:
        named = tuple(r for r in known if request.peer in (r.name, r.address, *r.names))
        if not named:
            raise NoSuchPeer(f"no peer record for {request.peer}")
        return named
    return tuple(r for r in known if r.name not in want.peers_ignore)[: want.probe_peers]


def _report(
    host: Host,
    want: Settings,
    request: Request,
    started: float,
    snapshot: Snapshot,
    applied: tuple[StepResult, ...],
) -> Report:
    results = _judged(snapshot, want, request)
    chosen = (
        frozenset(r.name for r in _chosen(snapshot, want, request))
        if request.probing
        else frozenset()
    )
    rows = verdict.rows(snapshot, results, want, {}, chosen)
    omitted = (
        request.omitted if host.live else (*request.omitted, "--root: an image has no live side")
    )
    return Report(
        host=snapshot.nova.host
        if isinstance(snapshot.nova, NovaConfig)
        else snapshot.host.name.lower(),
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
        probed=bool(chosen) or (request.probing and bool(rows) and not request.peer),
    )
