"""The programs nova-compute starts by name, where its own PATH finds them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Union

from agent.host import Host
from agent.model import Absent, Account, File, Kind, NovaConfig, Tool, Unreadable
from agent.observe import nova

NAMES = ("ssh", "scp", "rsync")
# systemd's default for services (systemd.exec(5)), which is what nova-compute gets.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find(
    host: Host,
    account: Union[Account, Absent, Unreadable],
    config: Union[NovaConfig, Unreadable],
) -> dict[str, Tool]:
    path = nova.environment(host, config, account).get("PATH", DEFAULT_PATH)
    return {name: _find(host, name, path) for name in NAMES}


def _find(host: Host, name: str, path: str) -> Tool:
    for directory in path.split(":"):
        where = PurePosixPath(directory or "/") / name
        seen = host.file(where, content=False) if where.is_absolute() else Absent()
        if isinstance(seen, File) and seen.kind is Kind.FILE:
            return Tool(name, where, executable=bool(seen.mode & 0o111))
    return Tool(name, Absent())
