from agent.checks.copy_tools import CHECK
from agent.model import Absent, Outcome, Tool, Unreadable
from agent.settings import Settings
from tests.hosts import a_host, a_peer

NO_RSYNC = {"rsync": Tool("rsync", Absent())}


def evaluate(**changes):
    return [(f.outcome, f.reason, f.peer) for f in CHECK.evaluate(a_host(**changes), Settings())]


def test_rsync_is_not_missed_where_copies_come_by_scp():
    assert evaluate(tools=NO_RSYNC) == [(Outcome.PASS, None, None)]


def test_rsync_is_missed_where_copies_come_by_it():
    found = evaluate(tools=NO_RSYNC, nova={"transport": "rsync"})
    assert found == [(Outcome.FAIL, "rsync_missing_on_peer", None)]
    assert evaluate(nova={"transport": "rsync"}) == [(Outcome.PASS, None, None)]


def test_the_sources_transport_counts():
    found = evaluate(tools=NO_RSYNC, peers=[a_peer("compute2", transport="rsync")])
    assert (Outcome.FAIL, "rsync_missing_on_peer", "compute2") in found
    assert (Outcome.PASS, None, None) in found


def test_not_knowing_is_not_failing():
    assert evaluate(nova=Unreadable("gone"))[0][0] is Outcome.SKIP  # nova_config says it, once
    assert evaluate(tools={}, nova={"transport": "rsync"})[0][0] is Outcome.UNKNOWN
