"""The rules as promtool and amtool judge them, and the places that have to agree with them."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent import checks
from agent.reasons import REASONS, Impact

TOP = Path(__file__).resolve().parents[2]
FOLDER = TOP / "packaging" / "prometheus"
RULES = FOLDER / "resize-agent.rules.yml"
TESTS = FOLDER / "tests" / "resize-agent.test.yml"

DISKS = (Impact.WRONG_DISK, Impact.DISK_LOSS)


def alerts() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def judged(tool: str, *arguments: str | Path) -> str:
    """What the tool said; its refusal fails the test."""
    if not shutil.which(tool):
        pytest.skip(f"no {tool} here: apt install prometheus prometheus-alertmanager")
    done = subprocess.run([tool, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_takes_the_rules():
    assert "rules found" in judged(
        "promtool", "check", "rules", "--lint=all", "--lint-fatal", str(RULES)
    )


def test_every_alert_fires_and_stays_silent_as_it_should():
    assert "SUCCESS" in judged("promtool", "test", "rules", str(TESTS))


def test_prometheus_and_alertmanager_take_the_examples():
    assert "SUCCESS" in judged("promtool", "check", "config", str(FOLDER / "prometheus.yml"))
    assert "SUCCESS" in judged("amtool", "check-config", str(FOLDER / "alertmanager.yml"))


@pytest.mark.parametrize("name", alerts())
def test_every_alert_is_tested_both_ways(name):
    expected = [
        case["exp_alerts"]
        for test in yaml.safe_load(TESTS.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == name
    ]
    assert [] in expected and any(expected)


@pytest.mark.parametrize("name", alerts())
def test_every_alert_has_its_words_and_its_page(name):
    rule = alerts()[name]
    said = rule["annotations"]
    assert set(said) == {"summary", "description", "runbook_url"}
    assert re.fullmatch(r"[A-Z][^{}]*\.", said["summary"])  # one for the whole group of alerts
    assert said["description"].rstrip().endswith((".", "?"))
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert said["runbook_url"].endswith(f"/alerts.md#{name}")


def test_the_runbook_has_a_section_for_each_alert_and_no_other():
    pages = re.findall(r'<a id="(ResizeAgent\w+)"></a>', (TOP / "docs" / "alerts.md").read_text())
    assert sorted(pages) == sorted(alerts())


def names_matched(label: str) -> set[str]:
    """That any rule asks for."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    expressions = " ".join(rule["expr"] for group in groups for rule in group["rules"])
    found = re.findall(rf'\b{label}=~?"([^"]+)"', expressions)
    return {name for names in found for name in names.split("|")}


def test_the_critical_checks_are_those_that_can_find_a_lost_disk():
    deadly = {code for code, reason in REASONS.items() if reason.impact in DISKS}
    folder = Path(checks.__file__).parent
    finding = {
        check.id for check in checks.catalogue() if deadly & words(folder / f"{check.id}.py")
    }
    assert names_matched("check") == finding


def words(path: Path) -> set[str]:
    return {
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_the_critical_reasons_are_those_that_lose_a_disk():
    deadly = {code for code, reason in REASONS.items() if reason.impact in DISKS}
    assert names_matched("reason") == deadly
