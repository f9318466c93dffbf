import pytest

from agent.formats import pam_umask

DEFS = b"# UMASK 077\nUMASK\t\t022\nUSERGROUPS_ENAB no\n"
PRIVATE = b"UMASK 077\nUSERGROUPS_ENAB yes\n"


@pytest.mark.parametrize(
    ("arguments", "login_defs", "mask"),
    [
        ((), b"", 0o027),
        ((), DEFS, 0o022),
        (("umask=0077",), DEFS, 0o077),
        (("umask=0077", "umask=022"), DEFS, 0o022),
        (("umask=rubbish",), DEFS, 0o027),
        (("umask=1000",), DEFS, 0),
        ((), PRIVATE, 0o007),
        (("nousergroups",), PRIVATE, 0o077),
        (("umask=077",), PRIVATE, 0o077),
        (("usergroups",), DEFS, 0o002),
        (("usergroups",), b"", 0o007),
        (("umask=077", "usergroups"), b"", 0o007),
        ((), b"UMASK rubbish\n", 0o027),
        ((), b'UMASK="077"\n', 0o077),
    ],
)
def test_the_arguments_come_first_then_login_defs_then_what_was_there(arguments, login_defs, mask):
    assert pam_umask.applied(0o027, arguments, login_defs) == mask


@pytest.mark.parametrize(
    ("status", "mask"), [(b"Name:\tsshd\nUmask:\t0077\n", 0o077), (b"", None), (b"Umask:\n", None)]
)
def test_what_a_process_has(status, mask):
    assert pam_umask.of_process(status) == mask
