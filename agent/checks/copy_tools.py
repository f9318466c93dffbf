"""What the copy needs on the destination is there."""

from __future__ import annotations

from collections.abc import Iterator

from agent.formats.access import unseen
from agent.model import (
    Absent,
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
)
from agent.settings import Settings


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    nova = snapshot.nova
    if isinstance(nova, Unreadable):
        yield skipped("rsync", "nova.conf cannot be read: see nova_config")
        return
    yield (
        _finding(snapshot, nova)
        if nova.transport == "rsync"
        else passed("rsync", "not needed: copies come by scp")
    )
    for peer in snapshot.records.peers(nova.host):
        # It is the source's transport that counts.
        if nova.transport != "rsync" and peer.transport == "rsync":
            yield _finding(snapshot, nova, peer.name)


def _finding(snapshot: Snapshot, nova: NovaConfig, peer: str = "") -> Finding:
    tool, who = snapshot.tools.get("rsync"), peer or None
    if not snapshot.host.live and tool is None:
        return skipped("rsync", "not looked for in an image", peer=who)
    if tool is None:
        return unknown("rsync", unseen(snapshot), "nobody looked for rsync", peer=who)
    if isinstance(tool.path, Absent) or not tool.executable:
        text = f"rsync is not installed, expected it: {peer or nova.host} copies by rsync"
        return failed("rsync", "rsync_missing_on_peer", text, peer=who)
    return passed("rsync", f"rsync is {tool.path}", peer=who)


CHECK = Check(
    id="copy_tools",
    role=Role.DESTINATION,
    summary="rsync is installed where copies come by rsync",
    why="With remote_filesystem_transport=rsync the source starts an rsync on the destination too.",
    evaluate=evaluate,
)
