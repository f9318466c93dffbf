"""A control node beside a fleet: what an operator's machine does to the hosts over ssh, as root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.fleet import Fleet

ADDRESS = "10.100.0.1"
LAUNCHER = '#!/bin/sh\nPYTHONPATH=/usr/share/resize-agent exec /usr/bin/python3 -m agent "$@"\n'
WRAPPER = '#!/bin/sh\nexec /usr/bin/ssh -F "$HOME/ssh_config" "$@"\n'


@dataclass(frozen=True)
class Control:
    """A process of this machine in the network that the hosts' switch is on. `home` has key, known_hosts, ssh_config."""

    fleet: Fleet
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
    """Raw hosts of these names, and a control node whose key their root accepts."""
    key = home / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    with Fleet(names) as fleet:
        enter = ["nsenter", "-t", str(fleet.switch), "-n"]
        subprocess.run([*enter, "ip", "address", "add", f"{ADDRESS}/24", "dev", "br0"], check=True)
        known = []
        for host in fleet:
            host.sh("mkdir -p -m 700 /root/.ssh")
            host.write(
                "/root/.ssh/authorized_keys", key.with_suffix(".pub").read_text(), mode=0o600
            )
            host.write("/usr/bin/agent", LAUNCHER, mode=0o755)
            public = host.read("/etc/ssh/ssh_host_ed25519_key.pub").decode()
            known.append(f"{host.address} {public}")
        fleet.start_sshd()
        (home / "known_hosts").write_text("".join(known))
        (home / "ssh_config").write_text(
            f"IdentityFile {key}\nUserKnownHostsFile {home}/known_hosts\nControlPath none\nBatchMode yes\n"
        )
        (home / "bin").mkdir()
        (home / "bin/ssh").write_text(WRAPPER)
        (home / "bin/ssh").chmod(0o755)
        yield Control(fleet, home)
