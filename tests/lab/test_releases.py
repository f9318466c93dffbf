"""The other releases of Debian: older and newer Python, OpenSSH and Nova than the lab's usual."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import oracle
from tests.lab.conftest import MakeFleet
from tests.lab.provision import (
    agent,
    assert_valid,
    converge,
    everywhere,
    pair_ready,
    pairs_moved,
    pairs_ready,
)
from tests.lab.scenarios import releases
from tests.lab.scenarios.__main__ import detail, line
from tests.lab.scenarios.judge import GOOD
from tests.lab.scenarios.runner import Bench, bench, run_one
from tests.lab.scenarios.table import FAULTS
from tests.lab.sources import sources_for
from tests.lab.tree import SUITE, SUITES, key

OTHERS = tuple(suite for suite in SUITES if suite != SUITE)
OWN = """\
Types: deb
# as it was on some day
URIs: http://mirror.example.org/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb-src
URIs: http://mirror.example.org/debian
Suites: bookworm
Components: main

Types: deb
URIs: https://vendor.example.org/apt
Suites: vendor-bookworm
Components: main
"""
ONE_LINE = """\
# deb http://mirror.example.org/old bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://mirror.example.org/debian bookworm main contrib # ours
deb-src http://mirror.example.org/debian bookworm main
deb http://mirror.example.org/debian-security bookworm-security main
deb http://vendor.example.org/apt stable main
"""


def _apt(root: Path, name: str, text: str) -> Path:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return root


def test_each_release_has_a_tree_of_its_own() -> None:
    assert len({key(suite) for suite in SUITES}) == len(SUITES)
    assert key() == key(SUITE)


def test_only_the_suites_of_the_machines_own_sources_are_renamed(tmp_path: Path) -> None:
    apt = _apt(tmp_path, "sources.list.d/debian.sources", OWN)
    assert sources_for("trixie", "bookworm", apt) == (
        "Types: deb\n"
        "URIs: http://mirror.example.org/debian\n"
        "Suites: trixie trixie-updates\n"
        "Components: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )


def test_a_source_in_the_one_line_style_is_understood(tmp_path: Path) -> None:
    apt = _apt(tmp_path, "sources.list", ONE_LINE)
    assert sources_for("trixie", "bookworm", apt) == (
        "Types: deb\n"
        "URIs: http://mirror.example.org/debian\n"
        "Suites: trixie\n"
        "Components: main contrib\n"
        "Signed-By: /k.gpg\n"
        "\n"
        "Types: deb\n"
        "URIs: http://mirror.example.org/debian-security\n"
        "Suites: trixie-security\n"
        "Components: main\n"
    )


def test_what_is_no_longer_complete_is_left_out(tmp_path: Path) -> None:
    apt = _apt(tmp_path, "sources.list", ONE_LINE)
    assert "bullseye-security" not in sources_for("bullseye", "bookworm", apt)
    assert "Suites: bullseye\n" in sources_for("bullseye", "bookworm", apt)


def test_a_disabled_source_is_not_used(tmp_path: Path) -> None:
    apt = _apt(tmp_path, "sources.list.d/debian.sources", f"Enabled: no\n{OWN}")
    assert sources_for("trixie", "bookworm", apt) == ""


def test_a_machine_without_debian_has_no_sources_for_one(tmp_path: Path) -> None:
    apt = _apt(tmp_path, "sources.list", "deb http://archive.example.org/ubuntu noble main\n")
    assert sources_for("trixie", "noble-like", apt) == ""


def test_every_chosen_row_is_in_the_table() -> None:
    assert not releases.CHOSEN - {fault.name for fault in FAULTS}


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.parametrize("suite", OTHERS)
def test_from_packages_to_every_pair_ready(make_fleet: MakeFleet, suite: str) -> None:
    fleet = make_fleet("compute1", "compute2", "compute3", suite=suite)
    fleet.start_sshd()
    converge(fleet)
    runs = everywhere(fleet)
    for run in runs.values():
        assert run.status == 0, run
        assert_valid(run.report)
        assert not run.reasons("fail", "unknown"), run
        assert run.steps == [], run
    outcomes = oracle.migrate_all(fleet)
    assert all(pairs_moved(outcomes).values()), outcomes
    assert pairs_ready(runs) == pairs_moved(outcomes)


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.parametrize("suite", OTHERS)
def test_drift_is_seen_and_repaired(make_fleet: MakeFleet, suite: str) -> None:
    fleet = make_fleet("compute1", "compute2", suite=suite)
    fleet.start_sshd()
    converge(fleet)
    host = fleet["compute2"]
    host.sh("usermod -s /usr/sbin/nologin nova; sed -i '/compute1/d' ~nova/.ssh/authorized_keys")
    broken = {host.name: agent(host) for host in fleet}
    assert oracle.migrate(fleet, "compute1", "compute2").verdict == "R"
    assert not pair_ready(broken["compute1"], broken["compute2"]), broken
    assert {"shell_refuses_commands", "key_not_accepted"} & broken["compute2"].reasons("fail")
    repaired = agent(host, "--fix")
    assert repaired.status == 0, repaired
    assert oracle.migrate(fleet, "compute1", "compute2").verdict == "OK"
    assert pair_ready(agent(fleet["compute1"]), repaired)


@pytest.fixture(scope="module", params=OTHERS)
def shared(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with bench(request.param) as made:
        yield made


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.scenario
@pytest.mark.parametrize("name", sorted(releases.CHOSEN))
def test_the_agents_word_is_that_of_the_releases_own_nova(shared: Bench, name: str) -> None:
    if name not in releases.chosen(shared.nova.suite):
        pytest.skip(f"{name} cannot be made on {shared.nova.suite}")
    fault = next(fault for fault in FAULTS if fault.name == name)
    result = run_one(shared, releases.on(shared.nova.suite, fault), "by-hand")
    assert result.verdict in GOOD, f"{line(result)}\n{detail(result)}"
