"""The report for a person: the verdict first, then what is wrong and what to do, then one line on what is fine."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from agent.archive import remedy
from agent.formats.escape import visible
from agent.model import Check, Finding, Outcome, PeerRow, Report, Result, Role, Scope, Step
from agent.plan import describe, diff
from agent.reasons import REASONS, Side

WIDTH = 100
_LIMIT = 2000  # characters of one message
_CODES = {"red": "31", "green": "32", "yellow": "33", "bold": "1"}
_TINT = {
    Outcome.FAIL: "red",
    Outcome.UNKNOWN: "yellow",
    Outcome.WARN: "yellow",
    Outcome.PASS: "green",
}
_BAD = (Outcome.FAIL, Outcome.UNKNOWN, Outcome.WARN)
_SHOWN_PEERS = 20
_WHO = {
    Side.HERE: "act on this host",
    Side.PEER: "act on the peer",
    Side.NETWORK: "act on the network",
    Side.INVENTORY: "act on the peer records",
}
_GUEST = {
    "rollback": "Nova rolls the resize back, the guest keeps running",
    "error_running": "guest in ERROR, still running",
    "error_stopped": "guest powered off, in ERROR",
    "error_destination": "guest in ERROR on the destination",
    "hang": "resize hangs",
    "wrong_disk": "guest comes up with a BLANK DISK",
    "disk_loss": "guest LOSES ITS DISK",
}


class Style(NamedTuple):
    colour: bool = False
    verbose: bool = False
    quiet: bool = False
    diffs: bool = False

    def paint(self, text: str, colour: str) -> str:
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self.colour and colour else text


def text(report: Report, style: Style) -> str:
    parts: list[str] = [*_verdict(report, style)]
    parts += _applied(report, style)
    parts += _problems(report, style)
    parts += _peers(report, style)
    if style.verbose:
        parts += _fine(report, style)
    if not style.quiet:
        parts += _plan(report) + _footer(report)
    return "\n".join(parts) + "\n"


def dry_run(report: Report, style: Style) -> str:
    """The plan alone, as `--fix` would carry it out."""
    steps = report.plan.steps
    if not steps and not report.plan.conflicts:
        return "\n".join(["Nothing to do: --fix would change nothing.", *_omitted(report)]) + "\n"
    out = [f"--fix would make {_count(len(steps), 'change')}:"] if steps else []
    for step in steps:
        out += _step(step, style)
    if steps:
        out.append(
            "--fix looks again afterwards; a step that only these make possible is done and shown then."
        )
    for conflict in report.plan.conflicts:
        out.append(f"  CONFLICT over {visible(conflict.slot)}, none of these is done:")
        out += [f"    {visible(describe(action), _LIMIT)}" for action in conflict.actions]
        out += [f"    asked for by {visible(b, _LIMIT)}" for b in conflict.because]
    return "\n".join([*out, *_omitted(report)]) + "\n"


def _verdict(report: Report, style: Style) -> Iterator[str]:
    failed = Outcome.FAIL in _outcomes(report)
    word = {True: "READY", False: "NOT READY" if failed else "CANNOT TELL", None: "PARTIAL"}[
        report.ready
    ]
    colour = {True: "green", False: "red", None: "yellow"}[report.ready]
    yield style.paint(f"{visible(report.host)}: {word}", colour or "bold")
    for role, sentence in (
        (Role.SOURCE, "resizes can leave this host"),
        (Role.DESTINATION, "resizes can arrive at this host"),
    ):
        ready = report.role_ready(role)
        cannot = report.role_outcome(role) is Outcome.UNKNOWN
        state = {
            True: "yes",
            False: "CANNOT TELL" if cannot else "NO",
            None: "not fully looked at",
        }[ready]
        colour = {True: "green", False: "red", None: "yellow"}[ready]
        yield f"  {role.value:<12}{sentence}: {style.paint(state, colour)}"
    yield from _layout(report)
    if report.peers:
        yield f"  {'peers':<12}{_peer_counts(report.peers)}"
    if report.interrupted:
        yield style.paint("  interrupted: what follows is what was found until then", "yellow")


def _layout(report: Report) -> Iterator[str]:
    """Of a distribution's packages used plainly nothing needs to be said."""
    for check, finding in report.findings():
        told = finding.message if check.id == "layout" and finding.outcome is Outcome.PASS else ""
        if told and not told.startswith("package: "):
            yield from _indented(visible(told, _LIMIT), f"  {'layout':<12}")


