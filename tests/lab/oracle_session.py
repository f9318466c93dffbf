"""One host's own Nova, kept running between moves because its import takes seconds."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.lab.host import Host, LabError, end

INSIDE = Path(__file__).with_name("oracle_inside.py")
BEGIN = "import json, sys; exec(json.loads(sys.stdin.readline()))"
# Of the unit that Debian ships and of the init script that it runs.
ENVIRONMENT = {
    "PATH": "/sbin:/usr/sbin:/bin:/usr/bin",
    "HOME": "/var/lib/nova",
    "USER": "nova",
    "LOGNAME": "nova",
}


class NovaDoesNotStart(RuntimeError):
    """Nova cannot even read its configuration on that host."""


@dataclass(frozen=True)
class Facts:
    """What the host's configuration makes of it: `address` is the one it lets others dial."""

    address: str
    instances_path: str
    transport: str


@dataclass(frozen=True)
class Answer:
    verdict: str
    message: str
    trace: tuple[tuple[tuple[str, ...], int | None, str], ...]


class Session:
    """Entering starts it and does not wait. A host's configuration is read anew for every answer."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def __enter__(self) -> Self:
        self._errors = tempfile.TemporaryFile()
        # Not an argument: programs on the host that look for Nova's processes must not find this.
        argv = ["/usr/bin/python3", "-I", "-c", BEGIN]
        pipes = {"stdin": subprocess.PIPE, "stderr": self._errors.fileno()}
        self._process = self.host.spawn(argv, user="nova", env=ENVIRONMENT, **pipes)
        self._say(INSIDE.read_text())
        self._loaded = False
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        end(self._process)
        self._errors.close()

    def alive(self) -> bool:
        return self._process.poll() is None

    def facts(self, transport: str | None) -> Facts:
        said = self._ask({"transport": transport, "timeout": 30})
        if said["verdict"] != "OK":
            raise NovaDoesNotStart(f"{self.host.name}: {said['message']}")
        return Facts(said["address"], said["instances_path"], said["transport"])

    def move(self, uuid: str, address: str, transport: str | None, timeout: float) -> Answer:
        job = {"uuid": uuid, "address": address, "transport": transport, "timeout": timeout}
        said = self._ask(job)
        trace = tuple((tuple(argv), code, stderr) for argv, code, stderr in said["trace"])
        return Answer(said["verdict"], said["message"], trace)

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        if not self._loaded:
            self._answer()
            self._loaded = True
        self._say(question)
        return self._answer()

    def _say(self, what: object) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the missing answer tells why
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise LabError(f"{self.host.name}: nova ended: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        self._errors.seek(0)
        return "\n".join(self._errors.read().decode(errors="replace").splitlines()[-5:])
