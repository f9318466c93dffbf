from agent.checks.image_cache import CHECK
from agent.model import Outcome, Unreadable
from agent.settings import Settings
from tests.hosts import a_host


def evaluate(**changes):
    return list(CHECK.evaluate(a_host(**changes), Settings()))


def test_directories_that_are_not_there_yet_are_novas_to_make():
    [finding] = evaluate(instances={"kept": ()})
    assert finding.outcome is Outcome.PASS


def test_each_directory_is_told_of():
    found = evaluate(instances={"kept": (("locks", False), ("_base", True))})
    assert [(f.subject, f.outcome, f.reason) for f in found] == [
        ("/var/lib/nova/instances/locks", Outcome.FAIL, "cache_not_writable"),
        ("/var/lib/nova/instances/_base", Outcome.PASS, None),
    ]


def test_what_could_not_be_looked_at_is_not_known():
    [finding] = evaluate(instances=Unreadable("gone"))
    assert finding.outcome is Outcome.UNKNOWN
    [finding] = evaluate(host={"live": False})
    assert finding.outcome is Outcome.SKIP
