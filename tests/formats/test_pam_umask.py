import pytest

from agent.formats import pam_umask

DEFS = b"# UMASK 077\nUMASK\t\t022\nUSERGROUPS_ENAB yes\n"


@pytest.mark.parametrize(
    ("arguments", "files", "mask"),
    [
        ((), [], 0o027),
        ((), [b"", b""], 0o027),
        ((), [DEFS], 0o022),
        ((), [DEFS, b"UMASK=077"], 0o022),
        ((), [b"", b"umask=077\n"], 0o077),
        (("umask=0077",), [DEFS], 0o077),
        (("UMASK=0077", "umask=022"), [DEFS], 0o022),
        (("umask=rubbish",), [DEFS], 0o027),
        (("umask=1000",), [DEFS], 0),
        (("usergroups",), [DEFS], 0o002),
        (("usergroups",), [], 0o007),
        (("umask=077", "UserGroups"), [], 0o007),
        (("usergroups", "nousergroups"), [DEFS], 0o022),
        ((), [b"UMASK rubbish\n"], 0o027),
    ],
)
def test_the_arguments_come_first_then_the_files_then_what_was_there(arguments, files, mask):
    assert pam_umask.applied(0o027, arguments, files, own=True) == mask


def test_a_group_of_another_name_gets_nothing():
    assert pam_umask.applied(0o077, ("usergroups",), [], own=False) == 0o077


@pytest.mark.parametrize(
    ("status", "mask"), [(b"Name:\tsshd\nUmask:\t0077\n", 0o077), (b"", None), (b"Umask:\n", None)]
)
def test_what_a_process_has(status, mask):
    assert pam_umask.of_process(status) == mask
