"""Lab hosts laid out as edpm-ansible does it (roles/edpm_nova): nova-compute in a container, the host's own sshd."""

from __future__ import annotations

from contextlib import ExitStack

from tests.lab import kolla
from tests.lab.container import container
from tests.lab.fleet import Fleet
from tests.lab.host import Host

HOME = "/var/lib/nova"
CLIENT = f"Host *\n  User nova\n  IdentityFile {HOME}/.ssh/ssh-privatekey\n"
SETTINGS = "profile: custom\nclient: {run: nsenter}\nserver: {run: host}\n"
# The account that peers log in as has the container's number and a home of its own.
HOST = f"""
groupmod -g {kolla.UID} nova
usermod -u {kolla.UID} -g {kolla.UID} -d /home/nova -s /bin/sh nova
mkdir -p -m 0700 /home/nova/.ssh
chown -R nova:nova /home/nova {HOME}
rm -rf /etc/nova
"""


def deploy(fleet: Fleet, stack: ExitStack) -> dict[str, kolla.Node]:
    known = b"".join(_known_hosts(host) for host in fleet)
    first = next(iter(fleet))
    first.sh("ssh-keygen -q -t rsa -b 2048 -N '' -f /root/key")
    private, public = first.read("/root/key"), first.read("/root/key.pub")
    nodes: dict[str, kolla.Node] = {}
    for host in fleet:
        compute = stack.enter_context(container(host, "nova_compute", [(HOME, HOME)]))
        compute.sh(kolla.IMAGE)
        host.sh(HOST)
        compute.sh(f"mkdir -p -m 700 {HOME}/.ssh", user="nova")
        for name, text in (("ssh-privatekey", private), ("config", CLIENT.encode())):
            compute.write(f"{HOME}/.ssh/{name}", text, mode=0o600, owner="nova:nova")
        compute.write("/etc/ssh/ssh_known_hosts", known, mode=0o644)
        host.write("/home/nova/.ssh/authorized_keys", public, mode=0o600, owner="nova:nova")
        host.sh("mkdir -p /etc/resize-agent")
        host.write("/etc/resize-agent/agent.yaml", SETTINGS)
        host.start_sshd()
        nodes[host.name] = kolla.Node(host, compute, host)
        kolla.start_compute(nodes[host.name])
    return nodes


def _known_hosts(host: Host) -> bytes:
    keys = host.sh("cat /etc/ssh/ssh_host_*_key.pub").stdout.splitlines()
    lines = [f"{host.address},{host.name} {' '.join(key.split()[:2])}\n" for key in keys]
    return "".join(lines).encode()
