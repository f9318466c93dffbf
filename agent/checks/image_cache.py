"""Nova can write where it keeps base images and locks, beside the guests' directories."""

from __future__ import annotations

from collections.abc import Iterator

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
)
from agent.settings import Settings


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    instances = snapshot.instances
    if not snapshot.host.live:
        yield skipped("image cache", "nobody can ask nova in an image")
        return
    if isinstance(instances, Unreadable):
        yield unknown("image cache", unseen(snapshot), instances.reason)
        return
    for name, writable in instances.kept:
        path = instances.path / name
        if writable:
            yield passed(str(path), f"{want.user} can write in it")
        else:
            text = f"{want.user} cannot write in {path}, expected a directory of its own"
            yield failed(str(path), "cache_not_writable", text)
    if not instances.kept:
        yield passed("image cache", "Nova has not made its directories yet")


CHECK = Check(
    id="image_cache",
    role=Role.DESTINATION,
    summary="Nova can write to its image cache and its locks",
    why=(
        "The disk arrives, and the destination then fetches the base image where it has none: without its cache or its locks "
        "(nova/virt/libvirt/imagebackend.py, Image.cache) the guest is left in ERROR there."
    ),
    evaluate=evaluate,
)
