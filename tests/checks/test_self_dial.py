from dataclasses import replace

import pytest

from agent.checks.self_dial import CHECK
from agent.model import Absent, Account, Outcome
from agent.reasons import Impact, Side
from agent.settings import Settings
from tests.hosts import (
    KEYS,
    NOVA_UID,
    P,
    a_host,
    a_key,
    a_peer,
    a_server,
    an_attempt,
    an_instances,
    novas,
)


def evaluate(attempt, **changes):
    found = list(CHECK.evaluate(a_host(self_dials=(attempt,), **changes), Settings()))
    return found[0]


def failed_at(stage, reason, *, modes=None, **changes):
    met = {"stage": stage, "reason": reason, "passed": (), "detail": "words", **(modes or {})}
    return evaluate(an_attempt(**met), **changes)


def test_a_dial_that_came_through_passes():
    assert evaluate(an_attempt()).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("modes", "outcome"),
    [({"directory_mode": 0o700}, Outcome.FAIL), ({"file_mode": 0o640}, Outcome.WARN)],
)
def test_a_umask_shuts_qemu_out_of_a_directory_and_libvirt_mends_a_file(modes, outcome):
    finding = evaluate(an_attempt(**modes))
    assert (finding.outcome, finding.reason) == (outcome, "umask_too_strict")


def test_a_failure_on_a_port_that_peers_do_not_dial_is_a_warning():
    attempt = an_attempt(stage="shell", reason="forced_command", passed=(), port=2222)
    assert evaluate(attempt, listening=(22, 2222)).outcome is Outcome.WARN
    assert evaluate(attempt, listening=(2222,)).outcome is Outcome.FAIL


def test_a_qemu_in_novas_group_reads_by_the_group():
    qemu = Account("libvirt-qemu", 64055, 108, P("/"), P("/bin/false"), (108, NOVA_UID))
    modes = {"directory_mode": 0o750, "file_mode": 0o640}
    assert evaluate(an_attempt(**modes), qemu=qemu).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("mode", "answer", "outcome"),
    [(0o755, False, Outcome.FAIL), (0o750, True, Outcome.PASS), (0o700, None, Outcome.FAIL)],
)
def test_qemus_own_answer_beats_the_modes(mode, answer, outcome):
    attempt = an_attempt(directory_mode=mode, qemu_enters=answer, qemu_reads=answer)
    finding = evaluate(attempt, instances=an_instances(qemu_enters=True))
    assert finding.outcome is outcome
    assert ("getfacl" in (finding.remedy or "")) == (mode == 0o755)


def test_what_keeps_qemu_out_further_up_is_not_blamed_on_what_arrived():
    attempt = an_attempt(qemu_enters=False, qemu_reads=False)
    assert evaluate(attempt, instances=an_instances(qemu_enters=False)).outcome is Outcome.PASS


@pytest.mark.parametrize("stage", ["resolve", "connect", "banner", "host_key"])
def test_before_the_server_is_asked_nothing_is_learnt(stage):
    assert failed_at(stage, "connection_refused").outcome is Outcome.SKIP


@pytest.mark.parametrize(
    ("stage", "reason"),
    [
        ("shell", "shell_refuses_commands"),
        ("copy", "shell_noise"),
        ("auth", "login_closed"),
        ("auth", "permission_denied"),
        ("directory", "directory_denied"),
    ],
)
def test_a_later_failure_is_this_hosts_own(stage, reason):
    finding = failed_at(stage, reason)
    assert (finding.outcome, finding.reason, finding.side) == (Outcome.FAIL, reason, Side.HERE)
    assert "words" in finding.message


@pytest.mark.parametrize("reason", ["identity_mode", "identity_passphrase", "peer_busy"])
def test_a_key_of_ours_that_is_no_good_is_not_the_servers_fault(reason):
    assert failed_at("auth", reason).outcome is Outcome.SKIP


def test_a_key_that_is_not_accepted_here_proves_nothing():
    host = {"files": {KEYS: novas(b"")}}
    assert failed_at("auth", "permission_denied", **host).outcome is Outcome.SKIP
    assert failed_at("auth", "permission_denied", server=Absent()).outcome is Outcome.SKIP


OWN = a_key("nova@compute1")
FORCED = novas(b'command="/bin/false",restrict ' + OWN.line.encode() + b"\n")


def test_a_command_on_our_own_line_says_nothing_of_the_peers():
    assert failed_at("shell", "forced_command").outcome is Outcome.FAIL
    assert failed_at("shell", "forced_command", files={KEYS: FORCED}).outcome is Outcome.SKIP
    assert failed_at("shell", "shell_noise", files={KEYS: FORCED}).outcome is Outcome.FAIL


def test_a_command_that_peers_meet_too_is_a_failure():
    shared = [replace(a_peer("compute2"), user_keys=(OWN,))]
    met = failed_at("shell", "forced_command", files={KEYS: FORCED}, peers=shared)
    assert met.outcome is Outcome.FAIL
    everybody = a_server(forcecommand="/bin/false")
    met = failed_at("shell", "forced_command", files={KEYS: FORCED}, server=everybody)
    assert met.outcome is Outcome.FAIL


def test_what_was_slow_or_left_out_is_skipped():
    assert evaluate(an_attempt(unknown=True, reason="too_slow")).outcome is Outcome.SKIP
    assert evaluate(an_attempt(skipped=True)).outcome is Outcome.SKIP


def test_a_directory_left_behind_is_a_warning_only():
    dial = an_attempt(stage="cleanup", reason="leftover_probe", detail="left")
    found = list(CHECK.evaluate(a_host(self_dials=(dial,)), Settings()))
    assert [f.outcome for f in found] == [Outcome.PASS, Outcome.WARN]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "did not dial"),
        ({"identities": ()}, "no key"),
        ({"host": {"live": False}}, "image"),
    ],
)
def test_no_dial_is_skipped_and_says_why(changes, why):
    [finding] = CHECK.evaluate(a_host(self_dials=(), **changes), Settings())
    assert finding.outcome is Outcome.SKIP and why in finding.message


def test_a_volume_that_the_containers_do_not_share_loses_a_disk() -> None:
    stages = ("resolve", "connect", "banner", "host_key", "auth", "shell")
    met = an_attempt(passed=stages, stage="directory", reason="instances_elsewhere", detail="x")

    (finding,) = CHECK.evaluate(a_host(self_dials=(met,)), Settings())

    assert (finding.outcome, finding.impact) == (Outcome.FAIL, Impact.WRONG_DISK)


@pytest.mark.parametrize(
    ("stage", "reason"),
    [("auth", "permission_denied"), ("auth", "no_identity"), ("host_key", "host_key_unknown")],
)
@pytest.mark.parametrize(("mode", "outcome"), [(0o755, Outcome.SKIP), (0o700, Outcome.FAIL)])
def test_where_no_login_was_to_be_had_novas_shell_tells_of_the_umask(stage, reason, mode, outcome):
    seen = {"directory_mode": mode, "file_mode": None, "qemu_enters": None}
    finding = failed_at(stage, reason, modes=seen, files={}, server=Absent())
    assert finding.outcome is outcome
    assert (finding.reason == "umask_too_strict") is (outcome is Outcome.FAIL)
    assert "shell" in finding.message
