"""The address that Nova tells peers to dial is one of this host's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import Optional

from agent.formats.access import unseen
from agent.formats.matching import Address, parse_address
from agent.formats.nova_conf import NO_HOST
from agent.model import (
    Check,
    Finding,
    NovaConfig,
    Role,
    Snapshot,
    Unreadable,
    failed,
    passed,
    skipped,
    unknown,
    warned,
)
from agent.reasons import Impact
from agent.settings import Settings


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    nova = snapshot.nova
    if isinstance(nova, Unreadable):
        yield skipped("address", "nova.conf cannot be read: see nova_config")
    elif not nova.address and any(p.endswith(NO_HOST) for p in nova.problems):
        text = next(p for p in nova.problems if p.endswith(NO_HOST))
        refused = failed("address", "nova_option_invalid", f"{text}, expected an address")
        yield replace(refused, impact=Impact.ROLLBACK)  # ssh ends before it dials anybody
    elif not nova.address:
        text = "the address peers dial is not known, expected one of this host's own"
        yield unknown("address", "address_unknown", text)
    elif not snapshot.host.live:
        yield skipped(_subject(nova), "an image has no addresses yet")
    elif not snapshot.host.addresses:
        text = "the addresses of this host are not known"
        yield unknown(_subject(nova), unseen(snapshot), text)
    else:
        yield _judge(nova, snapshot)


def _judge(nova: NovaConfig, snapshot: Snapshot) -> Finding:
    subject, told = _subject(nova), _told(nova)
    literal = parse_address(nova.address.partition("%")[0])
    if _is_nowhere(literal) or nova.address.lower() in ("localhost", "localhost.localdomain"):
        text = f"{told} is a loopback or unspecified address, expected one that peers can dial"
        return failed(subject, "address_loopback", text)
    if snapshot.host.unresolved:
        text = f"{told} is a name: {snapshot.host.unresolved}"
        return unknown(subject, "not_observed", text)
    if not snapshot.host.dialled:
        text = f"{told} does not resolve here, expected a name that every host resolves"
        return failed(subject, "name_unresolvable", text)
    own = {ip_address(_bare(a)) for a in snapshot.host.addresses}
    found = [ip_address(_bare(a)) for a in snapshot.host.dialled]
    if literal is None and all(map(_is_nowhere, found)):
        # Debian's /etc/hosts maps a host's own name to 127.0.1.1; what its peers are told by DNS shows in their dials.
        text = f"{told} resolves to {_listed(found)} here, expected an address of an interface"
        return warned(subject, "address_loopback", text)
    foreign = [a for a in found if a not in own]
    if foreign:
        has = ", ".join(a for a in snapshot.host.addresses if not _is_nowhere(parse_address(a)))
        also = "" if literal is not None else f", which resolves to {_listed(foreign)},"
        text = f"{told}{also} is on no interface of this host, which has {has or 'none'}"
        if _leads_here(nova, snapshot):
            text = f"{text}; a dial of it comes back here, so addresses are translated"
            return warned(subject, "my_ip_not_here", text)
        return failed(subject, "my_ip_not_here", text)
    return passed(subject, f"{told} is on an interface of this host")


def _leads_here(nova: NovaConfig, snapshot: Snapshot) -> bool:
    """The dial of oneself takes no host key but one's own, and looks for the directory it made."""
    came_through = (a for a in snapshot.self_dials if a.reason is None or a.stage == "cleanup")
    return any(a.address == nova.address for a in came_through)


def _option(nova: NovaConfig) -> str:
    origin = nova.origin.get("[libvirt]migration_inbound_addr", "default")
    inbound = nova.address != nova.my_ip or origin != "default"
    return "[libvirt]migration_inbound_addr" if inbound else "[DEFAULT]my_ip"


def _subject(nova: NovaConfig) -> str:
    return _option(nova).partition("]")[2]


def _told(nova: NovaConfig) -> str:
    return f"{_subject(nova)} {nova.address} from {nova.origin.get(_option(nova), 'default')}"


def _is_nowhere(address: Optional[Address]) -> bool:
    return address is not None and (address.is_loopback or address.is_unspecified)


def _bare(address: str) -> str:
    return address.partition("%")[0]


def _listed(addresses: list[Address]) -> str:
    return ", ".join(map(str, addresses))


CHECK = Check(
    id="nova_address",
    role=Role.DESTINATION,
    summary="The address Nova tells peers to dial is this host's own",
    why=(
        "The destination of a resize names the address that its peer dials. If it belongs to nobody or to another host "
        "the disk goes nowhere or to the wrong place, and Nova starts a blank one."
    ),
    evaluate=evaluate,
)
