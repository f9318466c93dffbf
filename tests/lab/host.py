"""One compute host of the lab, seen from the test: run something in it, read and write its files."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}
AGENT_HOME = "/usr/share/resize-agent"
SYSLOG = "/var/log/syslog"


class LabError(RuntimeError):
    """The lab itself, or a command that had to work in it, failed."""


@dataclass(frozen=True)
class Result:
    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Host:
    """A running host; made by `Fleet`. `pid` is that of its first process, as the machine sees it."""

    name: str
    address: str
    pid: int
    sshd_log: str = SYSLOG
    history: deque[str] = field(default_factory=lambda: deque(maxlen=15), repr=False)

    @property
    def way_in(self) -> list[str]:
        """The beginning of a command line of the machine's for a program in all namespaces of the host."""
        return ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "-r", "-w", "--"]

    def spawn(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        stderr: int = subprocess.PIPE,
        under: Sequence[str] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a program in all namespaces of the host, in a session without a terminal.

        `under`: the beginning of a command line of the machine's, such as strace, that starts it.
        """
        # chroot drops uid, gid and groups (those the host's own files name) and so every capability.
        become = [] if user is None else ["chroot", f"--userspec={user}:", "/"]
        return subprocess.Popen(
            [*under, *self.way_in, *become, *argv],
            env={**ENVIRONMENT, **(env or {})},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            umask=0o022,
        )

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        timeout: float = 60,
    ) -> Result:
        data = None if stdin is None else stdin.encode(errors="surrogateescape")
        code, out, err = self._finish(argv, user, env, data, timeout)
        return Result(code, _text(out), _text(err))

    def agent(
        self,
        *arguments: str,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 300,
    ) -> Result:
        """The program under test: this source tree, the host's own Python and libraries."""
        own = {"PYTHONPATH": AGENT_HOME, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
        argv = ["/usr/bin/python3", "-m", "agent", *arguments]
        return self.run(argv, user=user, env=own, timeout=timeout)

    def sh(
        self, script: str, *, user: str | None = None, check: bool = True, timeout: float = 60
    ) -> Result:
        result = self.run(["/bin/sh", "-eu", "-c", script], user=user, timeout=timeout)
        if check and result.returncode:
            said = f"{result.stdout}{result.stderr}"
            raise LabError(f"{self.name}: {script!r} ended with {result.returncode}:\n{said}")
        return result

    def read(self, path: str) -> bytes:
        code, out, err = self._finish(["cat", "--", path], None, None, None, 60)
        if code:
            raise LabError(f"{self.name}: {_text(err).strip()}")
        return out

    def write(
        self, path: str, data: str | bytes, *, mode: int | None = None, owner: str | None = None
    ) -> None:
        """Make or overwrite a file in place, so owner and mode of an existing one stay."""
        raw = data.encode() if isinstance(data, str) else data
        code, _, err = self._finish(["sh", "-c", 'cat >"$1"', "sh", path], None, None, raw, 60)
        if code:
            raise LabError(f"{self.name}: {_text(err).strip()}")
        if owner is not None:
            self.sh(f"chown -h {shlex.quote(owner)} {shlex.quote(path)}")
        if mode is not None:
            self.sh(f"chmod {mode:o} {shlex.quote(path)}")

    def exists(self, path: str) -> bool:
        """Whether there is anything of that name, a dangling link included."""
        return self.run(["sh", "-c", '[ -e "$1" ] || [ -L "$1" ]', "sh", path]).returncode == 0

    def start_sshd(self) -> None:
        """As Debian's unit does it; returns when it accepts connections."""
        self.sh("mkdir -p -m 0755 /run/sshd && /usr/sbin/sshd -t")
        serve = "setsid /usr/sbin/sshd -D ${SSHD_OPTS:-} </dev/null >/dev/null 2>&1 & echo $!"
        started = self.sh(f". /etc/default/ssh; {serve}")
        pid = int(started.stdout)
        await_that(lambda: self._listens(pid), f"{self.name}: sshd listens", self.log)

    def stop_sshd(self) -> None:
        """End the listening server and every connection it has."""
        every = "sshd(-session|-auth)?"  # each connection is a program of its own since OpenSSH 9.8
        self.sh(f"pkill -x '{every}' || true")
        gone = ["pgrep", "-x", every]
        await_that(lambda: self.run(gone).returncode == 1, f"{self.name}: sshd is gone", self.log)

    def log(self) -> str:
        """What the host's programs, sshd among them, said to syslog."""
        return _text(self.read(SYSLOG))

    def _listens(self, pid: int) -> bool:
        try:
            with open(f"/proc/{self.pid}/root/proc/{pid}/cmdline", "rb") as title:
                said = title.read()
            with open(f"/proc/{self.pid}/root/proc/{pid}/stat", "rb") as status:
                ended = status.read().rpartition(b") ")[2].startswith(b"Z")
        except FileNotFoundError:
            said, ended = b"", True
        if ended:  # an empty title alone is a process in the middle of execve(2)
            raise LabError(f"{self.name}: sshd ended at once:\n{self.log()}")
        # Its own word, which it gives once all its sockets are open; its PidFile, from which it is told what changed since, comes
        # a moment later.
        return b"[listener]" in said and self._pid_file() == b"%d\n" % pid

    def _pid_file(self) -> bytes:
        try:
            with open(f"/proc/{self.pid}/root/run/sshd.pid", "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""

    def _finish(
        self,
        argv: Sequence[str],
        user: str | None,
        env: Mapping[str, str] | None,
        data: bytes | None,
        timeout: float,
    ) -> tuple[int, bytes, bytes]:
        stdin = subprocess.DEVNULL if data is None else subprocess.PIPE
        process = self.spawn(argv, user=user, env=env, stdin=stdin)
        try:
            out, err = process.communicate(data, timeout)
        except BaseException:  # also a Ctrl-C must not leave it running
            self.history.append(f"{shlex.join(argv)} -> interrupted")
            end(process)
            raise
        said = _text(err).strip().splitlines()[-1:]
        self.history.append(f"{shlex.join(argv)[:300]} -> {process.returncode} {said}")
        return process.returncode, out, err


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a spawned program and what it started; what it printed is lost."""
    while process.poll() is None:
        # Not nsenter itself, which is outside and has to collect the program it started.
        for pid in _group(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _group(leader: int) -> list[int]:
    members: list[int] = []
    for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):
        with contextlib.suppress(ProcessLookupError):
            if pid != leader and os.getpgid(pid) == leader:
                members.append(pid)
    return members


def await_that(condition: Callable[[], bool], what: str, explain: Callable[[], str]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"not within 10 s: {what}\n{explain()}")
        time.sleep(0.01)


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")
