"""The report as Prometheus metrics.  They know outcomes and no check: a new check is a new label value, nothing else.

Series per host are flat in the number of peers: counts always, names only of failing peers, and of those at most `MOST_NAMED`.
A report that says nothing about now (none, garbage, expired, from the future, partial) makes nothing ready and all unknown.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Optional

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest

from agent import __version__
from agent.formats.escape import visible
from agent.told import FAIL, PASS, SKIP, UNKNOWN, WARN, Told, mapping, moment, rows

STATES = (PASS, WARN, FAIL, UNKNOWN, SKIP)
ROLES = ("source", "destination")
MOST_NAMED = 20
_MOST_CHECKS = 200  # far more than there are; a report that lists more is not ours
_LONGEST_LABEL = 128
_LARGEST = 2.0**53  # what a sample can hold exactly


@dataclass(frozen=True)
class Facts:
    """What the metrics take from a report document, in a size that does not grow with the peers."""

    head: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = False
    ready: Mapping[str, bool] = field(default_factory=dict)
    checks: Mapping[str, str] = field(default_factory=dict)
    peers: Mapping[str, int] = field(default_factory=dict)
    failing: tuple[tuple[str, str], ...] = ()
    unnamed: int = 0
    interval: float = 0
    fixes: Optional[float] = None
    fix_failures: Optional[float] = None
    config_valid: Optional[bool] = None

    def valid(self, now: datetime) -> bool:
        return self.whole and not Told(self.head, now).doubt


def text(document: Mapping[str, Any], now: datetime) -> str:
    """The classic exposition format.  Any mapping will do; what is no report gives `resize_agent_report_valid 0`."""
    return exposition(families(facts(document), now)).decode()


def exposition(metrics: Iterable[Metric]) -> bytes:
    return generate_latest(Families(tuple(metrics)))


@dataclass(frozen=True)
class Families:
    """What an encoder of prometheus_client (0.9 and later) asks of a registry, and a collector too."""

    metrics: tuple[Metric, ...]

    def collect(self) -> Iterator[Metric]:
        return iter(self.metrics)

    def named(self, names: frozenset[str]) -> Families:
        """Only the samples of these names (`name[]=`); a family's own name stands for all of its samples."""
        kept = []
        for metric in self.metrics:
            some = [s for s in metric.samples if names & {s.name, metric.name}]
            if some:
                less = Metric(metric.name, metric.documentation, metric.type)
                less.samples = some
                kept.append(less)
        return Families(tuple(kept))


def facts(document: Mapping[str, Any], checks: Iterable[str] = ()) -> Facts:
    """`checks` are the ids to speak of where the document names none."""
    head = {key: document.get(key) for key in ("schema_version", "taken_at", "valid_until")}
    taken, until = moment(head["taken_at"]), moment(head["valid_until"])
    third = (until - taken).total_seconds() / 3 if taken and until else 0.0
    peers = rows(document, "peers")
    failing = sorted({_failing(row) for row in peers if row.get("outcome") == FAIL})
    # Where they are not told they are not 0: a counter that falls and comes back looks as if it had counted.
    done, failed = (_counted(document, key) for key in ("done", "failed"))
    return Facts(
        head=head,
        whole=document.get("scope") == "full" and document.get("interrupted") is False,
        ready={
            role: mapping(mapping(document, "roles"), role).get("ready") is True for role in ROLES
        },
        checks=_checks(document) or dict.fromkeys(checks, UNKNOWN),
        peers=_counts(_state(row) for row in peers),
        failing=tuple(failing[:MOST_NAMED]),
        unnamed=max(len(failing) - MOST_NAMED, 0),
        interval=_number(document.get("interval_seconds")) or _number(third),
        fixes=done,
        fix_failures=failed,
        config_valid=_config(document),
    )


def families(known: Facts, now: datetime) -> Iterator[Metric]:
    valid = known.valid(now)
    yield _gauge(
        "ready",
        "Whether a resize could leave (source) and arrive at (destination) this host: 1 yes, 0 no or not known.",
        ("role",),
        {(role,): valid and known.ready.get(role, False) for role in ROLES},
    )
    yield _gauge(
        "check_status",
        "The outcome of each check: 1 for the state it is in, 0 for the others.",
        ("check", "status"),
        _each({name: outcome if valid else UNKNOWN for name, outcome in known.checks.items()}),
    )
    yield from _peer_metrics(known, valid)
    yield from _run_metrics(known, valid)


