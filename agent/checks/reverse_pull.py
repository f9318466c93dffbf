"""The destination can fetch a deleted image's file from the source, by the source's service name."""

from __future__ import annotations

from collections.abc import Iterator

from agent.model import Check, Finding, NovaConfig, Role, Snapshot, passed, skipped, warned
from agent.settings import Settings


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    """The host keys under these names are the business of known_hosts."""
    if not snapshot.resolved or not isinstance(snapshot.nova, NovaConfig):
        yield skipped("peer names", "this run resolved no name")
        return
    missing = [name for name, found in snapshot.resolved.items() if not found]
    for name in missing:
        if name not in want.peers_ignore:
            text = f"{name} does not resolve here, expected it to"
            yield warned(name, "name_missing", text, peer=name)
    if not missing:
        yield passed("peer names", "the name of every peer dialled resolves here")


CHECK = Check(
    id="reverse_pull",
    role=Role.DESTINATION,
    summary="Names that Nova pulls image files by resolve",
    why=(
        "Where Glance no longer has a guest's image, the destination copies the base file from the source, by the source's "
        "[DEFAULT]host and not by its address (nova/virt/libvirt/driver.py, _try_fetch_image_cache)."
    ),
    evaluate=evaluate,
)
