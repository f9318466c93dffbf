"""Where the arrows are joined: which peers have their turn, and what is judged anew."""

from __future__ import annotations

from dataclasses import replace

from agent import checks, pipeline, probes, verdict
from agent.exit_status import CANNOT_TELL, READY, status
from agent.host import Host
from agent.looked import Dialled, Looked, weighed, with_dials
from agent.model import Outcome
from agent.pipeline import Request
from agent.settings import Settings
from tests.hosts import a_host, a_peer, an_attempt

WANT = Settings()
ALL = Request(checks=checks.catalogue())
PEERS = [a_peer(f"compute{n}") for n in (2, 3)]


def a_look(**changes: object) -> Looked:
    snapshot = a_host(peers=PEERS, **changes)
    return weighed(Looked(snapshot, tuple(PEERS)), WANT, {})


def test_what_the_checks_said_is_used_again_where_only_peers_were_dialled() -> None:
    seen = a_look()
    dialled = Dialled((an_attempt(name="compute2"),), seen.snapshot.self_dials)
    after = with_dials(seen, dialled)
    assert after.judged == seen.judged
    anew = checks.evaluate(checks.catalogue(), after.snapshot, WANT)
    report = pipeline.report(Host(), WANT, ALL, 0.0, after)
    assert report.results == verdict.settle(anew, after.snapshot)


def test_a_new_dial_to_itself_is_judged_anew() -> None:
    refused = an_attempt(name="compute1", stage="auth", reason="permission_denied", passed=())
    after = with_dials(a_look(), Dialled((), (refused,)))
    assert after.judged == ()
    report = pipeline.report(Host(), WANT, ALL, 0.0, after)
    assert report.ready is False


def test_a_check_that_was_left_out_is_not_in_the_report() -> None:
    one = Request(checks=tuple(c for c in checks.catalogue() if c.id == "room"))
    report = pipeline.report(Host(), WANT, one, 0.0, a_look())
    assert [result.check.id for result in report.results] == ["room"]


def test_the_turn_goes_to_the_untried_then_the_failing_then_the_oldest() -> None:
    peers = [a_peer(f"compute{n}") for n in (2, 3, 4, 5)]
    seen = Looked(a_host(peers=peers), tuple(peers))
    good = an_attempt(name="compute3")
    bad = an_attempt(name="compute4", stage="auth", reason="permission_denied")
    kept = {each.name: probes.Kept(each, "") for each in (good, bad)}
    chosen = pipeline._chosen(seen, WANT, ALL, kept)
    assert [r.name for r in chosen] == ["compute2", "compute5", "compute4", "compute3"]


def test_peers_that_are_ignored_are_not_missed() -> None:
    """Two hosts, the other one in maintenance: nobody is left to dial, and this host alone decides."""
    ignoring = Settings(peers_ignore=("compute2", "compute3"))
    seen = weighed(Looked(a_host(peers=PEERS), ()), ignoring, {})
    report = pipeline.report(Host(), ignoring, ALL, 0.0, seen)
    assert [row.outcome for row in report.peers] == [Outcome.SKIP, Outcome.SKIP]
    assert report.ready is True and status(report) == READY


def test_a_peer_that_is_not_ignored_is_missed_until_it_has_been_dialled() -> None:
    ignoring = Settings(peers_ignore=("compute2",))
    seen = weighed(Looked(a_host(peers=PEERS), tuple(PEERS[1:])), ignoring, {})
    report = pipeline.report(Host(), ignoring, ALL, 0.0, seen)
    assert report.ready is False and status(report) == CANNOT_TELL


def test_a_peer_in_maintenance_is_not_dialled_by_name_either() -> None:
    ignoring = Settings(peers_ignore=("compute2",))
    by_name = replace(ALL, peer="compute2")
    assert pipeline._chosen(a_look(), ignoring, by_name, {}) == ()
    assert [r.name for r in pipeline._chosen(a_look(), WANT, by_name, {})] == ["compute2"]
