"""`Host`: one machine, or one mounted tree, as observe, probe and apply see it."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import math
import os
import socket
import syslog
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import PurePosixPath
from typing import Any, Callable, Optional, Union

from agent.host import files, impersonate, kernel, names, programs, scratch
from agent.host.descend import parent_of
from agent.host.files import MAX_CONTENT, Seen
from agent.host.programs import Completed
from agent.model import Absent, Account, File, Kind, Unreadable

# /tmp may be full, or closed to nova, which Nova's own copy would not notice.
_SCRATCH = ("/run", "/tmp", "/var/tmp")
_LOCKS = "/run/resize-agent"  # root's alone: nobody else can hold one of these
_GLANCE = 0.1  # seconds between two tries for a lock
_LEAST = 0.1  # seconds; what is asked when the time is up fails at once and says so
_LOOK_TIMEOUT = 20.0  # seconds for one batch of looks; a dead NFS server must not hang the agent


class Locked(OSError):
    """Another `agent --fix` is at work on this host."""


class CannotStart(OSError):
    """What nothing can be done without, such as a lock or this host's own addresses, is not to be had; `args[0]` says why."""


class Host:
    """`root` is "/" for the running system, or the directory of an image or mounted tree."""

    def __init__(self, root: str = "/") -> None:
        self.root = os.path.realpath(root)
        self.halted: Callable[[], bool] = bool  # asked while a program runs; True ends it
        self.deadline = math.inf  # of the run, on the monotonic clock; no program outlives it

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
        return files.look(self.root, path, content=content, limit=limit)

    def names(self, path: PurePosixPath) -> Union[tuple[str, ...], Absent, Unreadable]:
        return files.names(self.root, path)

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
            answers = impersonate.call(
                account, limit, _look_all, self.root, words, halted=self.halted
            )
        except impersonate.ChildFailed as error:
            return {path: Unreadable(f"{path}: {error.strerror}") for path in wanted}
        return {path: _unpacked(answer) for path, answer in zip(wanted, answers)}

    def call_as(self, account: Account, function: Callable[..., Any], *args: Any) -> Any:
        """Raises impersonate.ChildFailed (an OSError)."""
        return impersonate.call(account, _LOOK_TIMEOUT, function, *args)

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
        )

    def addresses(self) -> tuple[str, ...]:
        """Every address on an interface of this host, IPv6 without its zone.  Raises CannotStart."""
        import psutil

        try:
            interfaces = psutil.net_if_addrs()
        except OSError as error:
            why = f"this host's own addresses cannot be listed (netlink): {error.strerror}"
            raise CannotStart(why) from None
        found = (a for each in interfaces.values() for a in each)
        families = (socket.AF_INET, socket.AF_INET6)
        return tuple(sorted({a.address.split("%")[0] for a in found if a.family in families}))

    def resolve(self, name: str) -> Union[tuple[str, ...], Unreadable]:
        """What ssh would dial for `name`; empty where it does not resolve, Unreadable where nobody answered in time."""
        return names.addresses(name, self._left(), self.halted)

    def user_elsewhere(self, name: str) -> Union[dict[str, Any], Absent, Unreadable]:
        """Of a name service (sssd, LDAP): see names.user."""
        return names.user(name, self._left(), self.halted)

    def _left(self) -> float:
        return max(_LEAST, self.deadline - time.monotonic())

    def route_address(self) -> Optional[str]:
        """The source address of a datagram to 192.0.2.0, as oslo_utils.netutils.get_my_ipv4 asks it; nothing is sent."""
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.connect(("192.0.2.0", 80))
                return str(probe.getsockname()[0])
        except OSError:
            return None

    def processes(self, name: str) -> Iterator[tuple[int, tuple[str, ...]]]:
        """(pid, command line) of every process that is the program `name`, or Python running it."""
        import psutil

        for process in psutil.process_iter():
            try:
                argv = tuple(process.cmdline())
            except psutil.Error:
                continue
            if _program(argv) == name:
                yield process.pid, argv

    def owner_of_process(self, pid: int) -> Optional[int]:
        """Its real uid, None where it is gone (proc_pid_status(5))."""
        seen = self.file(PurePosixPath(f"/proc/{pid}/status"))
        text = (seen.content or b"") if isinstance(seen, File) else b""
        uids = [line.split() for line in text.splitlines() if line.startswith(b"Uid:")]
        return int(uids[0][1]) if uids and len(uids[0]) > 1 else None

    def changed(self, path: PurePosixPath) -> Optional[float]:
        """When what is at `path` was written last (seconds since 1970); None where nothing is to be seen there."""
        try:
            return os.stat(files.inside(self.root, path)).st_mtime
        except OSError:
            return None

    def started(self, pid: int) -> Optional[float]:
        """When a process was started, to the second; the program it runs may have been exec'd later."""
        import psutil

        try:
            return float(psutil.Process(pid).create_time())
        except psutil.Error:
            return None

    def executable(self, pid: int) -> str:
        """The program file a process runs (proc_pid_exe(5)); "" where that cannot be seen.

        Of a process with more capabilities than ours it cannot (ptrace(2)): the confined daemon sees none of root's.
        """
        try:
            return os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
        except OSError:
            return ""

    def environment(self, pid: int, account: Account) -> Optional[dict[str, str]]:
        """Of another process; None where it cannot be read.  Secrets may be in it: keep what you need, no more.

        Read as `account`, whose process it should be: a root without CAP_SYS_PTRACE sees only those of its own (ptrace(2)).
        """
        path = PurePosixPath(f"/proc/{pid}/environ")
        seen = self.files_as(account, [path], content=True)[path] if self.can_be(account) else None
        if not isinstance(seen, File):
            seen = self.file(path)
        if not isinstance(seen, File) or seen.content is None:
            return None
        words = (word.decode("utf-8", "replace") for word in seen.content.split(b"\0"))
        return dict(word.split("=", 1) for word in words if "=" in word)

    def owner_of_parent(self, path: PurePosixPath) -> int:
        """uid of the directory that holds `path`, found without following a planted link.  Raises OSError."""
        with parent_of(self.root, path) as (directory, _):
            return os.fstat(directory).st_uid

    def owner_of(self, path: PurePosixPath) -> Optional[int]:
        """uid of what is at `path` itself, None where nothing is.  Raises OSError."""
        with parent_of(self.root, path) as (directory, name):
            try:
                return os.lstat(name, dir_fd=directory).st_uid
            except FileNotFoundError:
                return None

    @contextmanager
    def scratch(self) -> Iterator[str]:
        """A directory of ours that everybody may pass through and read from; gone afterwards.  Raises OSError."""
        with scratch.directory(_SCRATCH) as made:
            yield made

    @contextmanager
    def exclusive(self, name: str, left: Callable[[], float]) -> Iterator[bool]:
        """One holder on this machine at a time; False where it was not to be had in the seconds that are left."""
        if not self.privileged:
            yield True  # there is nobody to wait for
            return
        os.makedirs(_LOCKS, mode=0o700, exist_ok=True)
        path = os.path.join(_LOCKS, hashlib.sha256(name.encode()).hexdigest()[:32])
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield _locked(descriptor, left)
        finally:
            os.close(descriptor)


