"""Peers and this host agree on what has to be the same, and differ where they have to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Optional

from agent.formats import mounts
from agent.formats.matching import canonical_address
from agent.model import (
    Absent,
    Account,
    Check,
    Finding,
    Instances,
    Mount,
    NovaConfig,
    Record,
    Role,
    Snapshot,
    Unreadable,
    failed,
    passed,
    skipped,
    warned,
)
from agent.reasons import Side
from agent.settings import Settings

_OF_ALL = {
    "instances_path_differs": "instances_path is {nova.instances_path}",
    "image_cache_differs": "base images are in {nova.image_cache}",
    "uid_differs": "nova's uid on the shared storage is another one",
}


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    nova = snapshot.nova
    if isinstance(nova, Unreadable):
        yield skipped("peer settings", "nova.conf cannot be read: see nova_config")
        return
    peers = snapshot.records.peers(nova.host)
    # Two records with one address are used by nobody else; here they are what is looked for.
    doubtful = tuple(r for r in snapshot.records.conflicted if r.present and r.name != nova.host)
    if not peers and not doubtful:
        yield skipped("peer settings", "there is no peer record to compare with")
    users = Counter(_address(r.address) for r in (*peers, *doubtful) if r.address)
    if nova.address:
        users[_address(nova.address)] += 1
    compared: list[list[Finding]] = []
    for peer in peers:
        if peer.name in want.peers_ignore:
            yield skipped(peer.name, "ignored by peers.ignore", peer=peer.name)
            continue
        found = [*_same_address(nova, peer, users), *_different(snapshot, nova, peer)]
        compared.append(found)
        yield from found or [passed(peer.name, "agrees with this host", peer=peer.name)]
    yield from _odd_one_out(nova, compared)
    for peer in doubtful:
        yield from _same_address(nova, peer, users)


def _odd_one_out(nova: NovaConfig, compared: list[list[Finding]]) -> Iterator[Finding]:
    """What every peer says differently is this host's own fault, whatever its own record still tells them."""
    counts = Counter(f.reason for found in compared for f in found if f.reason in _OF_ALL)
    for reason, number in sorted(counts.items(), key=str):
        if number == len(compared) and reason is not None:
            text = f"{_OF_ALL[reason].format(nova=nova)} here, expected what every peer has"
            finding = failed("this host", reason, text)
            yield replace(finding, side=Side.HERE)


def _same_address(nova: NovaConfig, peer: Record, users: Counter[str]) -> Iterator[Finding]:
    name = peer.name
    if peer.address and users[_address(peer.address)] > 1:
        ours = " (this host's own)" if _address(peer.address) == _address(nova.address) else ""
        text = f"{name} has address {peer.address}{ours}, expected one that no other host has"
        yield failed(name, "duplicate_address", text, peer=name)


def _different(snapshot: Snapshot, nova: NovaConfig, peer: Record) -> Iterator[Finding]:
    name, own_path = peer.name, str(nova.instances_path)
    if peer.instances_path and _path(peer.instances_path) != _path(own_path):
        text = f"{name} has instances_path {peer.instances_path}, expected {own_path} as here"
        yield failed(name, "instances_path_differs", text, peer=name)
    if peer.image_cache != nova.image_cache:
        text = f"{name} has base images in {peer.image_cache}, expected {nova.image_cache} as here"
        yield failed(name, "image_cache_differs", text, peer=name)
    storage = _storage(snapshot, peer)
    if storage is not None:
        yield storage


def _storage(snapshot: Snapshot, peer: Record) -> Optional[Finding]:
    mount, account, name = _mount(snapshot.instances), snapshot.account, peer.name
    theirs = peer.storage
    if mount is None or theirs is None:
        return None
    here, there = mounts.is_shared(mount.fstype), mounts.is_shared(theirs.fstype)
    if here != there:
        text = f"{name} keeps instances on {theirs.fstype}, expected {mount.fstype} as here"
        return warned(name, "storage_differs", text, peer=name)
    same = here and mount.source.rstrip("/") == theirs.source.rstrip("/")
    if same and isinstance(account, Account) and peer.uid not in (None, account.uid):
        text = f"nova is {peer.uid} on {name}, expected {account.uid} as here: they share {mount.source}"
        return failed(name, "uid_differs", text, peer=name)
    return None


def _mount(instances: object) -> Optional[Mount]:
    mount = instances.mount if isinstance(instances, Instances) else Absent()
    return mount if isinstance(mount, Mount) else None


def _address(text: str) -> str:
    return canonical_address(text) or text.lower()


def _path(text: str) -> str:
    return text.rstrip("/") or "/"


CHECK = Check(
    id="peer_settings",
    role=Role.BOTH,
    summary="This host and its peers agree on paths, cache and storage",
    why=(
        "Nova copies to its own path on the peer and the peer looks at its own: where the two differ, or two hosts have one "
        "address, the resize succeeds with a blank disk."
    ),
    evaluate=evaluate,
)
