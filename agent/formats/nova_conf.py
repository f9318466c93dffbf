"""What nova-compute's configuration means for a resize.

The files and the environment are read as oslo.config reads them (`oslo_options`); which options
matter, their defaults and what Nova makes of them is said here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Optional, Union

from agent.formats import places
from agent.formats.escape import visible
from agent.formats.nova_files import (
    DEBIAN_DEFAULT,
    Location,
    default_locations,
    locations,
    sources,
)
from agent.formats.oslo_options import (
    Name,
    Options,
    Problem,
    Value,
    environment_name,
    parse,
)
from agent.model import NovaConfig, Unreadable

__all__ = [
    "DEBIAN_DEFAULT",
    "KEPT_ENVIRONMENT",
    "Location",
    "Options",
    "Problem",
    "Value",
    "default_locations",
    "effective",
    "kept",
    "locations",
    "parse",
    "release_major",
    "sources",
]

# The options we read, and those they are commonly built from, with Nova's own defaults.
_DEFAULTS: Mapping[Name, Optional[str]] = MappingProxyType(
    {
        ("DEFAULT", "host"): None,
        ("DEFAULT", "my_ip"): None,
        ("DEFAULT", "state_path"): None,
        ("DEFAULT", "instances_path"): "$state_path/instances",
        ("DEFAULT", "tempdir"): None,
        ("DEFAULT", "my_block_storage_ip"): "$my_ip",
        ("libvirt", "migration_inbound_addr"): "$my_ip",
        ("libvirt", "remote_filesystem_transport"): "ssh",
        ("libvirt", "images_type"): "default",
        ("image_cache", "subdirectory_name"): "_base",
    }
)
_RENAMED: Mapping[Name, tuple[Name, ...]] = MappingProxyType(
    {("image_cache", "subdirectory_name"): (("DEFAULT", "image_cache_subdirectory_name"),)}
)
_STATE_PATH = "/var/lib/nova"  # of all distributions
_TRANSPORTS = ("ssh", "rsync")
_FIRST_WITH_INBOUND_ADDRESS = 29

KEPT_ENVIRONMENT: frozenset[str] = frozenset(
    {
        "PATH",
        "HOME",
        "TMPDIR",
        "SSH_AUTH_SOCK",
        "SSH_ASKPASS",
        "SSH_ASKPASS_REQUIRE",
        "RSYNC_RSH",
    }
    | {environment_name(*option) for option in _DEFAULTS}
)

_RELEASE = re.compile(r"\s*(?:[0-9]{1,4}:)?([0-9]{1,4})(?:\.([0-9]{1,2}))?(?![0-9:])")
# Something a program can be given as a host: never an option, never two words.
_HOST = re.compile(r"[0-9A-Za-z_:][0-9A-Za-z_.:%-]*")
# What ssh says "hostname contains invalid characters" to (valid_hostname() in ssh.c), and what it takes for an option.
_NO_HOST = re.compile(r"|-.*|.*[\s#'\"`$\\;&<>|(){},].*", re.DOTALL)
NO_HOST = "which ssh takes for no host"
"""How a problem ends that makes each resize to this host fail; NovaConfig.address is then empty."""


def kept(environ: Mapping[str, str]) -> dict[str, str]:
    """Of nova-compute's environment what changes its answers; no secret is among it."""
    return {
        name: value
        for name, value in environ.items()
        if name in KEPT_ENVIRONMENT or name.startswith("SSH_ASKPASS")
    }


def release_major(release: str) -> Optional[int]:
    """Nova's major release in a package or source version; a series such as 2024.1 counts too."""
    match = _RELEASE.match(release)
    if match is None:
        return None
    major = int(match[1])
    if major < 2000:
        return major
    if major < 2023 or match[2] not in ("1", "2"):
        return None
    # 2023.1 is release 27, with two releases a year.
    return 27 + 2 * (major - 2023) + int(match[2]) - 1


