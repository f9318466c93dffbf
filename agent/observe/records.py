"""The texts of peers.d, and the other names this host goes by."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Union

from agent.formats.record import MAX_BYTES
from agent.host import Host
from agent.model import File, NovaConfig, Unreadable
from agent.settings import PEERS

HOSTS = PurePosixPath("/etc/hosts")
_MOST_NAMES = 16


def texts(host: Host) -> list[tuple[PurePosixPath, Union[bytes, Unreadable]]]:
    """Every `NAME.yaml`; what cannot be read or is too large says so itself, the directory too."""
    names = host.names(PEERS)
    if isinstance(names, Unreadable):
        return [(PEERS, names)]
    found = names if isinstance(names, tuple) else ()
    paths = [PEERS / n for n in found if n.endswith(".yaml") and not n.startswith(".")]
    return [(path, _text(host, path)) for path in paths]


def _text(host: Host, path: PurePosixPath) -> Union[bytes, Unreadable]:
    seen = host.file(path, limit=MAX_BYTES)
    if isinstance(seen, File):
        return seen.content if seen.content is not None else Unreadable("is not a regular file")
    if isinstance(seen, Unreadable):
        return Unreadable(seen.reason.removeprefix(f"{path}: "))
    return Unreadable("is a link to nothing" if seen.link else "is gone")


def own_names(
    host: Host, addresses: tuple[str, ...], config: Union[NovaConfig, Unreadable]
) -> tuple[str, ...]:
    """The kernel's host name and the names /etc/hosts gives this host's own addresses, without Nova's `host`."""
    own = config.host if isinstance(config, NovaConfig) else ""
    ours = {a for a in addresses if not a.startswith("127.") and a != "::1"}
    names = [host.name.lower()] if host.live else []
    seen = host.file(HOSTS)
    text = (seen.content or b"") if isinstance(seen, File) else b""
    for line in text.decode("utf-8", "replace").splitlines():
        words = line.partition("#")[0].lower().split()
        if words and words[0] in ours:
            names += words[1:]
    unique = dict.fromkeys(n for n in names if n != own and not n.startswith("localhost"))
    return tuple(unique)[:_MOST_NAMES]
