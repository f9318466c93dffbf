"""The instances directory is there, on the file system that belongs there, and nova's to write in."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Optional

from agent.formats.access import EXECUTE, WRITE, may, unseen
from agent.formats.mounts import is_shared
from agent.model import (
    Absent,
    Account,
    Check,
    File,
    Finding,
    Instances,
    Kind,
    MakeDirectory,
    Mount,
    Role,
    SetOwner,
    Snapshot,
    Unreadable,
    failed,
    passed,
    skipped,
    unknown,
    warned,
)
from agent.settings import MOUNTED, Settings


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    instances, account = snapshot.instances, snapshot.account
    if isinstance(instances, Unreadable):
        yield unknown("instances directory", unseen(snapshot), instances.reason)
        return
    subject = str(instances.path)
    if isinstance(account, Absent):
        yield skipped(subject, f"there is no account {want.user} to own it")
    elif isinstance(account, Unreadable):
        yield unknown(subject, unseen(snapshot), f"cannot look up the account: {account.reason}")
    else:
        gone = _not_mounted(instances) if snapshot.host.live else None
        yield gone or _directory(snapshot, want, account, instances)


def _not_mounted(instances: Instances) -> Optional[Finding]:
    """Making or handing over the bare mount point would let Nova put disks under the share."""
    mount, subject = instances.mount, str(instances.path)
    for expected, who in instances.expected_mounts:
        if isinstance(mount, Unreadable):
            text = f"{who} expects a mount on {expected}: {mount.reason}"
            return unknown(subject, "not_observed", text)
        if expected not in (mount.mountpoint, *mount.mountpoint.parents):
            text = f"{subject} lies on {mount.mountpoint}, expected a mount on {expected} ({who})"
            remedy = _GONE if who == str(MOUNTED) else None
            return failed(subject, "share_not_mounted", text, remedy=remedy)
    before = instances.remembered
    if before is None or not isinstance(mount, Mount) or before.mountpoint != mount.mountpoint:
        return None
    if is_shared(mount.fstype) or not is_shared(before.fstype):
        return None
    # As in a container that was given the bare directory.
    text = f"{_lies_on(instances)}, expected {before.fstype} {before.source} ({MOUNTED})"
    return failed(subject, "share_not_mounted", text, remedy=_GONE)


_GONE = f"mount it, or where it is gone for good: rm {MOUNTED}"


def _directory(
    snapshot: Snapshot, want: Settings, account: Account, instances: Instances
) -> Finding:
    seen = dict(instances.way).get(instances.path, Unreadable("nobody looked"))
    subject = str(instances.path)
    if isinstance(seen, Unreadable):
        return unknown(subject, unseen(snapshot), seen.reason)
    if isinstance(seen, Absent) and seen.link:
        text = f"{subject} is a link to {seen.link}, where nothing is, expected a directory"
        return failed(subject, "instances_not_directory", text)
    if isinstance(seen, Absent):
        return _missing(snapshot, want, account, instances)
    if seen.kind is not Kind.DIRECTORY:
        text = f"{subject} is a {seen.kind.value}, expected a directory"
        return failed(subject, "instances_not_directory", text)
    writable = instances.writable
    if not snapshot.host.live:
        writable = may(account, WRITE | EXECUTE, seen)  # nobody can ask nova in an image
    if isinstance(writable, Unreadable):
        return unknown(subject, unseen(snapshot), writable.reason)
    if writable:
        return passed(subject, f"{account.name} can write in it; {_lies_on(instances)}")
    return _not_writable(want, account, instances, seen)


def _lies_on(instances: Instances) -> str:
    mount = instances.mount
    if isinstance(mount, Unreadable):
        return "the file system is not known"
    return f"{mount.fstype} {mount.source} mounted on {mount.mountpoint}"


def _not_writable(want: Settings, account: Account, instances: Instances, seen: File) -> Finding:
    subject, quoted = str(instances.path), shlex.quote(str(instances.path))
    if isinstance(instances.mount, Mount) and "ro" in instances.mount.options:
        text = f"{instances.mount.mountpoint} is mounted read-only, expected read-write"
        return failed(subject, "read_only", text)
    told = f"owner {seen.uid}, mode {seen.mode:04o}"
    text = f"{told}, expected owner {account.uid} and writable for {account.name}"
    if seen.uid == account.uid:
        remedy = f"find out what stands in the way (mode, chattr +i, quota): ls -ld {quoted}; lsattr -d {quoted}"
        return failed(subject, "instances_not_writable", text, remedy=remedy)
    if instances.expected_mounts:
        remedy = f"chown {account.name}: {quoted}, once you are sure that the right file system is mounted"
        return failed(subject, "instances_not_writable", text, remedy=remedy)
    if not _is_for_us(instances.path, account, want):
        return failed(
            subject,
            "instances_not_writable",
            text,
            remedy=f"chown {account.name}: {quoted}; {_WHY_NOT}",
        )
    owner = SetOwner(instances.path, account.uid, account.gid, (seen.uid, seen.gid))
    return failed(subject, "instances_not_writable", text, owner)


def _missing(snapshot: Snapshot, want: Settings, account: Account, instances: Instances) -> Finding:
    subject = str(instances.path)
    upwards = [
        p for p, _ in reversed(instances.way) if p in (instances.path, *instances.path.parents)
    ]
    way = dict(instances.way)
    absent = [path for path in reversed(upwards) if isinstance(way[path], Absent)]
    above = [seen for path in reversed(upwards) if isinstance(seen := way[path], File)]
    fix: tuple[MakeDirectory, ...] = ()
    if not instances.expected_mounts:
        fix = tuple(_made(path, account) for path in absent)
    remedy = None if fix else f"mount what belongs there: {_who(instances)}"
    if fix and not _is_for_us(instances.path, account, want):
        fix = ()
        remedy = f"install -d -o {account.name} -m 755 {shlex.quote(subject)}; {_WHY_NOT}"
    if above and may(account, WRITE | EXECUTE, above[-1]):
        text = f"{subject} does not exist; Nova's mkdir -p would make it, expected it to be there"
        return warned(subject, "instances_missing", text, *fix, remedy=remedy)
    text = f"{subject} does not exist, expected a directory of {account.name}"
    return failed(subject, "instances_missing", text, *fix, remedy=remedy)


_WHY_NOT = "or set nova.instances_path in agent.yaml and run: agent --fix"


def _is_for_us(path: PurePosixPath, account: Account, want: Settings) -> bool:
    """Whether root may give this directory to nova.

    The path is nova's word (its nova.conf, its environment): it could name /etc/cron.d.  So it must lie in nova's own home,
    or root must have named it too.
    """
    if ".." in path.parts:
        return False
    in_home = account.home in path.parents and len(account.home.parts) > 2
    return in_home or path == want.nova_instances_path


def _made(path: PurePosixPath, account: Account) -> MakeDirectory:
    return MakeDirectory(path, 0o755, account.uid, account.gid)


def _who(instances: Instances) -> str:
    return ", ".join(f"{path} ({who})" for path, who in instances.expected_mounts)


CHECK = Check(
    id="instances_directory",
    role=Role.BOTH,
    summary="The instances directory is mounted and nova's to write in",
    why=(
        "Nova makes the guest's directory there before anything is copied. On a bare mount point everything seems to work and "
        "the disk lands under the share."
    ),
    evaluate=evaluate,
)
