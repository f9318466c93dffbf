"""What makes a host ready, and the exit status that says so (one rule in two places: they must agree)."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cli import CANNOT_TELL, NOT_READY, READY, fixed_status, status
from agent.model import Outcome, Report, Result, Role, Scope, Step, StepResult, worst
from agent.reasons import Side
from tests.reports import SHELL, a_finding, a_report, a_row, result

FAIL, UNKNOWN, WARN = Outcome.FAIL, Outcome.UNKNOWN, Outcome.WARN
PASS, SKIP = Outcome.PASS, Outcome.SKIP
BOTH, SOURCE, DESTINATION = Role.BOTH, Role.SOURCE, Role.DESTINATION


def found(outcome: Outcome, role: Role = BOTH, peer: Optional[str] = None) -> Report:
    return a_report(result(a_finding(outcome, peer=peer), role=role))


def dialled(*outcomes: Outcome, side: Side = Side.PEER) -> Report:
    return a_report(peers=tuple(a_row(o, side, name=f"c{n}") for n, o in enumerate(outcomes)))


def both(report: Report) -> tuple[Optional[bool], int]:
    return report.ready, status(report)


# Roles


@pytest.mark.parametrize(
    ("outcome", "ready"),
    [(PASS, True), (WARN, True), (SKIP, True), (FAIL, False), (UNKNOWN, False)],
)
def test_a_role_is_ready_when_nothing_of_it_fails_or_is_unknown(
    outcome: Outcome, ready: bool
) -> None:
    report = found(outcome)
    assert (report.role_ready(SOURCE), report.role_ready(DESTINATION)) == (ready, ready)


@pytest.mark.parametrize(("role", "other"), [(SOURCE, DESTINATION), (DESTINATION, SOURCE)])
def test_a_finding_concerns_the_role_of_its_check(role: Role, other: Role) -> None:
    report = found(FAIL, role)
    assert (report.role_ready(role), report.role_ready(other)) == (False, True)
    assert report.ready is False


@pytest.mark.parametrize("outcome", [FAIL, UNKNOWN])
def test_a_finding_about_one_peer_changes_no_role(outcome: Outcome) -> None:
    assert both(found(outcome, peer="compute2")) == (True, READY)


def test_nothing_looked_at_is_nothing_wrong() -> None:
    assert a_report(result()).role_outcome(SOURCE) is SKIP


def test_the_worst_outcome_speaks_for_all() -> None:
    order = [SKIP, PASS, WARN, UNKNOWN, FAIL]
    for number in range(1, 6):
        assert worst(order[:number]) is order[number - 1]
    assert worst([]) is SKIP


# The host


def test_both_roles_and_one_peer_make_a_host_ready() -> None:
    assert both(a_report()) == (True, READY)


def test_a_failed_role_is_not_ready() -> None:
    assert both(found(FAIL)) == (False, NOT_READY)


def test_not_knowing_is_neither_ready_nor_failed() -> None:
    assert both(found(UNKNOWN)) == (False, CANNOT_TELL)


def test_a_failure_is_told_before_not_knowing() -> None:
    one = result(a_finding(UNKNOWN), role=SOURCE)
    report = a_report(one, result(a_finding(FAIL), role=DESTINATION))
    assert status(report) == NOT_READY


def test_a_host_is_not_blamed_for_one_of_its_peers() -> None:
    assert both(dialled(PASS, FAIL)) == (True, READY)


def test_strict_makes_every_failed_row_count() -> None:
    assert both(replace(dialled(PASS, FAIL), strict=True)) == (False, NOT_READY)
    assert both(replace(dialled(PASS, UNKNOWN), strict=True)) == (True, READY)


def test_a_failed_row_that_is_this_hosts_own_fault_counts() -> None:
    assert both(dialled(PASS, FAIL, side=Side.HERE)) == (False, NOT_READY)


def test_where_rows_were_probed_one_must_pass() -> None:
    assert both(dialled(FAIL, FAIL)) == (False, NOT_READY)
    assert both(dialled(UNKNOWN, UNKNOWN)) == (False, CANNOT_TELL)
    assert both(dialled(UNKNOWN, PASS)) == (True, READY)


def test_without_peers_or_dials_the_roles_decide() -> None:
    assert both(a_report(peers=(), probed=False)) == (True, READY)
    assert both(a_report(peers=(a_row(SKIP),), probed=False)) == (True, READY)


# A partial report


def partial(outcome: Outcome) -> Report:
    return a_report(result(a_finding(outcome), role=SOURCE), scope=Scope.PARTIAL)


@pytest.mark.parametrize(
    ("outcome", "source", "code"),
    [
        (PASS, None, READY),
        (WARN, None, READY),
        (FAIL, False, NOT_READY),
        (UNKNOWN, False, CANNOT_TELL),
    ],
)
def test_a_partial_report_says_no_or_nothing(
    outcome: Outcome, source: Optional[bool], code: int
) -> None:
    report = partial(outcome)
    assert (report.role_ready(SOURCE), report.role_ready(DESTINATION)) == (source, None)
    assert both(report) == (None, code)


# An interrupted one


@pytest.mark.parametrize(
    ("outcome", "source", "ready"),
    [(PASS, None, None), (WARN, None, None), (FAIL, False, False), (UNKNOWN, False, False)],
)
def test_an_interrupted_report_never_says_ready(
    outcome: Outcome, source: Optional[bool], ready: Optional[bool]
) -> None:
    report = a_report(result(a_finding(outcome), role=SOURCE), interrupted=True)
    assert (report.role_ready(SOURCE), report.role_ready(DESTINATION)) == (source, None)
    assert report.ready is ready


# After --fix


def test_after_a_fix_peers_that_do_not_accept_us_yet_do_not_count() -> None:
    assert fixed_status(dialled(FAIL, FAIL)) == READY
    assert fixed_status(dialled(UNKNOWN)) == READY
    assert fixed_status(replace(dialled(FAIL, FAIL), strict=True)) == NOT_READY


def test_after_a_fix_our_own_side_counts() -> None:
    assert fixed_status(dialled(PASS, FAIL, side=Side.HERE)) == NOT_READY
    assert fixed_status(found(FAIL)) == NOT_READY
    assert fixed_status(found(UNKNOWN)) == CANNOT_TELL


@pytest.mark.parametrize(
    ("outcome", "code"),
    [(Result.DONE, READY), (Result.STALE, NOT_READY), (Result.FAILED, NOT_READY)],
)
def test_after_a_fix_a_step_that_did_not_take_counts(outcome: Result, code: int) -> None:
    tried = StepResult(Step(SHELL, ("x: y",)), outcome, "")
    assert fixed_status(a_report(applied=(tried,))) == code


reports = st.builds(
    lambda findings, rows, probed, strict: a_report(
        *(result(a_finding(o, peer=p), role=r) for o, r, p in findings),
        peers=tuple(a_row(o, s) for o, s in rows),
        probed=probed,
        strict=strict,
    ),
    st.lists(
        st.tuples(st.sampled_from(Outcome), st.sampled_from(Role), st.sampled_from([None, "c2"])),
        max_size=4,
    ),
    st.lists(st.tuples(st.sampled_from(Outcome), st.sampled_from(Side)), max_size=4),
    st.booleans(),
    st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(reports)
def test_ready_and_status_nought_are_one_rule(report: Report) -> None:
    assert (status(report) == READY) is report.ready
