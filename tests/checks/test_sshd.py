from dataclasses import replace

import pytest

from agent.checks.sshd import CHECK
from agent.model import Absent, Outcome, Unreadable
from agent.settings import Settings
from tests.hosts import P, a_directory, a_file, a_host, a_peer, a_server

PROGRAM = P("/usr/lib/openssh/sftp-server")


def evaluate(**changes):
    return [
        (f.outcome, f.reason, f.peer)
        for f in CHECK.evaluate(a_host(**changes), Settings())
        if f.outcome is not Outcome.PASS
    ]


def test_a_plain_server_passes():
    assert evaluate() == []


def test_no_server_fails():
    assert evaluate(server=Absent(), listening=()) == [(Outcome.FAIL, "sshd_missing", None)]
    assert evaluate(listening=()) == [(Outcome.FAIL, "sshd_not_running", None)]


def test_a_server_that_is_not_this_hosts_own_cannot_be_judged():
    assert evaluate(server=Absent(), listening=(8022,)) == [(Outcome.UNKNOWN, "not_observed", None)]


@pytest.mark.parametrize(
    ("values", "outcome", "reason"),
    [
        ({"pubkeyauthentication": "no"}, Outcome.FAIL, "pubkey_disabled"),
        ({"authenticationmethods": "publickey,password"}, Outcome.FAIL, "pubkey_disabled"),
        ({"allowusers": "root"}, Outcome.FAIL, "user_not_allowed"),
        ({"denyusers": "nov?"}, Outcome.FAIL, "user_not_allowed"),
        ({"forcecommand": "internal-sftp -l INFO"}, Outcome.FAIL, "sftp_only"),
        ({"forcecommand": "/bin/nova-migration-wrapper"}, Outcome.WARN, "forced_command"),
        ({"maxsessions": "0"}, Outcome.FAIL, "channel_refused"),
        ({"subsystem": ""}, Outcome.FAIL, "sftp_missing"),
        ({"subsystem": "netconf /usr/bin/x"}, Outcome.FAIL, "sftp_missing"),
    ],
)
def test_what_keeps_nova_out_is_named(values, outcome, reason):
    assert evaluate(server=a_server(**values)) == [(outcome, reason, None)]


@pytest.mark.parametrize(
    "values",
    [
        {"authenticationmethods": "any"},
        {"authenticationmethods": "publickey,password publickey"},
        {"allowusers": "root nova"},
        {"allowusers": "nova@10.100.0.0/24"},
        {"denyusers": "nova@10.99.0.0/16"},
        {"forcecommand": "none"},
        {"subsystem": "sftp internal-sftp"},
    ],
)
def test_what_lets_nova_in_passes(values):
    assert evaluate(server=a_server(**values)) == []


def test_an_address_pattern_is_told_about_the_peer_it_meets():
    server = a_server(allowusers="nova@10.99.0.0/16")
    assert evaluate(server=server) == [(Outcome.FAIL, "user_not_allowed", "compute2")]


def test_a_match_block_is_told_about_the_peer_it_meets():
    servers = {"": a_server(), "10.100.0.2": a_server(pubkeyauthentication="no")}
    assert evaluate(server=servers) == [(Outcome.FAIL, "pubkey_disabled", "compute2")]


@pytest.mark.parametrize(
    ("keyword", "groups", "verdict"),
    [
        ("allowgroups", "ssh-users", [(Outcome.FAIL, "user_not_allowed", None)]),
        ("allowgroups", "ssh-users nova", []),
        ("denygroups", "nova", [(Outcome.FAIL, "user_not_allowed", None)]),
        ("denygroups", "others", []),
    ],
)
def test_group_lists_are_held_against_the_groups_of_the_account(keyword, groups, verdict):
    assert evaluate(server=a_server(**{keyword: groups})) == verdict


@pytest.mark.parametrize("seen", [Absent(), a_file(mode=0o644), a_directory()])
def test_a_broken_sftp_program_fails(seen):
    assert evaluate(files={PROGRAM: seen}) == [(Outcome.FAIL, "sftp_broken", None)]


def test_rsync_needs_no_sftp():
    changes = {"server": a_server(subsystem=""), "nova": {"transport": "rsync"}}
    assert evaluate(**changes) == []


def test_a_record_with_another_port_is_a_warning():
    peers = [a_peer("compute1", port=8022), a_peer("compute2")]
    assert evaluate(peers=peers) == [(Outcome.WARN, "sshd_port_differs", None)]


@pytest.mark.parametrize(
    "changes", [{"host": {"live": False}, "server": Unreadable("image")}, {"account": None}]
)
def test_what_cannot_be_asked_is_skipped(changes):
    assert [o for o, _, _ in evaluate(**changes)] == [Outcome.SKIP]


def test_not_knowing_is_not_failing():
    unprivileged = {"server": Unreadable("only root"), "host": {"privileged": False}}
    assert evaluate(**unprivileged) == [(Outcome.UNKNOWN, "needs_root", None)]
    assert evaluate(listening=Unreadable("no /proc"))[0][0] is Outcome.UNKNOWN


def test_a_daemon_older_than_its_configuration_is_a_warning():
    found = evaluate(server=replace(a_server(), newer="/etc/ssh/sshd_config.d/site.conf"))
    assert found == [(Outcome.WARN, "sshd_not_reloaded", None)]


@pytest.mark.parametrize(
    ("values", "reason"),
    [({"subsystem": ""}, "sftp_missing"), ({"subsystem": "sftp /opt/none"}, "sftp_broken")],
)
def test_an_scp_before_8_7_does_without_sftp(values, reason):
    """sshd -T of OpenSSH 8.4 prints the keyword; its scp starts scp on the far side."""
    old = a_server(challengeresponseauthentication="no", **values)
    gone = {P("/opt/none"): Absent()}
    assert evaluate(server=old, files=gone) == [(Outcome.WARN, reason, None)]
    assert evaluate(server=a_server(**values), files=gone) == [(Outcome.FAIL, reason, None)]
