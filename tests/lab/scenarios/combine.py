"""Several faults at once: which ones go together, and the one fault they make."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations

from tests.lab.scenarios.fault import Fault

JOINT = " + "
"""Between the names of the parts, in the name of the whole."""
# What a script replaces as a whole: the second of two such would only undo the first.
_REPLACED = re.compile(
    r"\b(?:client|option|rc|akc|stop_sshd|rsync_transport|nova_option \w+|usermod -\w)\b|/tmp/\w+"
)


def together(faults: Sequence[Fault]) -> bool:
    """Whether each of the faults still does what it does alone, as far as the scripts show."""
    return all(_apart(one, other) for one, other in combinations(faults, 2)) and (
        len({f.ipv6 for f in faults}) == 1
        or not any("10." in script for f in faults for script in _scripts(f).values())
    )


def _apart(one: Fault, other: Fault) -> bool:
    if set(one.environment) & set(other.environment):
        return False
    mine, theirs = _replaced(one), _replaced(other)
    return not any(mine[side] & theirs[side] for side in mine)


def _replaced(fault: Fault) -> dict[str, set[str]]:
    sides = {"a": fault.a + " " + fault.a_after, "b": fault.b + " " + fault.b_after}
    return {side: set(_REPLACED.findall(text)) for side, text in sides.items()}


def _scripts(fault: Fault) -> dict[str, str]:
    return {name: getattr(fault, name) for name in ("a", "b", "a_after", "b_after")}


def combine(faults: Sequence[Fault]) -> Fault:
    """Each script in a shell of its own, one after the other; a silent later effect of any part is one of the whole."""
    environment: dict[str, str] = {}
    for fault in faults:
        environment.update(fault.environment)
    scripts = {
        name: "\n".join(
            f"(\n{'' if number == 1 else f'NR={number}; '}{script}\n)"
            for number, fault in enumerate(faults, 1)
            if (script := _scripts(fault)[name])
        )
        for name in ("a", "b", "a_after", "b_after")
    }
    return Fault(
        JOINT.join(fault.name for fault in faults),
        **scripts,
        environment=environment,
        ipv6=any(fault.ipv6 for fault in faults),
        unseen=next((fault.unseen for fault in faults if fault.unseen), ""),
        records=any(fault.records for fault in faults),
        accepted=next((f.accepted for f in faults if f.accepted.startswith("false")), ""),
        by_hand_only=any(fault.by_hand_only for fault in faults),
        parts=tuple(faults),
    )


def named(name: str, table: Mapping[str, Fault]) -> Fault:
    """The row `A`, or the combination `A + B`.  KeyError where there is no such row."""
    parts = [table[part] for part in name.split(JOINT)]
    return parts[0] if len(parts) == 1 else combine(parts)
