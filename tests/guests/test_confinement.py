"""The confined daemon says what an unconfined root says, or that it cannot know."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.guests.compute import await_that, daemon_report, journal, plain_report, saved
from tests.guests.situations import (
    SSH,
    home_elsewhere,
    instances_elsewhere,
    instances_elsewhere_told,
    key_in_an_agent,
    key_mode,
    no_identity,
    own_connection_shared,
    path_without_scp,
    read_only_for_all,
    ready,
    sshd_argument,
    take_away,
    verdicts,
)
from tests.lab.host import Host

pytestmark = [pytest.mark.lab, pytest.mark.slow]


@pytest.mark.parametrize(
    "situation",
    [
        *(ready, no_identity, key_mode, sshd_argument, path_without_scp, own_connection_shared),
        *(key_in_an_agent, home_elsewhere, instances_elsewhere_told, read_only_for_all),
    ],
)
def test_daemon_says_what_root_says(c1: Host, situation: Callable[[Host], None]):
    situation(c1)

    confined, plain = verdicts(daemon_report(c1)), verdicts(plain_report(c1))

    assert confined == plain


def test_what_is_read_only_for_the_daemon_alone_is_unknown(c1: Host):
    instances_elsewhere(c1)

    report = daemon_report(c1)

    confined, plain = verdicts(report), verdicts(plain_report(c1))
    differing = {key for key in plain if confined[key] != plain[key]}
    assert "check instances_directory" in differing
    for key in differing - {"role source", "role destination", "peer c2", "plan"}:
        assert confined[key].startswith("unknown"), (key, confined[key], plain[key])
    assert "restart resize-agent" in str(report)


def test_file_system_mounted_while_the_daemon_runs_is_seen(c1: Host):
    daemon_report(c1)

    c1.sh("mount -t tmpfs -o mode=755 tmpfs /var/lib/nova/instances")
    plain = verdicts(plain_report(c1))
    c1.sh("systemctl kill -s USR1 resize-agent")

    await_that(
        lambda: (
            verdicts(saved(c1))["check instances_directory"] == plain["check instances_directory"]
        ),
        "the daemon sees what root sees",
        lambda: f"{verdicts(saved(c1))}\n{plain}",
    )
    assert plain["check instances_directory"].startswith("fail")


def test_name_that_the_host_gets_while_the_daemon_runs_is_its_name(c1: Host):
    c1.write("/etc/nova/nova.conf", "[DEFAULT]\n", owner="nova:nova")
    assert daemon_report(c1, dialled=False)["host"] == "c1"

    c1.sh("hostname c9; systemctl kill -s USR1 resize-agent")

    await_that(lambda: saved(c1)["host"] == "c9", "the new name is told", lambda: journal(c1))


def test_a_later_name_would_be_missed_were_the_machine_s_name_protected(c1: Host):
    """Why ProtectHostname= is left out."""
    c1.write("/etc/nova/nova.conf", "[DEFAULT]\n", owner="nova:nova")
    take_away(c1, "ProtectHostname=yes")
    before = daemon_report(c1, dialled=False)["taken_at"]

    c1.sh("hostname c9; systemctl kill -s USR1 resize-agent")

    await_that(lambda: saved(c1)["taken_at"] != before, "it has looked again", lambda: journal(c1))
    assert saved(c1)["host"] == "c1"


def test_dial_that_hangs_is_ended(c1: Host):
    c1.write(f"{SSH}/config", "ProxyCommand sleep 987\n", owner="nova:nova")

    said = verdicts(daemon_report(c1))

    assert said["peer c2"] == verdicts(plain_report(c1))["peer c2"]
    assert c1.run(["pgrep", "-u", "nova", "-f", "sleep 987"]).returncode == 1


def test_daemon_that_is_stopped_ends_by_itself_and_its_dial_with_it(c1: Host):
    c1.write(f"{SSH}/config", "ProxyCommand sleep 986\n", owner="nova:nova")
    dialling = ["pgrep", "-u", "nova", "-f", "sleep 986"]
    c1.sh("systemctl restart resize-agent")
    await_that(lambda: c1.run(dialling).returncode == 0, "it dials", lambda: journal(c1))

    c1.sh("systemctl stop resize-agent")

    # Not "timeout": systemd had to send nothing but the first SIGTERM.
    shown = c1.sh("systemctl show -P Result -P ExecMainStatus resize-agent").stdout.split()
    assert shown == ["success", "0"], journal(c1)
    assert c1.run(dialling).returncode == 1
