"""One peer record: YAML text to a validated Record and back.  A record is written by another host: trust nothing in it."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import PurePosixPath
from typing import Any, Optional, Union

from agent.document import DocumentError, Entry, load
from agent.formats.escape import visible
from agent.formats.keys import parse_public
from agent.model import PublicKey, Record, RecordProblem, Storage
from agent.settings import Network

Address = Union[IPv4Address, IPv6Address]

SCHEMA = 1
MAX_BYTES = 64 << 10
_MAX = {"names": 16, "host_keys": 8, "user_keys": 4}
_NAME = re.compile(r"[a-z0-9_][a-z0-9._-]{0,252}")
# What inet_aton(3), and so the resolver, takes for an address: 127.1, 0x7f000001, 2130706433.
_NUMBERS = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,3}")

_LOOPBACK = {"localhost", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"}


@dataclass(frozen=True)
class _Refused(Exception):
    line: int
    message: str
    reason: str = "record_invalid"


def parse(
    path: PurePosixPath, data: bytes, networks: tuple[Network, ...] = ()
) -> Union[Record, RecordProblem]:
    """The record in `path`, whose file name says whose it is; a RecordProblem names the file and line otherwise."""
    last = _last(path)
    if last[:2] != [data, networks]:
        last[:] = data, networks, _parsed(path, data, networks)
    found: Union[Record, RecordProblem] = last[2]
    return found


@lru_cache(maxsize=1 << 16)
def _last(_path: PurePosixPath) -> list[Any]:
    """What was read there, under which networks, and what it came to: a daemon meets the same texts every minute."""
    return []


def _parsed(
    path: PurePosixPath, data: bytes, networks: tuple[Network, ...]
) -> Union[Record, RecordProblem]:
    name = path.stem.lower()
    try:
        return _record(path, load(data, str(path), MAX_BYTES), networks)
    except DocumentError as error:
        return RecordProblem("record_invalid", error.where, visible(error.message), name)
    except _Refused as refused:
        return RecordProblem(refused.reason, f"{path}:{refused.line}", refused.message, name)


def _record(path: PurePosixPath, top: Entry, networks: tuple[Network, ...]) -> Record:
    if top.keys is None:
        raise _Refused(top.line, "expected a mapping of keys to values")
    schema = _integer(top, "schema", 1 << 30)
    if schema is None or schema < SCHEMA:
        raise _Refused(top.line, f"schema: expected {SCHEMA}")
    if schema > SCHEMA:
        raise _Refused(top.line, f"schema: {schema} is newer than {SCHEMA}", "record_newer")
    name = _host_name(_needed(top, "name"), "name", ())
    if name != path.stem.lower():
        line = _needed(top, "name").line
        raise _Refused(line, f"name: {name} may not be spoken for by a file called {path.name}")
    state = _text(top, "state") or "present"
    if state not in ("present", "absent"):
        raise _Refused(_needed(top, "state").line, "state: expected present or absent")
    if state == "absent":
        return Record(name=name, present=False, path=path)
    return _present(path, name, top, networks)


def _present(path: PurePosixPath, name: str, top: Entry, networks: tuple[Network, ...]) -> Record:
    nova = _mapping(top, "nova")
    instances_path = _needed(nova, "instances_path")
    if not instances_path.text.startswith("/") or not instances_path.text.isprintable():
        raise _Refused(instances_path.line, "nova.instances_path: expected an absolute path")
    port = _integer(top, "port", 65535)
    if port == 0:
        raise _Refused(_needed(top, "port").line, "port: expected 1 or more")
    return Record(
        name=name,
        present=True,
        path=path,
        address=_address(_needed(top, "address"), networks),
        names=tuple(_host_name(e, "names", networks) for e in _list(top, "names")),
        port=22 if port is None else port,
        host_keys=_keys(top, "host_keys"),
        user_keys=_keys(top, "user_keys"),
        user=_text(nova, "user") or "nova",
        uid=_integer(nova, "uid", (1 << 32) - 2),
        release=_text(nova, "release"),
        instances_path=instances_path.text,
        transport=_text(nova, "transport") or "ssh",
        image_cache=_text(nova, "image_cache") or "_base",
        storage=_storage(top),
        issued_at=_text(top, "issued_at") or "",
    )


def _address(entry: Entry, networks: tuple[Network, ...]) -> str:
    found = _host_name(entry, "address", networks)
    if networks and _literal(found) is None:
        raise _Refused(entry.line, "address: a name cannot be held against trust.networks")
    return found


def _host_name(entry: Entry, key: str, networks: tuple[Network, ...]) -> str:
    """One name, lower case, or address, spelled the one way that lets two records be compared.

    No wildcard, `!`, comma, blank or control character can be in it.
    """
    name = entry.text.lower()
    address = _literal(name)
    if address is not None:
        return _of_another_host(address, entry.line, key, networks)
    if entry.type not in ("str", "int", "float") or not _NAME.fullmatch(name):
        raise _Refused(entry.line, f"{key}: {visible(entry.text, 60)!r} is not a host name")
    labels = name.rstrip(".").split(".")
    if {labels[0], labels[-1]} & _LOOPBACK or _NUMBERS.fullmatch(".".join(labels)):
        raise _Refused(entry.line, f"{key}: {name} is no name of another host")
    return name


def _of_another_host(address: Address, line: int, key: str, networks: tuple[Network, ...]) -> str:
    # ssh dials an IPv4-mapped address as the IPv4 one: a second spelling that comparing would miss.
    strange = not isinstance(address, IPv4Address) and (address.ipv4_mapped or address.scope_id)
    if strange or address.is_loopback or address.is_unspecified or address.is_multicast:
        raise _Refused(line, f"{key}: {address} is no address of another host")
    if networks and not any(address in network for network in networks):
        raise _Refused(line, f"{key}: {address} is outside trust.networks")
    return str(address)


def _literal(text: str) -> Optional[Address]:
    if ":" not in text and not text[-1:].isdigit():
        return None  # no spelling of an address looks like that, and most names do
    try:
        return ip_address(text)
    except ValueError:
        return None


def _keys(top: Entry, key: str) -> tuple[PublicKey, ...]:
    found = []
    for entry in _list(top, key):
        public = parse_public(entry.text)
        if public is None or len(entry.text.splitlines()) != 1:
            raise _Refused(entry.line, f"{key}: {visible(entry.text, 40)!r} is not a public key")
        found.append(PublicKey(public.type, public.blob))
    return tuple(found)


def _list(top: Entry, key: str) -> tuple[Entry, ...]:
    entry = (top.keys or {}).get(key)
    if entry is None or entry.type == "null":
        return ()
    if entry.type != "seq" or any(item.items or item.keys is not None for item in entry.items):
        raise _Refused(entry.line, f"{key}: expected a list of texts")
    if len(entry.items) > _MAX[key]:
        raise _Refused(entry.line, f"{key}: more than {_MAX[key]} entries")
    return entry.items


def _mapping(top: Entry, key: str) -> Entry:
    entry = _needed(top, key)
    if entry.keys is None:
        raise _Refused(entry.line, f"{key}: expected a mapping")
    return entry


def _storage(top: Entry) -> Optional[Storage]:
    entry = (top.keys or {}).get("storage")
    if entry is None or entry.keys is None:
        return None
    return Storage(
        _text(entry, "mountpoint") or "", _text(entry, "fstype") or "", _text(entry, "source") or ""
    )


def _needed(top: Entry, key: str) -> Entry:
    entry = (top.keys or {}).get(key)
    if entry is None or entry.type == "null":
        raise _Refused(top.line, f"{key}: missing")
    return entry


def _text(top: Entry, key: str) -> Optional[str]:
    entry = (top.keys or {}).get(key)
    if entry is None or entry.type == "null":
        return None
    if (
        entry.items
        or entry.keys is not None
        or not entry.text.isprintable()
        or len(entry.text) > 4096
    ):
        raise _Refused(entry.line, f"{key}: expected one line of text")
    return sys.intern(entry.text)  # most records say the same in most of these


def _integer(top: Entry, key: str, most: int) -> Optional[int]:
    entry = (top.keys or {}).get(key)
    if entry is None or entry.type == "null":
        return None
    if (
        entry.type != "int"
        or not re.fullmatch(r"[0-9]{1,10}", entry.text)
        or int(entry.text) > most
    ):
        raise _Refused(entry.line, f"{key}: expected a whole number up to {most}")
    return int(entry.text)


def render(record: Record) -> str:
    """The YAML text of a record.  Every value is written as JSON writes it, which YAML reads the same way."""
    nova = {
        "user": record.user,
        "uid": record.uid,
        "release": record.release,
        "instances_path": record.instances_path,
        "transport": record.transport,
        "image_cache": record.image_cache,
    }
    lines = [f"schema: {SCHEMA}", f"name: {_quoted(record.name)}"]
    if not record.present:
        return "\n".join([*lines, "state: absent"]) + "\n"
    lines += [f"address: {_quoted(record.address)}", f"names: {_quoted(list(record.names))}"]
    lines += [f"port: {record.port}"]
    lines += _key_lines("host_keys", record.host_keys) + _key_lines("user_keys", record.user_keys)
    lines += ["nova:"] + [f"  {key}: {_quoted(value)}" for key, value in nova.items()]
    if record.storage is not None:
        lines += ["storage:"]
        lines += [f"  {k}: {_quoted(v)}" for k, v in vars(record.storage).items()]
    lines += [f"issued_at: {_quoted(record.issued_at)}", "state: present"]
    return "\n".join(lines) + "\n"


def _quoted(value: object) -> str:
    # JSON escapes what lies beyond U+FFFF as two halves, which YAML refuses: as itself, then.
    return json.dumps(value, ensure_ascii=not str(value).isprintable())


def _key_lines(key: str, keys: tuple[PublicKey, ...]) -> list[str]:
    if not keys:
        return [f"{key}: []"]
    return [f"{key}:"] + [f"  - {_quoted(f'{k.line} {k.comment}'.strip())}" for k in keys]
