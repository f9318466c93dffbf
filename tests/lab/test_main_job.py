"""Three hosts as Debian ships them become a fleet in which every resize works; Nova is the judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from tests.lab import oracle
from tests.lab.fleet import Fleet
from tests.lab.host import Host
from tests.lab.oracle import Outcome
from tests.lab.provision import (
    OUR_CLIENT_CONFIG,
    OUR_KNOWN_HOSTS,
    PEERS,
    Pair,
    Run,
    agent,
    assert_valid,
    changed,
    everywhere,
    explained,
    hand_round,
    on_each,
    pairs_moved,
    pairs_ready,
    record,
    state,
)

pytestmark = pytest.mark.lab

NAMES = ("compute1", "compute2", "compute3")
SHUT = "compute2"
"""The one whose nova account cannot run commands to begin with."""
TREES = ("/etc", "/var/lib", "/root", "/run/lock")


@dataclass(repr=False)
class Story:
    """What the agent and Nova said at each point, in the order of an operator's work."""

    fleet: Fleet
    raw: Mapping[str, Run] = field(default_factory=dict)
    informed: Mapping[str, Run] = field(default_factory=dict)
    before: Mapping[Pair, Outcome] = field(default_factory=dict)
    dry: Mapping[str, Run] = field(default_factory=dict)
    shown: Mapping[str, str] = field(default_factory=dict)
    touched: Mapping[str, list[str]] = field(default_factory=dict)
    first_fix: Mapping[str, Run] = field(default_factory=dict)
    between: Mapping[Pair, Outcome] = field(default_factory=dict)
    half_way: Mapping[str, Run] = field(default_factory=dict)
    second_dry: Mapping[str, Run] = field(default_factory=dict)
    second_fix: Mapping[str, Run] = field(default_factory=dict)
    after: Mapping[Pair, Outcome] = field(default_factory=dict)
    final: Mapping[str, Run] = field(default_factory=dict)
    third_fix: Mapping[str, Run] = field(default_factory=dict)
    disturbed: Mapping[str, list[str]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with Fleet(NAMES) as fleet:
        fleet.start_sshd()
        fleet[SHUT].sh("usermod --shell /usr/sbin/nologin nova")
        told = Story(fleet)
        _up_to_the_first_fix(fleet, told)
        _to_the_end(fleet, told)
        yield told


def _up_to_the_first_fix(fleet: Fleet, told: Story) -> None:
    told.raw = everywhere(fleet)
    hand_round(fleet)
    told.informed = everywhere(fleet)
    told.before = oracle.migrate_all(fleet)
    trees = on_each(fleet, _trees)
    told.dry = everywhere(fleet, "--fix", "--dry-run")
    shown = on_each(fleet, lambda host: host.agent("--fix", "--dry-run", "--diff"))
    told.shown = {name: result.stdout for name, result in shown.items()}
    told.touched = {host.name: changed(trees[host.name], _trees(host)) for host in fleet}
    told.first_fix = everywhere(fleet, "--fix")


def _to_the_end(fleet: Fleet, told: Story) -> None:
    told.half_way = everywhere(fleet)
    told.between = oracle.migrate_all(fleet)
    hand_round(fleet)
    told.second_dry = everywhere(fleet, "--fix", "--dry-run")
    told.second_fix = everywhere(fleet, "--fix")
    told.after = oracle.migrate_all(fleet)
    told.final = everywhere(fleet)
    trees = on_each(fleet, _trees)
    told.third_fix = everywhere(fleet, "--fix")
    told.disturbed = {host.name: changed(trees[host.name], _trees(host)) for host in fleet}


def _trees(host: Host) -> list[str]:
    return state(host, *TREES)


@pytest.fixture(autouse=True)
def _explained(request: pytest.FixtureRequest, story: Story) -> Iterator[None]:
    yield from explained(request, story.fleet)


@pytest.mark.parametrize("name", NAMES)
def test_a_raw_host_is_not_ready_and_says_what_is_missing(story: Story, name: str) -> None:
    run = story.raw[name]
    assert run.status == 1, run
    assert run.report["ready"] is False, run
    assert {"no_identity", "no_peers", "no_key_accepted"} <= run.reasons(), run


def test_the_shell_is_blamed_only_where_it_refuses_commands(story: Story) -> None:
    refusing = {name for name, run in story.raw.items() if run.about("shell_refuses_commands")}
    assert refusing == {SHUT}, story.raw
    assert story.raw[SHUT].report["roles"]["destination"]["ready"] is False, story.raw


@pytest.mark.parametrize("name", NAMES)
def test_a_peer_that_is_known_by_record_only_has_an_unknown_host_key(
    story: Story, name: str
) -> None:
    run = story.informed[name]
    others = set(NAMES) - {name}
    assert run.status == 1, run
    assert {f["peer"] for f in run.about("host_key_unknown")} == others, run
    assert {n: r["reason"] for n, r in run.rows.items()} == dict.fromkeys(
        others, "host_key_unknown"
    ), run
    assert {row["impact"] for row in run.rows.values()} == {"rollback"}, run
    assert "no_peers" not in run.reasons(), run


def test_before_the_fix_nova_rolls_every_resize_back_as_foretold(story: Story) -> None:
    assert {outcome.verdict for outcome in story.before.values()} == {"R"}, story.before
    assert pairs_ready(story.informed) == pairs_moved(story.before), story.informed


@pytest.mark.parametrize("name", NAMES)
def test_a_dry_run_that_finds_work_ends_with_4_and_touches_nothing(story: Story, name: str) -> None:
    run = story.dry[name]
    assert run.status == 4, run
    assert run.report["applied"] == [], run
    assert story.touched[name] == []


@pytest.mark.parametrize("name", NAMES)
def test_what_was_shown_is_what_was_done(story: Story, name: str) -> None:
    for dry, fixed in ((story.dry, story.first_fix), (story.second_dry, story.second_fix)):
        assert [(*step, "done") for step in dry[name].steps] == fixed[name].applied, (
            dry[name],
            fixed[name],
        )


@pytest.mark.parametrize("name", NAMES)
def test_the_shown_text_is_the_written_text(story: Story, name: str) -> None:
    """Host keys are all known from the records at that point, so the later files hold the same."""
    shown = [line.strip() for line in story.shown[name].splitlines()]
    added = {
        line[1:].strip() for line in shown if line.startswith("+") and not line.startswith("+++")
    }
    for path in (OUR_KNOWN_HOSTS, OUR_CLIENT_CONFIG):
        written = story.fleet[name].read(path).decode().splitlines()
        assert written and {line.strip() for line in written if line.strip()} <= added, shown


@pytest.mark.parametrize("name", NAMES)
def test_every_step_names_a_finding_that_asked_for_it(story: Story, name: str) -> None:
    steps = story.dry[name].report["plan"]["steps"]
    assert steps
    assert all(step["because"] for step in steps), story.dry[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_fix_succeeds_though_the_peers_do_not_accept_us_yet(story: Story, name: str) -> None:
    run = story.first_fix[name]
    assert run.status == 0, run
    assert {row["outcome"] for row in run.rows.values()} == {"fail"}, run
    assert {row["side"] for row in run.rows.values()} == {"peer"}, run


@pytest.mark.parametrize("name", NAMES)
def test_the_plain_check_still_says_not_ready_half_way(story: Story, name: str) -> None:
    assert story.half_way[name].status == 1, story.half_way[name]


def test_half_way_the_word_equals_novas_experience(story: Story) -> None:
    assert pairs_ready(story.half_way) == pairs_moved(story.between), story.half_way


def test_in_the_end_nova_moves_every_disk_and_the_agent_said_so(story: Story) -> None:
    assert {outcome.verdict for outcome in story.after.values()} == {"OK"}, story.after
    assert len(story.after) == 6
    assert pairs_ready(story.final) == pairs_moved(story.after), story.final


@pytest.mark.parametrize("name", NAMES)
def test_a_ready_host_ends_with_0(story: Story, name: str) -> None:
    assert (story.second_fix[name].status, story.final[name].status) == (0, 0), story.final[name]
    assert story.final[name].report["ready"] is True, story.final[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_ready_host_has_nothing_to_complain_about(story: Story, name: str) -> None:
    assert story.final[name].reasons() == set(), story.final[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_second_fix_changes_nothing(story: Story, name: str) -> None:
    run = story.third_fix[name]
    assert (run.status, run.report["applied"]) == (0, []), run
    assert story.disturbed[name] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_dry_run_without_work_ends_with_0(story: Story, name: str) -> None:
    run = agent(story.fleet[name], "--fix", "--dry-run")
    assert (run.status, run.steps) == (0, []), run


# design of the report: every key is always there.
FINDING = "subject peer outcome reason side impact message remedy fixable".split()
ROW = "name address outcome stage reason side impact message checked_at seconds".split()
REPORT = (
    "schema_version tool host scope taken_at valid_until duration_seconds ready interrupted"
    " roles summary checks peers plan applied"
).split()


@pytest.mark.parametrize(
    "chapter", ["raw", "informed", "dry", "first_fix", "half_way", "second_fix", "final"]
)
def test_every_report_is_valid_and_complete(story: Story, chapter: str) -> None:
    for run in getattr(story, chapter).values():
        report = run.report
        assert_valid(report)
        assert set(REPORT) <= set(report), run
        assert {"source", "destination"} == set(report["roles"]), run
        assert {"pass", "warn", "fail", "unknown", "skip"} == set(report["summary"]), run
        assert sum(report["summary"].values()) == len(report["checks"]), run
        assert all(set(FINDING) < set(found) for found in run.findings), run
        assert all(set(ROW) <= set(row) for row in report["peers"]), run
        assert all({"id", "role", "outcome"} < set(check) for check in report["checks"]), run


@pytest.mark.parametrize("name", NAMES)
def test_every_applied_step_left_one_line_in_the_log(story: Story, name: str) -> None:
    log = [line for line in story.fleet[name].log().splitlines() if "resize-agent" in line]
    done = [step[0] for run in (story.first_fix, story.second_fix) for step in run[name].applied]
    assert len([line for line in log if " because " in line]) == len(done), log
    assert all(sum(action in line for line in log) == 1 for action in done), (log, done)


@pytest.mark.parametrize("name", NAMES)
def test_checks_and_fixes_leave_no_litter(story: Story, name: str) -> None:
    host = story.fleet[name]
    assert host.sh("ls -A /var/lib/nova/instances /tmp /var/tmp").stdout.split() == [
        "/tmp:",
        "/var/lib/nova/instances:",
        "/var/tmp:",
    ]
    names = host.sh("ls -A /var/lib/nova/.ssh").stdout.split()
    assert names == ["authorized_keys", "id_ed25519", "id_ed25519.pub"]


@pytest.mark.parametrize("name", NAMES)
def test_no_private_key_leaves_its_file(story: Story, name: str) -> None:
    host = story.fleet[name]
    secret = host.read("/var/lib/nova/.ssh/id_ed25519").split(b"\n")[2].decode()
    told = [story.first_fix[name].stdout, story.second_fix[name].stdout, story.final[name].stdout]
    assert all(secret not in text for text in (*told, host.log(), record(host)))
    assert host.sh(f"grep -rF {secret} /var/lib/resize-agent /etc", check=False).stdout == ""


@pytest.mark.parametrize("name", NAMES)
def test_a_record_changes_only_with_what_it_says(story: Story, name: str) -> None:
    host = story.fleet[name]
    assert record(host) == host.read(f"{PEERS}/{name}.yaml").decode()
