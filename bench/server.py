"""The far side of a login: what a lab host's sshd has said, and what its sessions have spent."""

from __future__ import annotations

import os
import time

from bench.ground import outside
from bench.meter import Failed
from tests.lab.host import Host

ACCEPTED = "Accepted publickey for nova"
PATIENCE = 30.0


class Server:
    """Of a host whose sshd has been started."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._listener = int(host.read("/run/sshd.pid"))

    def logins(self) -> int:
        """Of nova, so far."""
        return self.host.log().count(ACCEPTED)

    def spent(self) -> float:
        """Seconds of CPU of all sessions so far; waits until none is left.  Raises Failed."""
        deadline = time.monotonic() + PATIENCE
        while self.host.run(["pgrep", "-P", str(self._listener)]).returncode == 0:
            if time.monotonic() > deadline:
                raise Failed(f"{self.host.name}: a session does not end")
        return of_children(self.host, self._listener)


def of_children(host: Host, pid: int) -> float:
    """Seconds of CPU of the children of `pid` that have ended, theirs included: proc_pid_stat(5), cutime and cstime."""
    fields = outside(host, f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
