"""What makes a guest a compute node, and what operators do there with the installed agent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.guests.guests import Guests, await_that
from tests.lab.host import Host

REPORT = "/var/lib/resize-agent/report.json"
# Nova's own needs a message bus and a database; the agent wants its process, command line and environment.
NOVA_COMPUTE = """\
import signal

signal.pause()
"""
UNIT = """\
[Service]
User=nova
Group=nova
ExecStart=/usr/bin/python3 /usr/bin/nova-compute --config-file=/etc/nova/nova.conf
"""
READY = {'resize_agent_ready{role="source"}': 1.0, 'resize_agent_ready{role="destination"}': 1.0}
STATE = "state_path = /var/lib/nova\n"
UNITS = ("resize-agent.service", "resize-agent-exporter.service")


def furnish(host: Host) -> None:
    """nova.conf without an address: that is in nova-compute's environment alone."""
    host.write("/etc/nova/nova.conf", f"[DEFAULT]\nhost = {host.name}\n{STATE}", owner="nova:nova")
    host.sh("install -d -o nova -g nova -m 755 /var/lib/nova /var/lib/nova/instances")
    host.write("/usr/bin/nova-compute", NOVA_COMPUTE, mode=0o755)
    host.write("/etc/systemd/system/nova-compute.service", UNIT)
    environment(host, OS_DEFAULT__MY_IP=host.address)


def environment(host: Host, **words: str) -> None:
    """Start nova-compute with these beside its address."""
    words = {"OS_DEFAULT__MY_IP": host.address, **words}
    lines = "".join(f'Environment="{name}={value}"\n' for name, value in words.items())
    host.sh("mkdir -p /etc/systemd/system/nova-compute.service.d")
    host.write("/etc/systemd/system/nova-compute.service.d/e.conf", f"[Service]\n{lines}")
    host.sh("systemctl daemon-reload && systemctl restart nova-compute")


def install(host: Host, package: Path) -> None:
    host.write(f"/root/{package.name}", package.read_bytes())
    apt(host, "install", f"/root/{package.name}")


def apt(host: Host, *words: str) -> str:
    command = " ".join(words)
    env = "DEBIAN_FRONTEND=noninteractive"
    return host.sh(f"{env} apt-get -qy --no-install-recommends {command} 2>&1", timeout=300).stdout


def make_ready(guests: Guests) -> None:
    """The way of docs/install.md: fix, hand the records round, fix; twice, because the keys come with the first fix."""
    for _ in range(2):
        for host in guests:
            host.run(["systemctl", "start", "resize-agent-fix.service"], timeout=300)
        hand_round(guests)
    for host in guests:
        host.run(["systemctl", "start", "resize-agent-fix.service"], timeout=300)


def hand_round(guests: Guests) -> None:
    records = {host.name: host.sh("agent facts").stdout for host in guests}
    for host in guests:
        for name, text in records.items():
            host.write(f"/etc/resize-agent/peers.d/{name}.yaml", text)


def daemon_report(host: Host, *, dialled: bool = True) -> dict[str, Any]:
    """Of a daemon that has just been started and knows nothing; every peer dialled, unless told otherwise."""
    host.sh("systemctl stop resize-agent")
    host.sh(f"rm -f {REPORT} /var/lib/resize-agent/probes.json")
    host.sh("systemctl start resize-agent")
    found = (lambda: _is_whole(host)) if dialled else (lambda: host.exists(REPORT))
    await_that(found, f"{host.name}: a report", lambda: journal(host))
    return saved(host)


def saved(host: Host) -> dict[str, Any]:
    return json.loads(host.read(REPORT))


def _is_whole(host: Host) -> bool:
    if not host.exists(REPORT):
        return False
    return all(row["outcome"] != "skip" for row in saved(host)["peers"])


def plain_report(host: Host) -> dict[str, Any]:
    """`agent` as an unconfined root runs it."""
    done = host.run(["agent", "--format", "json"], timeout=300)
    return json.loads(done.stdout)


def journal(host: Host, *words: str) -> str:
    units = [word for unit in UNITS for word in ("-u", unit)]
    return host.run(["journalctl", "--no-pager", *units, *words]).stdout[-6000:]


def active(host: Host, units: Sequence[str] = UNITS) -> bool:
    said = host.run(["systemctl", "is-active", *units]).stdout.split()
    return said == ["active"] * len(units)


def metrics(host: Host) -> dict[str, float]:
    """Series as they are written -> value, from when the exporter listens."""
    patient = "--retry 60 --retry-delay 1 --retry-connrefused"
    text = host.sh(f"curl -sS --fail {patient} http://127.0.0.1:19122/metrics", timeout=120).stdout
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {series: float(value) for series, _, value in lines}
