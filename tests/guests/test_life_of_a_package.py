"""Install, look, fix, upgrade, remove, purge: on booted Debian, with one and the same package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.guests.compute import (
    READY,
    REPORT,
    UNITS,
    active,
    apt,
    await_that,
    daemon_report,
    furnish,
    install,
    journal,
    make_ready,
    metrics,
    saved,
)
from tests.guests.conftest import SOURCE, MakeGuests
from tests.lab.host import Host

pytestmark = [pytest.mark.lab, pytest.mark.slow]
OURS = ("/usr/bin/agent", "/usr/share/resize-agent", "/etc/resize-agent", "/var/lib/resize-agent")
NOVAS = (
    *("/var/lib/nova/.ssh/id_ed25519", "/var/lib/nova/.ssh/authorized_keys"),
    *("/etc/ssh/ssh_known_hosts.nova", "/etc/ssh/ssh_config.d/50-resize-agent.conf"),
)
TIMER = "resize-agent-fix.timer"
FIXING = ("resize-agent-fix.service", TIMER)
FOREIGN = "# a line that is not ours\n"
DIAL = "ssh -o BatchMode=yes 10.99.0.12 true"


@pytest.mark.parametrize("suite", ["bookworm", "bullseye", "trixie"])
def test_package_from_install_to_purge(
    suite: str, deb: Path, next_deb: Path, make_guests: MakeGuests
):
    guests = make_guests(suite, "c1", "c2")
    for host in guests:
        furnish(host)
        host.sh("usermod --shell /usr/sbin/nologin nova")
        install(host, deb)
    c1 = guests["c1"]

    _installed_and_looking(c1)

    make_ready(guests)
    for host in guests:
        _says_ready(host)
    _says_so_in_one_line(c1)
    c1.sh(f"echo '{FOREIGN.strip()}' >> /var/lib/nova/.ssh/authorized_keys")

    c1.sh(f"systemctl enable --now {TIMER}")
    c1.write("/etc/resize-agent/conf.d/site.yaml", "interval: 30\n")
    c1.sh("echo 'probe: {parallel: 2}' >> /etc/resize-agent/agent.yaml")
    before = _state(c1)
    install(c1, next_deb)
    _upgraded(c1, before)

    apt(c1, "remove", "resize-agent")
    assert not c1.exists("/usr/bin/agent")
    assert c1.exists("/etc/resize-agent/conf.d/site.yaml") and c1.exists(REPORT)
    said = c1.sh("systemctl list-units --all --plain --no-legend 'resize-agent*'").stdout
    assert "running" not in said and "waiting" not in said, said

    install(c1, next_deb)
    await_that(lambda: active(c1, (*UNITS, TIMER)), "all that was enabled runs again")

    apt(c1, "purge", "resize-agent")
    _purged(c1)
    assert c1.run(["sh", "-c", DIAL], user="nova").returncode == 0

    c1.sh(withdrawal())
    _withdrawn(c1)


def test_lives_beside_the_package_that_owns_the_module_agent(deb: Path, make_guests: MakeGuests):
    host = make_guests("trixie", "c1")["c1"]
    theirs = "import agent; print(agent.__file__)"
    before = host.run(["python3", "-c", theirs]).stdout
    furnish(host)

    install(host, deb)

    await_that(lambda: active(host), "both units are active", lambda: journal(host))
    host.sh("agent --version && agent --list-checks")
    assert host.sh("dpkg-query -W -f '${db:Status-Status}' python3-agent-py").stdout == "installed"
    assert host.run(["python3", "-c", theirs]).stdout == before != ""
    assert host.sh("dpkg --verify python3-agent-py resize-agent").stdout == ""


def withdrawal() -> str:
    """What docs/install.md says takes back what a purge leaves, word for word."""
    section = (SOURCE / "docs/install.md").read_text().partition("## Removing")[2]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def _withdrawn(host: Host) -> None:
    for path in (path for path in NOVAS if not path.endswith("authorized_keys")):
        assert not host.exists(path), path
    assert host.sh("cat /var/lib/nova/.ssh/authorized_keys").stdout == FOREIGN
    assert host.sh("stat -c '%U %a' /var/lib/nova/.ssh/authorized_keys").stdout == "nova 600\n"
    assert host.sh("getent passwd nova").stdout.strip().endswith(":/usr/sbin/nologin")
    assert host.run(["sh", "-c", DIAL], user="nova").returncode == 255


def _installed_and_looking(host: Host) -> None:
    await_that(lambda: active(host), "both units are active", lambda: journal(host))
    await_that(lambda: host.exists(REPORT), "the first report", lambda: journal(host))
    assert host.run(["systemctl", "is-enabled", *UNITS]).stdout.split() == ["enabled", "enabled"]
    assert host.run(["systemctl", "is-enabled", TIMER]).stdout == "disabled\n"
    await_that(lambda: metrics(host)["resize_agent_report_valid"] == 1, "a report is served")
    assert metrics(host)['resize_agent_ready{role="source"}'] == 0
    _understood_by_this_systemd(host)
    assert "NOT READY; " in _status(host), _status(host)


def _understood_by_this_systemd(host: Host) -> None:
    """Each release has another: not a word about the units, and the promised confinement."""
    inside = [
        "systemd-run",
        "--quiet",
        "--pipe",
        "--wait",
    ]  # Debian 11's asks for its own control group
    said = host.run([*inside, "systemd-analyze", "verify", "--man=no", *UNITS, *FIXING])
    assert said.stdout + said.stderr == ""
    for unit, most in zip(UNITS, (2.8, 1.2)):
        told = host.sh(f"systemd-analyze security --no-pager {unit}").stdout
        found = re.search(r"exposure level for \S+: ([0-9.]+)", told)
        assert found is not None and float(found[1]) <= most, told[-200:]


def _says_ready(host: Host) -> None:
    await_that(
        lambda: READY.items() <= metrics(host).items(),
        f"{host.name} is ready",
        lambda: host.run(["agent"]).stdout + journal(host),
    )
    assert host.run(["agent"], timeout=120).returncode == 0


def _says_so_in_one_line(host: Host) -> None:
    daemon_report(host)  # dials anew: after a refused login the daemon waits for minutes
    await_that(
        lambda: '"ready; 1 of 1 peers accept a disk from here' in _status(host),
        f"systemctl status of {host.name} says it plainly",
        lambda: _status(host),
    )


def _status(host: Host) -> str:
    return host.run(["systemctl", "status", "--no-pager", "--full", "resize-agent"]).stdout


def _state(host: Host) -> dict[str, str]:
    look = "cat /var/lib/resize-agent/fixes.json; ls /var/lib/resize-agent/backups"
    pid = "systemctl show -P MainPID resize-agent"
    return {"state": host.sh(look).stdout, "pid": host.sh(pid).stdout}


def _upgraded(host: Host, before: dict[str, str]) -> None:
    await_that(lambda: active(host), "both units are active again", lambda: journal(host))
    assert host.sh("agent --version").stdout == "resize-agent 99.0.0\n"
    await_that(lambda: saved(host)["tool"]["version"] == "99.0.0", "the new daemon has looked")
    after = _state(host)
    assert after["state"] == before["state"] and after["pid"] != before["pid"]
    shown = host.sh("agent config show").stdout
    assert "conf.d/site.yaml:1" in shown and "agent.yaml:" in shown
    assert host.sh(f"systemctl is-active {TIMER}").stdout == "active\n"
    _says_ready(host)


def _purged(host: Host) -> None:
    for path in OURS:
        assert not host.exists(path), path
    left = (
        "find /etc/systemd /run/systemd/generator* /lib/systemd -name '*resize-agent*'; ls -A /run"
    )
    assert "resize-agent" not in host.sh(left, check=False).stdout
    for path in NOVAS:
        assert host.exists(path), path
    assert host.sh("getent passwd nova").stdout.strip().endswith(":/bin/bash")
