import pytest

from agent.checks.peer_settings import CHECK
from agent.model import Mount, Outcome, Records, Storage, Unreadable
from agent.settings import Settings
from tests.hosts import INSTANCES, NOVA_UID, a_host, a_peer

SHARE = Mount(INSTANCES, "nfs4", "store:/nova", ("rw",))


def evaluate(*peers, want=None, **changes):
    host = a_host(peers=peers, **changes)
    return [(f.outcome, f.reason, f.peer) for f in CHECK.evaluate(host, want or Settings())]


def one(**changes):
    [found] = [f for f in evaluate(a_peer("compute2", **changes)) if f[2] == "compute2"]
    return found[:2]


def test_agreement_passes():
    assert one() == (Outcome.PASS, None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"address": "10.100.0.1"}, "duplicate_address"),
        ({"instances_path": "/srv/nova/instances"}, "instances_path_differs"),
        ({"image_cache": "_base_10.100.0.2"}, "image_cache_differs"),
    ],
)
def test_what_has_to_agree_fails_for_that_peer(changes, reason):
    assert one(**changes) == (Outcome.FAIL, reason)


def test_who_differs_from_every_peer_is_the_odd_one_whatever_its_record_still_says():
    moved = {"instances_path": "/srv/nova/instances"}
    peers = [a_peer("compute2", **moved), a_peer("compute3", **moved)]
    assert (Outcome.FAIL, "instances_path_differs", None) in evaluate(*peers)
    assert None not in [peer for _, _, peer in evaluate(peers[0], a_peer("compute3"))]


def test_a_trailing_slash_makes_no_other_place():
    assert one(instances_path=f"{INSTANCES}/") == (Outcome.PASS, None)


def test_two_peers_with_one_address_are_both_named():
    twins = (a_peer("compute2"), a_peer("compute3", address="10.100.0.2"))
    assert evaluate(*twins) == [(Outcome.FAIL, "duplicate_address", p.name) for p in twins]


def test_records_that_are_not_used_for_it_still_tell_that_addresses_collide():
    records = Records((), (), (a_peer("compute2", address="10.100.0.1"),))
    found = evaluate(records=records)
    assert found == [(Outcome.FAIL, "duplicate_address", "compute2")]


@pytest.mark.parametrize(
    ("there", "uid", "expected"),
    [
        (Storage(str(INSTANCES), "nfs4", "store:/nova"), NOVA_UID, (Outcome.PASS, None)),
        (Storage(str(INSTANCES), "nfs", "store:/nova/"), 162, (Outcome.FAIL, "uid_differs")),
        (Storage(str(INSTANCES), "nfs4", "other:/nova"), 162, (Outcome.PASS, None)),
        (Storage("/", "ext4", "/dev/vda1"), 162, (Outcome.WARN, "storage_differs")),
        (None, 162, (Outcome.PASS, None)),
    ],
)
def test_uids_matter_on_shared_storage_only(there, uid, expected):
    peer = a_peer("compute2", storage=there, uid=uid)
    [found] = [f for f in evaluate(peer, instances={"mount": SHARE}) if f[2] == "compute2"]
    assert found[:2] == expected


def test_the_same_device_name_on_local_disks_is_nothing_shared():
    assert one(uid=162) == (Outcome.PASS, None)


def test_an_ignored_peer_is_skipped():
    peer = a_peer("compute2", instances_path="/srv")
    [(outcome, _, _)] = evaluate(peer, want=Settings(peers_ignore=("compute2",)))
    assert outcome is Outcome.SKIP


def test_without_peers_there_is_nothing_to_compare():
    assert evaluate() == [(Outcome.SKIP, None, None)]


def test_an_unreadable_configuration_is_told_by_its_own_check():
    assert evaluate(nova=Unreadable("gone"))[0][0] is Outcome.SKIP
