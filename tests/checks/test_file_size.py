import pytest

from agent.checks.file_size import CHECK
from agent.model import Absent, Outcome, SizeLimit, Unreadable
from agent.reasons import REASONS, Impact
from agent.settings import Settings
from tests.hosts import a_host


def evaluate(**changes):
    [finding] = CHECK.evaluate(a_host(**changes), Settings())
    return finding


@pytest.mark.parametrize(
    ("limit", "outcome"),
    [
        (0, Outcome.FAIL),
        (614400, Outcome.FAIL),
        ((1 << 30) - 1, Outcome.FAIL),
        (1 << 30, Outcome.WARN),
        (1 << 50, Outcome.WARN),
        (None, Outcome.PASS),
    ],
)
def test_a_limit_that_no_disk_fits_under_fails_and_any_other_warns(limit, outcome):
    finding = evaluate(largest_file=SizeLimit(limit, "/etc/security/limits.conf line 3"))
    assert finding.outcome is outcome
    assert finding.reason == (None if limit is None else "file_size_limited")


def test_the_line_that_sets_it_is_named():
    line = "/etc/security/limits.conf line 3: nova - fsize 600"
    assert line in evaluate(largest_file=SizeLimit(614400, line)).message


def test_the_guest_is_off_by_then_and_no_dial_disproves_it():
    reason = REASONS["file_size_limited"]
    assert (reason.impact, reason.stage) == (Impact.ERROR_STOPPED, None)


@pytest.mark.parametrize(
    "changes", [{"host": {"live": False}}, {"account": None}, {"server": Absent()}]
)
def test_where_nobody_can_log_in_there_is_nothing_to_judge(changes):
    assert evaluate(**changes).outcome is Outcome.SKIP


def test_a_limit_that_was_not_seen_is_not_known():
    finding = evaluate(largest_file=Unreadable("/etc/security/limits.d: I/O error"))
    assert (finding.outcome, finding.reason) == (Outcome.UNKNOWN, "not_observed")


def test_an_sshd_that_does_not_answer_leaves_it_unknown():
    finding = evaluate(server=Unreadable("line 3: Bad configuration option"))
    assert (finding.outcome, finding.reason) == (Outcome.UNKNOWN, "sshd_unanswered")
