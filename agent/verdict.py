"""Where predictions and dials meet.  The dial wins: a prediction about a stage that a dial has passed is at most a warning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Optional

from agent.formats import places
from agent.formats.keys import fingerprint
from agent.model import (
    Account,
    Attempt,
    Check,
    CheckResult,
    Finding,
    NovaConfig,
    Outcome,
    PeerRow,
    Record,
    Role,
    ServerConfig,
    Snapshot,
)
from agent.reasons import REASONS, Impact, Reason, Side, Stage, impact_at
from agent.settings import Settings

# Findings about a peer that no dial can disprove: everything "works" and the disk is lost or somewhere else.
_SILENT = (Impact.WRONG_DISK, Impact.DISK_LOSS, Impact.ERROR_DESTINATION)
_PREDICTED = (Outcome.FAIL, Outcome.UNKNOWN)
# Checks that predict from what sshd -T says.
_BY_SSHD = ("sshd", "authorized_keys", "strict_modes", "account")
_NOVA_WAITS = "; Nova, which has no limit of its own, would wait minutes and then give up"
# From the login on it is the peer that answers.
_AT_THE_PEER = ("auth", "shell", "directory", "copy")
_OWN = (
    "tool_missing",
    "scp_missing",
    "rsync_without_ssh",
    "client_hangs",
    "no_user_for_uid",
    "identity_unreadable",
    "identity_mode",
    "identity_broken",
)


def settle(results: Iterable[CheckResult], snapshot: Snapshot) -> tuple[CheckResult, ...]:
    """The same results, with each prediction that a dial disproved turned into `prediction_disagrees`."""
    by_peer = {a.name: a for a in snapshot.dials}
    passed = {
        # One peer's words before the login prove nothing for the whole host: only a dial that came through does.
        Role.SOURCE: frozenset(s for a in snapshot.dials if a.reason is None for s in a.passed),
        # What passes on one port says nothing about another.
        Role.DESTINATION: frozenset(
            s for a in snapshot.self_dials if a.port == snapshot.port for s in a.passed
        ),
        Role.BOTH: frozenset[str](),
    }
    met = frozenset(a.reason for a in (*snapshot.dials, *snapshot.self_dials) if a.reason)
    return tuple(
        replace(
            result,
            findings=tuple(
                _settled(result.check, finding, by_peer, passed, met, snapshot)
                for finding in result.findings
            ),
        )
        for result in results
    )


def _settled(
    check: Check,
    finding: Finding,
    by_peer: Mapping[str, Attempt],
    passed: Mapping[Role, frozenset[str]],
    met: frozenset[str],
    snapshot: Snapshot,
) -> Finding:
    reason = REASONS.get(finding.reason or "")
    if check.id == "self_dial" or finding.outcome not in _PREDICTED or reason is None:
        return finding
    if finding.peer is not None:
        # A finding of the destination about one peer speaks of the way peer -> here, which no dial from here shows.
        dial = by_peer.get(finding.peer) if check.role is Role.SOURCE else None
        proved = frozenset(dial.passed) if dial else frozenset()
    else:
        proved = passed[check.role]
    if reason.stage is None or reason.stage.value not in proved or reason.code in met:
        return finding
    if finding.outcome is Outcome.UNKNOWN:
        told = f"{finding.message}; a real dial passed all the same"
        return replace(finding, outcome=Outcome.WARN, message=told)
    return _disproved(check, finding, reason, by_peer, snapshot)


def _disproved(
    check: Check,
    finding: Finding,
    reason: Reason,
    by_peer: Mapping[str, Attempt],
    snapshot: Snapshot,
) -> Finding:
    """A dial passed where a failure was predicted: the prediction stood on something that is not so any more, or is ours."""
    server, dial = snapshot.server_for(""), by_peer.get(finding.peer or "")
    if check.id in _BY_SSHD and isinstance(server, ServerConfig) and server.newer:
        message = (
            f"{finding.message}; the running sshd, older than {server.newer}, does not do so yet"
        )
        return replace(
            finding, outcome=Outcome.WARN, reason="sshd_not_reloaded", message=message, remedy=None
        )
    if dial and reason.code.startswith("host_key_") and not _names_key(dial, snapshot):
        message = f"{finding.message}; yet the dial passed, with {dial.server_key}, which its record does not name"
        return replace(
            finding, outcome=Outcome.WARN, reason="record_stale", message=message, remedy=None
        )
    message = f"{finding.message}; yet a real dial passed this ({reason.code} was predicted)"
    return replace(finding, outcome=Outcome.WARN, reason="prediction_disagrees", message=message)


def _misled(row: PeerRow, dial: Attempt, snapshot: Snapshot) -> PeerRow:
    """A dial that came through to somebody else, where ssh takes any host key: the key shown says whom."""
    record = snapshot.records.named(dial.name)
    if row.outcome is not Outcome.PASS or _names_key(dial, snapshot):
        return row
    assert record is not None and dial.server_key is not None
    shown = dial.server_key.split()[-1]
    hosts = [(r.name, r.host_keys) for r in snapshot.records.records if r.present and r != record]
    hosts.append(("this host itself", snapshot.host.host_keys))
    who = next((name for name, has in hosts if shown in map(fingerprint, has)), None)
    if who is None or not record.host_keys:
        return row  # a host that was installed anew, which known_hosts and records tell of
    text = f"{who} answers at {record.address}, by its host key {shown}, expected {record.name}"
    return _refused(row, "another_host_answers", text)


def _names_key(dial: Attempt, snapshot: Snapshot) -> bool:
    """Whether the peer's record names the host key that the peer showed."""
    record = snapshot.records.named(dial.name)
    if dial.server_key is None or record is None:
        return True
    return dial.server_key.split()[-1] in {fingerprint(key) for key in record.host_keys}