def effective(
    options: Options,
    *,
    hostname: str,
    route_address: Optional[str],
    release: Optional[str],
    modules: Optional[PurePosixPath] = None,
    files: Sequence[PurePosixPath] = (),
    running: Optional[int] = None,
    runs_as: Optional[int] = None,
) -> Union[NovaConfig, Unreadable]:
    """nova.conf as this host's nova-compute takes it.

    `route_address` is the address the host would use to reach outside; `modules` where nova's Python modules lie, which is
    Nova's own default of state_path: distributions set another in the nova.conf that they ship.  Unreadable where a file
    does not parse, and where the name or the directory, without which nothing can be judged, has
    no usable value.
    """
    if options.problems:
        return Unreadable(options.problems[0].sentence)
    defaults = _runtime(hostname, route_address, modules)
    answers = _Answers(options.with_defaults(defaults, _RENAMED))
    host = answers.text("DEFAULT", "host")
    path = answers.text("DEFAULT", "instances_path")
    if answers.problems:
        return Unreadable(answers.problems[0])
    if not host or not path or not places.is_possible(path):
        return Unreadable(_unusable(answers, host, path))
    my_ip = answers.text("DEFAULT", "my_ip") or ""
    address = _address(answers, my_ip, hostname, release)
    return NovaConfig(
        host=host.lower(),
        address=address,
        my_ip=my_ip,
        instances_path=PurePosixPath(path),
        transport=_transport(answers),
        image_cache=answers.text("image_cache", "subdirectory_name") or "",
        release=release,
        tempdir=answers.text("DEFAULT", "tempdir") or None,
        origin=MappingProxyType(answers.origin),
        files=tuple(files),
        running=running,
        runs_as=runs_as,
        problems=tuple(answers.problems),
    )


@dataclass
class _Answers:
    """Options as they are asked for, and what there is to say about the answers."""

    options: Options
    origin: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def text(self, group: str, name: str) -> Optional[str]:
        value = self.options.get(group, name)
        self.origin[f"[{group}]{name}"] = value.origin
        for problem in value.problems:
            self.problems.append(f"[{group}]{name} cannot be read: {problem.sentence}")
        return value.text

    def refuse(self, group: str, name: str, complaint: str) -> None:
        label = f"[{group}]{name}"
        self.problems.append(f"{label} ({self.origin[label]}) {complaint}")


def _runtime(
    hostname: str, route_address: Optional[str], modules: Optional[PurePosixPath]
) -> dict[Name, Optional[str]]:
    """All defaults, with those that depend on the host.  None of these is ever substituted."""
    own = {
        "host": hostname,
        "my_ip": route_address or "127.0.0.1",
        "state_path": str(modules or _STATE_PATH),
    }
    literal = {("DEFAULT", name): text.replace("$", "$$") for name, text in own.items()}
    return {**_DEFAULTS, **literal}


def _address(answers: _Answers, my_ip: str, hostname: str, release: Optional[str]) -> str:
    """What a source dials: `my_ip` up to Nova 28, `migration_inbound_addr` from 29; "" if unknown."""
    group, name = "libvirt", "migration_inbound_addr"
    major = release_major(release) if release is not None else None
    if major is None and answers.options.given((group, name)) is not None:
        answers.text(group, name)
        answers.refuse(
            group,
            name,
            "counts from Nova 29 on, and the release of Nova here is unknown",
        )
        return ""
    if major is None or major < _FIRST_WITH_INBOUND_ADDRESS:
        return _diallable(answers, "DEFAULT", "my_ip", my_ip)
    text = answers.text(group, name)
    if text is None:
        return ""
    return _diallable(answers, group, name, text.replace("%s", hostname))


def _diallable(answers: _Answers, group: str, name: str, address: str) -> str:
    if _HOST.fullmatch(address):
        return address
    if f"[{group}]{name} cannot be read" not in "".join(answers.problems):
        why = NO_HOST if _NO_HOST.fullmatch(address) else "which is neither a name nor an address"
        answers.refuse(group, name, f"is {visible(address, 80)!r}, {why}")
    return ""


def _transport(answers: _Answers) -> str:
    group, name = "libvirt", "remote_filesystem_transport"
    text = answers.text(group, name)
    if text in _TRANSPORTS:
        return str(text)
    if text is not None:
        answers.refuse(group, name, f"is {visible(text, 80)!r}; Nova accepts only ssh and rsync")
    return "ssh"


def _unusable(answers: _Answers, host: Optional[str], path: Optional[str]) -> str:
    if not host:
        return f"[DEFAULT]host ({answers.origin['[DEFAULT]host']}) is empty"
    where = answers.origin["[DEFAULT]instances_path"]
    wanted = "an absolute path" if len(path or "") < places.LONGEST else "a path that can exist"
    return f"[DEFAULT]instances_path ({where}) is {visible(path or '', 80)!r}, not {wanted}"
