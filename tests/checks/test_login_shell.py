from dataclasses import replace

import pytest

from agent.checks.login_shell import CHECK
from agent.model import Absent, Kind, Outcome, SetShell, Unreadable
from agent.settings import Settings
from tests.hosts import NOVA, P, a_directory, a_file, a_host

BASH = P("/bin/bash")


def evaluate(shell, seen, **changes):
    files = {P(shell): seen, **changes.pop("files", {})}
    host = a_host(account=replace(NOVA, shell=P(shell)), files=files, **changes)
    [finding] = CHECK.evaluate(host, Settings())
    return finding


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh", "/opt/mysh", "/usr/bin/zsh"])
def test_any_program_that_is_no_refuser_passes(shell):
    assert evaluate(shell, a_file(mode=0o755)).outcome is Outcome.PASS


def test_an_empty_field_means_sh():
    assert evaluate("", a_file()).outcome is Outcome.PASS


@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/bin/false", "/bin/true", "/bin/sync"])
def test_a_refuser_is_replaced(shell):
    finding = evaluate(shell, a_file(mode=0o755))
    assert (finding.outcome, finding.reason) == (Outcome.FAIL, "shell_refuses_commands")
    assert finding.fix == (SetShell("nova", BASH, P(shell)),)
    assert finding.message == (
        f"login shell is {shell}, expected one that runs commands such as /bin/bash"
    )


def test_a_link_to_a_refuser_is_one():
    seen = a_file(mode=0o755, real=P("/bin/false"))
    assert evaluate("/opt/sh", seen).reason == "shell_refuses_commands"


def test_a_missing_shell_is_replaced():
    finding = evaluate("/bin/nosuch", Absent())
    assert finding.reason == "shell_missing" and finding.fix


def test_a_carriage_return_shows_in_the_message():
    assert r"/bin/bash\r" in evaluate("/bin/bash\r", Absent()).message


@pytest.mark.parametrize("seen", [a_file(), a_directory(), a_file(kind=Kind.OTHER, mode=0o777)])
def test_what_cannot_be_executed_is_replaced(seen):
    assert evaluate("/opt/sh", seen).reason == "shell_not_executable"


def test_sh_stands_in_where_there_is_no_bash():
    finding = evaluate("/bin/false", a_file(mode=0o755), files={BASH: Absent()})
    assert finding.fix == (SetShell("nova", P("/bin/sh"), P("/bin/false")),)


@pytest.mark.parametrize("password", [{"usable": True}, Absent(), Unreadable("denied")])
def test_an_account_that_may_have_a_password_is_not_opened(password):
    finding = evaluate("/bin/false", a_file(mode=0o755), password=password)
    assert finding.fix == ()
    assert "usermod --shell /bin/bash nova" in finding.remedy


def test_not_knowing_is_not_failing():
    assert evaluate("/opt/sh", Unreadable("stale handle")).outcome is Outcome.UNKNOWN


def test_two_lines_of_one_name_are_for_people_because_usermod_refuses():
    shell = P("/usr/sbin/nologin")
    host = a_host(account=replace(NOVA, shell=shell, lines=2), files={shell: a_file(mode=0o755)})
    [finding] = CHECK.evaluate(host, Settings())
    assert (finding.outcome, finding.fix) == (Outcome.FAIL, ())
    assert "remove the duplicate line" in finding.remedy
