"""The page for a person: the verdict first, what to do next, and nothing that drives a terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model import (
    Conflict,
    HaveLines,
    Outcome,
    Plan,
    Report,
    Result,
    Role,
    Scope,
    Step,
    StepResult,
    WriteFile,
)
from agent.reasons import REASONS, Impact, Side, Stage
from agent.render import Style, dry_run, text
from tests.hosts import P
from tests.reports import SHELL, a_failure, a_finding, a_plan, a_report, a_row, result

PLAIN, LOUD, QUIET = Style(), Style(verbose=True), Style(quiet=True)
HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\u202e\u2066\x9b31m\u2028\u200b\n/etc"
RED = "\x1b[31m"


def lines(report: Report, style: Style = PLAIN) -> list[str]:
    return text(report, style).splitlines()


def position(report: Report, words: str, style: Style = PLAIN) -> int:
    return next(n for n, line in enumerate(lines(report, style)) if words in line)


def a_bad_report(**changes: Any) -> Report:
    bad = result(a_failure(), check="login_shell")
    fine = result(a_finding(message="a fine thing"), check="sshd")
    odd = result(a_finding(Outcome.WARN, message="a warning"), check="room", role=Role.BOTH)
    return a_report(odd, fine, bad, **changes)


# The verdict


@pytest.mark.parametrize(
    ("report", "first"),
    [
        (a_report(), "compute1: READY"),
        (a_bad_report(), "compute1: NOT READY"),
        (a_report(scope=Scope.PARTIAL, omitted=("peers",)), "compute1: PARTIAL"),
    ],
)
def test_the_first_line_is_the_verdict(report: Report, first: str) -> None:
    assert lines(report)[0] == first
    assert lines(report, QUIET)[0] == first
    assert lines(report, LOUD)[0] == first


def test_each_role_is_told() -> None:
    source, destination = lines(a_bad_report())[1:3]
    assert source == "  source      resizes can leave this host: yes"
    assert destination == "  destination resizes can arrive at this host: NO"


def test_not_knowing_is_told_from_no() -> None:
    report = a_report(result(a_finding(Outcome.UNKNOWN, reason="needs_root"), role=Role.SOURCE))
    assert lines(report)[1].endswith("CANNOT TELL")


def test_an_interrupted_run_says_so_at_the_top() -> None:
    assert "interrupted" in lines(a_report(interrupted=True))[4]


# The problems


def test_what_is_wrong_comes_before_what_is_fine_and_the_worst_first() -> None:
    report = a_bad_report()
    failing, warning = position(report, "FAIL login_shell"), position(report, "WARN room")
    fine = next(n for n, line in enumerate(lines(report)) if n > warning and "fine" in line.lower())
    assert 0 < failing < warning < fine


def test_a_problem_says_what_to_do_and_what_becomes_of_the_guest() -> None:
    shown = text(a_bad_report(), PLAIN)
    reason = REASONS["shell_refuses_commands"]
    assert "FAIL login_shell (shell_refuses_commands), role destination" in shown
    assert f"do:    {reason.remedy}" in shown
    assert "guest: Nova rolls the resize back" in shown


def test_every_impact_and_side_can_be_shown() -> None:
    for impact in Impact:
        for side in Side:
            row = a_row(Outcome.FAIL, side, impact=impact, reason="unclassified")
            assert "guest: " in text(a_report(peers=(row,)), PLAIN)


def test_a_message_that_the_agent_can_repair_names_the_fix() -> None:
    cured = a_failure(fix=(SHELL,), remedy="usermod it")
    assert "do:    agent --fix, or: usermod it" in text(a_report(result(cured)), PLAIN)


def test_findings_with_one_remedy_stand_together() -> None:
    many = [a_failure(peer=f"c{n}", message=f"no key of c{n}") for n in range(5)]
    shown = text(a_report(result(*many)), PLAIN)
    assert shown.count("FAIL login_shell") == 1
    assert all(f"c{n}: no key of c{n}" in shown for n in range(5))


def test_a_failed_peer_is_told_with_stage_reason_and_who_acts() -> None:
    row = a_row(Outcome.FAIL, Side.NETWORK, stage=Stage.CONNECT, reason="no_route", message="m")
    shown = text(a_report(peers=(row,)), PLAIN)
    assert "FAIL compute2 (10.100.0.2): no_route at connect" in shown
    assert "(act on the network)" in shown


def test_hundreds_of_peers_are_folded_and_no_failure_hides_behind_what_is_unknown() -> None:
    unknown = [a_row(Outcome.UNKNOWN, name=f"a{n:03}") for n in range(400)]
    report = a_report(peers=(*unknown, a_row(Outcome.FAIL, Side.PEER, name="the-bad-one")))
    shown = text(report, PLAIN)
    assert "... and 381 more" in shown
    assert "the-bad-one" in shown
    assert len(shown.splitlines()) < 100
    assert "401 known: 1 do not, 400 cannot tell" in shown


def test_hundreds_of_findings_are_folded() -> None:
    many = [a_failure(peer=f"c{n}", message=f"no key of c{n}") for n in range(400)]
    shown = text(a_report(result(*many)), PLAIN)
    assert "... and 380 more" in shown
    assert len(shown.splitlines()) < 60


# What is fine, and how much of it


def test_what_is_fine_is_counted_and_shown_when_asked() -> None:
    assert "a fine thing" not in text(a_bad_report(), PLAIN)
    assert "pass sshd: a fine thing" in text(a_bad_report(), LOUD)


def test_quiet_leaves_out_what_is_not_wrong() -> None:
    shown = text(a_bad_report(), QUIET)
    assert "FAIL login_shell" in shown
    assert "WARN" not in shown and "sshd" not in shown


def test_a_partial_report_ends_with_what_it_did_not_look_at() -> None:
    report = a_report(scope=Scope.PARTIAL, omitted=("checks sshd, room", "real dials"))
    assert lines(report)[-1] == "Not looked at: checks sshd, room; real dials"


def test_what_it_did_not_look_at_is_one_line_however_much_it_is() -> None:
    omitted = tuple(f"check_{n}" for n in range(30))
    report = a_report(scope=Scope.PARTIAL, omitted=omitted)
    assert lines(report)[-1] == f"Not looked at: {'; '.join(omitted)}"


@pytest.mark.parametrize("plan", [Plan(), a_plan()])
def test_the_plan_of_a_partial_look_ends_so_too(plan: Plan) -> None:
    report = a_report(scope=Scope.PARTIAL, omitted=("--root: an image",), plan=plan)
    assert dry_run(report, PLAIN).splitlines()[-1] == "Not looked at: --root: an image"


def test_the_page_says_that_a_fix_would_help() -> None:
    assert "agent --fix" in text(a_bad_report(plan=a_plan()), PLAIN)


# What was changed, and what would be


def applied(outcome: Result, message: str) -> Report:
    return a_report(applied=(StepResult(a_plan().steps[0], outcome, message),))


def test_what_was_changed_stands_before_the_problems() -> None:
    report = replace(a_bad_report(), applied=applied(Result.DONE, "was /bin/false").applied)
    assert position(report, "Changed: 1 of 1 step tried") < position(report, "FAIL")
    assert "was /bin/false" in text(report, PLAIN)


def test_a_command_is_one_line_however_long_so_that_it_can_be_pasted() -> None:
    command = f"tee /etc/ssh/ssh_known_hosts.nova <'/var/lib/{'x' * 100}' >/dev/null"
    done = text(applied(Result.DONE, f"to put it back: {command}"), PLAIN)
    failure = a_failure(remedy=f"add to a file, if need be: {command}")
    todo = text(a_report(result(failure)), PLAIN)
    assert command in done and command in todo


def test_what_a_step_has_replaced_is_told_once() -> None:
    shown = text(applied(Result.DONE, "was /usr/sbin/nologin"), PLAIN)
    assert shown.count("was /usr/sbin/nologin") == 1, shown


def test_a_step_that_failed_says_why() -> None:
    shown = text(applied(Result.FAILED, "No space left on device"), PLAIN)
    assert "Changed: 0 of 1 step tried" in shown
    assert "failed: set the login shell of nova" in shown
    assert "No space left on device" in shown


def test_a_dry_run_shows_each_step_and_why() -> None:
    shown = dry_run(a_report(plan=a_plan()), PLAIN)
    assert "set the login shell of nova to /bin/bash" in shown
    assert "because login_shell: user:nova" in shown


def test_a_dry_run_shows_the_text_only_when_asked() -> None:
    step = Step(HaveLines(P("/f"), (b"new",), (), 0o600, 1, 1, b""), ("a: b",))
    report = a_report(plan=Plan((step,)))
    assert "+new" not in dry_run(report, PLAIN)
    assert "+new" in dry_run(report, Style(diffs=True))


def test_a_dry_run_without_work_says_so() -> None:
    assert dry_run(a_report(), PLAIN) == "Nothing to do: --fix would change nothing.\n"


def test_a_conflict_names_both_sides() -> None:
    rival = replace(SHELL, shell=P("/bin/sh"))
    conflict = Conflict("shell of nova", (SHELL, rival), ("a: x", "b: y"))
    shown = dry_run(a_report(plan=Plan((), (conflict,))), PLAIN)
    for words in ("CONFLICT", "/bin/bash", "/bin/sh", "a: x", "b: y"):
        assert words in shown


def test_a_step_asked_for_by_hundreds_is_folded() -> None:
    step = Step(SHELL, tuple(f"a: {n:03}" for n in range(300)))
    assert "and 297 more reasons" in dry_run(a_report(plan=Plan((step,))), PLAIN)


# The terminal


@pytest.mark.parametrize("style", [PLAIN, LOUD, QUIET, Style(diffs=True)])
def test_without_colour_there_is_no_escape_code(style: Style) -> None:
    report = a_bad_report(plan=a_plan(), peers=(a_row(Outcome.FAIL, Side.HERE),), interrupted=True)
    assert "\x1b" not in text(report, style) + dry_run(report, style)


def test_colour_is_added_and_ended() -> None:
    shown = text(a_bad_report(), Style(colour=True))
    assert f"{RED}NOT READY" in shown or f"{RED}compute1: NOT READY" in shown
    assert shown.count("\x1b[0m") == shown.count("\x1b[") - shown.count("\x1b[0m")


def everywhere(nasty: str) -> Report:
    finding = a_failure(subject=nasty, message=nasty, peer=nasty, remedy=nasty)
    row = a_row(Outcome.FAIL, Side.PEER, name=nasty, address=nasty, message=nasty)
    whole = WriteFile(P("/f") / nasty, nasty.encode(), 0, 1, 1, b"old")
    step = Step(whole, (nasty,))
    return a_report(
        result(finding, replace(finding, outcome=Outcome.WARN), replace(finding, peer=None)),
        result(a_finding(message=nasty, subject=nasty), check="sshd"),
        host=nasty,
        peers=(row,),
        plan=Plan((step,), (Conflict(nasty, (SHELL,), (nasty,)),)),
        applied=(StepResult(step, Result.FAILED, nasty),),
    )


EVERYTHING = Style(verbose=True, diffs=True)


def test_hostile_text_never_reaches_the_terminal() -> None:
    report = everywhere(HOSTILE)
    shown = text(report, EVERYTHING) + dry_run(report, EVERYTHING)
    assert all(line.isprintable() for line in shown.split("\n"))
    assert r"\x1b]0;owned" in shown


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20))
def test_no_text_whatsoever_reaches_the_terminal_raw(nasty: str) -> None:
    nasty = nasty.encode("utf-8", "replace").decode() or "x"
    report = everywhere(nasty)
    shown = text(report, EVERYTHING) + dry_run(report, EVERYTHING)
    assert all(line.isprintable() for line in shown.split("\n"))


def test_a_message_of_megabytes_is_cut() -> None:
    assert len(text(a_report(result(a_failure(message="x " * (1 << 20)))), PLAIN)) < 10_000


@pytest.mark.parametrize(
    ("message", "shown"),
    [("kolla: nova-compute lives in a container", True), ("package: nothing speaks", False)],
)
def test_a_layout_that_is_not_the_packages_own_is_told_in_the_head(
    message: str, shown: bool
) -> None:
    told = result(a_finding(message=message), check="layout", role=Role.BOTH)

    head = "\n".join(lines(a_report(told))[:6])

    assert ("layout" in head) is shown and (message in head) is shown