def _peer_metrics(known: Facts, valid: bool) -> Iterator[Metric]:
    total = sum(known.peers.values())
    states = known.peers if valid else {UNKNOWN: total}
    yield _gauge("peers", "Peers in the last report.", (), {(): total})
    yield _gauge(
        "peers_by_state",
        "Peers by the outcome of dialling them from here.",
        ("state",),
        {(state,): states.get(state, 0) for state in STATES},
    )
    yield _gauge(
        "peer_failing",
        f"1 for each peer that this host cannot reach as Nova would; at most {MOST_NAMED} are named.",
        ("peer", "reason"),
        dict.fromkeys(known.failing if valid else (), 1),
    )
    yield _gauge(
        "peer_failing_truncated",
        "Failing peers that resize_agent_peer_failing leaves out.",
        (),
        {(): known.unnamed if valid else 0},
    )


def _run_metrics(known: Facts, valid: bool) -> Iterator[Metric]:
    taken = moment(known.head.get("taken_at"))
    yield _gauge(
        "last_run_timestamp_seconds",
        "When the checks of the last report looked at this host; 0 if there is none.",
        (),
        {(): max(taken.timestamp(), 0) if taken else 0},
    )
    yield _gauge(
        "interval_seconds", "Time from one run of the checks to the next.", (), {(): known.interval}
    )
    yield _gauge(
        "report_valid",
        "Whether the report speaks of now; where it does not, nothing is ready and every state is unknown.",
        (),
        {(): valid},
    )
    yield _counter("fixes", "Changes that fixing has made on this host.", known.fixes)
    yield _counter("fix_failures", "Changes that fixing tried in vain.", known.fix_failures)
    yield _gauge(
        "config_last_reload_successful",
        "Whether the configuration in force is the one on disk; no sample where nobody has said.",
        (),
        {} if known.config_valid is None else {(): known.config_valid},
    )
    python = ".".join(str(part) for part in sys.version_info[:3])
    yield _gauge(
        "build_info", "1, with the versions.", ("version", "python"), {(__version__, python): 1}
    )


def _checks(document: Mapping[str, Any]) -> dict[str, str]:
    named = [row for row in rows(document, "checks") if row.get("id")][:_MOST_CHECKS]
    return {_label(row["id"]): _state(row) for row in named}


def _state(row: Mapping[str, Any]) -> str:
    said = row.get("outcome")
    return said if isinstance(said, str) and said in STATES else UNKNOWN


def _counts(found: Iterable[str]) -> dict[str, int]:
    counts = dict.fromkeys(STATES, 0)
    for state in found:
        counts[state] += 1
    return counts


def _failing(row: Mapping[str, Any]) -> tuple[str, str]:
    return _label(row.get("name") or "unnamed"), _label(row.get("reason") or "unknown")


def _counted(document: Mapping[str, Any], key: str) -> Optional[float]:
    fixes = mapping(document, "fixes")
    return _number(fixes[key]) if key in fixes else None


def _config(document: Mapping[str, Any]) -> Optional[bool]:
    said = mapping(document, "config").get("valid")
    return said if isinstance(said, bool) else None


def _number(value: object) -> float:
    """Not negative and finite; 0 for anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _LARGEST:
        return value
    return 0


def _label(value: object) -> str:
    """Somebody else may have chosen the text: nothing invisible, no controls, no half characters."""
    return visible(str(value), _LONGEST_LABEL)


def _each(outcomes: Mapping[str, str]) -> dict[tuple[str, ...], float]:
    return {(name, s): s == outcome for name, outcome in outcomes.items() for s in STATES}


def _gauge(
    name: str, about: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], float]
) -> Metric:
    metric = GaugeMetricFamily(f"resize_agent_{name}", about, labels=labels)
    for key, value in values.items():
        metric.add_metric(key, float(value))
    return metric


def _counter(name: str, about: str, value: Optional[float]) -> Metric:
    # Without `created` there is no `_created` series, in any version of prometheus_client.
    metric = CounterMetricFamily(f"resize_agent_{name}", about, labels=())
    if value is not None:
        metric.add_metric((), value)
    return metric
