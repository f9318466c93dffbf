"""A pair that works, provisioned once and put back onto fresh hosts for every fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.lab import setup_by_hand
from tests.lab.fleet import Fleet
from tests.lab.provision import converge, hand_round, on_each
from tests.lab.scenarios.fault import DESTINATION, SOURCE

KINDS = ("by-hand", "agent")
# All that provisioning changes. Host keys among it: the records name them.
KEPT = (
    "etc/passwd etc/shadow etc/group etc/gshadow etc/subuid etc/subgid etc/ssh etc/nova"
    " etc/resize-agent var/lib/nova var/lib/resize-agent"
)
ARCHIVE = "/run/golden.tar"
# The default exchange costs each login 70 ms of a processor, twenty logins a row.
CHEAP = "echo 'KexAlgorithms curve25519-sha256' >/etc/ssh/sshd_config.d/zz-cheap.conf"
SAVE = f"for p in {KEPT}; do [ ! -e /$p ] || echo $p; done | tar -C / -cf {ARCHIVE} -T -"
# The machine's two minutes for an unanswered SYN would be spent in every row that has one.
RESTORE = f"tar -C / -xpf {ARCHIVE}; rm {ARCHIVE}; sysctl -q -w net.ipv4.tcp_syn_retries=1"


@dataclass(frozen=True)
class Golden:
    kind: str
    ipv6: bool
    suite: str
    archives: dict[str, bytes]


def quiet(_line: str) -> None:
    """Fleets by the hundred need no progress each."""


def provision(kind: str, *, ipv6: bool, suite: str) -> Golden:
    with Fleet([SOURCE, DESTINATION], ipv6=ipv6, suite=suite, progress=quiet) as fleet:
        on_each(fleet, lambda host: host.sh(f"useradd -u 3001 -M other; {CHEAP}"))
        fleet.start_sshd()
        if kind == "by-hand":
            setup_by_hand.key_per_host(fleet)
            hand_round(fleet)
        else:
            converge(fleet)
        on_each(fleet, lambda host: host.sh(SAVE))
        return Golden(kind, ipv6, suite, on_each(fleet, lambda host: host.read(ARCHIVE)))


@contextmanager
def thawed(golden: Golden) -> Iterator[Fleet]:
    """Fresh hosts in the provisioned state; sshd is not started."""
    names = [SOURCE, DESTINATION]
    with Fleet(names, ipv6=golden.ipv6, suite=golden.suite, progress=quiet) as fleet:
        for host in fleet:
            host.write(ARCHIVE, golden.archives[host.name])
            host.sh(RESTORE)
        yield fleet