def rows(
    snapshot: Snapshot,
    results: Iterable[CheckResult],
    want: Settings,
    earlier: Mapping[str, PeerRow],
    chosen: frozenset[str],
) -> tuple[PeerRow, ...]:
    """One row for each peer known: what a dial from here met, or why there was none."""
    nova = snapshot.nova
    own = nova.host if isinstance(nova, NovaConfig) else snapshot.host.name.lower()
    found = tuple(results)
    dials = {attempt.name: attempt for attempt in snapshot.dials}
    silent = _silent(found)
    conflicted = frozenset(r.name for r in snapshot.records.conflicted)
    known = {r.name: r for r in snapshot.records.peers(own)}
    known.update({r.name: r for r in snapshot.records.conflicted if r.present and r.name != own})
    made = []
    for name, record in sorted(known.items()):
        if name in want.peers_ignore:
            made.append(
                PeerRow(name, record.address, Outcome.SKIP, message="peers.ignore names it")
            )
            continue
        if name in conflicted:
            row = _conflicting(record)
        elif name in dials:
            row = _misled(_row(record, dials[name], found), dials[name], snapshot)
        else:
            row = earlier.get(name) or _undialled(record, snapshot, chosen=name in chosen)
        if name in silent:
            row = _refused(row, silent[name].reason or "", silent[name].message)
        made.append(row)
    return tuple(made)


def _silent(results: Iterable[CheckResult]) -> dict[str, Finding]:
    worst: dict[str, Finding] = {}
    for result in results:
        for finding in result.findings:
            reason = REASONS.get(finding.reason or "")
            if (
                finding.peer
                and finding.outcome is Outcome.FAIL
                and reason
                and reason.impact in _SILENT
            ):
                worst.setdefault(finding.peer, finding)
    return worst


def _refused(row: PeerRow, code: str, message: str) -> PeerRow:
    reason = REASONS[code]
    row = replace(row, outcome=Outcome.FAIL, stage=None, reason=code, message=message)
    return replace(row, side=reason.side, impact=reason.impact)


def _conflicting(record: Record) -> PeerRow:
    message = "its record and another claim one name or address, so neither is used"
    said = ("record_conflict", Side.INVENTORY, None, message)
    return PeerRow(record.name, record.address, Outcome.UNKNOWN, None, *said)


