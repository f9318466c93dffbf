"""nova can have blocks and inodes where instances live."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from agent.formats.access import unseen
from agent.model import (
    Check,
    Finding,
    Role,
    Snapshot,
    Unreadable,
    failed,
    passed,
    skipped,
    unknown,
    warned,
)
from agent.settings import Settings

_BLOCK = 4096
_GIB = 1024**3


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    instances = snapshot.instances
    if not snapshot.host.live:
        yield skipped("room", "an image has no room of its own")
    elif isinstance(instances, Unreadable):
        yield unknown("room", unseen(snapshot), instances.reason)
    else:
        yield _blocks(str(instances.path), instances.free_bytes, want.warn_free_bytes)
        yield _inodes(str(instances.path), instances.free_inodes)


def _blocks(path: str, free: Optional[int], threshold: int) -> Finding:
    subject = f"room in {path}"
    if free is None:
        return passed(subject, "the file system does not count its blocks")
    if free < _BLOCK:
        return failed(subject, "no_space", f"{free} bytes are free, expected one block at least")
    if free < threshold:
        text = f"{free / _GIB:.1f} GiB are free, expected {threshold / _GIB:.1f} GiB or more"
        return warned(subject, "little_room", text)
    return passed(subject, f"{free / _GIB:.1f} GiB are free")


def _inodes(path: str, free: Optional[int]) -> Finding:
    subject = f"inodes in {path}"
    if free is None:
        return passed(subject, "the file system does not count its inodes")
    if free == 0:
        return failed(subject, "no_inodes", "no inode is free, expected one at least")
    return passed(subject, f"{free} inodes are free")


CHECK = Check(
    id="room",
    role=Role.DESTINATION,
    summary="There is room where instances live",
    why=(
        "mkdir still works on a full file system: the guest is powered off first and the copy fails then. How much a guest "
        "needs is not known here, so little room is only a warning."
    ),
    evaluate=evaluate,
)
