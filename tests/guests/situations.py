"""What may be the matter with a compute node, what a report says of it, and how it is taken back."""

from __future__ import annotations

from typing import Any

from tests.guests.compute import environment, furnish
from tests.lab.host import Host

UNITS = "/etc/systemd/system"
EXAMPLES = "/usr/share/doc/resize-agent/examples/systemd"
SSH = "/var/lib/nova/.ssh"
DROP_IN = f"{UNITS}/resize-agent.service.d/test.conf"
FIX_DROP_IN = f"{UNITS}/resize-agent-fix.service.d/test.conf"
Said = dict[str, str]


def undo(host: Host) -> None:
    host.sh(
        f"set +e; hostname {host.name}; rm -rf {DROP_IN} {FIX_DROP_IN} {SSH}; cp -a /root/nova-ssh {SSH}; cp /root/default-ssh /etc/default/ssh;"
        "pkill -u nova -x sleep; pkill -u nova -x ssh; pkill -u nova ssh-agent;"
        "rm -rf /etc/resize-agent/peers.d; cp -a /root/peers.d /etc/resize-agent/;"
        "cp -a /root/known-hosts /etc/ssh/ssh_known_hosts.nova;"
        " umount -q /var/lib/nova/instances;"
        "systemctl stop nova-compute; usermod -d /var/lib/nova nova; systemctl daemon-reload;"
        "systemctl restart ssh",
        check=False,
    )
    furnish(host)


def verdicts(report: dict[str, Any]) -> Said:
    """What a report says, without times and words: each check's findings, each peer's row, the roles, the plan."""
    said = {f"role {name}": str(role["ready"]) for name, role in report["roles"].items()}
    for check in report["checks"]:
        found = sorted(
            f"{f['peer']} {f['subject']} {f['outcome']} {f['reason']}" for f in check["findings"]
        )
        said[f"check {check['id']}"] = f"{check['outcome']}: " + "; ".join(found)
    for row in report["peers"]:
        said[f"peer {row['name']}"] = f"{row['outcome']} {row['stage']} {row['reason']}"
    said["plan"] = "; ".join(f"{s['action']} {s['target']}" for s in report["plan"]["steps"])
    return said


def raw(host: Host) -> None:
    """Everything that a fix repairs: no key, no trust, instances that are root's, a home that others write in, a shell that refuses."""
    host.sh(
        f"rm -rf {SSH} /etc/ssh/ssh_known_hosts.nova /etc/ssh/ssh_config.d/50-resize-agent.conf;"
        " rm -rf /var/lib/nova/instances; mkdir -m 755 /var/lib/nova/instances; chmod 2777 /var/lib/nova;"
        " usermod --shell /usr/sbin/nologin nova"
    )


def ready(_: Host) -> None:
    """As made ready."""


def no_identity(host: Host) -> None:
    host.sh(f"rm {SSH}/id_ed25519*")


def key_mode(host: Host) -> None:
    host.sh(f"chmod 644 {SSH}/id_ed25519")


def sshd_argument(host: Host) -> None:
    """On sshd's command line only, where `sshd -T` does not see it."""
    host.sh("echo 'SSHD_OPTS=-oPubkeyAuthentication=no' > /etc/default/ssh; systemctl restart ssh")


def path_without_scp(host: Host) -> None:
    host.sh("mkdir -p /opt/bin && ln -sf /usr/bin/ssh /opt/bin/ssh")
    environment(host, PATH="/opt/bin")


def own_connection_shared(host: Host) -> None:
    """ssh makes a socket in nova's home for each connection."""
    host.write(f"{SSH}/config", f"ControlMaster auto\nControlPath {SSH}/%C\n", owner="nova:nova")


def key_in_an_agent(host: Host) -> None:
    """The only private key is in an ssh-agent whose socket lies in /tmp."""
    add = f"ssh-agent -a /tmp/nova.agent; SSH_AUTH_SOCK=/tmp/nova.agent ssh-add {SSH}/id_ed25519"
    host.sh(f"{add} && rm {SSH}/id_ed25519", user="nova")
    environment(host, SSH_AUTH_SOCK="/tmp/nova.agent")


def connection_shared_in_var_tmp(host: Host) -> None:
    text = "ControlMaster auto\nControlPath /var/tmp/%C\n"
    host.write(f"{SSH}/config", text, owner="nova:nova")


def peer_by_ipv6(host: Host) -> None:
    host.sh(
        "sed -i s/10.99.0.12/fd00:99::12/ /etc/resize-agent/peers.d/c2.yaml; agent --fix || true"
    )


def home_elsewhere(host: Host) -> None:
    host.sh("systemctl stop nova-compute; rm -rf /home/nova; cp -a /var/lib/nova /home/nova")
    host.sh("usermod -d /home/nova nova; systemctl start nova-compute")


def instances_elsewhere(host: Host) -> None:
    host.sh("install -d -o nova -g nova -m 755 /srv/nova /srv/nova/instances")
    conf = "[DEFAULT]\nhost = c1\ninstances_path = /srv/nova/instances\n"
    host.write("/etc/nova/nova.conf", conf, owner="nova:nova")


def instances_elsewhere_told(host: Host) -> None:
    instances_elsewhere(host)
    example = f"sed s,/srv/nova/instances,/srv/nova, {EXAMPLES}/instances-path.conf"
    host.sh(f"mkdir -p $(dirname {DROP_IN}); {example} > {DROP_IN}; systemctl daemon-reload")


def read_only_for_all(host: Host) -> None:
    host.sh("mount -t tmpfs -o ro tmpfs /var/lib/nova/instances")


def others_record(host: Host) -> None:
    """As a tool leaves it that runs as somebody else."""
    host.sh("cd /etc/resize-agent/peers.d; chown games c2.yaml; chmod 600 c2.yaml")


def ssh_looks_into_proc(host: Host) -> None:
    """As OpenSSL does for the FIPS mode of a host, which changes what ssh offers."""
    _ssh_misses(host, "/proc/sys/kernel/ostype")


def ssh_looks_at_processes(host: Host) -> None:
    """Whether a daemon of somebody else's runs that it wants."""
    _ssh_misses(host, "/proc/1")


def _ssh_misses(host: Host, path: str) -> None:
    text = f'Match exec "! test -e {path}"\n  Port 9\n'
    host.write(f"{SSH}/config", text, owner="nova:nova")


def take_away(host: Host, lines: str, drop_in: str = DROP_IN) -> None:
    host.sh(f"mkdir -p $(dirname {drop_in})")
    host.write(drop_in, f"[Service]\n{lines}\n")
    host.sh("systemctl daemon-reload")
