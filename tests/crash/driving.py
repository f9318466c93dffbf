"""The other end of driver.py: one process that runs functions of the program and disturbs them, asked line by line."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Optional

import pytest

from tests.lab.host import end

PATIENCE = 120  # seconds for one run, which the driver itself gives up earlier


@dataclass(frozen=True)
class Driven:
    status: Optional[int]
    stdout: str
    stderr: str
    points: list[str]
    struck: bool

    @property
    def report(self) -> dict[str, Any]:
        return json.loads(self.stdout)


@dataclass(frozen=True)
class Driver:
    """`function` is MODULE:NAME, takes a list of words and returns a status."""

    process: subprocess.Popen[bytes]
    function: str
    environment: Mapping[str, str]

    def run(self, arguments: Sequence[str], at: int = 0, how: str = "plain") -> Driven:
        """Skips the test where the kernel lets nobody watch."""
        assert self.process.stdin is not None and self.process.stdout is not None
        asked = {"function": self.function, "arguments": [*arguments], "at": at, "how": how}
        text = json.dumps({**asked, "env": dict(self.environment)}) + "\n"
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        answer = self.process.stdout.readline() if ready else b""
        assert answer, f"the driver gave no answer to {asked}"
        done = Driven(**json.loads(answer))
        if done.stderr.startswith("seccomp: "):
            pytest.skip(f"system calls cannot be watched here: {done.stderr}")
        return done


@contextmanager
def driver(
    process: subprocess.Popen[bytes], function: str, environment: Mapping[str, str]
) -> Iterator[Driver]:
    """`process` runs driver.py; it is ended afterwards."""
    try:
        yield Driver(process, function, environment)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        end(process)
