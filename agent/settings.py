"""The configuration: /etc/resize-agent/agent.yaml and its drop-ins, parsed once, strict about keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Optional, Union

from agent.document import DocumentError, Entry, load

Network = Union[IPv4Network, IPv6Network]

CONFIG = PurePosixPath("/etc/resize-agent/agent.yaml")
DROP_INS = PurePosixPath("/etc/resize-agent/conf.d")
PEERS = PurePosixPath("/etc/resize-agent/peers.d")
STATE = PurePosixPath("/var/lib/resize-agent")
# As fstab(5): what the instances directory lay on when a daemon last looked.
MOUNTED = STATE / "mounted"


@dataclass(frozen=True)
class Settings:
    """What the site may choose.  Every default is right for a distribution's packages used plainly.

    Of `client_*` and `server_*` None means what the profile says.
    """

    profile: str = "auto"
    user: str = "nova"
    shell: PurePosixPath = PurePosixPath("/bin/bash")
    known_hosts: str = "global"
    client_run: Optional[str] = None
    client_container: Optional[str] = None
    server_run: Optional[str] = None
    server_user: Optional[str] = None
    server_port: Optional[int] = None
    deployer_files: str = "report"
    nova_release: Optional[str] = None
    nova_instances_path: Optional[PurePosixPath] = None
    nova_config_files: tuple[PurePosixPath, ...] = ()
    peers_ignore: tuple[str, ...] = ()
    trust_networks: tuple[Network, ...] = ()
    trust_from: tuple[Network, ...] = ()
    probe_peers: int = 30
    probe_parallel: int = 4
    interval: int = 60
    warn_free_bytes: int = 10 * 1024**3
    origin: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def _word(entry: Entry) -> str:
    if (
        entry.type != "str"
        or not entry.text
        or any(c.isspace() or not c.isprintable() for c in entry.text)
    ):
        raise ValueError("expected a word")
    return entry.text


def _host(entry: Entry) -> str:
    """A host name as records have it: lower case."""
    return _word(entry).lower()


def _version(entry: Entry) -> str:
    if entry.type not in ("str", "int", "float") or not entry.text.strip():
        raise ValueError('expected a version such as "26.2.2"')
    return entry.text.strip()


def _path(entry: Entry) -> PurePosixPath:
    path = PurePosixPath(entry.text)
    if entry.type != "str" or not path.is_absolute() or not entry.text.isprintable():
        raise ValueError("expected an absolute path")
    return path


def _number(least: int) -> Callable[[Entry], int]:
    def convert(entry: Entry) -> int:
        if entry.type != "int" or not entry.text.isdigit() or int(entry.text) < least:
            raise ValueError(f"expected a whole number, {least} or more")
        return int(entry.text)

    return convert


def _network(entry: Entry) -> Network:
    try:
        return ip_network(entry.text)
    except ValueError:
        raise ValueError("expected a network such as 10.100.0.0/24") from None


def _choice(*words: str) -> Callable[[Entry], str]:
    def convert(entry: Entry) -> str:
        if entry.text not in words:
            raise ValueError("expected one of: " + ", ".join(words))
        return entry.text

    return convert


def _each(one: Callable[[Entry], Any]) -> Callable[[Entry], tuple[Any, ...]]:
    def convert(entry: Entry) -> tuple[Any, ...]:
        if entry.type != "seq":
            raise ValueError("expected a list")
        return tuple(one(item) for item in entry.items)

    return convert


# key in the file -> (field, converter)
_KEYS: dict[str, tuple[str, Callable[[Entry], Any]]] = {
    "profile": ("profile", _choice("auto", "package", "kolla", "rdo", "custom")),
    "client.run": ("client_run", _choice("host", "nsenter", "exec")),
    "client.container": ("client_container", _word),
    "server.run": ("server_run", _choice("host", "nsenter")),
    "server.user": ("server_user", _word),
    "server.port": ("server_port", _number(1)),
    "deployer_files": ("deployer_files", _choice("report", "repair")),
    "user": ("user", _word),
    "shell": ("shell", _path),
    "known_hosts": ("known_hosts", _choice("global", "user")),
    "nova.release": ("nova_release", _version),
    "nova.instances_path": ("nova_instances_path", _path),
    "nova.config_files": ("nova_config_files", _each(_path)),
    "peers.ignore": ("peers_ignore", _each(_host)),
    "trust.networks": ("trust_networks", _each(_network)),
    "trust.from": ("trust_from", _each(_network)),
    "probe.peers": ("probe_peers", _number(1)),
    "probe.parallel": ("probe_parallel", _number(1)),
    "interval": ("interval", _number(10)),
    "room.warn_bytes": ("warn_free_bytes", _number(0)),
}
_SECTIONS = {key.split(".")[0] for key in _KEYS if "." in key}


def parse(texts: Iterable[tuple[str, bytes]]) -> Settings:
    """Settings from (file name, text) pairs, later ones winning key by key.

    Raises DocumentError naming file, line and key.
    """
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for where, text in texts:
        for key, entry in _flat(load(text, where), where):
            if origin.get(key, "").rpartition(":")[0] == where:
                raise DocumentError(where, entry.line, f"{key}: given twice")
            field_name, convert = _KEYS[key]
            try:
                values[field_name] = convert(entry)
            except ValueError as error:
                raise DocumentError(where, entry.line, f"{key}: {error}") from None
            origin[key] = f"{where}:{entry.line}"
    return replace(Settings(origin=MappingProxyType(origin)), **values)


def _flat(top: Entry, where: str) -> Iterable[tuple[str, Entry]]:
    if top.keys is None:
        raise DocumentError(where, top.line, "expected a mapping of keys to values")
    for key, entry in top.keys.items():
        if key in _SECTIONS:
            if entry.keys is None:
                raise DocumentError(where, entry.line, f"{key}: expected a mapping")
            yield from (_known(f"{key}.{sub}", value, where) for sub, value in entry.keys.items())
        else:
            yield _known(key, entry, where)


def _known(key: str, entry: Entry, where: str) -> tuple[str, Entry]:
    if key not in _KEYS:
        near = ", ".join(sorted(_KEYS))
        raise DocumentError(where, entry.line, f"{key}: unknown key (known: {near})")
    return key, entry


def shown(settings: Settings) -> list[tuple[str, str, str]]:
    """(key, value, origin) of every key, for `agent config show`."""
    return [
        (key, _text(getattr(settings, name)), settings.origin.get(key, "default"))
        for key, (name, _) in _KEYS.items()
    ]


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(str(v) for v in value) + "]"
    return "null" if value is None else str(value)
