from agent.checks.leftovers import CHECK
from agent.model import Outcome, Unreadable
from agent.settings import Settings
from tests.hosts import NOVA_UID, a_host


def evaluate(*leftovers):
    found = CHECK.evaluate(a_host(instances={"leftovers": leftovers}), Settings())
    return [(f.outcome, f.reason, f.fix) for f in found]


def test_a_clean_directory_passes():
    assert evaluate() == [(Outcome.PASS, None, ())]


def test_what_nova_cannot_remove_loses_a_disk_and_fails():
    assert evaluate(("a_resize", 0, False)) == [(Outcome.FAIL, "undeletable_resize", ())]


def test_what_nova_can_remove_is_a_warning_and_stays():
    assert evaluate(("a_resize", NOVA_UID, True)) == [(Outcome.WARN, "stale_resize", ())]


def test_a_name_cannot_forge_a_line():
    [finding] = CHECK.evaluate(
        a_host(instances={"leftovers": (("x\n_resize", 0, False),)}), Settings()
    )
    assert "\n" not in finding.subject + finding.message


def test_not_knowing_is_not_failing():
    [finding] = CHECK.evaluate(a_host(instances=Unreadable("stale handle")), Settings())
    assert finding.outcome is Outcome.UNKNOWN
