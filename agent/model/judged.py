"""What is said about a host: findings, peer rows, the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import cached_property
from typing import Callable, Optional

from agent.model.actions import Action, Plan, StepResult
from agent.model.observed import Snapshot
from agent.reasons import Impact, Side, Stage
from agent.settings import Settings


class Outcome(Enum):
    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"
    SKIP = "skip"


# What a set of outcomes amounts to: the first of these that occurs.
_WORST_FIRST = (Outcome.FAIL, Outcome.UNKNOWN, Outcome.WARN, Outcome.PASS, Outcome.SKIP)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    found = set(outcomes)
    return next((o for o in _WORST_FIRST if o in found), Outcome.SKIP)


class Role(Enum):
    SOURCE = "source"
    DESTINATION = "destination"
    BOTH = "both"

    def covers(self, role: Role) -> bool:
        return self in (role, Role.BOTH)


class Scope(Enum):
    FULL = "full"
    PARTIAL = "partial"


@dataclass(frozen=True)
class Finding:
    """One thing examined and what was found, also when it passes.

    `message` says subject, observed, expected.  `peer` is set when the finding is about one peer: it then changes no role.
    `remedy` replaces the general one of the reason where an exact command is known.  `fix` is what `--fix` would do.
    """

    subject: str
    outcome: Outcome
    message: str
    reason: Optional[str] = None
    peer: Optional[str] = None
    remedy: Optional[str] = None
    side: Optional[Side] = None
    impact: Optional[Impact] = None  # where it is another than the reason's
    fix: tuple[Action, ...] = ()


@dataclass(frozen=True)
class Check:
    """One rule, one file in checks/.  `id` is the file's name.

    `of_login`: it judges the account that peers log in as, which need not be nova-compute's.
    """

    id: str
    role: Role
    summary: str
    why: str
    evaluate: Callable[[Snapshot, Settings], Iterator[Finding]]
    of_login: bool = False


@dataclass(frozen=True)
class CheckResult:
    check: Check
    findings: tuple[Finding, ...]

    @cached_property  # who asks for each finding would go through all of them for each
    def outcome(self) -> Outcome:
        return worst(f.outcome for f in self.findings)


@dataclass(frozen=True)
class PeerRow:
    """The direction here -> peer."""

    name: str
    address: str
    outcome: Outcome
    stage: Optional[Stage] = None
    reason: Optional[str] = None
    side: Optional[Side] = None
    impact: Optional[Impact] = None
    message: str = ""
    checked_at: Optional[datetime] = None
    seconds: Optional[float] = None


@dataclass(frozen=True)
class Fixes:
    """Steps that `--fix` has carried out on this host in all its runs, and those that did not succeed."""

    done: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Report:
    """The one thing every output consumes.

    `strict`: every peer that fails counts against this host.  `config_error` says why the configuration on disk is not the one in use: a daemon keeps the last good one.
    """

    host: str
    scope: Scope
    taken_at: datetime
    valid_until: datetime
    duration_seconds: float
    interrupted: bool
    results: tuple[CheckResult, ...]
    peers: tuple[PeerRow, ...]
    plan: Plan
    applied: tuple[StepResult, ...] = ()
    omitted: tuple[str, ...] = ()  # what a partial report did not look at
    probed: bool = False
    interval: int = 60  # seconds from this report to the next, where a daemon makes them
    fixes: Fixes = Fixes()
    config_error: Optional[str] = None
    strict: bool = False

    def findings(self) -> Iterator[tuple[Check, Finding]]:
        for result in self.results:
            for finding in result.findings:
                yield result.check, finding

    def role_outcome(self, role: Role) -> Outcome:
        return worst(outcome for of, outcome in self._own_findings if of.covers(role))

    @cached_property
    def _own_findings(self) -> tuple[tuple[Role, Outcome], ...]:
        return tuple((c.role, f.outcome) for c, f in self.findings() if f.peer is None)

    def role_ready(self, role: Role) -> Optional[bool]:
        """None where nothing wrong was found and not all was looked at: that cannot say "ready"."""
        if self.role_outcome(role) in (Outcome.FAIL, Outcome.UNKNOWN):
            return False
        return None if self.interrupted or self.scope is Scope.PARTIAL else True

    @property
    def ready(self) -> Optional[bool]:
        if self.scope is Scope.PARTIAL:
            return None
        roles = (self.role_ready(Role.SOURCE), self.role_ready(Role.DESTINATION))
        if False in roles or self.blamed or (self.probed and not self.some_peer_passes):
            return False
        return None if self.interrupted else True

    @property
    def blamed(self) -> bool:
        """Whether a peer that fails counts against this host."""
        failed = (row for row in self.peers if row.outcome is Outcome.FAIL)
        return any(self.strict or row.side is Side.HERE for row in failed)

    @property
    def some_peer_passes(self) -> bool:
        return any(r.outcome is Outcome.PASS for r in self.peers)


def passed(subject: str, message: str, peer: Optional[str] = None) -> Finding:
    return Finding(subject, Outcome.PASS, message, peer=peer)


def warned(
    subject: str,
    reason: str,
    message: str,
    *fix: Action,
    peer: Optional[str] = None,
    remedy: Optional[str] = None,
) -> Finding:
    return Finding(subject, Outcome.WARN, message, reason, peer, remedy, fix=fix)


def failed(
    subject: str,
    reason: str,
    message: str,
    *fix: Action,
    peer: Optional[str] = None,
    remedy: Optional[str] = None,
) -> Finding:
    return Finding(subject, Outcome.FAIL, message, reason, peer, remedy, fix=fix)


def unknown(subject: str, reason: str, message: str, peer: Optional[str] = None) -> Finding:
    return Finding(subject, Outcome.UNKNOWN, message, reason, peer)


def skipped(subject: str, message: str, peer: Optional[str] = None) -> Finding:
    return Finding(subject, Outcome.SKIP, message, peer=peer)
