"""Containers inside a lab host, without an engine: what nsenter finds is the same."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.lab.host import Host, LabError, end
from tests.lab.oracle_session import Session

SCRIPT = Path(__file__).with_name("container.sh").read_text()


@contextlib.contextmanager
def container(host: Host, name: str, volumes: Sequence[tuple[str, str]] = ()) -> Iterator[Host]:
    """One that lives as long as the block, to be used like a host; it shares the host's network and address."""
    flags = ["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    words = [word for pair in volumes for word in pair]
    shell = ["/bin/sh", "-c", SCRIPT, "sh", name, *words]
    process = host.spawn(["unshare", *flags, *shell], stdin=subprocess.PIPE)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            _, said = process.communicate()
            raise LabError(f"{host.name}: container {name}: {said.decode(errors='replace')}")
        yield Host(host.name, host.address, _init_of(process.pid), history=host.history)
    finally:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        end(process)


def _init_of(outer: int) -> int:
    """The container's first process, below nsenter and unshare."""
    found = outer
    while children := Path(f"/proc/{found}/task/{found}/children").read_text().split():
        found = int(children[0])
    return found


class Containers:
    """The containers of nova-compute in the place of their hosts, for the judge: there Nova runs."""

    def __init__(self, inside: dict[str, Host], stack: contextlib.ExitStack) -> None:
        self.hosts = inside
        self._stack = stack
        self._novas: dict[str, Session] = {}

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def __iter__(self) -> Iterator[Host]:
        return iter(self.hosts.values())

    def nova(self, name: str) -> Session:
        if name not in self._novas:
            self._novas[name] = self._stack.enter_context(Session(self[name]))
        return self._novas[name]
