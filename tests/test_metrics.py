"""The report as metrics: values in, text out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from agent import archive, metrics
from agent.formats.escape import visible
from tests.exporter.serving import document, stamp
from tests.reports import a_report

TOP = Path(__file__).resolve().parents[1]
NOW = datetime(2026, 11, 22, 10, 1, tzinfo=timezone.utc)
NAMES = {
    "ready",
    "check_status",
    "peers",
    "peers_by_state",
    "peer_failing",
    "peer_failing_truncated",
    "last_run_timestamp_seconds",
    "interval_seconds",
    "report_valid",
    "fixes_total",
    "fix_failures_total",
    "config_last_reload_successful",
    "build_info",
}
ROLES = ("source", "destination")


def told(**changes):
    taken = {"taken_at": "2026-11-22T10:00:00Z", "valid_until": "2026-11-22T10:03:00Z"}
    return document(**{**taken, **changes})


def samples(text):
    """`name`, or name and label values in the order of the labels' names -> value, without the prefix."""
    seen = [s for family in text_string_to_metric_families(text) for s in family.samples]
    keys = [
        (s.name[len("resize_agent_") :], *(v for _, v in sorted(s.labels.items()))) for s in seen
    ]
    assert len(keys) == len(set(keys)), "a series is there twice"
    return dict(zip(keys, (s.value for s in seen)))


def of(content, now=NOW):
    return samples(metrics.text(content, now))


def test_exactly_the_metrics_of_the_contract():
    assert {key[0] for key in of(told(peers=2, failing=1))} == NAMES


def test_a_host_that_is_ready():
    seen = of(told(peers=3, failing=1))
    assert [seen["ready", role] for role in ROLES] == [1, 1]
    assert seen["report_valid",] == 1
    assert seen["peers",] == 3
    assert {key[1]: value for key, value in seen.items() if key[0] == "peers_by_state"} == {
        "pass": 2,
        "warn": 0,
        "fail": 1,
        "unknown": 0,
        "skip": 0,
    }
    assert seen["peer_failing", "compute0001", "host_key_unknown"] == 1
    assert seen["peer_failing_truncated",] == 0
    assert seen["interval_seconds",] == 60
    assert (
        seen["last_run_timestamp_seconds",]
        == datetime(2026, 11, 22, 10, tzinfo=timezone.utc).timestamp()
    )
    assert (seen["fixes_total",], seen["fix_failures_total",]) == (3, 1)
    assert seen["config_last_reload_successful",] == 1


@pytest.mark.parametrize("outcome", metrics.STATES)
def test_a_check_is_in_exactly_one_of_five_states(outcome):
    seen = of(told(checks=[{"id": "sshd", "outcome": outcome}]))
    assert {key: value for key, value in seen.items() if key[0] == "check_status"} == {
        ("check_status", "sshd", state): state == outcome for state in metrics.STATES
    }


@pytest.mark.parametrize(
    ("ready", "value"), [(True, 1), (False, 0), (None, 0), ("true", 0), (1, 0)]
)
def test_only_true_is_ready(ready, value):
    assert of(told(roles={"source": {"ready": ready}}))["ready", "source"] == value


NOTHING = {
    "no report": {},
    "expired": told(valid_until="2026-11-22T10:00:59Z"),
    "expires now": told(valid_until="2026-11-22T10:01:00Z"),
    "from the future": told(taken_at="2026-11-22T11:00:00Z", valid_until="2026-11-22T12:00:00Z"),
    "partial": told(scope="partial"),
    "interrupted": told(interrupted=True),
    "silent about an interruption": told(interrupted=None),
    "of another version": told(schema_version=2),
    "without times": told(taken_at=None),
    "of wrong types": dict.fromkeys(told(), 7),
    "something else": {"a": [1]},
}


@pytest.mark.parametrize("kind", NOTHING)
def test_what_says_nothing_about_now_makes_nothing_ready(kind):
    seen = of(NOTHING[kind])
    assert seen["report_valid",] == 0
    assert [seen["ready", role] for role in ROLES] == [0, 0]
    on = {
        key for key, value in seen.items() if value and key[0] in ("check_status", "peers_by_state")
    }
    assert {key[-1] for key in on} <= {"unknown"}
    assert not [key for key in seen if key[0] == "peer_failing"]
    assert {key[1] for key in seen if key[0] == "peers_by_state"} == set(metrics.STATES)


