"""Booted Debian guests on this machine: real systemd, sshd, journal and timers, joined by a bridge, gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.guests.tree import guest_tree
from tests.lab.host import Host, LabError
from tests.lab.tree import Progress, hold

START = Path(__file__).with_name("start.sh")
_PATIENCE = 60.0  # seconds


class Guests:
    """`with Guests("bookworm", ["c1", "c2"]) as guests: guests["c1"].sh("systemctl is-system-running")`."""

    def __init__(self, suite: str, names: Sequence[str], progress: Progress = print) -> None:
        self._suite = suite
        self._addresses = {name: f"10.99.0.{11 + n}" for n, name in enumerate(names)}
        self._progress = progress
        self._hosts: dict[str, Host] = {}

    def __enter__(self) -> Self:
        tree = guest_tree(self._suite, self._progress)
        self._lock = hold(tree)
        self._scratch = tempfile.mkdtemp(prefix="guests-")
        told = [f"{name}={address}" for name, address in self._addresses.items()]
        group = f"resize-agent-guests-{os.getpid()}-{Path(self._scratch).name}"
        self._process = subprocess.Popen(
            ["sh", os.fspath(START), self._scratch, os.fspath(tree), group, *told],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            self._meet()
        except BaseException:  # nothing may be left behind, whatever stopped us
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    def __iter__(self) -> Iterator[Host]:
        return iter(self._hosts.values())

    @property
    def hosts(self) -> dict[str, Host]:
        return self._hosts

    @property
    def switch(self) -> int:
        """A process in the network that joins the guests, for what stands outside them: a control node."""
        return self._process.pid

    def _meet(self) -> None:
        assert self._process.stdout is not None
        for _ in self._addresses:
            words = self._process.stdout.readline().split()
            if len(words) != 3:
                raise LabError("a guest did not boot")
            self._hosts[words[1]] = Host(words[1], self._addresses[words[1]], int(words[2]))
        for host in self:
            await_that(lambda host=host: _is_up(host), f"{host.name} has booted")

    def _stop(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        os.close(self._lock)
        shutil.rmtree(self._scratch, ignore_errors=True)


def _is_up(host: Host) -> bool:
    said = host.run(["systemctl", "is-system-running"]).stdout.strip()
    if said in ("degraded", "maintenance"):
        failed = host.run(["systemctl", "--failed", "--plain", "--no-legend"]).stdout
        raise LabError(f"{host.name}: {said}:\n{failed}")
    return said == "running"


def await_that(condition: Callable[[], bool], what: str, explain: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"not within {_PATIENCE:.0f} s: {what}\n{explain()}")
        time.sleep(0.1)
