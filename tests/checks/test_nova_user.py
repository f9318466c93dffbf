import pytest

from agent.checks.nova_user import CHECK
from agent.model import Outcome, Unreadable
from agent.settings import Settings
from tests.hosts import NOVA_UID, a_host


def evaluate(**changes):
    [finding] = CHECK.evaluate(a_host(**changes), Settings())
    return finding


def test_an_account_passes():
    assert evaluate().outcome is Outcome.PASS


def test_a_missing_account_is_left_to_the_package():
    finding = evaluate(account=None)
    assert (finding.outcome, finding.reason, finding.fix) == (Outcome.FAIL, "no_nova_user", ())


def test_not_knowing_is_not_failing():
    assert evaluate(account=Unreadable("Input/output error")).outcome is Outcome.UNKNOWN


def test_the_reason_of_not_knowing_is_the_missing_privilege():
    finding = evaluate(account=Unreadable("Permission denied"), host={"privileged": False})
    assert finding.reason == "needs_root"


@pytest.mark.parametrize(
    ("uid", "outcome"), [(None, Outcome.PASS), (NOVA_UID, Outcome.PASS), (0, Outcome.UNKNOWN)]
)
def test_it_is_the_user_nova_compute_runs_as_whose_ssh_counts(uid, outcome):
    finding = evaluate(nova={"running": 12, "runs_as": uid})
    assert finding.outcome is outcome
    assert finding.reason == (None if outcome is Outcome.PASS else "nova_user_differs")