def test_an_expired_report_still_names_its_checks_peers_and_counters():
    seen = of(told(peers=4), NOW + timedelta(hours=1))
    assert seen["check_status", "login_shell", "unknown"] == 1
    assert (seen["peers",], seen["peers_by_state", "unknown"]) == (4, 4)
    assert seen["fixes_total",] == 3


def test_nobody_has_said_whether_the_configuration_was_read():
    assert ("config_last_reload_successful",) not in of(told(config=None))
    assert of(told(config={"valid": False, "error": "x"}))["config_last_reload_successful",] == 0


def test_keys_that_an_older_report_lacks():
    older = {k: v for k, v in told().items() if k not in ("interval_seconds", "fixes", "config")}
    seen = of(older)
    assert (seen["interval_seconds",], seen["report_valid",]) == (60, 1)


@pytest.mark.parametrize("kind", ["no report", "something else", "of wrong types"])
def test_a_counter_that_nobody_tells_does_not_fall_to_zero(kind):
    assert not {"fixes_total", "fix_failures_total"} & {key[0] for key in of(NOTHING[kind])}


def test_the_report_of_the_program_itself():
    made = a_report()
    content = json.loads(archive.dump(made))
    assert of(content, made.taken_at)["ready", "source"] == 1
    assert of(content, made.taken_at)["check_status", "login_shell", "pass"] == 1


def test_series_are_flat_in_the_number_of_peers():
    few, many = of(told(peers=30, failing=25)), of(told(peers=5000, failing=5000))
    assert len(few) == len(many)
    assert sum(key[0] == "peer_failing" for key in many) == metrics.MOST_NAMED == 20
    assert many["peer_failing_truncated",] == 4980


def test_the_same_peers_are_named_whatever_their_order():
    content = told(peers=100, failing=100)
    other = {**content, "peers": content["peers"][::-1]}
    assert metrics.text(content, NOW) == metrics.text(other, NOW)


HOSTILE = st.one_of(
    st.text(max_size=300), st.sampled_from(['a"b', "a\\n", "a\nb", "\u202e", "\ud800", "{}"])
)


@settings(max_examples=60, deadline=None)
@given(name=HOSTILE, reason=HOSTILE, check=HOSTILE)
def test_hostile_text_is_visible_and_survives_the_parser(name, reason, check):
    row = {"name": name, "outcome": "fail", "reason": reason}
    seen = of({**told(checks=[{"id": check, "outcome": "pass"}]), "peers": [row, row]})
    labels = [key for key in seen if key[0] == "peer_failing"]
    shown = lambda text, other: visible(text, 128) or other  # noqa: E731
    assert labels == [("peer_failing", shown(name, "unnamed"), shown(reason, "unknown"))]
    assert all(part.isprintable() for part in labels[0])
    if check:
        assert seen["check_status", shown(check, ""), "pass"] == 1


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(max_examples=150, deadline=None)
@given(key=st.sampled_from(sorted(document())), value=ANYTHING)
def test_no_value_anywhere_makes_it_fail(key, value):
    seen = of({**told(peers=2), key: value})
    assert {seen["ready", role] for role in ROLES} <= {0, 1}


@settings(max_examples=50, deadline=None)
@given(
    value=st.dictionaries(st.sampled_from(["id", "name", "outcome", "reason", "done"]), ANYTHING)
)
def test_no_row_makes_it_fail(value):
    assert of({**told(), "checks": [value], "peers": [value], "fixes": value})["peers",] == 1


@pytest.mark.parametrize("content", [told(peers=40, failing=30), {}], ids=["full", "nothing"])
def test_promtool_has_nothing_to_say(content):
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool (package prometheus) is not installed")
    done = subprocess.run(
        [promtool, "check", "metrics"],
        input=metrics.text(content, NOW),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_interpreter_meets_no_paramiko_on_the_way():
    code = "import sys, agent.metrics; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True)
    assert "prometheus_client" in done.stdout.split()
    assert not {"paramiko", "psutil", "agent.checks"} & set(done.stdout.split())


def test_the_stamp_of_the_documents_used_here():
    assert stamp(NOW) == "2026-11-22T10:01:00Z"


def test_the_reference_says_what_the_metrics_say():
    page = (TOP / "docs" / "metrics.md").read_text()
    for metric in metrics.families(metrics.facts(told()), NOW):
        name = metric.name + ("_total" if metric.type == "counter" else "")
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        assert row.endswith(f"| {metric.documentation} |")
        assert f"| {metric.type} |" in row
        for label in metric.samples[0].labels if metric.samples else ():
            assert f"`{label}`" in row
