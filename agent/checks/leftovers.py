"""No directory of an earlier resize stands in the way of the next one."""

from __future__ import annotations

from collections.abc import Iterator

from agent.formats.access import unseen
from agent.formats.escape import visible
from agent.model import (
    Check,
    Finding,
    Role,
    Snapshot,
    Unreadable,
    failed,
    passed,
    unknown,
    warned,
)
from agent.settings import Settings


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    instances = snapshot.instances
    if isinstance(instances, Unreadable):
        yield unknown("instances directory", unseen(snapshot), instances.reason)
        return
    for name, uid, removable in instances.leftovers:
        subject = visible(f"{instances.path}/{name}")
        if removable:
            yield warned(subject, "stale_resize", f"{subject} is left of an earlier resize")
        else:
            text = (
                f"{subject}, owner {uid}, cannot be removed by {want.user}, expected it to be gone"
            )
            yield failed(subject, "undeletable_resize", text)
    if not instances.leftovers:
        yield passed(str(instances.path), "nothing is left of an earlier resize")


CHECK = Check(
    id="leftovers",
    role=Role.SOURCE,
    summary="Nothing is left of earlier resizes",
    why=(
        "A stale UUID_resize that nova cannot remove makes Nova's clean-up after a failed resize delete the good disk and put "
        "the stale one in its place."
    ),
    evaluate=evaluate,
)
