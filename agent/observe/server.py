"""What sshd answers for nova: its effective configuration, its host keys, the key files it reads and the way to them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Optional, Union

from agent.formats import keys, places, sockets, ssh_output
from agent.formats.escape import visible
from agent.host import Host, processes
from agent.model import (
    Absent,
    Account,
    File,
    PublicKey,
    Record,
    ServerConfig,
    SizeLimit,
    Unreadable,
)
from agent.model import Host as Self
from agent.observe import limits
from agent.observe.accounts import People

Seen = Union[File, Absent, Unreadable]
Config = Union[ServerConfig, Absent, Unreadable]
SSHD = PurePosixPath("/usr/sbin/sshd")
OS_RELEASE = PurePosixPath("/etc/os-release")
_BY_ADDRESS = re.compile(
    rb"^[ \t]*match[ \t=].*\b(?:address|host|localaddress|localport)\b|^[ \t]*(?:allow|deny)users[ \t=].*@",
    re.IGNORECASE | re.MULTILINE,
)
_DROP_INS = PurePosixPath("/etc/ssh/sshd_config.d")
_ELSEWHERE = re.compile(
    rb"^[ \t]*include[ \t=]+(?!\"?/etc/ssh/sshd_config\.d/\*\.conf\"?[ \t]*$)",
    re.IGNORECASE | re.MULTILINE,
)
_CLOCK = 2.0  # seconds; by so much the kernel's word for when a process began can be off
_PUBLIC_HALVES = re.compile(r"ssh_host_[a-z0-9_]+_key\.pub")


@dataclass(frozen=True)
class Daemon:
    configs: Mapping[str, Config]
    listening: Union[tuple[int, ...], Unreadable] = ()
    host_keys: tuple[PublicKey, ...] = ()
    files: Mapping[PurePosixPath, Seen] = field(default_factory=dict)
    largest_file: Union[SizeLimit, Unreadable] = Unreadable(
        "sshd does not say how it would treat nova"
    )


def look(host: Host, people: People, itself: Self, peers: Sequence[Record]) -> Daemon:
    account = people.account
    if isinstance(host.file(SSHD, content=False), Absent):
        return Daemon({"": Absent()})
    if not host.live:
        return Daemon({"": Unreadable("an image runs no sshd")}, (), ())
    if not isinstance(account, Account):
        return Daemon({"": Unreadable("there is no nova account to ask sshd about")})
    running = listener(host)
    configs = _configs(host, account, itself, peers, running)
    general = configs[""]
    if not isinstance(general, ServerConfig):
        return Daemon(configs, _listening(host, None, itself), tuple(_keys_on_disk(host, None)))
    return Daemon(
        configs,
        _listening(host, general, itself),
        tuple(_keys_on_disk(host, general)),
        _files(host, account, [c for c in configs.values() if isinstance(c, ServerConfig)]),
        limits.largest_file(host, account, general, running[0] if running else None),
    )


def ports(host: Host) -> tuple[int, ...]:
    """Those that the sshd here is set to; none where it does not say."""
    daemon = listener(host)
    who = "user=root,host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22"
    arguments = _kept(daemon[1]) if daemon else ()
    done = host.run([str(SSHD), "-T", "-C", who, *arguments])
    return ssh_output.server_config(done.stdout).ports if done.ok else ()


def _configs(
    host: Host,
    account: Account,
    itself: Self,
    peers: Sequence[Record],
    daemon: Optional[tuple[int, list[str]]],
) -> dict[str, Config]:
    """One `sshd -T` for all peers, unless a Match block or a user@host pattern could tell them apart."""
    arguments = tuple(_kept(daemon[1])) if daemon else ()
    # Where no peer is asked about, this host itself is the client: it lies in the network that peers dial from.
    general = _ask(host, account, itself, _own_address(itself), arguments)
    if isinstance(general, ServerConfig) and 22 not in general.ports:
        general = _ask(host, account, itself, _own_address(itself), arguments, general.ports[0])
    if isinstance(general, ServerConfig) and daemon:
        general = replace(general, newer=_newer(host, general, daemon[0], arguments))
    port = general.ports[0] if isinstance(general, ServerConfig) and 22 not in general.ports else 22
    configs: dict[str, Config] = {"": general}
    if isinstance(general, ServerConfig) and peers and _tells_apart(host, arguments):
        for peer in peers:
            configs[peer.address] = _ask(host, account, itself, peer.address, arguments, port)
    return configs


def _own_address(itself: Self) -> str:
    return itself.dialled[0] if itself.dialled else "127.0.0.1"


def _ask(
    host: Host,
    account: Account,
    itself: Self,
    address: str,
    arguments: Sequence[str],
    port: int = 22,
) -> Config:
    if not host.privileged:
        return Unreadable("only root can ask sshd for its effective configuration")
    who = f"user={account.name},host={address},addr={address},laddr={_own_address(itself)}"
    done = host.run([str(SSHD), "-T", "-C", f"{who},lport={port}", *arguments])
    if not done.ok:
        lines = done.stderr.strip().splitlines() or ["sshd -T failed"]
        return Unreadable(visible(lines[-1]))
    return ssh_output.server_config(done.stdout, debian=_is_debian(host))


def listener(host: Host) -> Optional[tuple[int, list[str]]]:
    """The listening daemon's process and its own command line.

    sshd rewrites its title to `sshd: /usr/sbin/sshd -D [listener] ...` and keeps its arguments in it.
    """
    for pid, argv in host.processes("sshd"):
        # Anybody can call a process sshd: only root's own, running that very program as far as that can be seen, is asked
        # what it was started with.
        if processes.owner(pid) != 0 or processes.executable(pid) not in (str(SSHD), ""):
            continue
        words = " ".join(argv).partition("[listener]")[0].split()
        if words and ("[listener]" in " ".join(argv) or words[0].endswith("sshd")):
            return pid, words
    return None


def _newer(host: Host, config: ServerConfig, pid: int, arguments: Sequence[str]) -> str:
    """A file of the configuration that was changed since the daemon read it.

    A reload is an exec: the process stays as old as it was, and sshd writes its PidFile anew.
    """
    path = PurePosixPath(config.one("pidfile", "none"))
    seen = host.file(path) if path.is_absolute() else Absent()
    written = (seen.content or b"").strip() if isinstance(seen, File) else b""
    since = host.changed(path) if written == str(pid).encode() else None
    if since is None:
        began = processes.started(pid)
        since = began + _CLOCK if began is not None else None
    names = host.names(_DROP_INS)
    dropped = [_DROP_INS / name for name in names] if isinstance(names, tuple) else []
    for each in (_main_file(arguments), _DROP_INS, *dropped):
        changed = host.changed(each)
        if since is not None and changed is not None and changed > since:
            return str(each)
    return ""


def _kept(words: Sequence[str]) -> Iterator[str]:
    """The options that decide its configuration."""
    rest = iter(words)
    for word in rest:
        if word in ("-f", "-o", "-p", "-h"):
            yield word
            yield next(rest, "")
        elif word[:2] in ("-f", "-o", "-p", "-h"):
            yield word


def _tells_apart(host: Host, arguments: Sequence[str]) -> bool:
    """Whether the answer could depend on the client's address.  Files included from elsewhere are taken to say so."""
    names = host.names(_DROP_INS)
    dropped = [_DROP_INS / name for name in names] if isinstance(names, tuple) else []
    seen = [host.file(path) for path in (_main_file(arguments), *dropped)]
    texts = [s.content for s in seen if isinstance(s, File) and s.content]
    return any(_BY_ADDRESS.search(text) or _ELSEWHERE.search(text) for text in texts)


