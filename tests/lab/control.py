"""A control node beside a fleet: what an operator's machine does to the hosts over ssh, as root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.lab.fleet import Fleet
from tests.lab.host import Host

ADDRESS = "10.100.0.1"
LAUNCHER = '#!/bin/sh\nPYTHONPATH=/usr/share/resize-agent exec /usr/bin/python3 -m agent "$@"\n'
WRAPPER = '#!/bin/sh\nexec /usr/bin/ssh -F "$HOME/ssh_config" "$@"\n'


class Hosts(Protocol):
    """A fleet of the lab, or booted guests: `switch` is a process in the network that their bridge is in."""

    @property
    def switch(self) -> int: ...

    def __getitem__(self, name: str) -> Host: ...

    def __iter__(self) -> Iterator[Host]: ...


@dataclass(frozen=True)
class Control:
    """A process of this machine in the network that the hosts' switch is on. `home` has key, known_hosts, ssh_config."""

    fleet: Hosts
    home: Path

    def run(
        self, argv: Sequence[str | os.PathLike[str]], environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", "-t", str(self.fleet.switch), "-n"]
        mine = {"HOME": os.fspath(self.home), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        env = {**mine, **environment}
        return subprocess.run(
            [*enter, *argv], env=env, cwd=self.home, capture_output=True, text=True, timeout=900
        )

    def shell(self, script: str) -> subprocess.CompletedProcess[str]:
        """With `ssh` that knows the hosts and has the key, and the hosts' addresses in HOSTS."""
        hosts = " ".join(host.address for host in self.fleet)
        path = f"{self.home}/bin:{os.environ['PATH']}"
        return self.run(["sh", "-c", script], {"HOSTS": hosts, "PATH": path})


@contextmanager
def control_node(names: list[str], home: Path) -> Iterator[Control]:
    """Raw hosts of these names with the program, and a control node whose key their root accepts."""
    with Fleet(names) as fleet:
        for host in fleet:
            host.write("/usr/bin/agent", LAUNCHER, mode=0o755)
        fleet.start_sshd()
        yield beside(fleet, ADDRESS, home)


def beside(fleet: Hosts, address: str, home: Path) -> Control:
    """A control node in the hosts' network, with this address there; their root accepts its key."""
    key = home / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    enter = ["nsenter", "-t", str(fleet.switch), "-n"]
    subprocess.run([*enter, "ip", "address", "add", f"{address}/24", "dev", "br0"], check=True)
    known = []
    for host in fleet:
        host.sh("mkdir -p -m 700 /root/.ssh")
        accepted = key.with_suffix(".pub").read_text()
        host.write("/root/.ssh/authorized_keys", accepted, mode=0o600)
        public = host.read("/etc/ssh/ssh_host_ed25519_key.pub").decode()
        known.append(f"{host.address} {public}")
    (home / "known_hosts").write_text("".join(known))
    (home / "ssh_config").write_text(
        f"IdentityFile {key}\nUserKnownHostsFile {home}/known_hosts\nControlPath none\nBatchMode yes\n"
    )
    (home / "bin").mkdir()
    (home / "bin/ssh").write_text(WRAPPER)
    (home / "bin/ssh").chmod(0o755)
    return Control(fleet, home)
