"""`agent daemon` on hosts of the lab, with a service manager that only listens."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from tests.lab.host import AGENT_HOME, Host, end

REPORT = "/var/lib/resize-agent/report.json"
LOG = "/var/log/daemon.log"
INTERVAL = 10
PATIENCE = 180.0  # seconds; how long anything here may take on a machine that does other things too
T = TypeVar("T")


class Daemon:
    """One daemon: its process, its log, and what it told the manager so far."""

    def __init__(self, host: Host, *options: str) -> None:
        self.host = host
        self._options = options
        self.process: subprocess.Popen[bytes] | None = None
        self._told: list[str] = []
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        inside = "/run/notify.sock"
        host.sh(f"rm -f {inside}")
        self._ear.bind(f"/proc/{host.pid}/root{inside}")
        self._environment = {
            "PYTHONPATH": AGENT_HOME,
            "PYTHONDONTWRITEBYTECODE": "1",
            "NOTIFY_SOCKET": inside,
            "WATCHDOG_USEC": "90000000",
        }

    def start(self, under: Sequence[str] = ()) -> None:
        """`under`: a program of the machine's, such as strace, that runs it."""
        line = f'echo $$ >/run/daemon.pid; exec /usr/bin/python3 -m agent daemon "$@" 2>>{LOG}'
        argv = ["/bin/sh", "-c", line, "sh", *self._options]
        self.process = self.host.spawn(argv, env=self._environment, under=under)

    def signal(self, name: str) -> None:
        self.told  # noqa: B018  its queue is short
        self.host.sh(f"kill -{name} $(cat /run/daemon.pid)")

    def close(self) -> None:
        self._ear.close()
        if self.process is not None and self.process.poll() is None:
            self.host.sh("kill -9 $(cat /run/daemon.pid)", check=False)
        if self.process is not None:
            end(self.process)

    @property
    def told(self) -> list[str]:
        """Every line so far, in order."""
        while True:
            try:
                self._told += self._ear.recv(65536).decode().split("\n")
            except BlockingIOError:
                return self._told

    @property
    def status(self) -> str:
        lines = [line for line in self.told if line.startswith("STATUS=")]
        return lines[-1].removeprefix("STATUS=") if lines else ""

    @property
    def log(self) -> list[str]:
        return self.host.read(LOG).decode().splitlines() if self.host.exists(LOG) else []

    @property
    def report(self) -> dict[str, Any]:
        """As somebody else reads it: whole or not there, never anything between."""
        try:
            with open(f"/proc/{self.host.pid}/root{REPORT}") as stream:
                found: dict[str, Any] = json.load(stream)
        except FileNotFoundError:
            return {}
        return found

    def row(self, peer: str) -> dict[str, Any]:
        rows = {row["name"]: row for row in self.report.get("peers", [])}
        return rows.get(peer, {"outcome": None, "reason": None, "checked_at": None})

    def await_that(self, condition: Callable[[], T], what: str) -> T:
        """Its first value that is true."""
        deadline = time.monotonic() + PATIENCE
        while not (value := condition()):
            self.told  # noqa: B018  its queue is short
            if time.monotonic() > deadline:
                said = "\n".join([*self.log[-20:], *self.told[-5:], json.dumps(self.report)[:3000]])
                raise AssertionError(f"{self.host.name}: never: {what}\n{said}")
            assert self.process is not None
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.1)
        return value

    def ended(self) -> int:
        """Its exit status.  What it says meanwhile is heard: the queue is short, and what does not fit is lost."""
        process = self.process
        assert process is not None
        self.await_that(lambda: process.poll() is not None, "it ends")
        return process.wait()


@contextlib.contextmanager
def daemons(hosts: list[Host], *options: str) -> Iterator[dict[str, Daemon]]:
    with contextlib.ExitStack() as stack:
        made = {}
        for host in hosts:
            host.sh("mkdir -p /etc/resize-agent/conf.d")
            host.write("/etc/resize-agent/conf.d/10-lab.yaml", f"interval: {INTERVAL}\n")
            made[host.name] = Daemon(host, *options)
            stack.callback(made[host.name].close)
        for daemon in made.values():
            daemon.start()
        for daemon in made.values():
            daemon.await_that(lambda daemon=daemon: "READY=1" in daemon.told, "it is ready")
        yield made


def files(host: Host, directory: str) -> list[str]:
    return sorted(os.listdir(f"/proc/{host.pid}/root{directory}"))
