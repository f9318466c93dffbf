"""All records together: whoever claims what another has gets nothing, and nobody else is held up."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import PurePosixPath

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.formats import inventory
from agent.formats.inventory import Text
from agent.formats.record import render
from agent.model import Record, Records, Unreadable
from tests.hosts import a_peer, a_tombstone

OURS = ("compute1", "compute1.example.org", "10.100.0.1")


def file_of(record: Record, path: str = "") -> Text:
    return (PurePosixPath(path) if path else record.path), render(record).encode()


def read(*texts: Text, own: str = "compute1") -> Records:
    return inventory.read(texts, own, OURS)


def names(found: Records) -> list[str]:
    return [record.name for record in found.records]


def test_every_host_has_its_record() -> None:
    found = read(file_of(a_peer("compute3")), file_of(a_peer("compute2")))
    assert names(found) == ["compute2", "compute3"]
    assert found.problems == ()


def test_nothing_is_a_fine_inventory() -> None:
    assert read() == Records()


def test_one_bad_file_blocks_nobody_and_is_named_with_its_line() -> None:
    bad = (PurePosixPath("/p/compute9.yaml"), b"schema: 1\nname: compute9\naddress: '*'\n")
    gone = (PurePosixPath("/p/compute8.yaml"), Unreadable("Input/output error"))
    found = read(bad, file_of(a_peer("compute2")), gone)
    assert names(found) == ["compute2"]
    assert [(p.reason, p.where, p.name) for p in found.problems] == [
        ("record_invalid", "/p/compute9.yaml:1", "compute9"),
        ("record_invalid", "/p/compute8.yaml", "compute8"),
    ]


def test_a_directory_that_cannot_be_read_is_told_and_is_no_hosts() -> None:
    closed = (PurePosixPath("/etc/resize-agent/peers.d"), Unreadable("Permission denied"))
    [problem] = read(closed).problems
    assert (problem.reason, problem.where, problem.name) == ("not_observed", str(closed[0]), None)


def conflict(first: Record, second: Record) -> Records:
    """Both are out, both are named, a third is not concerned."""
    found = read(file_of(first), file_of(second), file_of(a_peer("compute9")))
    assert names(found) == ["compute9"]
    assert {record.name for record in found.conflicted} == {first.name, second.name}
    assert {p.reason for p in found.problems} == {"record_conflict"}
    assert {p.where for p in found.problems} == {str(first.path), str(second.path)}
    for each in found.problems:
        assert str(first.path) in each.message and str(second.path) in each.message
    return found


def test_two_with_one_address_are_both_out() -> None:
    found = conflict(a_peer("compute2"), a_peer("compute3", address="10.100.0.2"))
    assert found.problems[0].message.startswith("10.100.0.2 is claimed by ")


def test_two_with_one_other_name_are_both_out() -> None:
    conflict(a_peer("compute2", names=("alias",)), a_peer("compute3", names=("alias",)))


def test_an_other_name_that_is_somebodys_name_puts_both_out() -> None:
    conflict(a_peer("compute2"), a_peer("compute3", names=("compute2",)))


def test_an_other_name_that_is_somebodys_address_puts_both_out() -> None:
    conflict(a_peer("compute2"), a_peer("compute3", names=("10.100.0.2",)))


def test_another_spelling_of_one_address_is_still_one_address() -> None:
    conflict(a_peer("compute2", address="fd00::2"), a_peer("compute3", names=("fd00:0:0:0::0002",)))


def test_two_files_for_one_name_are_both_out() -> None:
    found = read(file_of(a_peer("compute2")), file_of(a_peer("compute2"), "/p/Compute2.yaml"))
    assert (names(found), len(found.conflicted)) == ([], 2)


def test_naming_oneself_twice_is_no_conflict() -> None:
    told = a_peer("compute2", names=("compute2", "10.100.0.2", "compute2.example.org"))
    assert names(read(file_of(told))) == ["compute2"]


def test_nobody_else_may_claim_what_is_ours() -> None:
    for claim in ({"address": "10.100.0.1"}, {"names": ("compute1",)}, {"names": (OURS[1],)}):
        found = read(file_of(a_peer("compute2", **claim)), file_of(a_peer("compute3")))
        assert names(found) == ["compute3"]
        [problem] = found.problems
        assert (problem.reason, problem.name) == ("record_conflict", "compute2")
        assert problem.message.endswith("which is this host's own")


def test_our_own_record_survives_a_foreign_claim() -> None:
    found = read(file_of(a_peer("compute1")), file_of(a_peer("compute2", names=("compute1",))))
    assert names(found) == ["compute1"]
    assert [record.name for record in found.conflicted] == ["compute2"]


def test_our_own_record_may_say_what_is_ours() -> None:
    own = a_peer("compute1", address="10.100.0.1", names=(OURS[1],))
    assert read(file_of(own)).problems == ()


def test_trusted_networks_bind_others_and_not_ourselves() -> None:
    texts = [file_of(a_peer("compute1")), file_of(a_peer("compute2"))]
    found = inventory.read(texts, "compute1", OURS, (ip_network("192.168.0.0/16"),))
    assert names(found) == ["compute1"]
    assert "outside trust.networks" in found.problems[0].message


def test_a_tombstone_withdraws_and_claims_only_its_name() -> None:
    successor = a_peer("compute3", address=a_peer("compute2").address)
    found = read(file_of(a_tombstone("compute2")), file_of(successor))
    assert found.problems == ()
    assert [record.name for record in found.withdrawn("compute1")] == ["compute2"]
    assert [record.name for record in found.peers("compute1")] == ["compute3"]


def test_nobody_keeps_a_withdrawn_host_trusted_by_claiming_its_name() -> None:
    claims = a_peer("compute3", names=("compute2",))
    found = read(file_of(a_tombstone("compute2")), file_of(claims))
    assert [record.name for record in found.withdrawn("compute1")] == ["compute2"]
    assert found.peers("compute1") == ()
    assert {problem.reason for problem in found.problems} == {"record_conflict"}


def test_a_file_that_is_gone_withdraws_nobody() -> None:
    assert read(file_of(a_peer("compute2"))).withdrawn("compute1") == ()


def test_a_newer_record_is_told_from_a_broken_one() -> None:
    found = read((PurePosixPath("/p/compute2.yaml"), b"schema: 7\n"))
    assert [p.reason for p in found.problems] == ["record_newer"]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(2, 6), st.integers(2, 6)), max_size=6), st.randoms())
def test_no_name_or_address_is_ever_in_two_records_in_any_order(
    claims: list[tuple[int, int]], random: object
) -> None:
    texts = [
        file_of(a_peer(f"compute{n}", address=f"10.100.0.{m}", names=()), f"/{i}/compute{n}.yaml")
        for i, (n, m) in enumerate(claims)
    ]
    found = read(*texts)
    said = [c for r in found.records for c in (r.name, r.address)]
    assert len(said) == len(set(said))
    random.shuffle(texts)  # type: ignore[attr-defined]
    assert read(*texts).records == found.records
