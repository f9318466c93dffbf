"""The programs nova-compute starts by name, where its own PATH finds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Union

from agent.host import Host
from agent.model import Absent, Account, File, Kind, NovaConfig, Tool, Unreadable
from agent.observe import nova

NAMES = ("ssh", "scp", "rsync")
# systemd's default for services (systemd.exec(5)), which is what nova-compute gets.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ROOTS = frozenset(map(PurePosixPath, DEFAULT_PATH.split(":")))
Seen = Union[File, Absent, Unreadable]


def find(
    host: Host,
    account: Union[Account, Absent, Unreadable],
    config: Union[NovaConfig, Unreadable],
) -> dict[str, Tool]:
    path = nova.environment(host, config, account).get("PATH", DEFAULT_PATH)
    directories = [PurePosixPath(word or "/") for word in path.split(":")]
    theirs = [each for each in directories if each not in _ROOTS and each.is_absolute()]
    seen = _as_nova(host, account, [each / name for each in theirs for name in NAMES])
    return {name: _find(host, name, directories, seen) for name in NAMES}


def _as_nova(
    host: Host, account: Union[Account, Absent, Unreadable], paths: Sequence[PurePosixPath]
) -> Mapping[PurePosixPath, Seen]:
    """What nova's environment names is looked at as nova: what it cannot reach is not there for it, and may hang."""
    if not paths or not isinstance(account, Account) or not host.can_be(account):
        return {}
    return host.files_as(account, paths, content=False)


def _find(
    host: Host,
    name: str,
    directories: Sequence[PurePosixPath],
    theirs: Mapping[PurePosixPath, Seen],
) -> Tool:
    for where in (directory / name for directory in directories if directory.is_absolute()):
        seen = theirs[where] if where in theirs else host.file(where, content=False)
        if isinstance(seen, File) and seen.kind is Kind.FILE:
            return Tool(name, where, executable=bool(seen.mode & 0o111))
    return Tool(name, Absent())
