"""The report as JSON: every key always there, and its schema beside the program."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from typing import Any

import jsonschema
import pytest

from agent import __version__, archive, checks, plan, verdict
from agent.model import (
    Conflict,
    HaveLines,
    MakeKeyPair,
    Outcome,
    Plan,
    Report,
    Result,
    Role,
    Scope,
    Step,
    StepResult,
    WriteFile,
)
from agent.reasons import Impact, Side, Stage
from agent.settings import Settings
from tests.hosts import NOW, P, a_host, an_attempt
from tests.reports import SHELL, a_failure, a_finding, a_plan, a_report, a_row, result

SCHEMA: dict[str, Any] = json.loads(
    resources.files("agent").joinpath("report.schema.json").read_text(encoding="utf-8")
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def as_read(report: Report) -> dict[str, Any]:
    text = archive.dump(report)
    assert text.isascii() and text.endswith("}\n")
    value: dict[str, Any] = json.loads(text)
    VALIDATOR.validate(value)
    return value


def a_full_row() -> Any:
    return a_row(
        Outcome.FAIL,
        Side.PEER,
        stage=Stage.COPY,
        reason="sftp_missing",
        impact=Impact.ERROR_STOPPED,
        message="subsystem request failed",
        checked_at=NOW,
        seconds=0.25,
    )


def a_rich_report() -> Report:
    step = Step(SHELL, ("login_shell: user:nova",))
    rival = replace(SHELL, shell=P("/bin/sh"))
    return a_report(
        result(a_failure(fix=(SHELL,)), a_failure(peer="compute2", outcome=Outcome.WARN)),
        result(a_finding(Outcome.UNKNOWN, reason="needs_root"), check="sshd"),
        result(a_finding(Outcome.SKIP), check="room", role=Role.BOTH),
        result(check="records"),
        peers=(a_full_row(), a_row(Outcome.SKIP)),
        plan=Plan((step,), (Conflict("shell of nova", (SHELL, rival), ("a: b",)),)),
        applied=(
            StepResult(step, Result.DONE, "was /bin/false"),
            StepResult(step, Result.FAILED, ""),
        ),
    )


def a_judged_report(**changes: Any) -> Report:
    """As the pipeline makes it, of a host that the checks really looked at."""
    snapshot = a_host(**changes)
    judged = verdict.settle(checks.evaluate(checks.catalogue(), snapshot, Settings()), snapshot)
    rows = verdict.rows(snapshot, judged, Settings(), {}, frozenset())
    return a_report(*judged, peers=rows, plan=plan.make(judged), probed=bool(snapshot.dials))


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "report",
    [
        a_report(),
        a_report(result(), peers=(), probed=False),
        a_rich_report(),
        a_report(scope=Scope.PARTIAL, interrupted=True, omitted=("checks sshd",)),
        a_judged_report(),
        a_judged_report(account=None, files={}),
        a_judged_report(peers=(), self_dials=()),
        a_judged_report(dials=(an_attempt(name="compute2", stage="copy", reason="no_space"),)),
    ],
    ids=["plain", "empty", "rich", "partial", "healthy", "no account", "alone", "dialled"],
)
def test_every_report_is_what_the_schema_says(report: Report) -> None:
    as_read(report)


@pytest.mark.parametrize(
    ("place", "key", "wrong"),
    [
        ((), "scope", "whole"),
        ((), "ready", "yes"),
        ((), "schema_version", 2),
        ((), "taken_at", "2026-11-22T10:00:00+01:00"),
        (("checks", 0), "role", "peer"),
        (("checks", 0), "outcome", "ok"),
        (("checks", 0, "findings", 0), "side", "elsewhere"),
        (("checks", 0, "findings", 0), "impact", "none"),
        (("checks", 0, "findings", 0), "fixable", None),
        (("peers", 0), "stage", "login"),
        (("applied", 0), "result", "ok"),
    ],
)
def test_the_schema_refuses_other_words(place: tuple[Any, ...], key: str, wrong: Any) -> None:
    value = part = as_read(a_rich_report())
    for step in place:
        part = part[step]
    part[key] = wrong
    assert not VALIDATOR.is_valid(value)


def objects(schema: Any) -> list[dict[str, Any]]:
    """Every object that the schema describes."""
    inner = schema.values() if isinstance(schema, dict) else ()
    here = [schema] if isinstance(schema, dict) and schema.get("type") == "object" else []
    return here + [found for each in inner for found in objects(each)]


def test_every_key_is_required_and_a_later_version_may_add_some() -> None:
    described = objects(SCHEMA)
    assert len(described) == 14
    for each in described:
        assert each["required"] == list(each["properties"])
        assert "additionalProperties" not in each


def keys(value: Any) -> set[str]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    here = set(value) if isinstance(value, dict) else set()
    return here.union(*(keys(each) for each in inner))


def test_no_key_is_left_undescribed() -> None:
    described = {key for each in objects(SCHEMA) for key in each["properties"]}
    assert keys(as_read(a_rich_report())) == described


def test_a_report_without_one_of_its_keys_is_refused() -> None:
    for key in as_read(a_rich_report()):
        value = as_read(a_rich_report())
        del value[key]
        assert not VALIDATOR.is_valid(value), key


def test_the_head_says_who_when_and_what() -> None:
    value = as_read(a_report())
    assert value["tool"] == {"name": "resize-agent", "version": __version__}
    assert (value["host"], value["scope"]) == ("compute1", "full")
    assert (value["taken_at"], value["valid_until"]) == (
        "2026-11-22T10:00:00Z",
        "2026-11-22T10:03:00Z",
    )
    assert (value["ready"], value["interrupted"]) == (True, False)
    assert value["roles"] == {"source": {"ready": True}, "destination": {"ready": True}}


def test_a_partial_report_is_not_ready_but_null() -> None:
    report = a_report(result(a_failure(), role=Role.SOURCE), scope=Scope.PARTIAL)
    value = as_read(report)
    assert value["ready"] is None
    assert value["roles"] == {"source": {"ready": False}, "destination": {"ready": None}}


def test_the_summary_counts_checks() -> None:
    summary = as_read(a_rich_report())["summary"]
    assert summary == {"pass": 0, "warn": 0, "fail": 1, "unknown": 1, "skip": 2}


def test_a_finding_says_who_has_to_act_and_what_nova_would_do() -> None:
    [check] = as_read(a_report(result(a_failure(fix=(SHELL,))), plan=a_plan()))["checks"]
    assert (check["id"], check["role"], check["outcome"]) == ("login_shell", "destination", "fail")
    assert check["findings"] == [
        {
            "subject": "user:nova",
            "peer": None,
            "outcome": "fail",
            "reason": "shell_refuses_commands",
            "side": "here",
            "impact": "rollback",
            "message": "a failure",
            "remedy": "usermod --shell /bin/bash nova, or: agent --fix",
            "fixable": True,
        }
    ]


def test_an_exact_command_replaces_the_general_remedy() -> None:
    [check] = as_read(a_report(result(a_failure(remedy="chmod 600 /x"))))["checks"]
    assert check["findings"][0]["remedy"] == "chmod 600 /x"


def test_what_passes_needs_no_remedy() -> None:
    [check] = as_read(a_report())["checks"]
    finding = check["findings"][0]
    assert [finding[k] for k in ("reason", "side", "impact", "remedy")] == [None] * 4


def test_fixable_means_that_a_step_of_the_plan_covers_it() -> None:
    rival = replace(SHELL, shell=P("/bin/sh"))
    judged = result(a_failure(fix=(SHELL,))), result(a_failure(fix=(rival,)), check="other")
    value = as_read(a_report(*judged, plan=plan.make(judged)))
    assert value["plan"]["steps"] == [] and len(value["plan"]["conflicts"]) == 1
    assert [c["findings"][0]["fixable"] for c in value["checks"]] == [False, False]


def test_a_row_is_told_whole() -> None:
    first, second = as_read(a_rich_report())["peers"]
    assert first == {
        "name": "compute2",
        "address": "10.100.0.2",
        "outcome": "fail",
        "stage": "copy",
        "reason": "sftp_missing",
        "side": "peer",
        "impact": "error_stopped",
        "message": "subsystem request failed",
        "checked_at": "2026-11-22T10:00:00Z",
        "seconds": 0.25,
    }
    assert (second["outcome"], second["checked_at"], second["seconds"]) == ("skip", None, None)


def test_plan_and_applied_are_told_as_the_operator_reads_them() -> None:
    lines = HaveLines(P("/f"), (b"new",), (), 0o600, 1, 1, b"")
    value = as_read(a_report(plan=Plan((Step(lines, ("a: b",)), *a_plan().steps))))
    with_diff, without = value["plan"]["steps"]
    assert with_diff["target"] == "/f" and "+new" in with_diff["diff"]
    assert (without["target"], without["diff"]) == ("nova", None)
    assert without["because"] == ["login_shell: user:nova"]
    done = as_read(a_rich_report())["applied"][0]
    assert (done["target"], done["result"], done["message"]) == ("nova", "done", "was /bin/false")


def test_hostile_text_is_json_like_any_other() -> None:
    nasty = '\x1b[2J"\\\n\u202e\u2028\x00'
    [check] = as_read(a_report(result(a_finding(message=nasty, subject=nasty))))["checks"]
    assert check["findings"][0]["message"] == nasty


def test_no_private_key_has_a_place_in_a_plan() -> None:
    pair = MakeKeyPair(P("/h/id"), "nova", 1, 1, "nova@c1")
    [step] = as_read(a_report(plan=Plan((Step(pair, ("a: b",)),))))["plan"]["steps"]
    assert step["diff"] is None


def test_a_binary_file_in_the_plan_is_shown_escaped() -> None:
    action = WriteFile(P("/f"), b"\xff\x00\n", 0o600, 0, 0)
    [step] = as_read(a_report(plan=Plan((Step(action, ("a: b",)),))))["plan"]["steps"]
    assert r"+\xff\x00" in step["diff"]
