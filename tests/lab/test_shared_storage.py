"""Where hosts share the instances directory, what would lose a guest's disk is told before it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.lab import oracle, setup_by_hand
from tests.lab.fleet import Fleet
from tests.lab.oracle import Outcome
from tests.lab.provision import agent, hand_round, on_each
from tests.lab.scenarios import judge
from tests.lab.scenarios.fault import DESTINATION, SOURCE, Fault
from tests.lab.shared_storage import shared_instances

pytestmark = pytest.mark.lab

SHARED = Fault("shared")
OTHER_UID = Fault(
    "another-uid",
    reason="uid_differs",
    accepted="class differs: what the other uid may not write here it may not delete either; named as the worst it can come to",
)


@dataclass(frozen=True)
class Answer:
    """Ours and Nova's, of one move from SOURCE to DESTINATION."""

    word: judge.Word
    nova: Outcome
    verdict: str


@contextmanager
def sharing() -> Iterator[Fleet]:
    with Fleet([SOURCE, DESTINATION]) as fleet:
        fleet.start_sshd()
        setup_by_hand.key_per_host(fleet)
        with shared_instances(fleet):
            hand_round(fleet)
            yield fleet


def answer(fleet: Fleet, fault: Fault = SHARED) -> Answer:
    runs = on_each(fleet, agent)
    said = judge.word(runs[SOURCE], runs[DESTINATION])
    nova = oracle.migrate(fleet, SOURCE, DESTINATION)
    return Answer(said, nova, judge.compare(fault, "by-hand", said, nova))


def test_a_disk_that_stays_where_it_is_moves() -> None:
    with sharing() as fleet:
        found = answer(fleet)
    assert (found.word.ready, found.verdict) == (True, judge.AGREE), found


def test_another_uid_on_the_destination() -> None:
    with sharing() as fleet:
        fleet[DESTINATION].sh("usermod -u 4162 nova && chown -R nova /var/lib/nova/.ssh")
        hand_round(fleet)
        found = answer(fleet, OTHER_UID)
    assert found.verdict == judge.ACCEPTED, found


def test_a_touch_that_fails_where_a_directory_can_be_made() -> None:
    """Nova takes the storage for not shared, copies the disk onto itself and removes the destination's, which is its own."""
    with sharing() as fleet:
        fleet[DESTINATION].sh("rm /usr/bin/touch")
        found = answer(fleet)
    assert (found.nova.verdict, found.verdict) == ("L", judge.AGREE), found
    assert found.word.reason == "shared_touch_fails", found
