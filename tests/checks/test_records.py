from dataclasses import replace

import pytest

from agent import own_record
from agent.checks.records import CHECK
from agent.model import Outcome, RecordProblem, Records, Unreadable
from agent.settings import Settings
from tests.hosts import a_host, a_key, a_peer

OWN = own_record.build(a_host())


def evaluate(**changes):
    return [(f.outcome, f.reason, f.peer) for f in CHECK.evaluate(a_host(**changes), Settings())]


def with_own(**changes):
    return evaluate(peers=[replace(OWN, **changes), a_peer("compute2")])


def test_the_peers_are_counted():
    [finding] = CHECK.evaluate(a_host(), Settings())
    assert (finding.outcome, finding.message) == (Outcome.PASS, "1 peer")


def test_no_peer_is_a_warning():
    assert evaluate(peers=[]) == [(Outcome.WARN, "no_peers", None)]
    assert evaluate(peers=[OWN])[0] == (Outcome.WARN, "no_peers", None)


def test_records_that_cannot_be_read_are_not_no_records():
    problem = RecordProblem("not_observed", "/etc/resize-agent/peers.d", "Permission denied")
    found = evaluate(records=Records((), (problem,)))
    assert found == [(Outcome.WARN, "not_observed", None), (Outcome.SKIP, None, None)]


def test_a_record_that_cannot_be_used_is_a_warning_about_its_host():
    problem = RecordProblem("record_conflict", "c3.yaml:4", "claims compute2's address", "compute3")
    found = evaluate(records=Records((a_peer("compute2"),), (problem,)))
    assert found[0] == (Outcome.WARN, "record_conflict", "compute3")


def test_a_true_own_record_passes():
    assert with_own() == [(Outcome.PASS, None, None)] * 2


@pytest.mark.parametrize(
    "changes",
    [
        {"address": "10.100.0.9"},
        {"host_keys": (a_key("old"),)},
        {"user_keys": ()},
        {"instances_path": "/srv/nova"},
        {"transport": "rsync"},
        {"names": ()},
        {"port": 2222},
        {"present": False},
    ],
)
def test_an_own_record_that_is_no_longer_true_is_a_warning(changes):
    assert with_own(**changes)[1] == (Outcome.WARN, "record_stale", None)


def test_a_file_system_that_cannot_be_seen_contradicts_no_record():
    unseen = Unreadable("read-only for resize-agent.service alone")
    assert OWN.storage is not None

    for instances in (unseen, replace(a_host().instances, mount=unseen)):
        found = evaluate(peers=[OWN, a_peer("compute2")], instances=instances)
        assert found[1] == (Outcome.PASS, None, None)


def test_names_that_somebody_added_are_welcome():
    assert with_own(names=(*OWN.names, "storage-net.compute1"))[1][0] is Outcome.PASS


def test_an_image_has_neither_peers_nor_a_record():
    assert evaluate(peers=[], host={"live": False}) == [(Outcome.SKIP, None, None)]
