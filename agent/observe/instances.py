"""The instances directory: the way to it, what is mounted there, the room, what earlier resizes left."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any, Optional, Union

from agent.formats import mounts
from agent.host import Host, packing
from agent.model import (
    Absent,
    Account,
    File,
    Instances,
    Mount,
    NovaConfig,
    Records,
    Unreadable,
)
from agent.observe.accounts import People, Seen
from agent.settings import MOUNTED

FSTAB = PurePosixPath("/etc/fstab")
EVERYBODYS = PurePosixPath("/proc/1/mountinfo")
_WITHHELD = "is read-only for this service alone: name it in ReadWritePaths= of its unit and restart resize-agent"
UNITS = PurePosixPath("/etc/systemd/system")
_MOST_LOOKED_AT = 20_000  # inodes below the leftovers


def look(
    host: Host, people: People, config: Union[NovaConfig, Unreadable], records: Records
) -> Union[Instances, Unreadable]:
    if isinstance(config, Unreadable):
        return Unreadable("where it is says nova.conf, which cannot be read")
    account, path = people.account, config.instances_path
    if not isinstance(account, Account):
        return Unreadable("there is no nova account to look as")
    if not path.is_absolute():
        return Unreadable(f"instances_path {path} is not absolute")
    way = tuple(reversed((path, *path.parents)))
    if not host.live:
        seen = host.files_as(account, way, content=False)
        return Instances(
            path, tuple(seen.items()), Unreadable("not on an image"), Unreadable("not on an image")
        )
    seen, inner = _looked(host, account, way, ("locks", config.image_cache))
    last = seen[path]
    real = last.real if isinstance(last, File) and last.real is not None else path
    mount, withheld, alone = _mount(host, real)
    if withheld:
        return Unreadable(f"{path} {_WITHHELD}")
    writable = inner["writable"]
    return Instances(
        path=path,
        way=tuple(seen.items()) + _real_way(host, account, path, real),
        writable=Unreadable(str(inner.get("why"))) if writable is None else bool(writable),
        mount=mount,
        free_bytes=inner.get("free_bytes"),
        free_inodes=inner.get("free_inodes"),
        expected_mounts=tuple(dict.fromkeys(_expected(host, (path, real), records, config.host))),
        remembered=next(iter(_remembered(host)), None),
        mount_is_ours_alone=alone,
        qemu_enters=_enters(host, people.qemu, path),
        kept=tuple((name, bool(writable)) for name, writable in inner.get("kept", ())),
        leftovers=tuple((name, uid, removable) for name, uid, removable in inner["leftovers"]),
    )


def _enters(
    host: Host, qemu: Union[Account, Absent, Unreadable], path: PurePosixPath
) -> Optional[bool]:
    """Asked as the qemu user itself, so that access lists and whatever else the kernel heeds are in the answer."""
    if not isinstance(qemu, Account) or not host.can_be(qemu):
        return None
    try:
        return bool(host.call_as(qemu, os.access, str(path), os.X_OK))
    except OSError:
        return None


def _real_way(
    host: Host, account: Account, path: PurePosixPath, real: PurePosixPath
) -> tuple[tuple[PurePosixPath, Any], ...]:
    """Where a link stands on the way, the directories it leads through count too."""
    extra = [p for p in reversed((real, *real.parents)) if p not in (path, *path.parents)]
    return tuple(host.files_as(account, extra, content=False).items()) if extra else ()


def _looked(
    host: Host, account: Account, way: Sequence[PurePosixPath], names: Sequence[str]
) -> tuple[dict[PurePosixPath, Seen], dict[str, Any]]:
    """Each directory of the way, and what `_inside` says of the last: by one child, whom a dead server holds up once."""
    try:
        where = [str(path) for path in way]
        answers, inner = host.call_as(account, _as_nova, host.root, where, list(names))
    except OSError as error:
        unseen = {path: Unreadable(f"{path}: {error.strerror}") for path in way}
        return dict(unseen), _unknown(error)
    return {path: packing.unpacked(answer) for path, answer in zip(way, answers)}, inner


def _as_nova(root: str, way: list[str], names: list[str]) -> tuple[list[Any], dict[str, Any]]:
    answers = packing.look_all(root, [(path, False) for path in way])
    try:
        return answers, _inside(way[-1], names)
    except OSError as error:
        return answers, _unknown(error)


def _unknown(error: OSError) -> dict[str, Any]:
    return {"writable": None, "why": error.strerror, "leftovers": []}


def _inside(path: str, names: list[str]) -> dict[str, Any]:
    """Runs as nova."""
    kept = ((name, os.path.join(path, name)) for name in names)
    found: dict[str, Any] = {
        "leftovers": [],
        "kept": [(n, os.access(p, os.W_OK | os.X_OK)) for n, p in kept if os.path.lexists(p)],
    }
    found["writable"] = os.access(path, os.W_OK | os.X_OK)
    room = os.statvfs(_existing(path))
    found["free_bytes"] = room.f_bavail * room.f_frsize
    found["free_inodes"] = room.f_favail if room.f_files else None
    if not os.access(path, os.R_OK | os.X_OK):
        return found
    for name in sorted(os.listdir(path)):
        if name.endswith("_resize"):
            try:
                where = os.path.join(path, name)
                uid = os.lstat(where).st_uid
                found["leftovers"].append((name, uid, found["writable"] and _removable(where)))
            except FileNotFoundError:
                continue  # confirmed or reverted while we looked
    return found


def _existing(path: str) -> str:
    while not os.path.exists(path) and path != "/":
        path = os.path.dirname(path)
    return path


def _removable(top: str) -> bool:
    """Whether shutil.rmtree would take it all: every directory that holds something must be ours to write in.

    rmtree refuses a link at the top and unlinks those below it.
    """
    if stat.S_ISLNK(os.lstat(top).st_mode):
        return False
    todo, looked = [top], 0
    while todo:
        here = todo.pop()
        looked += 1
        if looked > _MOST_LOOKED_AT:
            return False
        if os.path.islink(here) or not os.path.isdir(here):
            continue
        if not os.access(here, os.R_OK | os.X_OK):
            return False
        names = os.listdir(here)
        if names and not os.access(here, os.W_OK):
            return False
        todo += [os.path.join(here, name) for name in names]
    return True


def _mount(host: Host, real: PurePosixPath) -> tuple[Union[Mount, Unreadable], bool, bool]:
    """(what everybody sees mounted there, whether it is read-only for us and not for everybody, whether only we may see it).

    A confined service has mounts of its own (systemd.exec(5), ProtectSystem=); those of the first process are everybody's,
    where it has the same root as we, which in a container it may not.
    """
    own, first = host.proc("mountinfo"), host.outside.file(EVERYBODYS)
    if not isinstance(own, File) or own.content is None:
        return Unreadable("its mounts cannot be seen (proc(5), mountinfo)"), False, True
    ours = theirs = mounts.mount_of(mounts.mountinfo(own.content), real)
    table = first.content if isinstance(first, File) and first.content else b""
    if table and mounts.root_device(table) == mounts.root_device(own.content):
        theirs = mounts.mount_of(mounts.mountinfo(table), real)
    if theirs is None:
        return Unreadable("no mount holds it"), False, True
    withheld = ours is not None and "ro" in ours.options and "ro" not in theirs.options
    return theirs, withheld, not table


def _expected(
    host: Host, paths: tuple[PurePosixPath, ...], records: Records, own: str
) -> Iterable[tuple[PurePosixPath, str]]:
    """(mountpoint, who says so) of every file system that belongs on the way to the instances, links followed or not."""
    for mount, who in _told_mounts(host, records, own):
        if any(mounts.expected_under((mount,), path) for path in paths):
            yield mount.mountpoint, who


def _told_mounts(host: Host, records: Records, own: str) -> Iterable[tuple[Mount, str]]:
    """What a peer has of its own is no word about us; what we had, and told, is."""
    seen = host.file(FSTAB)
    if isinstance(seen, File) and seen.content:
        yield from ((mount, str(FSTAB)) for mount in mounts.fstab(seen.content))
    yield from ((mount, str(MOUNTED)) for mount in _remembered(host))
    yield from ((mount, str(unit)) for unit, mount in _units(host))
    for record in records.records:
        if record.storage is None:
            continue
        if record.name == own or mounts.is_shared(record.storage.fstype):
            told = _told(record.storage.mountpoint, record.storage.fstype)
            if told is not None:
                yield told, str(record.path)


def _remembered(host: Host) -> tuple[Mount, ...]:
    seen = host.outside.file(MOUNTED)
    return mounts.fstab(seen.content) if isinstance(seen, File) and seen.content else ()


def _told(mountpoint: str, fstype: str) -> Optional[Mount]:
    where = PurePosixPath(mountpoint)
    return Mount(where, fstype, "") if where.is_absolute() else None


def _units(host: Host) -> Iterable[tuple[PurePosixPath, Mount]]:
    names = host.names(UNITS)
    for name in names if isinstance(names, tuple) else ():
        if name.endswith(".mount"):
            seen = host.file(UNITS / name)
            text = seen.content if isinstance(seen, File) else None
            mount = mounts.mount_unit(name, text) if text else None
            if mount is not None:
                yield UNITS / name, mount
