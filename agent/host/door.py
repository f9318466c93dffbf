"""`Host`: one machine, or one mounted tree, as observe, probe and apply see it."""

from __future__ import annotations

import copy
import math
import os
import syslog
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import PurePosixPath
from typing import Any, Callable, Optional, Union

from agent.formats import mounts
from agent.host import (
    descend,
    files,
    impersonate,
    kernel,
    names,
    network,
    packing,
    processes,
    programs,
)
from agent.host.files import MAX_CONTENT, Seen
from agent.host.programs import Completed
from agent.model import Absent, Account, File, Seat, Unreadable

_LEAST = 0.1  # seconds; what is asked when the time is up fails at once and says so
_LOOK_TIMEOUT = 20.0  # seconds for one batch of looks; a dead NFS server must not hang the agent


class CannotStart(OSError):
    """What nothing can be done without, such as a lock or this host's own addresses, is not to be had; `args[0]` says why."""


class Host:
    """`root` is "/" for the running system, or the directory of an image or mounted tree."""

    def __init__(self, root: str = "/") -> None:
        self.root = os.path.realpath(root)
        self.seat: Optional[Seat] = None
        self.halted: Callable[[], bool] = bool  # asked while a program runs; True ends it
        self.deadline = math.inf  # of the run, on the monotonic clock; no program outlives it

    def at(self, seat: Optional[Seat]) -> Host:
        """The same machine from inside one of its containers; None is from the machine itself."""
        if seat == self.seat:
            return self
        other = copy.copy(self)
        other.seat = seat
        return other

    @property
    def outside(self) -> Host:
        return self.at(None)

    @property
    def live(self) -> bool:
        return self.root == "/"

    @property
    def privileged(self) -> bool:
        return os.geteuid() == 0

    @property
    def name(self) -> str:
        """The kernel's host name; of an image the one it will boot with."""
        if self.live:
            return os.uname().nodename
        seen = self.file(PurePosixPath("/etc/hostname"), limit=256)
        text = (seen.content or b"") if isinstance(seen, File) else b""
        return text.decode("ascii", "replace").strip() or "image"

    @property
    def can_end_others(self) -> bool:
        """Whether root may end what it has started as somebody else.  Raises OSError."""
        return kernel.can_end_others()

    def can_be(self, account: Account) -> bool:
        """Whether a program can be run as `account`."""
        return self.privileged or os.geteuid() == account.uid

    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def file(self, path: PurePosixPath, *, content: bool = True, limit: int = MAX_CONTENT) -> Seen:
        """As ourselves.  Never for a path through a directory that an unprivileged user owns."""
        if self.seat is None:
            return files.look(self.root, path, content=content, limit=limit)
        try:
            return packing.unpacked(self.act(packing.look, self.root, str(path), content, limit))
        except OSError as error:
            return Unreadable(f"{path}: {error.strerror}")

    def names(self, path: PurePosixPath) -> Union[tuple[str, ...], Absent, Unreadable]:
        if self.seat is None:
            return files.names(self.root, path)
        try:
            return packing.unpacked_names(self.act(packing.names, self.root, str(path)))
        except OSError as error:
            return Unreadable(f"{path}: {error.strerror}")

    def files_as(
        self,
        account: Account,
        paths: Iterable[PurePosixPath],
        *,
        content: bool,
        besides: Iterable[PurePosixPath] = (),
    ) -> dict[PurePosixPath, Seen]:
        """The same as `account` would see it, in one child for all: `paths` with or without text, `besides` without."""
        wanted = dict.fromkeys(besides, False)
        wanted.update(dict.fromkeys(paths, content))
        words = [(str(path), text) for path, text in wanted.items()]
        try:
            limit = min(_LOOK_TIMEOUT, self._left())
            here = (self.root, words)
            answers = impersonate.call(
                account, limit, packing.look_all, *here, halted=self.halted, where=self.seat
            )
        except impersonate.ChildFailed as error:
            return {path: Unreadable(f"{path}: {error.strerror}") for path in wanted}
        return {path: packing.unpacked(answer) for path, answer in zip(wanted, answers)}

    def call_as(self, account: Account, function: Callable[..., Any], *args: Any) -> Any:
        """Raises impersonate.ChildFailed (an OSError)."""
        return impersonate.call(account, _LOOK_TIMEOUT, function, *args, where=self.seat)

    def act(self, function: Callable[..., Any], *args: Any) -> Any:
        """As ourselves, and in a child where that means a container; the result must be JSON.  Raises OSError."""
        if self.seat is None:
            return function(*args)
        return impersonate.call(None, _LOOK_TIMEOUT, function, *args, where=self.seat)

    def inside(self, path: PurePosixPath) -> str:
        """Where `path` of this host lies for the kernel.  Raises OSError."""
        return files.inside(self.root, path)

    def log(self, message: str) -> None:
        """One AUTHPRIV line in the system log (syslog(3)); a host without a log daemon loses it silently."""
        syslog.openlog("resize-agent", syslog.LOG_PID, syslog.LOG_AUTHPRIV)
        syslog.syslog(syslog.LOG_NOTICE, message)

    @property
    def operator(self) -> str:
        """Who runs us: the login behind sudo where there is one."""
        return os.environ.get("SUDO_USER") or os.environ.get("LOGNAME") or f"uid {os.getuid()}"

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 20.0,
        account: Optional[Account] = None,
        environment: Optional[Mapping[str, str]] = None,
        to_its_end: bool = False,
    ) -> Completed:
        """`to_its_end`: also when the run is being stopped, for what must be cleaned up."""
        return programs.run(
            argv,
            timeout=timeout if to_its_end else min(timeout, self._left()),
            account=account,
            environment=environment,
            halted=bool if to_its_end else self.halted,
            where=self.seat,
        )

    def addresses(self) -> tuple[str, ...]:
        """Every address on an interface of this host, IPv6 without its zone.  Raises CannotStart."""
        try:
            return network.addresses()
        except OSError as error:
            why = f"this host's own addresses cannot be listed (netlink): {error.strerror}"
            raise CannotStart(why) from None

    def resolve(self, name: str) -> Union[tuple[str, ...], Unreadable]:
        """What ssh would dial for `name`; empty where it does not resolve, Unreadable where nobody answered in time."""
        if self.seat is None:
            return names.addresses(name, self._left(), self.halted)
        told = self.run(["getent", "ahosts", name])
        if told.returncode is None:
            return Unreadable(f"{name} was not looked up in time")
        lines = (line.split() for line in told.stdout.splitlines())
        return tuple(dict.fromkeys(words[0].split("%")[0] for words in lines if words))

    def user_elsewhere(self, *wanted: str) -> Union[dict[str, Any], Absent, Unreadable]:
        """Of a name service (sssd, LDAP): see names.user."""
        return names.user(wanted, self._left(), self.halted)

    @property
    def over(self) -> bool:
        """Whether the run has come to its end: a program that was cut short then says nothing."""
        return self.halted() or time.monotonic() >= self.deadline

    def _left(self) -> float:
        return max(_LEAST, self.deadline - time.monotonic())

    def route_address(self) -> Optional[str]:
        return network.route_address()

    def processes(self, name: str) -> Iterator[tuple[int, tuple[str, ...]]]:
        """(pid, command line) of every process here that is the program `name`, or Python running it."""
        for pid, argv, here in self.everywhere(name):
            if here:
                yield pid, argv

    def everywhere(self, name: str) -> Iterator[tuple[int, tuple[str, ...], bool]]:
        """The same of the whole machine, and whether it is here: one with another root is in a container."""
        own = self._root_device(self._pid)
        for pid, argv in processes.running(name):
            yield pid, argv, self._root_device(str(pid)) in (None, own)

    def seat_of(self, pid: int) -> Seat:
        """Raises OSError where it may not be looked at."""
        return Seat(pid, processes.namespace(str(pid), "mnt"))

    def shares(self, pid: int, kind: str) -> bool:
        """Whether a process is in the same namespace (`user`, `net`, ...) as we.  Raises OSError."""
        return processes.namespace(str(pid), kind) == processes.namespace("self", kind)

    def _root_device(self, pid: str) -> Optional[bytes]:
        """None where it cannot be seen, as of a process that has ended."""
        seen = self.outside.file(PurePosixPath(f"/proc/{pid}/mountinfo"))
        return mounts.root_device(seen.content) if isinstance(seen, File) and seen.content else None

    @property
    def _pid(self) -> str:
        return str(self.seat.pid) if self.seat else "self"

    def proc(self, name: str) -> Seen:
        """A file of proc(5) about what processes here see: `mountinfo`, `net/tcp`."""
        return self.outside.file(PurePosixPath(f"/proc/{self._pid}/{name}"))

    def changed(self, path: PurePosixPath) -> Optional[float]:
        """When what is at `path` was written last (seconds since 1970); None where nothing is to be seen there."""
        try:
            return float(self.act(packing.changed, self.root, path))
        except OSError:
            return None

    def environment(self, pid: int, account: Account) -> Optional[dict[str, str]]:
        """Of another process; None where it cannot be read.  Secrets may be in it: keep what you need, no more.

        Read as `account`, whose process it should be: a root without CAP_SYS_PTRACE sees only those of its own (ptrace(2)).
        """
        path, host = PurePosixPath(f"/proc/{pid}/environ"), self.outside
        seen = host.files_as(account, [path], content=True)[path] if self.can_be(account) else None
        if not isinstance(seen, File):
            seen = host.file(path)
        if not isinstance(seen, File) or seen.content is None:
            return None
        words = (word.decode("utf-8", "replace") for word in seen.content.split(b"\0"))
        return dict(word.split("=", 1) for word in words if "=" in word)

    def owner_of_parent(self, path: PurePosixPath) -> int:
        """uid of the directory that holds `path`, found without following a planted link.  Raises OSError."""
        return int(self.act(descend.owner_of_parent, self.root, path))

    def owner_of(self, path: PurePosixPath) -> Optional[int]:
        """uid of what is at `path` itself, None where nothing is.  Raises OSError."""
        found: Optional[int] = self.act(descend.owner_of, self.root, path)
        return found

    @contextmanager
    def scratch(self) -> Iterator[str]:
        """A directory of ours that everybody may pass through and read from; gone afterwards.  Raises OSError."""
        from agent.host import scratch  # with a dial or a fix alone

        if self.seat is None:
            with scratch.directory(scratch.PARENTS) as made:
                yield made
            return
        there = str(self.act(scratch.make, scratch.PARENTS))
        try:
            yield there
        finally:
            with suppress(OSError):  # with the container it has gone too
                self.act(scratch.remove, there)

    def put(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """A file in a scratch directory.  Raises OSError."""
        from agent.host import scratch

        self.act(scratch.put, path, content, mode)

    @contextmanager
    def exclusive(self, name: str, left: Callable[[], float]) -> Iterator[bool]:
        """One holder on this machine at a time; False where it was not to be had in the seconds that are left."""
        if not self.privileged:
            yield True  # there is nobody to wait for
            return
        from agent.host import locks

        with locks.held(name, left) as ours:
            yield ours
