import pytest

from agent.checks.room import CHECK
from agent.model import Outcome, Unreadable
from agent.settings import Settings
from tests.hosts import a_host


def evaluate(**instances):
    return list(CHECK.evaluate(a_host(instances=instances), Settings(warn_free_bytes=1 << 30)))


@pytest.mark.parametrize(
    ("free", "outcome", "reason"),
    [
        (0, Outcome.FAIL, "no_space"),
        (4095, Outcome.FAIL, "no_space"),
        (4096, Outcome.WARN, "little_room"),
        ((1 << 30) - 1, Outcome.WARN, "little_room"),
        (1 << 30, Outcome.PASS, None),
        (None, Outcome.PASS, None),
    ],
)
def test_only_no_block_at_all_fails(free, outcome, reason):
    blocks, _ = evaluate(free_bytes=free)
    assert (blocks.outcome, blocks.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("free", "outcome"), [(0, Outcome.FAIL), (1, Outcome.PASS), (None, Outcome.PASS)]
)
def test_only_no_inode_at_all_fails(free, outcome):
    _, inodes = evaluate(free_inodes=free)
    assert inodes.outcome is outcome


def test_an_image_has_no_room_to_judge():
    [finding] = CHECK.evaluate(a_host(host={"live": False}), Settings())
    assert finding.outcome is Outcome.SKIP


def test_not_knowing_is_not_failing():
    [finding] = CHECK.evaluate(a_host(instances=Unreadable("stale handle")), Settings())
    assert finding.outcome is Outcome.UNKNOWN
