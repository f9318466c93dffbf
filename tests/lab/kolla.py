"""Lab hosts laid out as Kolla-Ansible does it: roles/nova-cell (ssh_config.j2, sshd_config.j2, nova-ssh.json.j2)."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from tests.lab.container import Containers, container
from tests.lab.fleet import Fleet
from tests.lab.host import Host, await_that

UID = 42436
VOLUME = "/var/lib/docker/volumes/nova_compute/_data"
HOME = "/var/lib/nova"
# Kolla's image: nova is 42436 and its own /etc/nova; the host below has none of both.
IMAGE = f"""
sed -i -e 's/^nova:x:[0-9]*:[0-9]*:/nova:x:{UID}:{UID}:/' -e '/^nova:/s|[^:]*$|/usr/sbin/nologin|' /etc/passwd
sed -i 's/^nova:x:[0-9]*:/nova:x:{UID}:/' /etc/group
cp -a /etc/nova /etc/nova.image && rm -rf /etc/nova && mv /etc/nova.image /etc/nova
chown -R nova:nova /etc/nova
rm -f /etc/ssh/ssh_host_*
mkdir -p {HOME}/instances
chown -R nova:nova {HOME}
"""
HOST = """
sed -i '/^nova:/d' /etc/passwd /etc/shadow /etc/group
rm -rf /etc/nova /var/lib/nova
mkdir -p /etc/kolla/nova-compute /etc/kolla/nova-ssh
"""
CLIENT = "Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  port 8022\n"
SERVER = """Port 8022
ListenAddress {address}
SyslogFacility AUTHPRIV
UsePAM yes
Subsystem sftp /usr/lib/openssh/sftp-server
"""


# What a container engine's client does as far as the agent asks it.
ENGINE = """#!/bin/sh
[ "$1" = exec ] || exit 125
shift
while :; do
    case $1 in
    --user) user=$2 ;;
    --env) export "$2" ;;
    *) break ;;
    esac
    shift 2
done
pid=$(cat "/run/containers/$1/pid" 2>/dev/null) || { echo "Error: No such container: $1" >&2; exit 1; }
shift
echo "$*" >>/run/engine.log
exec /usr/bin/nsenter -t "$pid" -m -p -r -w -- /usr/sbin/chroot --userspec="$user:" / "$@"
"""


@dataclass(frozen=True)
class Node:
    """A host and its two containers."""

    host: Host
    compute: Host
    ssh: Host


def deploy(fleet: Fleet, stack: ExitStack) -> dict[str, Node]:
    """Every host as `kolla-ansible deploy` leaves it, with the one key pair that the whole cloud has."""
    nodes = {host.name: _node(host, stack) for host in fleet}
    first = next(iter(nodes.values())).compute
    first.sh(
        f"mkdir -m 700 {HOME}/.ssh; ssh-keygen -q -t rsa -b 2048 -N '' -f {HOME}/.ssh/id_rsa",
        user="nova",
    )
    private, public = (first.read(f"{HOME}/.ssh/id_rsa{end}") for end in ("", ".pub"))
    for node in nodes.values():
        node.compute.sh(f"mkdir -p -m 700 {HOME}/.ssh", user="nova")
        files = {"id_rsa": private, "authorized_keys": public, "config": CLIENT.encode()}
        for name, text in files.items():
            node.compute.write(f"{HOME}/.ssh/{name}", text, mode=0o600, owner="nova:nova")
        start_sshd(node)
        start_compute(node)
    return nodes


def _node(host: Host, stack: ExitStack) -> Node:
    volumes = [(VOLUME, HOME)]
    compute = stack.enter_context(container(host, "nova_compute", volumes))
    ssh = stack.enter_context(container(host, "nova_ssh", volumes))
    for each in (compute, ssh):
        each.sh(IMAGE)
    ssh.sh("usermod --shell /bin/bash nova; ssh-keygen -A")
    ssh.write("/etc/ssh/sshd_config", SERVER.format(address=host.address))
    host.sh(HOST)
    return Node(host, compute, ssh)


def start_sshd(node: Node) -> None:
    node.ssh.start_sshd()


def start_compute(node: Node) -> None:
    """Something of nova-compute's name and account: all of it that there is to be seen."""
    node.compute.sh(
        f"setpriv --reuid {UID} --regid {UID} --clear-groups"
        " bash -c 'exec -a /usr/bin/nova-compute sleep infinity' </dev/null >/dev/null 2>&1 &"
    )
    seen = ["pgrep", "-f", "^/usr/bin/nova-compute"]
    await_that(lambda: node.compute.run(seen).returncode == 0, "nova-compute runs", node.host.log)


def novas(nodes: dict[str, Node], stack: ExitStack) -> Containers:
    return Containers({name: node.compute for name, node in nodes.items()}, stack)
