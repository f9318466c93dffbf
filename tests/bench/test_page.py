"""docs/benchmarks.md from figures that are given here: what each part says of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench import (
    daemon,
    dials,
    exporter,
    local_check,
    log_reading,
    one_write,
    page,
    records,
    thirty_hosts,
)
from bench.charts import Lines
from bench.figures import Case, Goal, Part, Spent, Table, number

TOP = Path(__file__).resolve().parents[2]
PAGE = TOP / "docs" / "benchmarks.md"


def run(cpu: float, wall: float = 0.0, mib: float = 20.0, **counted: float) -> Spent:
    return Spent(cpu, wall or cpu, mib, counted)


def checks(ours: float, ansible: float) -> Case:
    """Against a floor of one second; the second round is half as slow again, for all of them."""
    return {
        name: [run(slow * seconds, started=5) for slow in (1, 1.5)]
        for name, seconds in {
            local_check.PYTHON: 0.1,
            local_check.BENEATH: 1.0,
            local_check.OURS: ours,
            local_check.LOOP: 2.0,
            local_check.ANSIBLE: ansible,
            local_check.LOCALLY: ansible / 2,
        }.items()
    }


def sized(seconds: dict[int, float], started: float = 5) -> dict[str, Case]:
    """A floor of half a second; `seconds` of each job by number of records."""
    return {
        str(number): {
            records.BENEATH: [run(0.5, started=4)],
            **{job: [run(0.5 + spent, started=started)] for job in records.STATES},
        }
        for number, spent in seconds.items()
    }


def told(part: Part) -> dict[str, bool]:
    return {goal.text: goal.met for goal in part.goals}


def test_a_check_is_told_as_multiples_of_the_floor() -> None:
    part = local_check.part({"2": checks(1.25, 50.0), "1000": checks(2.5, 60.0)})
    [table] = part.tables
    ours = [row for row in table.rows if row[1] == f"**{local_check.OURS}**"]
    assert [(row[0], row[2]) for row in ours] == [("2", "1.25"), ("1000", "2.50")]
    assert list(told(part).values()) == [True, True]
    assert "40.0 times less" in part.goals[1].measured


def test_a_goal_that_is_missed_says_why() -> None:
    part = local_check.part({"2": checks(2.0, 50.0), "1000": checks(2.5, 60.0)})
    text = page.goals([part])
    assert list(told(part).values()) == [False, False]
    assert text.count("**not met**") == 2
    assert all(goal.why and f"*{goal.text}*: {goal.why}." in text for goal in part.goals)


def test_five_thousand_records_are_held_against_seconds_over_the_floor() -> None:
    linear = {10: 0.002, 100: 0.02, 1000: 0.2, 5000: 1.0, 20000: 4.0}
    part = records.part(sized(linear))
    assert all(met for text, met in told(part).items() if "nothing in about" not in text)
    assert part.goals[0].measured == "1.00 s"
    slopes = [row[4] for row in part.tables[0].rows if row[1] == records.CHECK]
    assert slopes == ["", "", "1.00", "1.00", "1.00"]


def test_what_is_not_linear_is_seen() -> None:
    part = records.part(sized({10: 0.002, 100: 0.02, 1000: 0.2, 5000: 1.0, 20000: 16.0}))
    [linear] = [goal for goal in part.goals if goal.text.startswith("linear")]
    assert not linear.met and linear.measured == "5.00 times at most"


def test_the_chart_of_records_shows_the_figures_of_the_table() -> None:
    """Also where the rounds differ: the median of the ratios is not the ratio of the medians."""
    rounds = {records.BENEATH: (0.4, 0.5, 0.9), **dict.fromkeys(records.STATES, (1.0, 0.7, 1.1))}
    jobs = {name: [run(spent, started=5) for spent in each] for name, each in rounds.items()}
    figures = {"10": jobs, "1000": jobs}
    part = records.part(figures)
    drawing = part.charts[0].drawing
    assert isinstance(drawing, Lines)
    table = {(row[1], float(row[0])): row[2].split()[0] for row in part.tables[0].rows}
    drawn = {(job, x): number(y) for job, points in drawing.series for x, y in points}
    assert drawn == table


def test_a_program_a_peer_is_seen() -> None:
    many = sized({10: 0.002, 1000: 0.2})
    many["1000"][records.CHECK] = [run(0.7, started=1005)]
    part = records.part(many)
    assert not part.goals[-1].met and "1005 at 1000" in part.goals[-1].measured


def dialled(logins: int, cpu: float) -> Spent:
    return run(cpu, logins=logins, there=cpu / 2)


def test_dials_are_a_share_of_novas() -> None:
    jobs = {dials.OURS: [dialled(3, 0.3)], dials.NOVA: [dialled(4, 0.4)]}
    part = dials.part({"ssh": jobs, "rsync": {**jobs, dials.NOVA: [dialled(5, 0.6)]}})
    rows = [row[:4] for row in part.tables[0].rows]
    assert rows[0] == ("ssh", dials.OURS, "3", "0.75")
    assert rows[2] == ("rsync", dials.OURS, "3", "0.50")
    assert [goal.measured for goal in part.goals] == ["3; Nova's driver 4", "3; Nova's driver 5"]


@pytest.mark.parametrize(("refused", "met"), [(0, True), (7, False)])
def test_a_refused_connection_is_counted(refused: int, met: bool) -> None:
    ours = [run(1.0, logins=90, refused=refused, missed=0)]
    theirs = [run(2.0, logins=87, refused=3, missed=1)]
    jobs = {thirty_hosts.OURS: ours, thirty_hosts.XARGS: theirs}
    part = thirty_hosts.part({thirty_hosts.ALONE: jobs, thirty_hosts.TOGETHER: jobs})
    assert part.goals[0].met is met
    assert [row[5] for row in part.tables[0].rows] == [str(refused), "3", str(refused), "3"]


@pytest.mark.parametrize(("mib", "met"), [(20.0, True), (60.0, False)])
def test_memory_that_grows_with_a_log_is_seen(mib: float, met: bool) -> None:
    def jobs(size: float, mib: float) -> Case:
        one = {log_reading.EXPLAIN: size, log_reading.LINES: size / 2, log_reading.GREP: size / 9}
        return {name: [run(seconds, mib=mib)] for name, seconds in one.items()}

    part = log_reading.part({"10": jobs(1.0, 20.0), "200": jobs(20.0, mib)})
    assert [goal.met for goal in part.goals] == [met, True]
    assert part.tables[0].rows[1][:2] == ("200 MiB", "9.00")


def test_a_fix_is_held_against_a_check() -> None:
    spent = {one_write.FIX: 0.8, one_write.DRY: 0.45, one_write.CHECK: 0.4, one_write.WRITE: 0.05}
    jobs = {name: [run(seconds)] for name, seconds in {**spent, "nothing": 0.01}.items()}
    part = one_write.part({str(one_write.PEERS): jobs})
    assert (
        part.goals[0].met
        and "2.00 times" in part.goals[0].measured
        and "5.0%" in part.goals[0].measured
    )
    assert [row[0] for row in part.tables[0].rows] == list(spent)


def test_a_scrape_is_held_against_node_exporters() -> None:
    def scrapes(wall: float, mib: float) -> list[Spent]:
        return [run(wall / 10, wall, mib, bytes=100)] * 3

    figures = {
        exporter.SCRAPE: {
            "10 peers": scrapes(0.001, 30),
            exporter.NODE_EXPORTER: scrapes(0.01, 20),
        },
        exporter.CHANGED: {"10 peers": [run(0, 0.02)]},
        exporter.LOAD: {"HTTP": [run(0, 0.01, lost=0)], "TLS": [run(0, 0.02, lost=1)]},
    }
    part = exporter.part(figures)
    assert part.tables[0].rows[0] == ("10 peers", "0.10", "0.10", "0.10", "1.50", "1.00", "2.00")
    assert [row[1] for row in part.tables[1].rows] == ["1.00", "2.00"]
    # The slowest is node_exporter's tenth and takes a millisecond; one was not answered.
    assert [goal.met for goal in part.goals] == [True, True, True, False]


@pytest.mark.parametrize(("cpu", "met"), [(1.1, True), (1.3, False)])
def test_a_daemon_is_held_against_a_share_of_one_core(cpu: float, met: bool) -> None:
    """Over two minutes."""

    def over(cpu: float, mib: float) -> list[Spent]:
        return [run(cpu, 120.0, mib, own=cpu, rss=mib, dials=2)]

    jobs = {
        daemon.AS_IT_IS: over(9.0, 40),
        daemon.QUIET: over(cpu, 30),
        daemon.SERVING: over(0.1, 31),
    }
    node = {daemon.NODE_EXPORTER: over(0.5, 20)}
    part = daemon.part({"1000": jobs, daemon.NODE_EXPORTER: node})
    assert part.goals[0].met is met and part.goals[0].measured == f"{cpu / 120:.2%}"
    assert [goal.met for goal in part.goals[1:]] == [True, False]  # 40 of 60 MiB, 31 of 30
    assert part.tables[0].rows[0] == ("1000", daemon.AS_IT_IS, "18.0", "2.00", "2.00", "2")


# The page


def test_the_page_has_goals_parts_profiles_method_and_machine_in_that_order() -> None:
    part = Part("One thing", "Lead.", (Table(("a", "b"), (("1", "x|y"),)),),
                (Goal("quick", "2 times", met=True),), method="How.")  # fmt: skip
    text = page.page([part], Table(("", ""), (("kernel", "6.1"),)), "## Profiles\n\nBy hand.\n")
    heads = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    assert heads == ["Benchmarks", "Goals", "One thing", "Profiles", "Method", "The machine"]
    assert "| quick | 2 times | met |" in text and "| 1 | x\\|y |" in text
    assert "By hand." in text and "**One thing.** How." in text


@pytest.mark.skipif(not PAGE.exists(), reason="make bench has not been run in this tree yet")
def test_the_committed_page_is_whole() -> None:
    """Its charts exist, and what is written by hand is in it as it stands."""
    text = PAGE.read_text()
    images = re.findall(r"\]\((images/[^)]+)\)", text)
    assert images and [name for name in images if not (PAGE.parent / name).exists()] == []
    assert (TOP / "bench/profiles.md").read_text().strip() in text
