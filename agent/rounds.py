"""Who is dialled in one run: this host itself on every port it listens on, and the peers whose turn it is."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Optional

from agent.formats import engine, known_hosts, places
from agent.host import Host
from agent.model import Account, Attempt, ClientConfig, File, Layout, NovaConfig, Record, Snapshot
from agent.observe import nova, tools
from agent.probe import LEFT, SIZE, Dialer, Target, dial

_LENIENT = ("no", "off", "false", "accept-new")
_RESOLVING = 5.0  # seconds
_OLD = 3600.0  # seconds after which a probe's directory belongs to a prober that is no more


@dataclass(frozen=True)
class Limits:
    """Seconds for each command, the end of the run on the monotonic clock, dials at a time; `stop` ends it early."""

    command: float
    deadline: float
    parallel: int
    stop: threading.Event

    def left(self) -> float:
        return 0.0 if self.stop.is_set() else self.deadline - time.monotonic()


def dial_all(
    host: Host,
    snapshot: Snapshot,
    peers: Sequence[Record],
    limits: Limits,
    progress: Callable[[int, int], None],
) -> tuple[tuple[Attempt, ...], tuple[Attempt, ...]]:
    """(dials to peers, self-dials); what there was no time for is missing."""
    account, config = snapshot.account, snapshot.nova
    if not isinstance(account, Account) or not isinstance(config, NovaConfig):
        return (), ()
    if not host.can_be(account) or not places.is_one_word(config.instances_path):
        return (), ()  # unquoted, `rm -rf` of such a path would reach further than the probe
    _sweep(host, account, config)
    try:
        with host.scratch() as scratch:
            payload = os.path.join(scratch, "disk")
            host.put(payload, os.urandom(SIZE))
            words = environment(host, account, config)
            shared = (host, account, config, payload, words, limits.command, limits.left)
            qemu = snapshot.qemu if isinstance(snapshot.qemu, Account) else None
            dialer = Dialer(*shared, engine=_engine(host, snapshot), qemu=qemu)
            mine = tuple(_self_targets(host, snapshot, config, scratch))
            theirs = tuple(_targets(host, snapshot, account, peers, scratch))
            return _round(dialer, snapshot, theirs, mine, limits, progress)
    except OSError as error:
        why = f"nobody was dialled: {error.filename or 'a temporary file'}: {error.strerror}"
        return tuple(_not_dialled(host, peer, why) for peer in peers), ()


def _engine(host: Host, snapshot: Snapshot) -> tuple[str, str]:
    """The engine that is to start Nova's lines, and what it calls the container.  Raises OSError where there is none."""
    name = snapshot.layout.container if isinstance(snapshot.layout, Layout) else ""
    if not name:
        return "", ""
    for path in engine.ENGINES:
        if isinstance(host.outside.file(path, content=False), File):
            return str(path), name
    raise FileNotFoundError(errno.ENOENT, "no docker and no podman", "client.run: exec")


def _targets(
    host: Host, snapshot: Snapshot, account: Account, peers: Sequence[Record], scratch: str
) -> Iterator[Target]:
    """As Nova dials them; where ssh would write down a new host key, it gets a copy of its file to read from.

    A check must not make ssh trust anybody for good.  Raises OSError.
    """
    copies: dict[tuple[PurePosixPath, ...], str] = {}
    for peer in peers:
        client = snapshot.client_for(peer.address)
        plain = Target(peer.name, peer.address, sharing=_shares(client))
        if not isinstance(client, ClientConfig) or not _is_lenient(client):
            yield plain
            continue
        files = places.known_hosts(client, account, "userknownhostsfile")
        if files not in copies:
            copies[files] = os.path.join(scratch, f"known_hosts_of_{account.name}_{len(copies)}")
            texts = [
                seen.content for each in files if isinstance(seen := snapshot.file(each), File)
            ]
            # Public keys; to give it to nova alone would need CAP_CHOWN.
            host.put(copies[files], b"\n".join(text for text in texts if text), 0o444)
        yield replace(plain, options=("-o", f"UserKnownHostsFile={copies[files]}"))


def _is_lenient(client: ClientConfig) -> bool:
    return client.one("stricthostkeychecking") in _LENIENT


def _shares(client: object) -> bool:
    """ControlMaster and ControlPath of ssh_config(5), as `ssh -G` prints them."""
    if not isinstance(client, ClientConfig):
        return False
    path = client.one("controlpath", "none")
    return client.one("controlmaster", "false") not in ("no", "false") or path != "none"


