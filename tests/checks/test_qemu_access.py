import shlex
from dataclasses import replace

import pytest

from agent.checks.qemu_access import CHECK
from agent.model import Absent, Account, Outcome, Unreadable
from agent.settings import Settings
from tests.hosts import HOME, INSTANCES, NOVA_UID, P, a_directory, a_host, an_instances

QEMU = Account("libvirt-qemu", 64055, 108, P("/"), P("/bin/false"), (108,))


def evaluate(home=None, **changes):
    way = dict(an_instances().way)
    way[HOME] = home or way[HOME]
    host = a_host(instances={"way": tuple(way.items())}, **{"qemu": QEMU, **changes})
    return list(CHECK.evaluate(host, Settings()))


def test_an_open_way_passes():
    [finding] = evaluate()
    assert finding.outcome is Outcome.PASS


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o754])
def test_a_closed_directory_fails_and_is_never_opened(mode):
    [finding] = evaluate(a_directory(mode, NOVA_UID))
    assert (finding.outcome, finding.reason, finding.fix) == (Outcome.FAIL, "qemu_no_way", ())
    assert finding.remedy == f"chmod o+x {HOME}"


def test_a_printed_command_runs_nothing_that_nova_wrote_into_the_path():
    path = P("/srv/x;touch${IFS}/root/in")
    closed = {"path": path, "way": ((path, a_directory(0o700, NOVA_UID)),), "qemu_enters": False}
    [finding] = CHECK.evaluate(a_host(instances=closed, qemu=QEMU), Settings())
    assert shlex.split(finding.remedy) == ["chmod", "o+x", str(path)]


def test_the_class_qemu_falls_into_decides():
    closed = a_directory(0o750, NOVA_UID)
    member = replace(QEMU, groups=(108, NOVA_UID))
    assert evaluate(closed, qemu=member)[0].outcome is Outcome.PASS
    assert evaluate(a_directory(0o701, NOVA_UID), qemu=member)[0].outcome is Outcome.FAIL
    assert evaluate(closed, qemu=replace(QEMU, uid=NOVA_UID))[0].outcome is Outcome.PASS
    assert evaluate(a_directory(0), qemu=replace(QEMU, uid=0))[0].outcome is Outcome.PASS


def test_a_missing_directory_is_told_elsewhere():
    found = CHECK.evaluate(a_host(instances={"way": ((INSTANCES, Absent()),)}), Settings())
    assert [f.outcome for f in found] == [Outcome.PASS]


def test_no_qemu_is_no_fault():
    assert evaluate(qemu=Absent())[0].outcome is Outcome.SKIP


def test_not_knowing_is_not_failing():
    assert evaluate(qemu=Unreadable("denied"))[0].outcome is Outcome.UNKNOWN
    assert evaluate(Unreadable("denied"))[0].outcome is Outcome.UNKNOWN
    found = list(CHECK.evaluate(a_host(instances=Unreadable("stale handle")), Settings()))
    assert found[0].outcome is Outcome.UNKNOWN


def test_the_users_own_answer_beats_the_mode_bits():
    way = {**dict(an_instances().way), HOME: a_directory(0o750, NOVA_UID)}
    by_list = {"way": tuple(way.items()), "qemu_enters": True}
    assert [f.outcome for f in CHECK.evaluate(a_host(instances=by_list), Settings())] == [
        Outcome.PASS
    ]
    [refused] = CHECK.evaluate(a_host(instances={"qemu_enters": False}), Settings())
    assert (refused.outcome, refused.reason) == (Outcome.FAIL, "qemu_no_way")
