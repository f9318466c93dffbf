import shlex

import pytest

from agent.checks.instances_directory import CHECK
from agent.model import Absent, MakeDirectory, Mount, Outcome, SetOwner, Unreadable
from agent.settings import MOUNTED, Settings
from tests.hosts import HOME, INSTANCES, NOVA_UID, P, a_directory, a_file, a_host, an_instances

SHARE = ((INSTANCES, "/etc/fstab"),)


def evaluate(last=None, home=None, live=True, **instances):
    way = dict(an_instances().way)
    way[INSTANCES] = last if last is not None else way[INSTANCES]
    way[HOME] = home or way[HOME]
    found = {"way": tuple(way.items()), **instances}
    [finding] = CHECK.evaluate(a_host(instances=found, host={"live": live}), Settings())
    return finding


def seen(finding):
    return finding.outcome, finding.reason, finding.fix


def test_a_directory_nova_can_write_in_passes():
    assert evaluate().outcome is Outcome.PASS
    assert evaluate(a_directory(0o775, 1000, NOVA_UID)).outcome is Outcome.PASS


def test_a_missing_directory_is_made():
    fix = (MakeDirectory(INSTANCES, 0o755, NOVA_UID, NOVA_UID),)
    finding = evaluate(Absent(), a_directory(), writable=False)
    assert seen(finding) == (Outcome.FAIL, "instances_missing", fix)


def test_nova_itself_would_make_it_below_its_own_directory():
    fix = (MakeDirectory(INSTANCES, 0o755, NOVA_UID, NOVA_UID),)
    assert seen(evaluate(Absent(), writable=False)) == (Outcome.WARN, "instances_missing", fix)


@pytest.mark.parametrize("last", [None, Absent(), a_directory()])
def test_under_an_unmounted_share_nothing_is_touched(last):
    finding = evaluate(last, expected_mounts=SHARE, writable=False)
    assert seen(finding) == (Outcome.FAIL, "share_not_mounted", ())
    assert "/etc/fstab" in finding.message


def test_the_share_that_belongs_there_passes():
    mount = Mount(INSTANCES, "nfs4", "store:/nova", ("rw",))
    assert evaluate(expected_mounts=SHARE, mount=mount).outcome is Outcome.PASS
    above = ((P("/var"), "/etc/fstab"),)
    assert evaluate(expected_mounts=above, mount=mount).outcome is Outcome.PASS


def test_what_was_seen_there_earlier_is_missed_until_its_memory_is_removed():
    finding = evaluate(expected_mounts=((INSTANCES, str(MOUNTED)),))
    assert seen(finding) == (Outcome.FAIL, "share_not_mounted", ())
    assert finding.remedy.endswith(f"rm {MOUNTED}")


@pytest.mark.parametrize(
    ("before", "now", "outcome"),
    [
        ("nfs4", "ext4", Outcome.FAIL),
        ("nfs4", "nfs", Outcome.PASS),
        ("ext4", "xfs", Outcome.PASS),
        ("ext4", "nfs4", Outcome.PASS),
    ],
)
def test_a_container_that_was_given_the_bare_directory_is_seen(before, now, outcome):
    mounts = [Mount(INSTANCES, kind, "x", ("rw",)) for kind in (before, now)]
    assert evaluate(remembered=mounts[0], mount=mounts[1]).outcome is outcome


def test_a_directory_of_root_is_given_to_nova():
    fix = (SetOwner(INSTANCES, NOVA_UID, NOVA_UID, (0, 0)),)
    finding = evaluate(a_directory(), writable=False)
    assert seen(finding) == (Outcome.FAIL, "instances_not_writable", fix)


def test_the_top_of_a_share_is_not_chowned():
    mount = Mount(INSTANCES, "nfs4", "store:/nova", ("rw",))
    finding = evaluate(a_directory(), writable=False, mount=mount, expected_mounts=SHARE)
    assert seen(finding) == (Outcome.FAIL, "instances_not_writable", ())


def test_a_mode_is_never_widened():
    finding = evaluate(a_directory(0o555, NOVA_UID), writable=False)
    assert seen(finding) == (Outcome.FAIL, "instances_not_writable", ())


def test_a_read_only_mount_is_named():
    mount = Mount(P("/var"), "ext4", "/dev/vdb", ("ro",))
    assert evaluate(writable=False, mount=mount).reason == "read_only"


def test_a_file_is_no_directory():
    assert seen(evaluate(a_file())) == (Outcome.FAIL, "instances_not_directory", ())


def test_what_a_link_leads_through_does_not_hide_the_directory():
    way = (*an_instances().way, (P("/srv"), a_directory()))
    [finding] = CHECK.evaluate(a_host(instances={"way": way}), Settings())
    assert finding.outcome is Outcome.PASS


def test_in_an_image_modes_speak_for_nova_and_mounts_are_not_judged():
    image = {"live": False, "writable": Unreadable("image"), "mount": Unreadable("image")}
    assert evaluate(**image, expected_mounts=SHARE).outcome is Outcome.PASS
    assert evaluate(a_directory(), **image).fix
    assert evaluate(a_directory(), **image, expected_mounts=SHARE).fix == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"writable": Unreadable("timed out")},
        {"last": Unreadable("stale handle")},
        {"mount": Unreadable("no mountinfo"), "expected_mounts": SHARE},
    ],
)
def test_not_knowing_is_not_failing(changes):
    assert evaluate(**changes).outcome is Outcome.UNKNOWN


def test_without_an_account_there_is_nobody_to_own_it():
    [finding] = CHECK.evaluate(a_host(account=None), Settings())
    assert finding.outcome is Outcome.SKIP


@pytest.mark.parametrize("path", ["/etc/cron.d", "/srv/nova", "/var/lib/nova/../../../etc/cron.d"])
def test_a_path_that_only_nova_names_is_left_to_people(path):
    """nova.conf and nova-compute's environment are nova's word: root hands nothing over on it."""
    way = ((P(path), a_directory()),)
    changes = {"path": P(path), "way": way, "writable": False}
    [finding] = CHECK.evaluate(a_host(instances=changes), Settings())
    assert seen(finding) == (Outcome.FAIL, "instances_not_writable", ())
    assert "agent.yaml" in (finding.remedy or "")
    [missing] = CHECK.evaluate(
        a_host(instances={**changes, "way": ((P(path), Absent()),)}), Settings()
    )
    assert missing.fix == ()


def test_a_path_that_root_names_too_is_handed_over():
    path = P("/srv/nova")
    changes = {"path": path, "way": ((path, a_directory()),), "writable": False}
    [finding] = CHECK.evaluate(a_host(instances=changes), Settings(nova_instances_path=path))
    assert finding.fix == (SetOwner(path, NOVA_UID, NOVA_UID, (0, 0)),)


@pytest.mark.parametrize("there", [a_directory(), Absent()])
def test_a_printed_command_runs_nothing_that_nova_wrote_into_the_path(there):
    path = P("/srv/x;touch${IFS}/root/in")
    changes = {"path": path, "way": ((path, there),), "writable": False}
    [finding] = CHECK.evaluate(a_host(instances=changes), Settings())
    assert shlex.split(finding.remedy.partition("; or set")[0])[-1] == str(path)
