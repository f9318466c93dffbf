"""What is trusted without a record is told, with its lines, and left alone."""

from __future__ import annotations

import pytest

from agent.checks.wide_trust import CHECK
from agent.model import Finding, Outcome
from agent.settings import Settings
from tests.hosts import KEYS, SSH, a_file, a_host, a_key, a_peer, novas

KNOWN = SSH / "known_hosts"


def judged(**changes: object) -> list[Finding]:
    return list(CHECK.evaluate(a_host(**changes), Settings()))  # type: ignore[arg-type]


def told(*findings: Finding) -> list[tuple[Outcome, str, str]]:
    return [(f.outcome, f.reason, f.message) for f in findings if f.outcome is not Outcome.PASS]


def test_a_host_that_trusts_its_records_passes() -> None:
    assert [f.outcome for f in judged()] == [Outcome.PASS]


@pytest.mark.parametrize("pattern", ["*", "compute?", "*.example.org", "compute2,10.100.0.*"])
def test_a_host_key_for_a_pattern_is_told(pattern: str) -> None:
    text = f"# one\n{pattern} {a_key('x').line}\n".encode()
    (found,) = told(*judged(files={KNOWN: novas(text)}))
    assert found[:2] == (Outcome.WARN, "wildcard_host_key")
    assert f"{KNOWN}: line 2 " in found[2]


@pytest.mark.parametrize("line", ["@cert-authority *.example.org", "@revoked *", "compute2"])
def test_what_is_wide_by_its_nature_is_fine(line: str) -> None:
    text = f"{line} {a_key('x').line}\n".encode()
    assert told(*judged(files={KNOWN: novas(text)})) == []


def test_a_key_that_no_record_names_is_told() -> None:
    own = a_host().file(KEYS)
    text = (own.content or b"") + f"restrict {a_key('stranger').line} me@home\n".encode()  # type: ignore[union-attr]
    (found,) = told(*judged(files={KEYS: novas(text)}))
    assert found[:2] == (Outcome.WARN, "surplus_key")
    assert f"{KEYS}: line 3 " in found[2]


def test_a_foreign_line_with_the_key_of_a_peer_is_no_surplus() -> None:
    text = f"{a_key('nova@compute2').line} by hand\n".encode()
    assert told(*judged(files={KEYS: novas(text)})) == []


@pytest.mark.parametrize("peers", [(), (a_peer("compute2", user_keys=()),)])
def test_without_records_nobody_can_say_what_is_surplus(peers: tuple[object, ...]) -> None:
    text = f"{a_key('stranger').line}\n".encode()
    assert told(*judged(peers=peers, files={KEYS: novas(text)})) == []


def test_our_own_line_of_a_host_whose_record_is_missing_is_no_surplus() -> None:
    from agent.formats.authorized_keys import entry_line

    text = entry_line("compute9", a_key("nova@compute9")) + b"\n"
    assert told(*judged(files={KEYS: novas(text)})) == []


def test_a_key_without_restrict_is_reported() -> None:
    """By the check of the key lists; a restricted one of a peer is not."""
    from agent.checks import authorized_keys

    text = f"{a_key('nova@compute2').line} by hand\nrestrict {a_key('x').line}\n".encode()
    found = told(*authorized_keys.CHECK.evaluate(a_host(files={KEYS: novas(text)}), Settings()))
    said = [f for f in found if f[1] == "unrestricted_key"]
    assert len(said) == 1 and said[0][0] is Outcome.WARN and "line 1" in said[0][2]


def test_a_file_that_everybody_reads_is_looked_at_too() -> None:
    from pathlib import PurePosixPath

    path = PurePosixPath("/etc/ssh/ssh_known_hosts")
    text = f"* {a_key('x').line}\n".encode()
    assert [f[1] for f in told(*judged(files={path: a_file(text)}))] == ["wildcard_host_key"]
