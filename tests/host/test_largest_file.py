"""The files that decide the largest file of a login, read from a tree as they lie on a host."""

from pathlib import Path

import pytest

from agent.host import Host
from agent.model import SizeLimit, Unreadable
from agent.observe.limits import largest_file
from tests.hosts import NOVA, a_server

PAM = "session required pam_limits.so\n"
SMALL = "nova - fsize 600\n"


def limit(tree: Path, files: dict[str, str], **server: str):
    for name, text in files.items():
        path = tree / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    seen = largest_file(Host(str(tree)), NOVA, a_server(**server), None)
    assert isinstance(seen, SizeLimit)
    return seen.bytes


@pytest.mark.parametrize(
    "stack",
    [
        {"pam.d/sshd": PAM},
        {"pam.d/sshd": "@include common-session\n", "pam.d/common-session": PAM},
        {
            "pam.d/sshd": "session include password-auth\n",
            "pam.d/password-auth": "session substack postlogin\n",
            "pam.d/postlogin": PAM,
        },
        {"pam.d/other": PAM},
        {"pam.d/sshd": f"@include sshd\n@include common\n{PAM}", "pam.d/common": "@include sshd\n"},
    ],
)
def test_pam_limits_is_found_through_what_the_stack_includes(tmp_path, stack):
    assert limit(tmp_path, {**stack, "security/limits.conf": SMALL}) == 614400


@pytest.mark.parametrize(
    "stack",
    [
        {},
        {"pam.d/sshd": "session required pam_unix.so\n", "pam.d/other": PAM},
        {"pam.d/sshd": "@include gone\n", "pam.d/other": PAM},
        {"pam.d/login": PAM},
        {"pam.d/sshd": "account required pam_limits.so\n"},
    ],
)
def test_without_pam_limits_in_its_stack_no_line_counts(tmp_path, stack):
    assert limit(tmp_path, {**stack, "security/limits.conf": SMALL}) is None


def test_an_sshd_without_pam_heeds_none(tmp_path):
    files = {"pam.d/sshd": PAM, "security/limits.conf": SMALL}
    assert limit(tmp_path, files, usepam="no") is None


def test_the_service_may_have_another_name(tmp_path):
    files = {"pam.d/sshd": "", "pam.d/nova": PAM, "security/limits.conf": SMALL}
    assert limit(tmp_path, files, pamservicename="nova") == 614400


def test_drop_ins_follow_in_the_order_of_their_names(tmp_path):
    files = {
        "pam.d/sshd": PAM,
        "security/limits.conf": "nova - fsize 1\n",
        "security/limits.d/20.conf": "nova - fsize 3\n",
        "security/limits.d/10.conf": "nova - fsize 2\n",
        "security/limits.d/30": "nova - fsize 4\n",
        "security/limits.d/.40.conf": "nova - fsize 5\n",
    }
    assert limit(tmp_path, files) == 3072


def test_a_file_that_is_named_stands_for_all_others(tmp_path):
    files = {
        "pam.d/sshd": "session required pam_limits.so conf=/etc/site.conf\n",
        "site.conf": SMALL,
        "security/limits.conf": "nova - fsize 1\n",
        "security/limits.d/20.conf": "nova - fsize 2\n",
    }
    assert limit(tmp_path, files) == 614400


def test_what_cannot_be_read_is_not_taken_for_nothing(tmp_path):
    (tmp_path / "etc/security/limits.conf").mkdir(parents=True)
    (tmp_path / "etc/pam.d").mkdir()
    (tmp_path / "etc/pam.d/sshd").write_text(PAM)
    seen = largest_file(Host(str(tmp_path)), NOVA, a_server(), None)
    assert seen == Unreadable("/etc/security/limits.conf is not a regular file, or too large")
