from __future__ import annotations

from agent.checks.reverse_pull import CHECK
from agent.model import Outcome, frozen
from agent.settings import Settings
from tests.hosts import a_host


def evaluate(want=None, **resolved):
    host = a_host(resolved=frozen(resolved))
    return [(f.outcome, f.reason, f.peer) for f in CHECK.evaluate(host, want or Settings())]


def test_names_that_resolve_pass():
    assert evaluate(compute2=True) == [(Outcome.PASS, None, None)]


def test_a_name_that_does_not_is_a_warning_about_that_peer():
    found = evaluate(compute2=True, compute3=False)
    assert found == [(Outcome.WARN, "name_missing", "compute3")]


def test_an_ignored_peer_is_not_spoken_of():
    assert evaluate(Settings(peers_ignore=("compute3",)), compute3=False) == []


def test_without_dials_nobody_was_asked():
    assert evaluate() == [(Outcome.SKIP, None, None)]
