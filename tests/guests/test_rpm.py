"""The rpm, on a booted system with Python 3.9 (Debian 11's, which has the same as EL 9): no other one can be had here.

Its dependencies are named as RPM distributions name them, so they are not asked for: the libraries are Debian's.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.guests.compute import UNITS, active, await_that, furnish, journal, metrics
from tests.guests.conftest import SOURCE, MakeGuests
from tests.lab.host import Host

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild is not installed"),
]


def rpm(host: Host, *arguments: str | Path) -> None:
    """The machine's rpm at work in the guest's tree; its scripts talk to the guest's systemd."""
    root = f"/proc/{host.pid}/root"
    command = ["rpm", "--root", root, "--dbpath", "/var/lib/rpm", "--force-debian", "--nodeps"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_rpm_installs_runs_and_goes(make_guests: MakeGuests, tmp_path: Path):
    subprocess.run([SOURCE / "packaging" / "build", "rpm", tmp_path], check=True)
    [package] = tmp_path.glob("*.rpm")
    host = make_guests("bullseye", "c1")["c1"]
    furnish(host)

    rpm(host, "-i", package)

    assert "Python 3.9" in host.sh("python3 --version").stdout
    host.sh("agent --version && agent --list-checks && agent config check")
    await_that(lambda: active(host), "both units are active", lambda: journal(host))
    await_that(lambda: metrics(host)["resize_agent_report_valid"] == 1, "a report is served")
    assert host.run(["systemctl", "is-enabled", *UNITS]).stdout.split() == ["enabled", "enabled"]
    assert host.run(["systemctl", "is-enabled", "resize-agent-fix.timer"]).stdout == "disabled\n"

    rpm(host, "-e", "resize-agent")

    assert not host.exists("/usr/bin/agent") and not host.exists("/usr/share/resize-agent")
    left = host.run(["systemctl", "list-units", "--all", "--plain", "--no-legend", "resize-agent*"])
    assert "running" not in left.stdout
