"""Nova's own code for hundreds of short-lived fleets: loaded once, copied into each host by fork."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tests.lab.fleet import Fleet
from tests.lab.host import Host, LabError
from tests.lab.oracle import Move, Outcome
from tests.lab.oracle_session import ENVIRONMENT, INSIDE, Answer, Facts, NovaDoesNotStart
from tests.lab.tree import SUITE, base_tree, hold

CODE = Path(__file__).with_name("warm_inside.py")
# The tree is everybody's: nothing may be written to it. /proc is the machine's, to find the hosts.
START = """
mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"
mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"
exec chroot "$1" /usr/bin/python3 -I -B -c "$2" "$3"
"""
FALLBACK = (64060, 64060)
"""uid and gid that Debian's package gives nova."""


class WarmNova:
    """`with WarmNova() as nova: nova.migrate(fleet, "compute1", "compute2", limit=30)`.

    `suite` is that of the fleets to come: each release of Debian has its own Nova.
    """

    def __init__(self, suite: str = SUITE) -> None:
        self.suite = suite

    def __enter__(self) -> Self:
        tree = base_tree(self.suite)
        self._tree = hold(tree)
        self._turn = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = ["unshare", "--mount", "sh", "-euc", START, "sh", os.fspath(tree)]
        self._process = subprocess.Popen(
            [*argv, CODE.read_text(), str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            # Nova 22's eventlet wants a name server in /etc/resolv.conf; the copies do not inherit this.
            env={**os.environ, "EVENTLET_NO_GREENDNS": "yes"},
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        self._await("nova was not loaded")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._control.close()
        self._process.wait()
        os.close(self._tree)

    def migrate(
        self,
        fleet: Fleet,
        source: str,
        destination: str,
        *,
        limit: float,
        environment: Mapping[str, str],
    ) -> Outcome:
        """As oracle.migrate; `environment` is that of the source's nova-compute."""
        with (
            self._copy(fleet[source], environment) as here,
            self._copy(fleet[destination], {}) as there,
        ):
            move = Move(here, fleet[destination], None, limit)  # type: ignore[arg-type]
            return move.outcome(here.known(), there.known())

    def _copy(self, host: Host, environment: Mapping[str, str]) -> Copy:
        stdin, their_stdin = os.pipe()
        theirs_out, stdout = os.pipe()
        null = os.open("/dev/null", os.O_WRONLY)
        job = {
            "pid": host.pid,
            "environment": {**ENVIRONMENT, **environment},
            "fallback": FALLBACK,
        }
        with self._turn:
            socket.send_fds(self._control, [json.dumps(job).encode()], [stdin, stdout, null])
            self._await(f"{host.name}: nova did not get there")
        for descriptor in (stdin, stdout, null):
            os.close(descriptor)
        return Copy(host, os.fdopen(their_stdin, "wb"), os.fdopen(theirs_out, "rb"))

    def _await(self, otherwise: str) -> None:
        if not self._control.recv(16):
            raise LabError(otherwise)


@dataclass(frozen=True)
class Copy:
    """One host's Nova, to be asked as oracle_session.Session is. Its end is that of its input."""

    host: Host
    stdin: IO[bytes]
    stdout: IO[bytes]

    def __enter__(self) -> Self:
        self._say(INSIDE.read_text())
        self._answer()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()
        self.stdout.close()

    def known(self) -> Facts | NovaDoesNotStart:
        self._say({"transport": None, "timeout": 30})
        said = self._answer()
        if said["verdict"] != "OK":
            return NovaDoesNotStart(f"{self.host.name}: {said['message']}")
        return Facts(said["address"], said["instances_path"], said["transport"])

    def move(self, uuid: str, address: str, transport: str | None, timeout: float) -> Answer:
        self._say({"uuid": uuid, "address": address, "transport": transport, "timeout": timeout})
        said = self._answer()
        trace = tuple((tuple(argv), code, stderr) for argv, code, stderr in said["trace"])
        return Answer(said["verdict"], said["message"], trace)

    def _say(self, what: object) -> None:
        with contextlib.suppress(BrokenPipeError):  # the missing answer tells why
            self.stdin.write(json.dumps(what).encode() + b"\n")
            self.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        line = self.stdout.readline()
        if not line:
            raise LabError(f"{self.host.name}: nova ended")
        answer: dict[str, Any] = json.loads(line)
        return answer
