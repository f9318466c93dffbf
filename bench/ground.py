"""Lab hosts as a benchmark finds them: the program as a package installs it, records, and trust that can be put back."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from agent.formats import record
from agent.model import Record
from tests.hosts import a_peer
from tests.lab.host import AGENT_HOME, Host

INSTALLED = "/opt/resize-agent"
PEERS = "/etc/resize-agent/peers.d"
AGENT = f"cd {INSTALLED} && exec python3 -m agent"
KEPT = "/opt/kept"
# Whatever one of the compared programs writes as trust.
TRUST = (
    "/etc/ssh/ssh_known_hosts.nova",
    "/etc/ssh/ssh_config.d/50-resize-agent.conf",
    "/etc/ssh/ssh_known_hosts",
    "/var/lib/nova/.ssh/authorized_keys",
)
PATIENCE = 600.0


def install(host: Host) -> None:
    """As a package leaves it: byte code beside the modules."""
    host.sh(f"mkdir -p {INSTALLED} && cp -r {AGENT_HOME}/agent {INSTALLED}")
    host.sh(f"find {INSTALLED} -name __pycache__ -prune -exec rm -r {{}} +")
    host.sh(f"python3 -m compileall -q {INSTALLED}", timeout=PATIENCE)


def outside(host: Host, path: str) -> Path:
    """The host's file as this machine sees it, for what is too much to go through a pipe."""
    return Path(f"/proc/{host.pid}/root{path}")


def address(number: int) -> str:
    """Of the peer `nodeN`; all of them lie in 10.128.0.0/9."""
    return f"10.{128 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}"


def made_up(number: int) -> list[Record]:
    """Records of hosts that are not there."""
    return [a_peer(f"node{each}", address=address(each)) for each in range(number)]


def put_records(host: Host, records: Iterable[Record]) -> None:
    """These and no others."""
    host.sh(f"rm -rf {PEERS}; mkdir -p {PEERS}")
    inbox = os.fspath(outside(host, PEERS))
    for each in records:
        with open(f"{inbox}/{each.name}.yaml", "wb") as stream:
            stream.write(record.render(each).encode())


def keep(host: Host, name: str) -> None:
    """What is trusted now, to be put back by `restore`."""
    host.sh(f"rm -rf {KEPT}/{name}; mkdir -p {KEPT}/{name}")
    host.sh(f"cp -p {' '.join(TRUST)} {KEPT}/{name} 2>/dev/null || true")


def restore(host: Host, name: str) -> None:
    """`name` that was never kept is no trust at all."""
    moves = " ".join(f"{KEPT}/{name}/{path.rpartition('/')[2]}:{path}" for path in TRUST)
    put = "rm -f ${each#*:}; cp -p ${each%:*} ${each#*:} 2>/dev/null || true"
    host.sh(f"for each in {moves}; do {put}; done")


def fixed(host: Host) -> None:
    """All that `--fix` can do has been done; its status also tells of what it cannot."""
    host.sh(f"{AGENT} --fix --no-probe >/dev/null", check=False, timeout=PATIENCE)
