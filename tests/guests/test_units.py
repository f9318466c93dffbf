"""The units as systemd runs them: reload, watchdog, the exporter's emptiness, the timer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guests.compute import (
    REPORT,
    UNITS,
    active,
    await_that,
    daemon_report,
    furnish,
    install,
    journal,
    metrics,
    saved,
)
from tests.guests.guests import Guests
from tests.lab.host import Host

pytestmark = [pytest.mark.lab, pytest.mark.slow]
BAD = "/etc/resize-agent/conf.d/bad.yaml"


@pytest.fixture(scope="module")
def host(deb: Path) -> Iterator[Host]:
    with Guests("bookworm", ["c1"]) as guests:
        furnish(guests["c1"])
        install(guests["c1"], deb)
        await_that(lambda: active(guests["c1"]), "both units are active")
        yield guests["c1"]


def shown(host: Host, unit: str, name: str) -> str:
    return host.sh(f"systemctl show -P {name} {unit}").stdout.strip()


def test_reload_takes_good_settings_and_survives_bad_ones(host: Host):
    daemon_report(host)
    pid = shown(host, "resize-agent", "MainPID")

    host.write(BAD, "no_such_key: 1\n")
    host.sh("systemctl reload resize-agent")
    await_that(
        lambda: metrics(host)["resize_agent_config_last_reload_successful"] == 0,
        "the bad file is told",
        lambda: journal(host),
    )
    host.write(BAD, "interval: 77\n")
    host.sh("systemctl reload resize-agent")
    await_that(
        lambda: metrics(host)["resize_agent_interval_seconds"] == 77,
        "the new interval is used",
        lambda: journal(host),
    )
    host.sh(f"rm {BAD}")

    assert metrics(host)["resize_agent_config_last_reload_successful"] == 1
    assert shown(host, "resize-agent", "MainPID") == pid


def test_daemon_that_hangs_is_restarted(host: Host):
    host.sh("mkdir -p /run/systemd/system/resize-agent.service.d")
    drop_in = "/run/systemd/system/resize-agent.service.d/quick.conf"
    host.write(drop_in, "[Service]\nWatchdogSec=3s\nRestartSec=1s\n")
    host.sh("systemctl daemon-reload; systemctl restart resize-agent")
    before = shown(host, "resize-agent", "MainPID")

    host.sh("systemctl kill -s STOP --kill-who=main resize-agent")

    await_that(
        lambda: active(host) and shown(host, "resize-agent", "MainPID") not in (before, "0"),
        "it is restarted",
        lambda: journal(host),
    )
    assert "watchdog" in journal(host).lower()
    host.sh(f"rm {drop_in}; systemctl daemon-reload; systemctl restart resize-agent")


def test_exporter_has_no_privilege_and_sees_only_the_report(host: Host):
    pid = shown(host, "resize-agent-exporter", "MainPID")
    status = host.sh(f"cat /proc/{pid}/status").stdout

    for line in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
        assert f"{line}:\t0000000000000000\n" in status
    assert "Uid:\t0" not in status and "NoNewPrivs:\t1" in status


def test_exporter_outlives_a_daemon_that_has_stopped(host: Host):
    daemon_report(host)
    host.sh("systemctl stop resize-agent")

    assert metrics(host)["resize_agent_last_run_timestamp_seconds"] > 0
    host.sh(f"rm {REPORT}")
    await_that(lambda: metrics(host)["resize_agent_report_valid"] == 0, "no report, no verdict")
    host.sh("systemctl start resize-agent")


@pytest.mark.parametrize("unit", UNITS)
def test_unit_that_is_stopped_ends_by_itself(host: Host, unit: str):
    daemon_report(host)
    await_that(lambda: "resize_agent_report_valid" in metrics(host), "it serves")

    host.sh(f"systemctl stop {unit}")

    # Not "timeout": systemd had to send nothing but the first SIGTERM.
    ended = (shown(host, unit, "Result"), shown(host, unit, "ExecMainStatus"))
    host.sh(f"systemctl start {unit}")
    assert ended == ("success", "0"), journal(host)


@pytest.mark.parametrize("unit", UNITS)
def test_unit_that_is_stopped_as_soon_as_it_runs_ends_by_itself(host: Host, unit: str):
    host.sh(f"systemctl restart {unit}; systemctl stop {unit}")

    ended = shown(host, unit, "Result")
    host.sh(f"systemctl start {unit}")
    assert ended == "success", journal(host)


def test_report_is_for_everybody_and_the_rest_of_the_state_is_not_writable(host: Host):
    daemon_report(host)

    assert (
        host.sh(f"stat -c '%U %a' {REPORT} /var/lib/resize-agent").stdout == "root 644\nroot 755\n"
    )
    assert saved(host)["host"] == "c1"


def test_units_are_as_strict_as_promised_where_they_run(host: Host):
    said = host.sh(f"systemd-analyze security --no-pager {' '.join(UNITS)} | cat", check=False)
    rows = [
        line.split() for line in host.sh("systemd-analyze security --no-pager").stdout.splitlines()
    ]
    found = {row[0]: float(row[1]) for row in rows if row and row[0] in UNITS}

    assert found["resize-agent.service"] <= 2.8, said.stdout
    assert found["resize-agent-exporter.service"] <= 1.2, said.stdout


def test_the_journal_has_one_name_for_all_units(host: Host):
    host.run(["systemctl", "start", "resize-agent-fix.service"], timeout=300)

    said = host.sh("journalctl --no-pager -o cat -t resize-agent").stdout
    assert "listening on" in said and "resizes can leave this host" in said
    assert "Local side" in said or "Nothing to do" in said or "Changed:" in said, said
    assert host.sh("journalctl --no-pager -o cat -t agent").stdout in ("", "-- No entries --\n")


def test_timer_is_spread_over_the_night(host: Host):
    host.sh("systemctl enable --now resize-agent-fix.timer")

    assert shown(host, "resize-agent-fix.timer", "RandomizedDelayUSec") == "4h"
    assert shown(host, "resize-agent-fix.timer", "FixedRandomDelay") == "yes"
    assert "resize-agent-fix.service" in host.sh("systemctl list-timers --all --no-pager").stdout
    host.sh("systemctl disable --now resize-agent-fix.timer")
