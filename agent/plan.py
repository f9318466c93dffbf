"""Findings to an ordered list of end states.  Pure: the same findings in any order give the same plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Optional, get_args

from agent.formats import lines
from agent.formats.escape import visible, visible_bytes
from agent.model import (
    Action,
    CheckResult,
    Conflict,
    HaveLines,
    MakeDirectory,
    MakeKeyPair,
    Plan,
    SetMode,
    SetOwner,
    SetShell,
    Step,
    WriteFile,
    assert_never,
)

_ORDER = {kind: position for position, kind in enumerate(get_args(Action))}


def make(results: Iterable[CheckResult]) -> Plan:
    """Equal actions merge, their reasons add up; two different ones for one thing are a conflict and neither is kept."""
    wanted: dict[str, dict[Action, set[str]]] = defaultdict(lambda: defaultdict(set))
    for result in results:
        for finding in result.findings:
            for action in finding.fix:
                wanted[slot(action)][action].add(f"{result.check.id}: {finding.subject}")
    steps = [
        Step(action, tuple(sorted(because)))
        for actions in wanted.values()
        if len(actions) == 1
        for action, because in actions.items()
    ]
    conflicts = [
        Conflict(name, tuple(sorted(actions, key=repr)), _all(actions.values()))
        for name, actions in wanted.items()
        if len(actions) > 1
    ]
    return Plan(
        tuple(sorted(steps, key=lambda s: (_ORDER[type(s.action)], slot(s.action)))),
        tuple(sorted(conflicts, key=lambda c: c.slot)),
    )


def _all(because: Iterable[set[str]]) -> tuple[str, ...]:
    return tuple(sorted(set().union(*because)))


def slot(action: Action) -> str:
    """The one piece of state an action decides."""
    if isinstance(action, (MakeDirectory, WriteFile, HaveLines, MakeKeyPair)):
        return f"content of {action.path}"
    if isinstance(action, SetOwner):
        return f"owner of {action.path}"
    if isinstance(action, SetMode):
        return f"mode of {action.path}"
    if isinstance(action, SetShell):
        return f"shell of {action.user}"
    assert_never(action)


def target(action: Action) -> str:
    return action.user if isinstance(action, SetShell) else str(action.path)


def describe(action: Action) -> str:
    """One line for a person."""
    if isinstance(action, MakeDirectory):
        return (
            f"make directory {action.path}, mode {action.mode:04o}, owner {action.uid}:{action.gid}"
        )
    if isinstance(action, SetOwner):
        return (
            f"give {action.path} to {action.uid}:{action.gid}, was {action.was[0]}:{action.was[1]}"
        )
    if isinstance(action, SetMode):
        return f"set mode of {action.path} to {action.mode:04o}, was {action.was:04o}"
    if isinstance(action, WriteFile):
        verb = "write" if action.replaces is None else "rewrite"
        return f"{verb} {action.path}"
    if isinstance(action, HaveLines):
        return f"in {action.path}: add {len(action.present)} and withdraw {len(action.absent)} of our lines"
    if isinstance(action, MakeKeyPair):
        accepted = f", accepted in {action.accepted_in}" if action.accepted_in else ""
        return f"make an ed25519 key pair {action.path} for {action.user}{accepted}"
    if isinstance(action, SetShell):
        return f"set the login shell of {action.user} to {action.shell}, was {action.was}"
    assert_never(action)


def diff(action: Action) -> str:
    """A unified diff of the text an action changes; empty for those that change no text.  Public keys only."""
    if isinstance(action, WriteFile):
        return _unified(str(action.path), action.replaces, action.content)
    if isinstance(action, HaveLines):
        after = lines.result(action.observed or b"", action.present, action.absent)
        return _unified(str(action.path), action.observed, after)
    return ""


def _unified(path: str, before: Optional[bytes], after: bytes) -> str:
    import difflib  # paid for only where a difference is shown

    old = [visible_bytes(line, 1000) for line in (before or b"").splitlines()]
    new = [visible_bytes(line, 1000) for line in after.splitlines()]
    name = visible(path)
    origin = "/dev/null" if before is None else name
    return "\n".join(difflib.unified_diff(old, new, origin, name, lineterm="", n=2))
