from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath as P

import pytest

from agent.checks.planted_links import CHECK
from agent.model import Absent, Identity, Outcome
from agent.settings import Settings
from tests.hosts import a_directory, a_file, a_host, a_key, novas

SSH = P("/var/lib/nova/.ssh")
KEYS = SSH / "authorized_keys"


def evaluate(**changes):
    return [(f.subject, f.outcome, f.reason) for f in CHECK.evaluate(a_host(**changes), Settings())]


def test_plain_files_pass():
    assert [outcome for _, outcome, _ in evaluate()] == [Outcome.PASS]


def test_a_link_to_a_file_is_named():
    linked = replace(a_file(), real=P("/etc/victim"))
    assert evaluate(files={KEYS: linked}) == [(str(KEYS), Outcome.WARN, "planted_link")]


def test_a_link_to_nothing_is_named_too():
    assert evaluate(files={KEYS: Absent("/etc/victim")}) == [
        (str(KEYS), Outcome.WARN, "planted_link")
    ]


@pytest.mark.parametrize("seen", [replace(a_file(), real=P("/etc/victim")), Absent("/etc/victim")])
def test_a_link_in_the_place_of_a_public_half_is_named(seen):
    """A stale one would be rewritten."""
    key = Identity(SSH / "id_rsa", novas(), a_key("rsa"), Absent())
    found = evaluate(identities=(key,), files={SSH / "id_rsa.pub": seen})
    assert found == [(str(SSH / "id_rsa.pub"), Outcome.WARN, "planted_link")]


def test_a_directory_behind_a_link_is_named_for_what_lies_in_it():
    linked = replace(a_directory(), real=P("/root"))
    found = evaluate(files={SSH: linked, KEYS: Absent()})
    assert (str(SSH), Outcome.WARN, "planted_link") in found


def test_a_home_that_is_itself_behind_a_link_of_roots_is_fine():
    home = replace(a_directory(), real=P("/data/nova"))
    files = {
        P("/var/lib/nova"): home,
        SSH: replace(a_directory(), real=P("/data/nova/.ssh")),
        KEYS: replace(a_file(), real=P("/data/nova/.ssh/authorized_keys")),
    }
    assert [outcome for _, outcome, _ in evaluate(files=files)] == [Outcome.PASS]


def test_without_an_account_there_is_nothing_to_look_at():
    assert [outcome for _, outcome, _ in evaluate(account=Absent())] == [Outcome.SKIP]
