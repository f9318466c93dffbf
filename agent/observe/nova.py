"""Nova's configuration as the running nova-compute sees it, or as the distribution would start it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Optional, Union

from agent.formats import nova_conf
from agent.host import Host, processes
from agent.model import Absent, Account, File, NovaConfig, Unreadable
from agent.settings import Settings

PROGRAM = "nova-compute"
_LIBRARIES = (PurePosixPath("/usr/lib"), PurePosixPath("/usr/local/lib"))
_PYTHON = re.compile(r"python3[0-9.]*")
_INSTALLED = re.compile(r"nova-([0-9][^-]*?)(?:-py[0-9.]+)?\.(?:egg|dist)-info")


def config(
    host: Host, want: Settings, account: Union[Account, Absent, Unreadable]
) -> Union[NovaConfig, Unreadable]:
    """Files of its command line, else those the settings name, else the distribution's.

    Read as nova, as nova-compute does: on Debian nova owns /etc/nova, so what is in there is nova's word and no more.
    """
    running = _running(host, account)
    pid, argv, owner = running if running else (None, (), None)
    words = _environment(host, pid, account)
    if words is None and host.privileged:
        return Unreadable("the environment of the running nova-compute cannot be read")
    files = _files(host, account, _locations(host, want, argv if running else None))
    if not any(path.name == "nova.conf" for path in files) and not running:
        return Unreadable("/etc/nova/nova.conf: no such file")
    texts: list[tuple[PurePosixPath, bytes]] = []
    for path, seen in _looked_at(host, account, files).items():
        if not isinstance(seen, File) or seen.content is None:
            reason = seen.reason if isinstance(seen, Unreadable) else f"{path}: no such file"
            return Unreadable(reason)
        texts.append((path, seen.content))
    installed = _installed(host, account, argv)
    return nova_conf.effective(
        nova_conf.parse(texts, words or {}),
        hostname=host.name,
        route_address=host.route_address() if host.live else None,
        release=want.nova_release or (installed[0] if installed else None),
        modules=installed[1] if installed else None,
        files=tuple(files),
        running=pid,
        runs_as=owner,
    )


def _running(
    host: Host, account: Union[Account, Absent, Unreadable]
) -> Optional[tuple[int, tuple[str, ...], int]]:
    """(pid, command line, uid) of nova-compute; anybody can call a process that, so it must be nova's own or root's."""
    if not host.live or not isinstance(account, Account):
        return None
    found = [(*each, processes.owner(each[0])) for each in host.processes(PROGRAM)]
    for uid in (account.uid, 0):
        for pid, argv, owner in found:
            if owner == uid:
                return pid, argv, uid
    return None


def _looked_at(
    host: Host, account: Union[Account, Absent, Unreadable], files: list[PurePosixPath]
) -> dict[PurePosixPath, Union[File, Absent, Unreadable]]:
    if host.live and isinstance(account, Account) and host.can_be(account):
        return host.files_as(account, files, content=True)
    return {path: host.file(path) for path in files}


def environment(
    host: Host,
    config: Union[NovaConfig, Unreadable],
    account: Union[Account, Absent, Unreadable],
) -> dict[str, str]:
    """What we keep of nova-compute's environment; empty where it does not run."""
    if isinstance(config, Unreadable):
        return {}
    return dict(nova_conf.kept(_environment(host, config.running, account) or {}))


def _environment(
    host: Host, pid: Optional[int], account: Union[Account, Absent, Unreadable]
) -> Optional[dict[str, str]]:
    if pid is None or not isinstance(account, Account):
        return {}
    return host.environment(pid, account)


def _locations(
    host: Host, want: Settings, argv: Optional[tuple[str, ...]]
) -> tuple[nova_conf.Location, ...]:
    """What its command line names where it runs, else what the settings name, else what the distribution would."""
    if argv is not None:
        return nova_conf.sources(argv, lambda path: _exists(host, path))
    if want.nova_config_files:
        return tuple(("file", path) for path in want.nova_config_files)
    return nova_conf.default_locations(lambda path: _exists(host, path))


def _exists(host: Host, path: PurePosixPath) -> bool:
    return isinstance(host.file(path, content=False), (File, Unreadable))


def _files(
    host: Host,
    account: Union[Account, Absent, Unreadable],
    found: tuple[nova_conf.Location, ...],
) -> list[PurePosixPath]:
    paths: list[PurePosixPath] = []
    for kind, path in found:
        if kind == "file":
            paths.append(path)
            continue
        paths += [path / n for n in _names(host, account, path) if n.endswith(".conf")]
    return paths


def _names(
    host: Host, account: Union[Account, Absent, Unreadable], directory: PurePosixPath
) -> tuple[str, ...]:
    """As nova: a process of nova's may name any directory, and what is in root's own is not for a report to tell."""
    if host.live and isinstance(account, Account) and host.can_be(account):
        try:
            return tuple(sorted(host.call_as(account, os.listdir, str(directory))))
        except OSError:
            return ()
    names = host.names(directory)
    return names if isinstance(names, tuple) else ()


def _installed(
    host: Host, account: Union[Account, Absent, Unreadable], argv: tuple[str, ...]
) -> Optional[tuple[str, PurePosixPath]]:
    """The version of the installed nova package, from its metadata directory's name, and where it lies."""
    for site in _sites(host, account, argv):
        for name in _listed(host, account, site):
            match = _INSTALLED.fullmatch(name)
            if match:
                return match[1], site
    return None


def _listed(
    host: Host, account: Union[Account, Absent, Unreadable], directory: PurePosixPath
) -> tuple[str, ...]:
    """Where the distribution puts Python as ourselves; where nova's command line says as nova."""
    if not any(each == directory or each in directory.parents for each in _LIBRARIES):
        return _names(host, account, directory)
    names = host.names(directory)
    return names if isinstance(names, tuple) else ()


def _sites(
    host: Host, account: Union[Account, Absent, Unreadable], argv: tuple[str, ...]
) -> Iterator[PurePosixPath]:
    """Where Python packages lie: beside the interpreter that runs nova-compute first, then the distribution's."""
    own = tuple(
        PurePosixPath(word).parent.parent / "lib"
        for word in argv[:2]
        if word.startswith("/") and PurePosixPath(word).parent.name == "bin"
    )
    for library in (*own, *_LIBRARIES):
        for name in _listed(host, account, library):
            if _PYTHON.fullmatch(name):
                yield library / name / "site-packages"
                yield library / name / "dist-packages"
