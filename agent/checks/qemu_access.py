"""The account that qemu runs as can reach a disk in the instances directory."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Optional

from agent.formats.access import EXECUTE, may, unseen
from agent.model import (
    Absent,
    Account,
    Check,
    File,
    Finding,
    Instances,
    Kind,
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
    qemu, instances = snapshot.qemu, snapshot.instances
    if isinstance(qemu, Absent):
        yield skipped("qemu user", "there is no account that qemu would run as")
    elif isinstance(qemu, Unreadable):
        yield unknown("qemu user", unseen(snapshot), f"cannot look it up: {qemu.reason}")
    elif isinstance(instances, Unreadable):
        yield unknown("instances directory", unseen(snapshot), instances.reason)
    else:
        yield from _walk(snapshot, qemu, instances)


def _walk(snapshot: Snapshot, qemu: Account, instances: Instances) -> Iterator[Finding]:
    here, subject = dict(instances.way).get(instances.path), str(instances.path)
    good = passed(subject, f"{qemu.name} can search every directory down to {instances.path}")
    if instances.qemu_enters is True:
        yield good
        return
    ways = [_step(snapshot, qemu, str(path), seen) for path, seen in instances.way]
    found = [finding for finding in ways if finding is not None]
    if not found and instances.qemu_enters is False and isinstance(here, File):
        text = f"{qemu.name} is refused, expected to be able to search every directory down to it"
        quoted = shlex.quote(str(instances.path))
        remedy = f"look at the access lists: namei -l {quoted}; getfacl {quoted}"
        found = [failed(subject, "qemu_no_way", text, remedy=remedy)]
    yield from found or [good]


def _step(snapshot: Snapshot, qemu: Account, path: str, seen: object) -> Optional[Finding]:
    if isinstance(seen, Unreadable):
        return unknown(path, unseen(snapshot), seen.reason)
    if not isinstance(seen, File) or seen.kind is not Kind.DIRECTORY or may(qemu, EXECUTE, seen):
        return None  # what is missing or no directory is told by the check of that directory
    text = f"{path} has mode {seen.mode:04o}, expected {qemu.name} to be able to search it"
    # Who may look into a directory is the site's decision: nothing is ever widened by us.
    return failed(path, "qemu_no_way", text, remedy=f"chmod o+x {shlex.quote(path)}")


CHECK = Check(
    id="qemu_access",
    role=Role.DESTINATION,
    summary="qemu can reach the instances directory",
    why=(
        "The copy arrives as nova; the guest is then started as qemu's own user, which has to pass every directory on the way "
        "to its disk."
    ),
    evaluate=evaluate,
)