def _outcomes(report: Report) -> set[Outcome]:
    roles = {report.role_outcome(role) for role in (Role.SOURCE, Role.DESTINATION)}
    return roles | {row.outcome for row in report.peers}


def _peer_counts(rows: Iterable[PeerRow]) -> str:
    found = [row.outcome for row in rows]
    words = (
        (Outcome.PASS, "accept a disk from here"),
        (Outcome.FAIL, "do not"),
        (Outcome.UNKNOWN, "cannot tell"),
        (Outcome.SKIP, "not looked at"),
    )
    parts = [f"{found.count(o)} {w}" for o, w in words if o in found]
    return f"{len(found)} known: " + ", ".join(parts)


def _problems(report: Report, style: Style) -> Iterator[str]:
    """Worst first; findings of one check, reason and remedy stand together."""
    groups: dict[tuple[Outcome, str, str, str], list[tuple[Check, Finding]]] = {}
    for check, finding in report.findings():
        if finding.outcome in _BAD:
            key = (finding.outcome, check.id, finding.reason or "", remedy(finding) or "")
            groups.setdefault(key, []).append((check, finding))
    for outcome in _BAD:
        for (found, check_id, code, cure), members in groups.items():
            if found is outcome and not (style.quiet and outcome is Outcome.WARN):
                yield ""
                yield from _group(outcome, check_id, code, cure, members, style)


def _group(
    outcome: Outcome,
    check_id: str,
    code: str,
    cure: str,
    members: list[tuple[Check, Finding]],
    style: Style,
) -> Iterator[str]:
    word = style.paint(outcome.value.upper(), _TINT[outcome])
    yield f"{word} {check_id} ({code or 'no reason code'}), {_about(members)}"
    for _, finding in members[:_SHOWN_PEERS]:
        yield from _indented(visible(_sentence(finding), _LIMIT), "  ")
    if len(members) > _SHOWN_PEERS:
        yield f"  ... and {len(members) - _SHOWN_PEERS} more"
    reason = REASONS.get(code)
    if reason and reason.impact and outcome is not Outcome.WARN:
        yield f"  guest: {_GUEST[reason.impact.value]}"
    if cure:
        fixed = any(finding.fix for _, finding in members) and "agent --fix" not in cure
        yield f"  do:    {'agent --fix, or: ' if fixed else ''}{_pasted(cure)}"


def _about(members: list[tuple[Check, Finding]]) -> str:
    """A finding about one peer decides no role, so none is named."""
    if all(finding.peer for _, finding in members):
        return "about single peers"
    role = members[0][0].role.value
    return f"role {'source and destination' if role == 'both' else role}"


def _sentence(finding: Finding) -> str:
    """The message, with the peer, and with the file it speaks of where it does not say so itself."""
    subject = finding.subject
    named = subject in finding.message or "/" not in subject
    about = f"{finding.peer}: " if finding.peer else ""
    return f"{about}{'' if named else subject + ': '}{finding.message}"


