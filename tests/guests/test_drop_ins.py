"""The examples beside the units, as systemd runs them: what each is for is seen to work with it, and not without."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guests.compute import (
    await_that,
    daemon_report,
    furnish,
    install,
    journal,
    plain_report,
)
from tests.guests.guests import Guests
from tests.guests.situations import EXAMPLES, UNITS, verdicts
from tests.lab.container import container
from tests.lab.host import Host

pytestmark = [pytest.mark.lab, pytest.mark.slow]
CUSTOM = "profile: custom\nclient: {run: nsenter}\nknown_hosts: user\n"
WEB = "tls_server_config: {cert_file: web.crt, key_file: web.key}\n"
CURL = "curl -sS --max-time 5 -o /dev/null -w '%{http_code}' "


@pytest.fixture(scope="module")
def host(deb: Path) -> Iterator[Host]:
    with Guests("bookworm", ["c1"]) as guests:
        furnish(guests["c1"])
        install(guests["c1"], deb)
        yield guests["c1"]


def drop_in(host: Host, unit: str, example: str) -> None:
    host.sh(
        f"mkdir -p {UNITS}/{unit}.service.d; cp {EXAMPLES}/{example} {UNITS}/{unit}.service.d/;"
        f" systemctl daemon-reload; systemctl restart {unit}"
    )


def without(host: Host, unit: str) -> None:
    host.sh(f"rm -r {UNITS}/{unit}.service.d; systemctl daemon-reload; systemctl restart {unit}")


@pytest.fixture
def contained(host: Host) -> Iterator[Host]:
    """nova-compute in a container that has the host's /var/lib/nova, and none on the host."""
    home = ("/var/lib/nova", "/var/lib/nova")
    host.sh("systemctl stop nova-compute")
    with container(host, "nova_compute", [home]) as inside:
        inside.sh(
            f"OS_DEFAULT__MY_IP={host.address} setpriv --reuid nova --regid nova --init-groups"
            " /usr/bin/python3 /usr/bin/nova-compute </dev/null >/dev/null 2>&1 &"
        )
        running = ["pgrep", "-u", "nova", "-f", "nova-compute"]
        await_that(lambda: inside.run(running).returncode == 0, "nova-compute runs")
        host.write("/etc/resize-agent/agent.yaml", CUSTOM)
        print(host.sh("agent --fix", check=False).stdout)  # the peers are missing: no failure
        yield host
    host.sh("rm /etc/resize-agent/agent.yaml; systemctl start nova-compute")


def test_containers_are_entered_with_their_drop_in_and_unknown_without(contained: Host) -> None:
    plain = plain_report(contained)
    confined = daemon_report(contained)
    drop_in(contained, "resize-agent", "containers.conf")
    try:
        entered = daemon_report(contained)
    finally:
        without(contained, "resize-agent")

    said = verdicts(plain)
    assert said["check layout"].startswith("pass"), said
    assert said["role source"] == "True", [f for f in said.items() if "fail" in f[1]]
    assert verdicts(confined)["check layout"].startswith("unknown"), verdicts(confined)
    assert (confined["ready"], verdicts(confined)["role source"]) == (False, "False")
    assert verdicts(entered) == said, journal(contained)


def test_metrics_go_to_the_node_exporter_s_directory(host: Host) -> None:
    place = "/var/lib/prometheus/node-exporter"
    host.sh(f"mkdir -p {place}")
    drop_in(host, "resize-agent", "textfile.conf")
    try:
        file = f"{place}/resize_agent.prom"
        await_that(lambda: host.exists(file), "the file is written", lambda: journal(host))
        written = host.read(file).decode()
        mode = host.sh(f"stat -c '%U %a' {file}").stdout
    finally:
        without(host, "resize-agent")

    assert 'resize_agent_ready{role="source"} ' in written
    assert mode == "root 644\n"  # the node exporter is nobody in particular


def test_the_exporter_speaks_tls_with_files_that_are_root_s_alone(
    host: Host, tmp_path: Path
) -> None:
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=c1"]
    files = ["-keyout", tmp_path / "web.key", "-out", tmp_path / "web.crt"]
    subprocess.run([*request, *files], check=True, capture_output=True)
    for name in ("web.key", "web.crt"):
        host.write(f"/etc/resize-agent/{name}", (tmp_path / name).read_bytes(), mode=0o600)
    host.write("/etc/resize-agent/web.yaml", WEB, mode=0o600)
    drop_in(host, "resize-agent-exporter", "exporter-tls.conf")
    try:
        await_that(
            lambda: (
                host.run(["sh", "-c", f"{CURL} -k https://127.0.0.1:19122/metrics"]).stdout == "200"
            ),
            "it answers by TLS",
            lambda: journal(host),
        )
        plainly = host.run(["sh", "-c", f"{CURL} http://127.0.0.1:19122/metrics"]).stdout
        modes = host.sh("stat -c '%U %a' /etc/resize-agent/web.*").stdout
    finally:
        without(host, "resize-agent-exporter")

    assert plainly != "200"
    assert modes == "root 600\n" * 3
