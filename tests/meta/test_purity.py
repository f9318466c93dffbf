"""Imports cannot show everything (open() is a builtin), CPython's audit events can: checks do no I/O."""

from __future__ import annotations

import sys

import pytest

from agent import checks, plan
from agent.settings import Settings
from tests.hosts import a_host, a_peer

FORBIDDEN = ("open", "os.", "subprocess.", "socket.", "shutil.", "tempfile.", "ctypes.")
_watching: list[str] = []


def _listen(event: str, _arguments: object) -> None:
    if _watching and event.startswith(FORBIDDEN):
        _watching.append(event)


sys.addaudithook(_listen)


def touched(function, *arguments):
    """The audit events of I/O that a call causes."""
    _watching[:] = ["watching"]
    try:
        function(*arguments)
        return _watching[1:]
    finally:
        _watching.clear()


HOSTS = [a_host(), a_host(account=None), a_host(peers=[a_peer("compute2")])]


@pytest.mark.parametrize("check", checks.catalogue(), ids=lambda check: check.id)
def test_a_check_touches_nothing(check):
    for host in HOSTS:
        assert touched(lambda host=host: list(check.evaluate(host, Settings()))) == []


def test_planning_touches_nothing():
    results = checks.evaluate(checks.catalogue(), HOSTS[0], Settings())
    assert touched(plan.make, results) == []


def test_the_watch_itself_sees_an_open():
    assert "open" in touched(lambda: open("/dev/null").close())