def _peers(report: Report, style: Style) -> Iterator[str]:
    bad = [row for outcome in _BAD for row in report.peers if row.outcome is outcome]
    # A peer that takes a disk and yet has something to be told of: our own directory, left behind.
    bad += [row for row in report.peers if row.outcome is Outcome.PASS and row.reason]
    if bad:
        yield ""
        yield style.paint("Peers that need a look:", "bold")
    for row in bad[:_SHOWN_PEERS]:
        where = f" at {row.stage.value}" if row.stage else ""
        word = style.paint(row.outcome.value.upper(), _TINT[row.outcome])
        yield f"  {word} {visible(row.name)} ({visible(row.address)}): {row.reason or ''}{where}"
        yield from _indented(visible(row.message, _LIMIT), "      ")
        reason = REASONS.get(row.reason or "")
        if row.impact:
            yield f"      guest: {_GUEST[row.impact.value]}"
        if reason:
            who = f" ({_WHO[row.side]})" if row.side else ""
            yield from _indented(f"do: {reason.remedy}{who}", "      ")
    if len(bad) > _SHOWN_PEERS:
        yield f"  ... and {len(bad) - _SHOWN_PEERS} more"


def _fine(report: Report, style: Style) -> Iterator[str]:
    yield ""
    for result in report.results:
        for finding in result.findings:
            if finding.outcome not in _BAD:
                word = style.paint(finding.outcome.value, _TINT.get(finding.outcome, ""))
                yield f"{word} {result.check.id}: {visible(_sentence(finding), _LIMIT)}"


def _applied(report: Report, style: Style) -> Iterator[str]:
    if not report.applied:
        return
    done = sum(1 for r in report.applied if r.result is Result.DONE)
    yield ""
    yield style.paint(f"Changed: {done} of {_count(len(report.applied), 'step')} tried", "bold")
    for result in report.applied:
        colour = "green" if result.result is Result.DONE else "red"
        word = style.paint(result.result.value, colour)
        told = describe(result.step.action)
        yield f"  {word}: {visible(told, _LIMIT)}"
        if result.message != "made" and result.message not in told:
            yield f"        {_pasted(result.message)}"
        if style.diffs:
            yield from (f"    {line}" for line in diff(result.step.action).splitlines())


def _plan(report: Report) -> list[str]:
    steps, conflicts = report.plan.steps, report.plan.conflicts
    lines = []
    if steps:
        lines.append(
            f"agent --fix would make {_count(len(steps), 'change')}; agent --fix --dry-run --diff shows them."
        )
    if conflicts:
        lines.append(
            f"{_count(len(conflicts), 'conflict')} between checks: agent --fix --dry-run names them."
        )
    return ["", *lines] if lines else []


def _step(step: Step, style: Style) -> Iterator[str]:
    yield f"  {visible(describe(step.action), _LIMIT)}"
    for because in step.because[:3]:
        yield f"      because {visible(because, _LIMIT)}"
    if len(step.because) > 3:
        yield f"      and {len(step.because) - 3} more reasons"
    if style.diffs:
        yield from (f"    {line}" for line in diff(step.action).splitlines())


def _footer(report: Report) -> list[str]:
    fine = sum(1 for result in report.results if result.outcome is Outcome.PASS)
    skipped = [result.check.id for result in report.results if result.outcome is Outcome.SKIP]
    line = f"Fine: {fine} of {_count(len(report.results), 'check')}; agent -v names them."
    if skipped:
        line += f" Not applicable: {', '.join(skipped)}."
    return ["", *textwrap.wrap(line, WIDTH, subsequent_indent="      "), *_omitted(report)]


def _omitted(report: Report) -> list[str]:
    """The last line, one however long: what this report says nothing about."""
    if report.scope is not Scope.PARTIAL:
        return []
    return [visible(f"Not looked at: {'; '.join(report.omitted)}", _LIMIT)]


def _indented(line: str, lead: str) -> list[str]:
    return textwrap.wrap(
        line,
        WIDTH,
        initial_indent=lead,
        subsequent_indent=" " * min(len(lead), 9),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _pasted(command: str) -> str:
    """On one line, however long: what a terminal folds can be pasted into a shell, what we fold cannot."""
    return visible(command, _LIMIT)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