def _locked(descriptor: int, left: Callable[[], float]) -> bool:
    """flock(2) has no time limit of its own."""
    pause = threading.Event()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if left() <= 0:
                return False
            pause.wait(_GLANCE)
        else:
            return True


def _program(argv: tuple[str, ...]) -> str:
    """The name of what a command line runs; of an interpreter the script it was given."""
    words = [os.path.basename(word.rstrip(":")) for word in argv[:1]]
    if words and words[0].startswith("python"):
        words = [os.path.basename(word) for word in argv[1:] if not word.startswith("-")]
    return words[0] if words else ""


def _look_all(root: str, words: list[tuple[str, bool]]) -> list[Any]:
    return [_packed(files.look(root, PurePosixPath(path), content=text)) for path, text in words]


def _packed(seen: Seen) -> Any:
    if isinstance(seen, Absent):
        return {"link": seen.link}
    if isinstance(seen, Unreadable):
        return seen.reason
    text = None if seen.content is None else base64.b64encode(seen.content).decode()
    real = None if seen.real is None else str(seen.real)
    return [seen.kind.value, seen.mode, seen.uid, seen.gid, seen.size, seen.links, text, real]


def _unpacked(answer: Any) -> Seen:
    if isinstance(answer, dict):
        return Absent(answer["link"])
    if isinstance(answer, str):
        return Unreadable(answer)
    kind, mode, uid, gid, size, links, text, real = answer
    content = None if text is None else base64.b64decode(text)
    where = None if real is None else PurePosixPath(real)
    return File(Kind(kind), mode, uid, gid, size, links, content, where)