def _sweep(host: Host, account: Account, config: NovaConfig) -> None:
    """Remove what a killed prober left here: as nova, an hour old, and nothing but the probe's own files in it."""
    try:
        host.call_as(account, _swept, str(config.instances_path), host.now().timestamp())
    except OSError:
        return  # what stands in the way there is told by the checks


def _swept(path: str, now: float) -> int:
    """Runs as nova.  The number of directories removed."""
    removed = 0
    for name in os.listdir(path):
        directory = os.path.join(path, name)
        if not LEFT.fullmatch(name) or not _is_old_directory(directory, now):
            continue
        names = os.listdir(directory)
        if all(each == "disk" or each.endswith(".tmp") for each in names):
            for each in names:
                os.unlink(os.path.join(directory, each))
            os.rmdir(directory)
            removed += 1
    return removed


def _is_old_directory(path: str, now: float) -> bool:
    found = os.lstat(path)
    return stat.S_ISDIR(found.st_mode) and found.st_mtime < now - _OLD


def resolved(host: Host, peers: Sequence[Record], limits: Limits) -> dict[str, bool]:
    """Which peers' service names resolve here (getent(1), so that a dead name server costs no more than the limit)."""

    def one(peer: Record) -> Optional[bool]:
        if limits.left() <= 0:
            return None
        asked = host.run(["getent", "ahosts", peer.name], timeout=min(_RESOLVING, limits.command))
        return None if asked.missing or asked.returncode is None else asked.ok

    with ThreadPoolExecutor(max_workers=max(1, limits.parallel)) as pool:
        answers = list(pool.map(one, peers))
    return {peer.name: found for peer, found in zip(peers, answers) if found is not None}


def _round(
    dialer: Dialer,
    snapshot: Snapshot,
    theirs: tuple[Target, ...],
    mine: tuple[Target, ...],
    limits: Limits,
    progress: Callable[[int, int], None],
) -> tuple[tuple[Attempt, ...], tuple[Attempt, ...]]:
    every = mine + theirs
    done: list[Attempt] = []

    def one(target: Target) -> Optional[Attempt]:
        if limits.left() <= 0:
            return None
        with dialer.host.exclusive(f"probe {target.name}", limits.left) as ours:
            if not ours or limits.left() <= 0:
                return None
            attempt = dial(dialer, target, itself=target in mine)
            if target in mine and attempt.reason is not None:
                from agent import stand_in  # not where all is well

                attempt = stand_in.asked(dialer, snapshot, attempt)
        if limits.stop.is_set() and attempt.reason is not None:
            return None  # it was we who ended it
        done.append(attempt)
        progress(len(done), len(every))
        return attempt

    with ThreadPoolExecutor(max_workers=max(1, limits.parallel)) as pool:
        answers = list(pool.map(one, every))
    number = len(mine)
    return (
        tuple(attempt for attempt in answers[number:] if attempt is not None),
        tuple(attempt for attempt in answers[:number] if attempt is not None),
    )


def _not_dialled(host: Host, peer: Record, why: str) -> Attempt:
    nowhere = (peer.name, peer.address, peer.port, (), None)
    return Attempt(*nowhere, "not_observed", why, 0.0, host.now(), unknown=True)


def environment(host: Host, account: Account, config: NovaConfig) -> dict[str, str]:
    """nova-compute's own, as far as it matters to ssh; PATH as systemd gives it where it does not run."""
    return {"PATH": tools.DEFAULT_PATH, "LC_ALL": "C", **nova.environment(host, config, account)}


def _self_targets(
    host: Host, snapshot: Snapshot, config: NovaConfig, scratch: str
) -> Iterable[Target]:
    """This host on every port its sshd listens on, with its own host keys in a file of their own."""
    options: tuple[str, ...]
    if not isinstance(snapshot.listening, tuple) or not snapshot.host.host_keys:
        return
    if config.address not in snapshot.host.addresses and not snapshot.host.dialled:
        return
    for port in snapshot.listening:
        path = os.path.join(scratch, f"known_hosts_{port}")
        name = known_hosts.lookup_name(config.address, port)
        lines = (known_hosts.entry_line([name], key) for key in snapshot.host.host_keys)
        host.put(path, b"".join(line + b"\n" for line in lines))
        options = ("-o", f"UserKnownHostsFile={path}", "-o", "GlobalKnownHostsFile=/dev/null")
        options += (
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            f"Port={port}",
            "-o",
            "ControlPath=none",
        )
        yield Target(config.host, config.address, port, options)
