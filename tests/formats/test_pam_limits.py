from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from agent.formats import pam_limits
from agent.formats.pam_limits import Limits
from agent.formats.pam_stack import Line, session
from agent.model import SizeLimit
from tests.hosts import NOVA

NONE = SizeLimit(None, "nothing")
FREE = Limits(NONE, NONE)
CONF, DROP_IN = (
    PurePosixPath("/etc/security/limits.conf"),
    PurePosixPath("/etc/security/limits.d/x"),
)
MEMBER = replace(NOVA, groups=(NOVA.gid, 42), group_names=("nova", "ceph"))


def soft(*files: str, before: Limits = FREE):
    paths = (CONF, DROP_IN)
    pairs = [(path, text.encode()) for path, text in zip(paths, files)]
    return pam_limits.applied(before, pairs, MEMBER).soft.bytes


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("", None),
        ("nova - fsize 600", 614400),
        ("nova soft fsize 600", 614400),
        ("nova hard fsize 600", 614400),
        ("NOVA - fsize 600", None),
        ("nova - FSIZE 600 # why", 614400),
        ("\tnova\t-\tfsize\t600", 614400),
        ("# nova - fsize 600", None),
        ("nova - nofile 600", None),
        ("nova never fsize 600", None),
        ("nova - fsize", None),
        ("root - fsize 600", None),
        ("* - fsize 600", 614400),
        ("@ceph - fsize 600", 614400),
        ("@nova - fsize 600", 614400),
        ("@libvirt - fsize 600", None),
        ("@:42 - fsize 600", 614400),
        ("@43:44 - fsize 600", None),
        ("@42:44 - fsize 600", None),
        ("@64000: - fsize 600", 614400),
        ("64060: - fsize 600", 614400),
        ("64061: - fsize 600", None),
        ("1000:64060 - fsize 600", 614400),
        ("1000:64059 - fsize 600", None),
        (":64060 - fsize 600", 614400),
        (":64061 - fsize 600", None),
        (": - fsize 600", None),
        ("a:b - fsize 600", None),
        ("²: - fsize 600", None),
        ("% - fsize 600", None),
        ("%ceph - fsize 600", None),
    ],
)
def test_a_line_counts_for_those_it_names(text, limit):
    assert soft(text + "\n") == limit


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        ("0", 0),
        ("600k", 614400),
        ("-1", None),
        ("-", None),
        ("Unlimited", None),
        ("infinity", None),
        ("-5", None),
        ("99999999999999999999", None),
        ("9" * 5000, None),
        ("many", 7168),
    ],
)
def test_values_are_read_as_strtoul_reads_them(value, limit):
    assert soft(f"nova - fsize 7\nnova - fsize {value}") == limit


def test_a_user_comes_before_a_group_and_a_group_before_everybody():
    assert soft("nova - fsize 1\n@ceph - fsize 2\n* - fsize 3") == 1024
    assert soft("* - fsize 3\n@ceph - fsize 2") == 2048
    assert soft("nova - fsize unlimited", "* - fsize 3") is None


def test_of_two_that_are_equally_near_the_later_counts():
    assert soft("nova - fsize 1\nnova - fsize 2") == 2048
    assert soft("nova - fsize 1", "nova - fsize -1") is None
    assert soft("nova - fsize 1\n1000: - fsize 2") == 2048


def test_a_soft_limit_is_lowered_to_the_hard_one():
    assert soft("nova soft fsize 600\nnova hard fsize 100") == 102400
    assert soft("@ceph soft fsize 600\nnova hard fsize unlimited") == 614400


@pytest.mark.parametrize("exempt", ["nova -", "@ceph -", "64060: -"])
def test_who_is_exempt_is_limited_by_no_line(exempt):
    assert soft(f"* - fsize 600\nnova - fsize 600\n{exempt}") is None
    assert soft("nova - fsize 600", exempt) is None


@pytest.mark.parametrize("other", ["root -", "* -", "@libvirt -"])
def test_an_exemption_of_others_is_none(other):
    assert soft(f"{other}\nnova - fsize 600") == 614400


def test_what_no_line_speaks_of_stays_as_it_was():
    own = Limits(SizeLimit(5, "sshd"), SizeLimit(9, "sshd"))
    assert soft("", before=own) == 5
    assert soft("nova soft fsize unlimited", before=own) == 9


def test_the_line_is_told():
    after = pam_limits.applied(FREE, [(CONF, b"\n\nnova -  fsize 600\n")], MEMBER)
    assert after.soft.origin == "/etc/security/limits.conf line 3: nova - fsize 600"


def test_of_a_process():
    text = (
        b"Limit                     Soft Limit           Hard Limit           Units     \n"
        b"Max file size             614400               unlimited            bytes     \n"
    )
    assert pam_limits.of_process(text, "sshd") == Limits(
        SizeLimit(614400, "sshd"), SizeLimit(None, "sshd")
    )
    assert pam_limits.of_process(b"", "sshd") is None


def test_who_may_raise_a_hard_limit():
    assert pam_limits.may_raise(b"Uid:\t0\nCapEff:\t000001ffffffffff\n")
    assert not pam_limits.may_raise(b"Uid:\t0\nCapEff:\t000001fffeffffff\n")
    assert pam_limits.is_above(FREE, Limits(NONE, SizeLimit(5, "")))
    assert not pam_limits.is_above(Limits(NONE, SizeLimit(5, "")), FREE)
    assert not pam_limits.is_above(FREE, FREE)


def test_the_session_part_of_a_pam_file():
    text = rb"""
auth       required     pam_unix.so
@include common-session
-session   optional     pam_systemd.so # session required pam_no.so
session    [success=ok ignore=ignore default=bad] pam_selinux.so close
Session    required     /usr/lib/security/pam_limits.so \
           conf=/etc/site.conf
session    include      password-auth
session    substack     postlogin
session    required
"""
    assert list(session(text)) == [
        Line("common-session"),
        Line("", "pam_systemd.so"),
        Line("", "pam_selinux.so", ("close",)),
        Line("", "pam_limits.so", ("conf=/etc/site.conf",)),
        Line("password-auth"),
        Line("postlogin"),
    ]
