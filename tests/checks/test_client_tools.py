import pytest

from agent.checks.client_tools import CHECK
from agent.model import Absent, Outcome, Tool
from agent.settings import Settings
from tests.hosts import P, a_host


def outcomes(tools=(), **changes):
    healthy = a_host().tools
    host = a_host(tools={**healthy, **{t.name: t for t in tools}}, **changes)
    return {f.subject: f.outcome for f in CHECK.evaluate(host, Settings())}


def test_ssh_and_scp_pass():
    assert outcomes() == {"ssh": Outcome.PASS, "scp": Outcome.PASS}


@pytest.mark.parametrize("name", ["ssh", "scp"])
def test_a_missing_or_closed_program_fails(name):
    assert outcomes([Tool(name, Absent())])[name] is Outcome.FAIL
    assert outcomes([Tool(name, P("/usr/bin/x"), executable=False)])[name] is Outcome.FAIL


def test_the_transport_decides_which_copier():
    lacking = [Tool("scp", Absent())]
    assert outcomes(lacking, nova={"transport": "rsync"}) == {
        "ssh": Outcome.PASS,
        "rsync": Outcome.PASS,
    }


def test_not_knowing_is_not_failing():
    found = CHECK.evaluate(a_host(tools={}), Settings())
    assert {f.outcome for f in found} == {Outcome.UNKNOWN}
