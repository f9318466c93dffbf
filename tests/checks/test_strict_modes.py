from dataclasses import replace

import pytest

from agent.checks.strict_modes import CHECK
from agent.model import Absent, Outcome, SetMode, SetOwner, Unreadable
from agent.settings import Settings
from tests.hosts import HOME, KEYS, NOVA_UID, SSH, P, a_directory, a_file, a_host, a_server, novas

LISTED = a_host().files[KEYS]


def evaluate(files=None, **changes):
    return {
        f.subject: (f.outcome, f.reason, f.fix)
        for f in CHECK.evaluate(a_host(files=files or {}, **changes), Settings())
        if f.outcome is not Outcome.PASS
    }


@pytest.mark.parametrize(
    "files",
    [
        {},
        {HOME: a_directory(0o755)},
        {HOME: a_directory(0o700, NOVA_UID)},
        {SSH: a_directory(0o755), KEYS: a_file(LISTED.content)},
        {P("/var/lib"): a_directory(0o777)},
        {KEYS: Absent()},
        {KEYS: Absent(), SSH: Absent()},
    ],
)
def test_what_sshd_takes_passes(files):
    assert evaluate(files) == {}


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        (HOME, a_directory(0o777, NOVA_UID)),
        (HOME, a_directory(0o1777, NOVA_UID)),
        (SSH, a_directory(0o772, NOVA_UID)),
        (KEYS, replace(LISTED, mode=0o666)),
    ],
)
def test_a_write_bit_for_others_is_taken_away(path, seen):
    fix = (SetMode(path, seen.mode & ~0o022, seen.mode),)
    assert evaluate({path: seen}) == {str(path): (Outcome.FAIL, "strict_modes", fix)}


def test_debian_takes_group_write_where_the_group_is_the_owner_alone():
    files = {HOME: a_directory(0o775, NOVA_UID)}
    assert evaluate(files) == {}
    assert str(HOME) in evaluate(files, groups={NOVA_UID: ("nova", "other")})
    assert str(HOME) in evaluate(files, groups={})
    assert str(HOME) in evaluate(files, server=a_server(debian=False))


def test_a_foreign_ssh_directory_is_given_back():
    found = evaluate({SSH: a_directory(0o775, 1000)})
    fix = (SetOwner(SSH, NOVA_UID, NOVA_UID, (1000, 1000)), SetMode(SSH, 0o755, 0o775))
    assert found[str(SSH)] == (Outcome.FAIL, "strict_modes", fix)


@pytest.mark.parametrize(
    ("path", "seen"),
    [(HOME, a_directory(0o755, 1000)), (KEYS, replace(LISTED, uid=1000, gid=1000, mode=0o644))],
)
def test_a_foreign_home_or_file_is_reported_and_not_taken(path, seen):
    assert evaluate({path: seen})[str(path)] == (Outcome.FAIL, "strict_modes", ())


def test_a_directory_nova_cannot_search_hides_its_keys():
    found = evaluate({SSH: a_directory(0o700), KEYS: Unreadable("Permission denied")})
    fix = (SetOwner(SSH, NOVA_UID, NOVA_UID, (0, 0)),)
    assert found[str(SSH)] == (Outcome.FAIL, "authorized_keys_unreadable", fix)


def test_a_file_without_keys_is_not_missed():
    second = SSH / "authorized_keys2"
    found = evaluate({second: novas(b"# none\n", 0o666)})
    assert found[str(second)][:2] == (Outcome.WARN, "strict_modes")


def test_outside_home_every_directory_counts_and_none_is_changed():
    path = P("/srv/keys/nova")
    files = {
        path: a_file(LISTED.content),
        P("/srv/keys"): a_directory(),
        P("/srv"): a_directory(0o777),
    }
    found = evaluate(files, server=a_server(authorizedkeysfile="/srv/keys/%u"))
    assert found == {"/srv": (Outcome.FAIL, "strict_modes", ())}


def test_the_real_path_counts():
    real = P("/tmp/keys")
    files = {
        KEYS: replace(LISTED, real=real),
        real: replace(LISTED, real=real),
        P("/tmp"): a_directory(0o1777),
    }
    assert list(evaluate(files)) == ["/tmp"]


def test_a_home_behind_a_link_is_judged_up_to_its_real_place():
    real = P("/srv/nova")
    files = {
        HOME: replace(a_directory(uid=NOVA_UID), real=real),
        real: a_directory(0o777, NOVA_UID),
        SSH: replace(a_directory(0o700, NOVA_UID), real=real / ".ssh"),
        real / ".ssh": a_directory(0o700, NOVA_UID),
        KEYS: replace(LISTED, real=real / ".ssh/authorized_keys"),
        real / ".ssh/authorized_keys": LISTED,
    }
    fix = (SetMode(real, 0o755, 0o777),)
    assert evaluate(files) == {str(real): (Outcome.FAIL, "strict_modes", fix)}


def test_a_missing_home_fails():
    found = evaluate({HOME: Absent()})
    assert found == {str(HOME): (Outcome.FAIL, "home_missing", ())}


def test_sshd_may_be_told_not_to_look():
    assert evaluate({HOME: a_directory(0o777, NOVA_UID)}, server=a_server(strictmodes="no")) == {}


def test_not_knowing_is_not_failing():
    assert evaluate({SSH: Unreadable("stale handle")})[str(SSH)][0] is Outcome.UNKNOWN
    assert evaluate(server=Unreadable("denied"))["key files"][0] is Outcome.UNKNOWN


def test_what_lies_below_a_closed_directory_is_told_once():
    denied = {p: Unreadable(f"{p}: Permission denied") for p in (KEYS, SSH / "authorized_keys2")}
    found = evaluate({SSH: a_directory(0o700, 1000), **denied})
    assert set(found) == {str(SSH)}


SECOND = SSH / "authorized_keys2"


def test_a_bad_file_whose_lines_stand_in_a_good_one_is_a_warning():
    found = evaluate({KEYS: replace(LISTED, mode=0o666), SECOND: LISTED})
    assert found[str(KEYS)][:2] == (Outcome.WARN, "strict_modes")


@pytest.mark.parametrize(
    "second",
    [
        novas(b'from="10.9.9.9" ' + LISTED.content),
        replace(LISTED, mode=0o666),
        replace(LISTED, uid=0, mode=0o600),
        novas(b""),
    ],
)
def test_a_bad_file_is_missed_where_the_other_does_not_stand_in_for_it(second):
    found = evaluate({KEYS: replace(LISTED, mode=0o666), SECOND: second})
    assert found[str(KEYS)][:2] == (Outcome.FAIL, "strict_modes")


@pytest.mark.parametrize("mode", [0o000, 0o777])
def test_a_bad_directory_is_no_failure_where_keys_are_taken_from_elsewhere(mode):
    elsewhere = P("/etc/ssh/keys/nova")
    files = {
        SSH: a_directory(mode, NOVA_UID),
        elsewhere: a_file(LISTED.content),
        **{p: a_directory() for p in (P("/etc"), P("/etc/ssh"), P("/etc/ssh/keys"))},
    }
    both = a_server(authorizedkeysfile=".ssh/authorized_keys /etc/ssh/keys/%u")
    assert evaluate(files, server=both)[str(SSH)][0] is Outcome.WARN
    del files[elsewhere]
    assert evaluate({**files, elsewhere: Absent()}, server=both)[str(SSH)][0] is Outcome.FAIL
