"""One fault: what is done to a working pair of hosts, and the words its shell may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SOURCE, DESTINATION = "compute1", "compute2"


@dataclass(frozen=True)
class Fault:
    """The move is from A to B. What should come of it is not said here: Nova and the agent are asked."""

    name: str
    a: str = ""
    """Shell, as root on A, before sshd starts there; `b` the same on B."""
    b: str = ""
    a_after: str = ""
    """Shell, as root on A, once sshd listens on both."""
    b_after: str = ""
    reason: str = ""
    """The agent has to give this reason, where it is certain which one it is (on a fleet set up by hand)."""
    side: str = ""
    """Of A's row, or of the finding with that reason."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Of nova-compute on A, beside its own."""
    ipv6: bool = False
    unseen: str = ""
    """What Nova does to the guest later than the judge can look: its silence is no contradiction."""
    records: bool = False
    """The records are handed round once more after the fault, as a site does when a host has changed."""
    accepted: str = ""
    """The difference (one of judge.VERDICTS) that is meant, and why; a false "ready" never is."""
    ci: bool = False
    by_hand_only: bool = False
    parts: tuple[Fault, ...] = ()
    """Of a combination; its class and reason are then compared loosely, any part may be the one that shows."""


# H home, S .ssh, AK accepted keys, K the private key, KH the file that knows the host keys of B,
# I instances; A and B addresses, N the names in front of B's keys in KH, MA and MB what marks the
# key of A and of B in AK.
PREAMBLE = r"""
H=/var/lib/nova S=/var/lib/nova/.ssh I=/var/lib/nova/instances
AK=$S/authorized_keys K=$S/id_ed25519 CONF=/etc/nova/nova.conf
cfg() { printf '%s\n' "$@" >/etc/ssh/sshd_config.d/00x${NR-}.conf; }
client() { printf '%s\n' 'Host *' "$@" >$S/config; chown nova:nova $S/config; chmod 600 $S/config; }
option() { sed -i -E "s#^(restrict )?ssh-#$1 ssh-#" $AK; }
nova_option() { sed -i "/^$1 *=/d; s|^\[DEFAULT\]\$|&\n$1 = $2|" $CONF; }
rsync_transport() { sed -i 's/^\[libvirt\]$/&\nremote_filesystem_transport = rsync/' $CONF; }
stop_sshd() { while pkill -x sshd; do :; done; }
rc() { printf '%s\n' "$@" >$H/.bashrc; chown nova $H/.bashrc; }
akc() { printf '%s\n' '#!/bin/sh' "$1" >/etc/akc; chmod 755 /etc/akc
        cfg 'AuthorizedKeysCommand /etc/akc %u' 'AuthorizedKeysCommandUser nobody'; }
"""

# A false "not ready" that is meant.

PLACES = {
    "by-hand": {
        "KH": "/var/lib/nova/.ssh/known_hosts",
        "MA": "nova@compute1",
        "MB": "nova@compute2",
    },
    "agent": {
        "KH": "/etc/ssh/ssh_known_hosts.nova",
        "MA": "resize-agent:compute1",
        "MB": "resize-agent:compute2",
    },
}


def preamble(kind: str, a: str, b: str) -> str:
    names = {"by-hand": f"compute2,{b}", "agent": f"{b},compute2"}
    words = {**PLACES[kind], "A": a, "B": b, "N": names[kind]}
    return " ".join(f"{name}={value}" for name, value in words.items()) + PREAMBLE