def _undialled(record: Record, snapshot: Snapshot, *, chosen: bool) -> PeerRow:
    message = "not dialled in this run"
    if not chosen:
        return PeerRow(
            record.name, record.address, Outcome.SKIP, reason="not_probed", message=message
        )
    if not isinstance(snapshot.account, Account):
        reason = "no_nova_user"
    elif not snapshot.host.privileged:
        reason = "needs_root"
    elif not isinstance(snapshot.nova, NovaConfig):
        reason = "nova_conf_unreadable"
    elif not places.is_one_word(snapshot.nova.instances_path):
        reason = "nova_option_invalid"
    else:
        reason = "interrupted"
    side = REASONS[reason].side
    return PeerRow(record.name, record.address, Outcome.UNKNOWN, None, reason, side, None, message)


def _row(record: Record, attempt: Attempt, results: Iterable[CheckResult]) -> PeerRow:
    if attempt.reason is None or attempt.stage == Stage.CLEANUP.value:
        # Nova removes nothing after a copy that went well: what is left behind keeps no resize back.
        return _filled(record, attempt, Outcome.PASS, attempt.reason, None)
    outcome = Outcome.UNKNOWN if attempt.unknown else Outcome.FAIL
    reason, side, why = _cause(record, attempt, results)
    row = _filled(record, attempt, outcome, reason, side)
    waits = _NOVA_WAITS if reason == "connect_timeout" else ""
    return replace(row, message=(why or attempt.detail) + waits)


def _filled(
    record: Record, attempt: Attempt, outcome: Outcome, code: Optional[str], side: Optional[Side]
) -> PeerRow:
    reason = REASONS.get(code or "")
    stage = Stage(attempt.stage) if attempt.stage else None
    return PeerRow(
        name=record.name,
        address=attempt.address,
        outcome=outcome,
        stage=stage,
        reason=code,
        side=side or (reason.side if reason else None),
        impact=_impact(reason, stage, outcome),
        message=attempt.detail or "Nova's own lines work",
        checked_at=attempt.at,
        seconds=attempt.seconds,
    )


def _impact(reason: Optional[Reason], stage: Optional[Stage], outcome: Outcome) -> Optional[Impact]:
    """What Nova does where it meets the same, also where that may be over by then: a busy peer, a slow one."""
    return impact_at(reason, stage) if reason and outcome in _PREDICTED else None


def _cause(
    record: Record, attempt: Attempt, results: Iterable[CheckResult]
) -> tuple[str, Optional[Side], str]:
    """(reason, side, message) of a failed dial: the server never says why, so what this host knows of itself is asked."""
    code = attempt.reason or "unclassified"
    if code == "permission_denied":
        own = _own_fault(results, "identity") or _own_fault(results, "ssh_config")
        return own if own else (code, Side.PEER, "")
    if code == "client_hangs":
        own = _own_fault(results, "identity")
        return own if own and own[0] == "identity_blocks" else (code, Side.HERE, "")
    if code == "host_key_changed" and attempt.server_key is not None:
        told = {fingerprint(key) for key in record.host_keys}
        shown = attempt.server_key.split()[-1]
        if shown not in told:
            why = f"{attempt.detail}; its record does not have the key it shows ({shown})"
            return code, Side.INVENTORY, why
    if code == "host_key_unknown" and not record.host_keys:
        return code, Side.INVENTORY, f"{attempt.detail}; its record has no host keys"
    reason = REASONS[code] if code in REASONS else REASONS["unclassified"]
    here = reason.code in _OWN or attempt.stage not in _AT_THE_PEER
    side = reason.side if here or reason.side is not Side.HERE else Side.PEER
    return reason.code, side, ""


def _own_fault(
    results: Iterable[CheckResult], check: str
) -> Optional[tuple[str, Optional[Side], str]]:
    for result in results:
        for finding in result.findings if result.check.id == check else ():
            if finding.outcome is Outcome.FAIL and finding.reason:
                return finding.reason, Side.HERE, finding.message
    return None
