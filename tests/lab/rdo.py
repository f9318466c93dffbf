"""Lab hosts laid out as RDO's packages do it with openstack-nova-migration: an account of its own that peers log in as.

The wrapper lets through what RDO's does: Nova's lines below the instances directory, and the sftp server; all as nova.
"""

from __future__ import annotations

from tests.lab.fleet import Fleet
from tests.lab.host import Host

HOME = "/var/lib/nova"
SFTP = "/usr/libexec/openssh/sftp-server"
CLIENT = """Host *
    User nova_migration
    UserKnownHostsFile /dev/null
    IdentityFile /etc/nova/migration/identity
"""
SERVER = """
Match User nova_migration
    ForceCommand /bin/nova-migration-wrapper
    AuthorizedKeysFile /etc/nova/migration/authorized_keys
"""
WRAPPER = f"""#!/usr/bin/python3
import os, sys
words = os.environ.get("SSH_ORIGINAL_COMMAND", "").split(" ")
lines = [["mkdir", "-p"], ["rm", "-rf"], ["touch"], ["rm"], ["scp", "-r", "-t"], ["scp", "-t"]]
below = os.path.normpath(words[-1]).startswith("{HOME}/instances/")
if (words[:-1] in lines and below) or words == ["{SFTP}"]:
    os.execlp("sudo", "sudo", "/usr/bin/nova-rootwrap", "/etc/nova/migration/rootwrap.conf", *words)
sys.exit("Forbidden")
"""
ROOTWRAP = """[DEFAULT]
filters_path=/etc/nova/migration/rootwrap.d
exec_dirs=/sbin,/usr/sbin,/bin,/usr/bin,/usr/libexec/openssh
"""
FILTERS = "[Filters]\n" + "".join(
    f"{name.rpartition('/')[2]}: CommandFilter, {name}, nova\n"
    for name in ("mkdir", "rm", "touch", "scp", SFTP)
)
SUDOERS = "nova_migration ALL = (root) NOPASSWD: /usr/bin/nova-rootwrap /etc/nova/migration/rootwrap.conf *\n"
PACKAGES = f"""
usermod --shell /usr/sbin/nologin nova
useradd --system --home-dir / --no-create-home --shell /bin/bash nova_migration
chown root:root /etc/nova
chmod 0755 /etc/nova
mkdir -p -m 0755 /etc/nova/migration/rootwrap.d /usr/libexec/openssh
cp /usr/lib/openssh/sftp-server {SFTP}
sed -i 's|^Subsystem.*|Subsystem sftp {SFTP}|' /etc/ssh/sshd_config
mkdir -p -m 0700 {HOME}/.ssh
chown nova:nova {HOME}/.ssh
"""


def deploy(fleet: Fleet) -> None:
    """The packages and what a deployer adds: the one key pair, and the host keys of all."""
    known = b"".join(_known_hosts(host) for host in fleet)
    first = next(iter(fleet))
    first.sh("ssh-keygen -q -t rsa -b 2048 -N '' -C '' -f /root/identity")
    private, public = first.read("/root/identity"), first.read("/root/identity.pub")
    for host in fleet:
        host.sh(PACKAGES)
        config = host.read("/etc/ssh/sshd_config").decode()
        host.write("/etc/ssh/sshd_config", config + SERVER)
        host.write("/bin/nova-migration-wrapper", WRAPPER, mode=0o755)
        host.write("/etc/sudoers.d/nova_migration", SUDOERS, mode=0o440)
        host.write("/etc/nova/migration/rootwrap.conf", ROOTWRAP)
        host.write("/etc/nova/migration/rootwrap.d/cold_migration.filters", FILTERS)
        _put(host, "/etc/nova/migration/identity", private, "nova:nova", 0o600)
        _put(host, "/etc/nova/migration/authorized_keys", public, "root:nova_migration", 0o640)
        _put(host, f"{HOME}/.ssh/config", CLIENT.encode(), "nova:nova", 0o600)
        host.write("/etc/ssh/ssh_known_hosts", known, mode=0o644)
        host.start_sshd()


def _put(host: Host, path: str, text: bytes, owner: str, mode: int) -> None:
    host.write(path, text, owner=owner, mode=mode)


def _known_hosts(host: Host) -> bytes:
    keys = host.sh("cat /etc/ssh/ssh_host_*_key.pub").stdout.splitlines()
    lines = [f"{host.address},{host.name} {' '.join(key.split()[:2])}\n" for key in keys]
    return "".join(lines).encode()
