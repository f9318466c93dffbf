"""Peers come, go and are reinstalled: trust follows their records and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab import oracle
from tests.lab.fleet import Fleet
from tests.lab.host import Host
from tests.lab.oracle import Outcome
from tests.lab.provision import (
    AUTHORIZED_KEYS,
    OUR_KNOWN_HOSTS,
    PEERS,
    Pair,
    Run,
    agent,
    converge,
    everywhere,
    explained,
    pairs_moved,
    pairs_ready,
    put_record,
    record,
    state,
    trust_of,
)

pytestmark = pytest.mark.lab

NAMES = ("compute1", "compute2", "compute3")
REINSTALLED = "compute3"
OTHERS = ("compute1", "compute2")
TO_REINSTALLED = tuple((name, REINSTALLED) for name in OTHERS)


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet(NAMES) as fleet:
        fleet.start_sshd()
        converge(fleet)
        yield fleet


@pytest.fixture(autouse=True)
def _explained(request: pytest.FixtureRequest, fleet: Fleet) -> Iterator[None]:
    before = request.session.testsfailed
    yield from explained(request, fleet)
    if request.session.testsfailed > before:  # the other tests begin where they expect to
        converge(fleet)


def new_host_keys(host: Host) -> bytes:
    """As a reinstalled host: other keys, sshd begun anew.  Returns one of the old ones."""
    old = host.read("/etc/ssh/ssh_host_ed25519_key.pub").split()[1]
    host.sh("rm /etc/ssh/ssh_host_*; ssh-keygen -A")
    host.stop_sshd()
    host.start_sshd()
    return old


def pick(row: dict[str, Any], *keys: str) -> tuple[object, ...]:
    return tuple(row[key] for key in keys)


def moved(fleet: Fleet, *pairs: Pair) -> dict[Pair, Outcome]:
    return {pair: oracle.migrate(fleet, *pair) for pair in pairs}


def assert_foretold(runs: dict[str, Run], outcomes: dict[Pair, Outcome]) -> None:
    said = pairs_ready(runs)
    assert {pair: said[pair] for pair in outcomes} == pairs_moved(outcomes), (runs, outcomes)


def trust(host: Host) -> list[str]:
    return state(host, OUR_KNOWN_HOSTS, AUTHORIZED_KEYS)


def test_a_changed_host_key_is_believed_only_from_the_record(fleet: Fleet) -> None:
    old = new_host_keys(fleet[REINSTALLED])
    _is_told_and_not_fixed(fleet)
    text = record(fleet[REINSTALLED])
    for host in fleet:
        put_record(host, REINSTALLED, text)
    _is_fixed(fleet, old)


def _is_told_and_not_fixed(fleet: Fleet) -> None:
    runs = everywhere(fleet)
    outcomes = moved(fleet, *TO_REINSTALLED, (REINSTALLED, "compute1"))
    assert_foretold(runs, outcomes)
    assert "record_stale" in runs[REINSTALLED].reasons(), runs[REINSTALLED]
    for name in OTHERS:
        assert outcomes[name, REINSTALLED].verdict == "R", outcomes
        row = runs[name].rows[REINSTALLED]
        said = pick(row, "outcome", "reason", "stage", "impact")
        assert said == ("fail", "host_key_changed", "host_key", "rollback"), runs[name]
        # A host is not blamed for its peers, unless it is asked to be.
        assert (row["side"], runs[name].status) == ("inventory", 0), runs[name]
        assert agent(fleet[name], "--strict").status == 1, runs[name]
        before = trust(fleet[name])
        fixed = agent(fleet[name], "--fix")
        assert (fixed.applied, trust(fleet[name])) == ([], before), fixed
        assert fixed.rows[REINSTALLED]["reason"] == "host_key_changed", fixed


def _is_fixed(fleet: Fleet, old: bytes) -> None:
    for name in OTHERS:
        informed = agent(fleet[name])
        assert informed.about("host_key_changed") or informed.about("known_hosts_outdated"), (
            informed
        )
        assert pick(informed.rows[REINSTALLED], "reason", "side") == ("host_key_changed", "here")
        assert informed.status == 1, informed
        fixed = agent(fleet[name], "--fix")
        assert fixed.status == 0, fixed
        assert old not in trust_of(fleet[name]), fixed
    runs = everywhere(fleet)
    outcomes = moved(fleet, *TO_REINSTALLED, (REINSTALLED, "compute1"))
    assert {outcome.verdict for outcome in outcomes.values()} == {"OK"}, (outcomes, runs)
    assert_foretold(runs, outcomes)


def test_a_record_that_is_gone_withdraws_nothing(fleet: Fleet) -> None:
    host = fleet["compute1"]
    kept = host.read(f"{PEERS}/compute2.yaml")
    before = trust(host)
    host.sh(f"rm {PEERS}/compute2.yaml")
    try:
        run = agent(host, "--fix")
        assert (run.status, run.applied, trust(host)) == (0, [], before), run
        assert "compute2" not in run.rows, run
        assert oracle.migrate(fleet, "compute2", "compute1").verdict == "OK", run
    finally:
        put_record(host, "compute2", kept)


def test_a_tombstone_withdraws_our_lines_and_no_others(fleet: Fleet) -> None:
    host, gone = fleet["compute1"], fleet["compute2"]
    kept = host.read(f"{PEERS}/{gone.name}.yaml")
    put_record(host, gone.name, f"schema: 1\nname: {gone.name}\nstate: absent\n")
    try:
        run = agent(host, "--fix")
        _is_withdrawn(fleet, host, gone, run)
    finally:
        put_record(host, gone.name, kept)
    back = agent(host, "--fix")
    outcomes = moved(fleet, (host.name, gone.name), (gone.name, host.name))
    assert (back.status, {o.verdict for o in outcomes.values()}) == (0, {"OK"}), (back, outcomes)


def test_a_host_without_record_is_withdrawn_on_request(fleet: Fleet) -> None:
    host, gone = fleet["compute1"], fleet["compute2"]
    kept = host.read(f"{PEERS}/{gone.name}.yaml")
    host.sh(f"rm {PEERS}/{gone.name}.yaml")
    before = trust(host)
    try:
        dry = host.agent("--fix", "--prune", "--dry-run", "--diff")
        assert dry.returncode == 4 and f"resize-agent:{gone.name}" in dry.stdout, dry
        put_record(host, "broken", "schema: [\n")
        refused = host.agent("--fix", "--prune")
        assert (refused.returncode, trust(host)) == (2, before), refused
        assert "broken.yaml:" in refused.stderr and "Traceback" not in refused.stderr
        host.sh(f"rm {PEERS}/broken.yaml")
        run = agent(host, "--fix", "--prune")
        assert len(run.applied) == 2 and run.steps == [], run
        _is_withdrawn(fleet, host, gone, run)
    finally:
        put_record(host, gone.name, kept)
    assert agent(host, "--fix").status == 0


def _is_withdrawn(fleet: Fleet, host: Host, gone: Host, run: Run) -> None:
    assert run.status == 0, run
    ours = host.read(OUR_KNOWN_HOSTS)
    assert gone.address.encode() not in ours and gone.name.encode() not in ours, run
    assert fleet[REINSTALLED].address.encode() in ours, run
    assert gone.name not in run.rows, run
    runs = everywhere(fleet)
    outcomes = moved(fleet, (host.name, gone.name), (gone.name, host.name))
    assert outcomes[host.name, gone.name].verdict == "R", outcomes
    assert outcomes[gone.name, host.name].verdict == "R", outcomes
    assert_foretold(runs, outcomes)
    assert agent(host, "--fix").applied == [], run