def _main_file(arguments: Sequence[str]) -> PurePosixPath:
    if "-f" in arguments[:-1]:
        return PurePosixPath(arguments[arguments.index("-f") + 1])
    named = [word[2:] for word in arguments if word.startswith("-f/")]
    return PurePosixPath(named[0] if named else "/etc/ssh/sshd_config")


def _is_debian(host: Host) -> bool:
    """Debian and its children patch sshd's idea of a group-writable file (user-group-modes.patch)."""
    seen = host.file(OS_RELEASE)
    text = (seen.content or b"") if isinstance(seen, File) else b""
    return bool(re.search(rb"^ID(?:_LIKE)?=.*\b(?:debian|ubuntu)\b", text, re.MULTILINE))


def _listening(
    host: Host, config: Union[ServerConfig, None], itself: Self
) -> Union[tuple[int, ...], Unreadable]:
    """Those of sshd's ports on which somebody listens for the address that peers dial."""
    tables = [host.proc(f"net/{name}") for name in ("tcp", "tcp6")]
    texts = [s.content for s in tables if isinstance(s, File) and s.content]
    if not texts:
        return Unreadable("/proc/net/tcp cannot be read")
    busy = [found for text in texts for found in sockets.listeners(text)]
    wanted = config.ports if config is not None else (22,)
    return tuple(p for p in wanted if any(_serves(where, p, itself.dialled) for where in busy))


def _serves(listener: tuple[str, int], port: int, dialled: tuple[str, ...]) -> bool:
    address = ip_address(listener[0])
    if listener[1] != port:
        return False
    if not dialled:  # nobody knows what is dialled: any socket but a loopback one will do
        return not address.is_loopback
    if address.is_unspecified:  # `::` takes IPv4 too, unless it is told not to
        return address.version == 6 or any(":" not in each for each in dialled)
    return str(address) in dialled


def _keys_on_disk(host: Host, config: Union[ServerConfig, None]) -> Iterator[PublicKey]:
    for path in _public_halves(host, config):
        seen = host.file(path)
        text = (seen.content or b"") if isinstance(seen, File) else b""
        key = keys.parse_public(text.decode("utf-8", "replace").strip())
        if key is not None:
            yield PublicKey(key.type, key.blob)


def _public_halves(host: Host, config: Union[ServerConfig, None]) -> list[PurePosixPath]:
    if config is not None:
        return [PurePosixPath(word + ".pub") for word in config.words("hostkey")]
    directory = PurePosixPath("/etc/ssh")
    names = host.names(directory)
    found = names if isinstance(names, tuple) else ()
    return [directory / name for name in found if _PUBLIC_HALVES.fullmatch(name)]


def _files(
    host: Host, account: Account, configs: Sequence[ServerConfig]
) -> dict[PurePosixPath, Seen]:
    """Key files with their text and every directory above them, as nova (sshd opens them as the user)."""
    lists = {path for config in configs for path in places.authorized_keys(config, account)}
    above = {parent for path in (*lists, account.home / "x") for parent in path.parents}
    seen = host.files_as(account, sorted(lists), content=True, besides=sorted(above))
    reals = {s.real for s in seen.values() if isinstance(s, File) and s.real is not None}
    beyond = {p for path in reals for p in (path, *path.parents)} - seen.keys()
    if beyond:  # a link on the way: where it leads is judged too
        seen.update(host.files_as(account, sorted(beyond), content=False))
    programs = {PurePosixPath(w) for c in configs for w in _sftp_program(c)}
    seen.update({path: host.file(path, content=False) for path in programs})
    return seen


def _sftp_program(config: ServerConfig) -> Iterator[str]:
    for value in config.values.get("subsystem", ()):
        words = value.split()
        if len(words) > 1 and words[0] == "sftp" and words[1].startswith("/"):
            yield words[1]
