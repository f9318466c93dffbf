"""Makes migration work the way an operator does it by hand, without the program under test."""

from __future__ import annotations

from tests.lab.fleet import Fleet
from tests.lab.host import Host

HOME = "/var/lib/nova"
MAKE_KEY = "ssh-keygen -q -t ed25519 -N '' -C nova@$(uname -n) -f ~/.ssh/id_ed25519"


def shared_key(fleet: Fleet) -> None:
    """One key pair for all hosts, in everybody's authorized_keys."""
    hosts = list(fleet)
    _prepare(fleet)
    hosts[0].sh(f"HOME={HOME}; {MAKE_KEY}", user="nova")
    private = hosts[0].read(f"{HOME}/.ssh/id_ed25519")
    public = hosts[0].read(f"{HOME}/.ssh/id_ed25519.pub")
    for host in hosts:
        _put(host, "id_ed25519", private, 0o600)
        _put(host, "id_ed25519.pub", public, 0o644)
        _put(host, "authorized_keys", public, 0o600)


def key_per_host(fleet: Fleet) -> None:
    """A key pair for each host, all public halves in everybody's authorized_keys."""
    _prepare(fleet)
    public = b""
    for host in fleet:
        host.sh(f"HOME={HOME}; {MAKE_KEY}", user="nova")
        public += host.read(f"{HOME}/.ssh/id_ed25519.pub")
    for host in fleet:
        _put(host, "authorized_keys", public, 0o600)


def _prepare(fleet: Fleet) -> None:
    known = b"".join(_known_hosts(host) for host in fleet)
    for host in fleet:
        host.sh("usermod --shell /bin/bash nova")
        host.sh(f"mkdir -p -m 0700 {HOME}/.ssh", user="nova")
        _put(host, "known_hosts", known, 0o644)


def _known_hosts(host: Host) -> bytes:
    keys = host.sh("cat /etc/ssh/ssh_host_*_key.pub").stdout.splitlines()
    lines = [f"{host.name},{host.address} {' '.join(key.split()[:2])}\n" for key in keys]
    return "".join(lines).encode()


def _put(host: Host, name: str, data: bytes, mode: int) -> None:
    host.write(f"{HOME}/.ssh/{name}", data, mode=mode, owner="nova:nova")
