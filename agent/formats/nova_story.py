"""From what was found in Nova's words to what an operator needs: who acts, how to prove it, how to come back."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Callable, Optional

from agent.formats.escape import visible
from agent.formats.nova_command import Command, Work
from agent.formats.nova_fault import Fault, State
from agent.formats.nova_log import Failure
from agent.formats.nova_recovery import (
    LEAVES,
    LOOK_THERE,
    NO_BASE_IMAGE,
    NO_END,
    ON_SOURCE,
    PULL_SEEN_BY,
    RECOVERY,
    RSYNC_MODE,
    SEEN_BY,
)
from agent.reasons import REASONS, Impact, Reason, Side

_MOST_GUESTS = 10
_PROBE = "7e512ea9-0000-4000-8000-000000000000"
_AS_NOVA = "sudo -u nova -H"
_PLACE = re.compile(r"\{([a-z]+)\}")
_IMPACTS = {
    State.ROLLBACK: Impact.ROLLBACK,
    State.ERROR_RUNNING: Impact.ERROR_RUNNING,
    State.ERROR_STOPPED: Impact.ERROR_STOPPED,
    State.ERROR_MOVED: Impact.ERROR_STOPPED,
    State.ERROR_DESTINATION: Impact.ERROR_DESTINATION,
    State.DISK_LOSS: Impact.DISK_LOSS,
    State.HANG: Impact.HANG,
    State.HANG_DESTINATION: Impact.HANG,
}
ARRIVED = (State.ERROR_DESTINATION, State.HANG_DESTINATION)
"""Nova counts the guest to the destination, so that is the host which the text names."""


@dataclass(frozen=True)
class Story:
    """`side`: source, destination, network or inventory.  `""` and None are what nothing tells."""

    reason: str
    cause: str
    saw: str
    command: str
    exit_code: Optional[int]
    source: str
    destination: str
    address: str
    side: str
    impact: Optional[str]
    state: str
    told_by: str
    leaves: str
    caught_by: tuple[str, ...]
    prove_on: str
    prove: str
    remedy: str
    directory: str
    recovery: tuple[str, ...]
    cut: bool
    candidates: tuple[str, ...]
    guests: tuple[str, ...]
    requests: tuple[str, ...]
    count: int
    first: str
    last: str


def stories(failures: Iterable[Failure], names: Mapping[str, str]) -> list[Story]:
    """One for each cause, pair and state, however many guests it hit; `names`: address -> host."""
    groups: dict[tuple[str, str, str, str], list[Failure]] = {}
    for each in failures:
        command = each.fault.command
        address = command.address if command else ""
        key = (each.fault.reason, each.fault.state.value, each.host, address)
        groups.setdefault(key, []).append(each)
    return [_story(group, names) for group in groups.values()]


def _story(group: Sequence[Failure], names: Mapping[str, str]) -> Story:
    fault, host = group[0].fault, visible(group[0].host, 100)
    command = fault.command
    address = visible(command.address, 100) if command else ""
    other = visible(names.get(address, ""), 100)
    arriving = fault.state in ARRIVED
    source, destination = (other, host) if arriving else (host, other)
    if arriving and command and command.work is Work.PULL:
        source = source or address  # Nova pulls by the source's service name
    guests = tuple(dict.fromkeys(visible(each.uuid, 40) for each in group if each.uuid))
    fill = _filler(command, guests, source, destination, "" if arriving else address)
    reason = REASONS.get(fault.reason, REASONS["unclassified"])
    acting = _acting(fault)
    times = [visible(each.time, 40) for each in group if each.time]
    proof = _prove(fault)
    recovery = list(RECOVERY[fault.state])
    if fault.state is State.ERROR_STOPPED and command and command.tool == "rsync":
        recovery.append(RSYNC_MODE)
    return Story(
        reason=reason.code,
        cause=_cause(fault, reason),
        saw=fault.detail,
        command=visible(command.line, 600) if command else "",
        exit_code=fault.status,
        source=source,
        destination=destination,
        address=address,
        side=acting,
        impact=_IMPACTS[fault.state].value if fault.state in _IMPACTS else None,
        state=fault.state.value,
        told_by=fault.told_by,
        leaves=fill(LEAVES[fault.state]),
        caught_by=tuple(map(fill, _caught_by(fault))),
        prove_on="" if not proof else "destination" if _pulls(fault) else "source",
        prove=proof,
        remedy=_remedy(
            LOOK_THERE if fault.state is State.HANG_DESTINATION else reason.remedy, acting, fill
        ),
        directory=fill("{dir}"),
        recovery=tuple(map(fill, recovery)),
        cut=fault.cut,
        candidates=fault.candidates,
        guests=guests[:_MOST_GUESTS],
        requests=tuple(visible(each.request, 50) for each in group if len(each.request) > 1)[
            :_MOST_GUESTS
        ],
        count=len(group),
        first=times[0] if times else "",
        last=times[-1] if times else "",
    )


def _filler(
    command: Optional[Command],
    guests: Sequence[str],
    source: str,
    destination: str,
    address: str,
) -> Callable[[str], str]:
    """Puts the names of this failure into a text."""
    path = visible(command.instances_path if command else "", 200) or "/var/lib/nova/instances"
    guest = guests[0] if len(guests) == 1 else "UUID"
    values = {
        "guest": guest,
        "ip": path,
        "dir": f"{path}/{guest}",
        "source": source or "the source",
        "destination": destination
        or (f"the host with {address}" if address else "the destination"),
        "peer": destination or "NAME",
    }

    def fill(text: str) -> str:
        return _PLACE.sub(lambda match: values.get(match[1], match[0]), text)

    return fill


def _pulls(fault: Fault) -> bool:
    return fault.command is not None and fault.command.work is Work.PULL


def _cause(fault: Fault, reason: Reason) -> str:
    """As the list of codes has it, unless this text shows less, or another file."""
    if _IMPACTS.get(fault.state) is Impact.HANG:
        return NO_END
    return NO_BASE_IMAGE if _pulls(fault) and reason.code == "copy_failed" else reason.cause


def _acting(fault: Fault) -> str:
    """Who has to act, in terms of the pair: the list of codes speaks from the host that judges itself."""
    reason = REASONS.get(fault.reason, REASONS["unclassified"])
    if reason.code == "unclassified":
        return ""
    if reason.side in (Side.NETWORK, Side.INVENTORY):
        return str(reason.side.value)
    if reason.code == "copy_failed" and "open local" in fault.detail:
        return "source"
    on_source = reason.code in ON_SOURCE
    if _pulls(fault):  # the destination is the client here
        on_source = not on_source
    return "source" if on_source else "destination"


def _caught_by(fault: Fault) -> list[str]:
    if _pulls(fault):
        return [f"agent --only {c} on {{destination}}" for c in PULL_SEEN_BY.get(fault.reason, ())]
    found = [f"agent --only {check} on {{{role}}}" for check, role in SEEN_BY.get(fault.reason, ())]
    if fault.command is not None:
        found.append("agent --peer {peer} on {source}, the real dial to {destination}")
    return found


def _remedy(text: str, acting: str, fill: Callable[[str], str]) -> str:
    return f"{fill('{' + acting + '}')}: {text}" if acting in ("source", "destination") else text


def _prove(fault: Fault) -> str:
    """The same command by hand, as nova; never one that touches a guest's disk."""
    command = fault.command
    if fault.reason == "tool_missing" and command is None:
        return "tr '\\0' '\\n' </proc/$(pgrep -of nova-compute)/environ | grep ^PATH=  # is ssh, scp or rsync in there?"
    if command is None or not command.address:
        return ""
    address = visible(command.address, 100)
    ip = visible(command.instances_path, 200) or "/var/lib/nova/instances"
    bracketed = f"[{address}]" if ":" in address else address
    if command.work is Work.PULL:
        remote = shlex.quote(f"{bracketed}:{visible(command.path, 300)}")
        return f"{_AS_NOVA} scp -C -r {remote} /dev/null </dev/null; echo $?"
    ssh = f"{_AS_NOVA} ssh -o BatchMode=yes {shlex.quote(address)}"
    probe = shlex.quote(f"{ip}/{_PROBE}")
    if command.tool == "ssh":
        path = shlex.quote(visible(command.path, 300)) if command.uuid else probe
        return f"{ssh} mkdir -p {path} </dev/null; echo $?"
    copy = "scp -r" if command.tool == "scp" else "rsync -r --sparse"
    remote = shlex.quote(f"{bracketed}:{ip}/{_PROBE}/disk")
    return (
        f"{ssh} mkdir -p {probe} </dev/null; {_AS_NOVA} {copy} /etc/hostname {remote}"
        f" </dev/null; echo $?; {ssh} rm -rf {probe} </dev/null"
    )
