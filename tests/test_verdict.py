"""Predictions and dials meet: the dial wins, save where no dial can show what is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

import pytest

from agent import verdict
from agent.formats.keys import fingerprint
from agent.model import (
    Attempt,
    CheckResult,
    Finding,
    Outcome,
    PeerRow,
    Records,
    Role,
    Snapshot,
    Unreadable,
)
from agent.reasons import REASONS, Impact, Side, Stage
from agent.settings import Settings
from tests.hosts import a_host, a_key, a_peer, a_server, an_attempt
from tests.reports import a_failure, a_finding, a_row, result

STAGES = ("resolve", "connect", "banner", "host_key", "auth", "shell", "directory", "copy")


def a_dial(**changes: Any) -> Attempt:
    return an_attempt(**{"name": "compute2", "address": "10.100.0.2", **changes})


def failed_at(stage: str, reason: str, **changes: Any) -> Attempt:
    passed = STAGES[: STAGES.index(stage)]
    return a_dial(passed=passed, stage=stage, reason=reason, detail="what ssh said", **changes)


def settled(finding: Finding, snapshot: Snapshot, role: Role, check: str = "x") -> Finding:
    [judged] = verdict.settle([result(finding, check=check, role=role)], snapshot)
    return judged.findings[0]


def row(
    dial: Optional[Attempt], *results: CheckResult, want: Optional[Settings] = None, **more: Any
) -> PeerRow:
    snapshot = a_host(dials=(dial,) if dial else (), **more)
    [found] = verdict.rows(snapshot, results, want or Settings(), {}, frozenset({"compute2"}))
    return found


# What a dial disproves


def test_what_nobody_could_look_at_is_a_warning_where_a_dial_passed_it() -> None:
    told = settled(
        a_failure("sshd_unanswered", outcome=Outcome.UNKNOWN), a_host(), Role.DESTINATION
    )
    assert (told.outcome, told.reason) == (Outcome.WARN, "sshd_unanswered")


def test_a_prediction_that_the_self_dial_disproved_is_a_warning_about_us() -> None:
    told = settled(a_failure(), a_host(), Role.DESTINATION)
    assert (told.outcome, told.reason) == (Outcome.WARN, "prediction_disagrees")
    assert told.message.startswith("a failure")
    assert "shell_refuses_commands" in told.message


def test_a_prediction_that_a_dial_to_any_peer_disproved_is_a_warning_about_us() -> None:
    host = a_host(dials=(a_dial(),))
    told = settled(a_failure("no_identity"), host, Role.SOURCE)
    assert told.reason == "prediction_disagrees"


def test_a_prediction_about_a_later_stage_stays() -> None:
    host = a_host(self_dials=(an_attempt(passed=STAGES[:5], stage="shell", reason="no_shell"),))
    told = settled(a_failure("shell_refuses_commands"), host, Role.DESTINATION)
    assert told == a_failure("shell_refuses_commands")
    early = settled(a_failure("user_not_allowed"), host, Role.DESTINATION)
    assert early.reason == "prediction_disagrees"


def test_without_a_dial_predictions_stand() -> None:
    host = a_host(self_dials=())
    assert settled(a_failure(), host, Role.DESTINATION) == a_failure()


def test_a_self_dial_says_nothing_about_the_source() -> None:
    assert settled(a_failure("no_identity"), a_host(), Role.SOURCE).outcome is Outcome.FAIL


def test_a_dial_to_a_peer_says_nothing_about_the_destination() -> None:
    host = a_host(self_dials=(), dials=(a_dial(),))
    assert settled(a_failure(), host, Role.DESTINATION).outcome is Outcome.FAIL


def test_a_dial_to_one_peer_says_nothing_about_another() -> None:
    host = a_host(dials=(a_dial(),))
    about = a_failure("host_key_unknown", peer="compute3")
    assert settled(about, host, Role.SOURCE) == about
    other = replace(about, peer="compute2")
    assert settled(other, host, Role.SOURCE).reason == "prediction_disagrees"


def test_the_way_from_a_peer_to_here_is_shown_by_no_dial_from_here() -> None:
    about = a_failure("user_key_missing", peer="compute2")
    assert settled(about, a_host(dials=(a_dial(),)), Role.DESTINATION) == about


@pytest.mark.parametrize("code", [c for c, r in REASONS.items() if r.stage is None])
def test_what_no_dial_shows_stays_whatever_was_dialled(code: str) -> None:
    host = a_host(dials=(a_dial(),))
    for role in Role:
        assert settled(a_failure(code), host, role) == a_failure(code)


@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.WARN, Outcome.SKIP])
def test_what_predicts_no_failure_is_left_alone(outcome: Outcome) -> None:
    told = a_finding(outcome, reason="shell_missing")
    assert settled(told, a_host(), Role.DESTINATION) == told


def test_the_self_dial_does_not_disprove_itself() -> None:
    told = a_failure("no_space")
    assert settled(told, a_host(), Role.DESTINATION, check="self_dial") == told


# The rows


def test_a_dial_to_the_end_is_a_pass() -> None:
    found = row(a_dial())
    assert (found.name, found.address, found.outcome) == ("compute2", "10.100.0.2", Outcome.PASS)
    assert (found.stage, found.reason, found.side, found.impact) == (None,) * 4
    assert found.checked_at is not None and found.seconds == 0.4


def test_a_failed_dial_says_stage_reason_side_and_impact() -> None:
    found = row(failed_at("copy", "sftp_missing"))
    assert (found.outcome, found.stage, found.reason) == (Outcome.FAIL, Stage.COPY, "sftp_missing")
    assert (found.side, found.impact) == (Side.PEER, Impact.ERROR_STOPPED)
    assert found.message == "what ssh said"


def test_a_probe_that_could_not_be_removed_keeps_no_resize_back_and_is_told() -> None:
    found = row(a_dial(stage="cleanup", reason="leftover_probe", detail="left"))
    assert (found.outcome, found.impact) == (Outcome.PASS, None)
    assert (found.reason, found.message) == ("leftover_probe", "left")


@pytest.mark.parametrize(
    ("stage", "impact"), [("banner", Impact.ROLLBACK), ("copy", Impact.ERROR_STOPPED)]
)
def test_a_busy_peer_is_not_known_but_what_nova_does_when_it_is_dropped_there(
    stage: str, impact: Impact
) -> None:
    found = row(failed_at(stage, "peer_busy", unknown=True))
    assert (found.outcome, found.reason, found.impact) == (Outcome.UNKNOWN, "peer_busy", impact)


@pytest.mark.parametrize("reason", ["identity_unreadable", "identity_mode"])
def test_a_refused_login_is_our_own_fault_where_our_identity_fails(reason: str) -> None:
    own = result(a_failure(reason, message="mode is 0644"), check="identity", role=Role.SOURCE)
    found = row(failed_at("auth", "permission_denied"), own)
    assert (found.reason, found.side, found.message) == (reason, Side.HERE, "mode is 0644")


def test_a_refused_login_is_the_peers_where_our_identity_is_fine() -> None:
    fine = result(a_finding(), check="identity", role=Role.SOURCE)
    elsewhere = result(a_failure(), check="login_shell")
    found = row(failed_at("auth", "permission_denied"), fine, elsewhere)
    assert (found.reason, found.side) == ("permission_denied", Side.PEER)


def test_a_changed_host_key_that_the_record_does_not_have_is_the_inventorys() -> None:
    shown = fingerprint(a_key("reinstalled"))
    found = row(failed_at("host_key", "host_key_changed", server_key=f"ssh-ed25519 {shown}"))
    assert (found.outcome, found.side) == (Outcome.FAIL, Side.INVENTORY)
    assert shown in found.message


def test_a_changed_host_key_that_the_record_has_is_for_us_to_repair() -> None:
    shown = fingerprint(a_key("host compute2"))
    found = row(failed_at("host_key", "host_key_changed", server_key=f"ssh-ed25519 {shown}"))
    assert found.side is Side.HERE


def test_an_unknown_host_key_is_the_inventorys_where_the_record_has_none() -> None:
    dial = failed_at("host_key", "host_key_unknown")
    assert row(dial).side is Side.HERE
    without = Records((a_peer("compute2", host_keys=()),))
    assert row(dial, records=without).side is Side.INVENTORY


@pytest.mark.parametrize(
    ("stage", "reason", "side"),
    [
        ("resolve", "name_unresolvable", Side.NETWORK),
        ("connect", "connect_timeout", Side.NETWORK),
        ("connect", "connection_refused", Side.PEER),
        ("auth", "no_user_for_uid", Side.HERE),
        ("shell", "shell_refuses_commands", Side.PEER),
        ("directory", "instances_not_writable", Side.PEER),
        ("copy", "no_space", Side.PEER),
        ("copy", "tool_missing", Side.HERE),
    ],
)
def test_from_the_login_on_it_is_the_peer_that_has_to_act(
    stage: str, reason: str, side: Side
) -> None:
    assert row(failed_at(stage, reason)).side is side


def test_a_reason_nobody_has_heard_of_is_unclassified() -> None:
    assert row(failed_at("copy", "new_in_the_next_version")).reason == "unclassified"


SILENT = ["duplicate_address", "instances_path_differs", "uid_differs"]


@pytest.mark.parametrize("code", SILENT)
def test_what_loses_a_disk_in_silence_overrules_a_dial_that_passed(code: str) -> None:
    silent = result(a_failure(code, peer="compute2"), check="peer_settings", role=Role.BOTH)
    found = row(a_dial(), silent)
    assert (found.outcome, found.reason) == (Outcome.FAIL, code)
    assert (found.impact, found.side) == (REASONS[code].impact, REASONS[code].side)
    assert found.impact in (Impact.WRONG_DISK, Impact.DISK_LOSS)
    assert found.message == "a failure"


@pytest.mark.parametrize("code", SILENT)
def test_it_concerns_that_peer_only(code: str) -> None:
    silent = result(a_failure(code, peer="compute3"), check="peer_settings", role=Role.BOTH)
    assert row(a_dial(), silent).outcome is Outcome.PASS


def test_a_mere_warning_overrules_nothing() -> None:
    silent = result(a_failure("uid_differs", peer="compute2", outcome=Outcome.WARN))
    assert row(a_dial(), silent).outcome is Outcome.PASS


def test_an_ignored_peer_is_skipped_whatever_else_is_known() -> None:
    silent = result(a_failure("uid_differs", peer="compute2"))
    found = row(None, silent, want=Settings(peers_ignore=("compute2",)))
    assert (found.outcome, found.reason) == (Outcome.SKIP, None)


def test_a_peer_whose_turn_did_not_come_is_skipped_and_one_cut_off_is_unknown() -> None:
    none, chosen = (
        verdict.rows(a_host(), (), Settings(), {}, frozenset(names))[0]
        for names in ((), ("compute2",))
    )
    assert (none.outcome, none.reason) == (Outcome.SKIP, "not_probed")
    assert (chosen.outcome, chosen.reason) == (Outcome.UNKNOWN, "interrupted")


def test_what_was_found_earlier_stands_until_the_next_dial() -> None:
    before = {"compute2": a_row(Outcome.FAIL, Side.PEER, reason="no_route")}
    [found] = verdict.rows(a_host(), (), Settings(), before, frozenset())
    assert found == before["compute2"]
    [now] = verdict.rows(a_host(dials=(a_dial(),)), (), Settings(), before, frozenset())
    assert now.outcome is Outcome.PASS


def test_every_peer_has_one_row_and_this_host_none() -> None:
    peers = [a_peer(name) for name in ("compute3", "compute1", "compute2")]
    rows = verdict.rows(a_host(peers=peers), (), Settings(), {}, frozenset())
    assert [found.name for found in rows] == ["compute2", "compute3"]


def test_a_peer_in_conflict_has_a_row() -> None:
    records = Records(conflicted=(a_peer("compute2"),))
    rows = verdict.rows(a_host(records=records), (), Settings(), {}, frozenset())
    assert [found.name for found in rows] == ["compute2"]


# What a prediction stood on


def test_where_the_running_sshd_is_older_than_its_configuration_that_is_said() -> None:
    host = a_host(server=replace(a_server(), newer="/etc/ssh/sshd_config"))
    about = a_failure("user_not_allowed")
    told = settled(about, host, Role.DESTINATION, check="sshd")
    assert (told.outcome, told.reason) == (Outcome.WARN, "sshd_not_reloaded")
    other = settled(a_failure(), host, Role.DESTINATION, check="login_shell")
    assert other.reason == "prediction_disagrees", "sshd's configuration says nothing of the shell"
    assert "/etc/ssh/sshd_config" in told.message


def test_a_dial_that_met_a_key_the_record_does_not_name_speaks_against_the_record() -> None:
    other = f"ssh-ed25519 {fingerprint(a_key('new'))}"
    host = a_host(dials=(a_dial(server_key=other),))
    about = a_failure("host_key_changed", peer="compute2")
    told = settled(about, host, Role.SOURCE)
    assert (told.outcome, told.reason) == (Outcome.WARN, "record_stale")
    genuine = f"ssh-ed25519 {fingerprint(a_key('host compute2'))}"
    ours = settled(about, a_host(dials=(a_dial(server_key=genuine),)), Role.SOURCE)
    assert ours.reason == "prediction_disagrees"


@pytest.mark.parametrize(
    ("key", "outcome", "who"),
    [
        ("host compute1", Outcome.FAIL, "this host itself"),
        ("host compute3", Outcome.FAIL, "compute3"),
        ("host compute2", Outcome.PASS, ""),
        ("installed anew", Outcome.PASS, ""),
    ],
)
def test_a_dial_that_reached_another_host_is_none_of_the_peers(key, outcome, who) -> None:
    shown = f"ssh-ed25519 {fingerprint(a_key(key))}"
    records = Records((a_peer("compute2"), a_peer("compute3")))
    host = a_host(dials=(a_dial(server_key=shown),), records=records)
    found = verdict.rows(host, (), Settings(), {}, frozenset())[0]
    assert (found.outcome, who in found.message) == (outcome, True)
    if who:
        assert (found.reason, found.impact) == ("another_host_answers", Impact.WRONG_DISK)


def test_hosts_that_share_a_host_key_are_not_told_apart_by_it() -> None:
    shown = f"ssh-ed25519 {fingerprint(a_key('host compute1'))}"
    cloned = Records((a_peer("compute2", host_keys=(a_key("host compute1"),)),))
    assert row(a_dial(server_key=shown), records=cloned).outcome is Outcome.PASS


def test_a_client_that_hangs_over_a_key_is_told_by_what_is_known_of_the_key() -> None:
    own = result(a_failure("identity_blocks"), check="identity", role=Role.SOURCE)
    found = row(failed_at("banner", "client_hangs", unknown=True), own)
    assert (found.reason, found.side, found.impact) == ("identity_blocks", Side.HERE, Impact.HANG)
    plain = row(failed_at("banner", "client_hangs", unknown=True))
    assert (plain.reason, plain.side, plain.impact) == ("client_hangs", Side.HERE, Impact.HANG)


def test_of_a_peer_that_does_not_answer_it_is_said_that_nova_would_wait_minutes() -> None:
    found = row(failed_at("connect", "connect_timeout"))
    assert "Nova" in found.message and "would wait minutes" in found.message


def test_this_host_is_no_peer_of_its_own_where_nova_does_not_say_its_name() -> None:
    own = a_peer("compute1")
    host = a_host(peers=[own], host={"name": "Compute1"}, nova=Unreadable("no nova.conf"))
    assert verdict.rows(host, (), Settings(), {}, frozenset()) == ()
