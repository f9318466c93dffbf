"""The rpm, on a booted system with Python 3.9 (Debian 11's, which has the same as EL 9): no other one can be had here.

Its dependencies are named as RPM distributions name them, so they are not asked for: the libraries are Debian's.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.guests.compute import (
    REPORT,
    UNITS,
    active,
    await_that,
    furnish,
    journal,
    metrics,
    saved,
)
from tests.guests.conftest import SOURCE, MakeGuests, built
from tests.lab.host import Host

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild is not installed"),
]

CONFIGURATION = "/etc/resize-agent/agent.yaml"


def rpm(host: Host, *arguments: str | Path) -> None:
    """The guest's own, so that scripts talk to the guest's systemd and nothing of it is written down on this machine."""
    for package in (each for each in arguments if isinstance(each, Path)):
        host.write(f"/root/{package.name}", package.read_bytes())
    words = [f"/root/{each.name}" if isinstance(each, Path) else each for each in arguments]
    command = ["rpm", "--dbpath", "/var/lib/rpm", "--force-debian", "--nodeps"]
    done = host.run([*command, *words], timeout=300)
    assert done.returncode == 0, done.stderr


def test_rpm_installs_runs_is_upgraded_and_goes(
    make_guests: MakeGuests, next_source: Path, tmp_path: Path
):
    package = built("rpm", SOURCE, tmp_path / "now")
    host = make_guests("bullseye", "c1")["c1"]
    furnish(host)

    rpm(host, "-i", package)

    assert "Python 3.9" in host.sh("python3 --version").stdout
    host.sh("agent --version && agent --list-checks && agent config check")
    await_that(lambda: active(host), "both units are active", lambda: journal(host))
    await_that(lambda: metrics(host)["resize_agent_report_valid"] == 1, "a report is served")
    assert host.run(["systemctl", "is-enabled", *UNITS]).stdout.split() == ["enabled", "enabled"]
    assert host.run(["systemctl", "is-enabled", "resize-agent-fix.timer"]).stdout == "disabled\n"

    _upgrade(host, built("rpm", next_source, tmp_path / "next"))

    rpm(host, "-e", "resize-agent")

    assert not host.exists("/usr/bin/agent") and not host.exists("/usr/share/resize-agent")
    left = host.run(["systemctl", "list-units", "--all", "--plain", "--no-legend", "resize-agent*"])
    assert "running" not in left.stdout
    assert host.exists(f"{CONFIGURATION}.rpmsave") and host.exists(REPORT)


def _upgrade(host: Host, package: Path) -> None:
    host.sh(f"echo 'interval: 45' >>{CONFIGURATION}")
    main = ["systemctl", "show", "-P", "MainPID", "resize-agent"]
    before = host.run(main).stdout

    rpm(host, "-U", package)

    await_that(lambda: active(host), "both units are active again", lambda: journal(host))
    assert host.sh("agent --version").stdout == "resize-agent 99.0.0\n"
    await_that(lambda: saved(host)["tool"]["version"] == "99.0.0", "the new daemon has looked")
    assert host.run(main).stdout != before
    await_that(lambda: metrics(host)["resize_agent_interval_seconds"] == 45, "it was kept")
