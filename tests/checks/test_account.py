from datetime import datetime

import pytest

from agent.checks.account import CHECK
from agent.model import Absent, Outcome, Unreadable
from agent.settings import Settings
from tests.hosts import TODAY, P, a_file, a_host, a_server

NO_PAM = a_server(usepam="no")


def reasons(**changes):
    return {f.reason for f in CHECK.evaluate(a_host(**changes), Settings()) if f.reason}


def test_the_day_of_the_tests_is_right():
    assert (datetime(2026, 11, 22) - datetime(1970, 1, 1)).days == TODAY


def test_an_open_account_passes():
    found = list(CHECK.evaluate(a_host(), Settings()))
    assert {f.outcome for f in found} == {Outcome.PASS}


@pytest.mark.parametrize(
    ("pam", "day", "found"),
    [
        ("yes", TODAY + 1, set()),
        ("yes", TODAY, {"account_expired"}),
        ("no", TODAY, set()),
        ("no", TODAY - 1, {"account_expired"}),
        ("yes", 1, {"account_expired"}),
    ],
)
def test_expiry_counts_as_pam_and_sshd_count(pam, day, found):
    password = {"expires": day, "locked": False}
    assert reasons(server=a_server(usepam=pam), password=password) == found


def test_a_locked_password_matters_only_without_pam():
    assert reasons(password={"locked": True}) == set()
    assert reasons(password={"locked": True}, server=NO_PAM) == {"account_locked"}


@pytest.mark.parametrize(
    ("changed", "age", "found"),
    [
        (0, None, {"password_expired"}),
        (TODAY - 31, 30, {"password_expired"}),
        (TODAY - 30, 30, set()),
        (TODAY + 5, 1, set()),
        (None, 30, set()),
    ],
)
def test_an_aged_password_matters_only_with_pam(changed, age, found):
    password = {"last_change": changed, "max_age": age, "locked": False}
    assert reasons(password=password) == found
    assert reasons(password=password, server=NO_PAM) == set()


def test_nologin_files_keep_nova_out():
    assert reasons(files={P("/etc/nologin"): a_file()}) == {"nologin_file"}
    assert reasons(files={P("/run/nologin"): a_file()}) == {"nologin_file"}


def test_without_pam_run_nologin_is_not_looked_at():
    files = {P("/run/nologin"): a_file()}
    assert reasons(files=files, server=NO_PAM, password={"locked": False}) == set()


def test_pam_closes_the_login_of_an_account_without_shadow_entry():
    assert reasons(password=Absent()) == {"login_closed"}
    assert reasons(password=Absent(), server=NO_PAM) == set()


def test_not_knowing_is_not_failing():
    for changes in ({"password": Unreadable("denied")}, {"server": Unreadable("needs root")}):
        found = list(CHECK.evaluate(a_host(**changes), Settings()))
        assert Outcome.UNKNOWN in {f.outcome for f in found}
        assert Outcome.FAIL not in {f.outcome for f in found}


def test_in_an_image_only_what_no_setting_of_sshd_changes_is_judged():
    changes = {"host": {"live": False}, "server": Unreadable("image")}
    assert reasons(password={"locked": True, "last_change": 0}, **changes) == set()
    assert reasons(password={"expires": 1}, **changes) == {"account_expired"}


def test_no_account_and_no_sshd_are_told_elsewhere():
    for changes in ({"account": None}, {"server": Absent()}):
        [finding] = CHECK.evaluate(a_host(**changes), Settings())
        assert finding.outcome is Outcome.SKIP


def test_a_date_beyond_the_calendar_is_no_crash():
    assert reasons(password={"expires": 10**17}) == set()
