"""Mount tables: proc(5) mountinfo, fstab(5) and systemd's .mount units."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Optional

from agent.model import Mount

_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")
_UNIT_ESCAPE = re.compile(r"(?:\\x[0-9a-fA-F]{2})+")
_UNPRINTED = re.compile(rb"[^!-~]|[\\#]")
_ROOT = PurePosixPath("/")


_SHARED = frozenset(
    "nfs nfs4 cephfs ceph glusterfs lustre gpfs ocfs2 gfs2 cifs smb3 9p beegfs".split()
)
_LOCAL_FUSE = frozenset(("fuse.lxcfs", "fuse.ntfs-3g", "fuse.bindfs", "fuse.mergerfs", "fuseblk"))


def is_shared(fstype: str) -> bool:
    """Whether several hosts can have such a file system mounted at once."""
    return fstype in _SHARED or (fstype.startswith("fuse.") and fstype not in _LOCAL_FUSE)


def mountinfo(text: bytes) -> tuple[Mount, ...]:
    """All mounts, in the order of mounting."""
    found = (_mountinfo_line(line.split(b" ")) for line in text.split(b"\n"))
    return tuple(mount for mount in found if mount is not None)


def root_device(text: bytes) -> bytes:
    """Device and directory of the root file system: alike in two tables, both show one tree (proc(5), fields 3 and 4)."""
    roots = [f for f in (line.split(b" ") for line in text.split(b"\n")) if f[4:5] == [b"/"]]
    return b" ".join(roots[-1][2:4]) if roots else b""


def fstab(text: bytes) -> tuple[Mount, ...]:
    found: list[Mount] = []
    for line in text.split(b"\n"):
        fields = line.split()
        if len(fields) < 3 or fields[0].startswith(b"#"):
            continue
        options = _text(fields[3]) if len(fields) > 3 else "defaults"
        found.append(_mount(fields[1], fields[2], fields[0], _words(options)))
    return tuple(found)


def reminder(mount: Mount) -> str:
    """A text for `fstab` to read."""
    fields = (mount.source or "none", str(mount.mountpoint), mount.fstype)
    entry = " ".join(map(_field, fields))
    return f"# Where nothing is to be mounted there any more: remove this file.\n{entry} defaults 0 0\n"


def _field(text: str) -> str:
    raw = text.encode("utf-8", "surrogateescape")
    return _UNPRINTED.sub(lambda match: b"\\%03o" % match[0][0], raw).decode("ascii")


def mount_of(mounts: Iterable[Mount], path: PurePosixPath) -> Optional[Mount]:
    """The mount that holds `path`.

    Later ones cover earlier ones, a parent mounted over its children included.
    """
    holding = [mount for mount in mounts if _holds(mount.mountpoint, path)]
    return holding[-1] if holding else None


def mount_unit(name: str, text: bytes) -> Optional[Mount]:
    """The mount that `NAME.mount` describes; None where systemd would not load it."""
    settings = dict(_unit_settings(text))
    where = settings.get("Where") or _path_of_unit(name)
    if not settings.get("What") or not where.startswith("/"):
        return None
    return Mount(
        mountpoint=PurePosixPath(where),
        fstype=settings.get("Type", ""),
        source=settings["What"],
        options=_words(settings.get("Options", "")),
    )


def expected_under(entries: Iterable[Mount], path: PurePosixPath) -> tuple[Mount, ...]:
    """The entries that must be mounted before what is written to `path` lands where it belongs.

    The root file system is always there; `noauto` promises nothing unless an automount serves it.
    """
    return tuple(entry for entry in entries if _expected(entry, path))


def _expected(entry: Mount, path: PurePosixPath) -> bool:
    if entry.mountpoint == _ROOT or entry.fstype in ("swap", "ignore"):
        return False
    if "noauto" in entry.options and "x-systemd.automount" not in entry.options:
        return False
    return _holds(entry.mountpoint, path)


def _holds(mountpoint: PurePosixPath, path: PurePosixPath) -> bool:
    return mountpoint == path or mountpoint in path.parents


def _mountinfo_line(fields: list[bytes]) -> Optional[Mount]:
    # Optional fields stand between the sixth and the separator, any number of them.
    try:
        separator = fields.index(b"-", 6)
    except ValueError:
        return None
    if len(fields) < separator + 3:
        return None
    of_filesystem = fields[separator + 3] if len(fields) > separator + 3 else b""
    options = _merged(_words(_text(fields[5])), _words(_text(of_filesystem)))
    return _mount(fields[4], fields[separator + 1], fields[separator + 2], options)


def _merged(of_mount: tuple[str, ...], of_filesystem: tuple[str, ...]) -> tuple[str, ...]:
    """Both sets of options; read-only on either level is read-only."""
    every = dict.fromkeys((*of_mount, *of_filesystem))
    if "ro" in every:
        every.pop("rw", None)
    return tuple(every)


def _mount(mountpoint: bytes, fstype: bytes, source: bytes, options: tuple[str, ...]) -> Mount:
    return Mount(PurePosixPath(_text(mountpoint)), _text(fstype), _text(source), options)


def _text(field: bytes) -> str:
    plain = _OCTAL.sub(lambda match: bytes([int(match[1], 8)]), field)
    return plain.decode("utf-8", "surrogateescape")


def _words(options: str) -> tuple[str, ...]:
    words = (word.strip() for word in options.split(","))
    return tuple(word for word in words if word)


def _unit_settings(text: bytes) -> Iterator[tuple[str, str]]:
    """The assignments of [Mount], in order; the last one of a name counts."""
    section = ""
    for line in _unit_lines(text.decode("utf-8", "surrogateescape")):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif section == "Mount" and "=" in line:
            key, _, value = line.partition("=")
            yield key.rstrip(), value.strip()


def _unit_lines(text: str) -> Iterator[str]:
    """Logical lines: a backslash at the end continues, comments vanish even in between."""
    pending = ""
    for line in text.split("\n"):
        stripped = line.strip()
        if stripped.startswith(("#", ";")):
            continue
        if stripped.endswith("\\"):
            pending += stripped[:-1] + " "
            continue
        yield (pending + stripped).strip()
        pending = ""
    if pending:
        yield pending.strip()


def _path_of_unit(name: str) -> str:
    """systemd-escape --path, backwards."""
    stem = name.removesuffix(".mount")
    if stem == "-":
        return "/"
    return "/" + _UNIT_ESCAPE.sub(_unescape, stem.replace("-", "/"))


def _unescape(match: re.Match[str]) -> str:
    codes = match[0].replace("\\x", "")
    return bytes.fromhex(codes).decode("utf-8", "surrogateescape")
