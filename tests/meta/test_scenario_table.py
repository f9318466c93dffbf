"""The table of faults: what CI's selection covers, where each reason is shown, and how faults are combined."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import cache
from itertools import islice
from pathlib import Path

import pytest

from agent.reasons import REASONS
from tests.lab.oracle import Outcome
from tests.lab.provision import Run
from tests.lab.scenarios import generator, judge, releases, truth
from tests.lab.scenarios.combine import combine, together
from tests.lab.scenarios.fault import Fault
from tests.lab.scenarios.left_out import LEFT_OUT
from tests.lab.scenarios.repair import loosened
from tests.lab.scenarios.runner import Result
from tests.lab.scenarios.table import FAULTS, SINGLE

TESTS = Path(__file__).parents[1]
NOT_READY = {"roles": {"source": {"ready": False}, "destination": {"ready": False}}}
A_RUN = Run("compute1", (), 1, json.dumps({"checks": [], "peers": [], **NOT_READY}), "")
CHOSEN = [fault for fault in FAULTS if fault.ci]


def test_every_fault_has_a_name_of_its_own() -> None:
    assert [name for name, n in Counter(fault.name for fault in FAULTS).items() if n > 1] == []


def test_every_reason_a_row_names_is_a_reason() -> None:
    assert {fault.reason for fault in FAULTS if fault.reason} <= set(REASONS)


def test_the_selection_covers_every_reason_that_the_table_names() -> None:
    named = {fault.reason for fault in FAULTS if fault.reason}
    assert named - {fault.reason for fault in CHOSEN} == set()
    assert len(CHOSEN) >= 60


def test_the_selection_has_healthy_rows_and_both_transports_and_ipv6() -> None:
    scripts = [fault.a for fault in CHOSEN]
    assert any("rsync_transport" in script for script in scripts)
    assert any(fault.ipv6 for fault in CHOSEN)
    assert any(fault.records for fault in CHOSEN)


def test_what_other_releases_run_is_in_the_table() -> None:
    names = {fault.name for fault in FAULTS}
    assert releases.CHOSEN - names == set()
    assert len(releases.ACROSS.split()) >= 20


def test_what_is_left_out_names_rows_that_are_there() -> None:
    ids = {fault.name.partition("-")[0] for fault in FAULTS}
    named = {word for why in LEFT_OUT.values() for word in re.findall(r"\b[A-Z]\d\d\b", why)}
    assert named and named <= ids


# The pages of results


def a_result(
    nova: str, impact: str | None, *, unseen: str = "", said: str = ""
) -> dict[str, object]:
    fault = {"name": "x", "unseen": unseen, "accepted": ""}
    word = {
        "ready": nova == "OK" and not unseen,
        "impact": impact,
        "reason": "peer_busy",
        "side": "peer",
    }
    return {
        "fault": fault,
        "nova": nova,
        "word": word,
        "nova_said": said,
        "nova_after": "",
        "verdict": judge.AGREE,
    }


def test_the_share_of_classes_told_right_counts_what_was_not_told_as_wrong() -> None:
    right, wrong = a_result("R", "rollback"), a_result("E-off", "rollback")
    silent, none, fine = (
        a_result("R", judge.CANNOT_TELL),
        a_result("E-on", None),
        a_result("OK", None),
    )
    later = a_result("OK", "disk_loss", unseen="S")
    idle = a_result("E-on", None, said=f"compute1: {judge.NOT_RUNNING}: no such option")
    said = truth.classes([right, right, wrong, silent, none, fine, later, idle])
    assert "Of the 6 rows" in said and "the class of 3 as it is with Nova (50.0 %)" in said
    assert "of 2 it says that it cannot tell. In 1 more nova-compute does not start" in said
    for row in (silent, none):
        assert truth.row(row).endswith("| cannot tell: " + REASONS["peer_busy"].cause + " |\n")


@pytest.mark.parametrize("suite", truth.RELEASES)
def test_the_page_has_no_false_ready_and_a_word_for_every_difference(suite: str) -> None:
    text = (TESTS.parent / "docs" / truth.RELEASES[suite][0]).read_text()
    assert " 0 false ready, 0 false not ready, 0 class differs, 0 reason differs," in text
    share = re.search(r"\((\d+\.\d) %\)", text)
    assert share and float(share[1]) >= 95
    silent = [line for line in text.splitlines() if "not ready: cannot tell" in line]
    assert silent and not any(line.endswith("|  |") for line in silent)


@cache
def told_in_tests() -> dict[str, set[str]]:
    """By reason code the test files with a literal that is it, or begins with it and a slash."""
    found: dict[str, set[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        for word in literals(path):
            if word in REASONS and "meta" not in path.parts:
                found.setdefault(word, set()).add(path.name)
    return found


def literals(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.partition("/")[0]


@pytest.mark.parametrize("code", REASONS)
def test_every_reason_is_shown_by_a_row_or_by_a_test(code: str) -> None:
    rows = [fault.name for fault in FAULTS if fault.reason == code]
    assert rows or told_in_tests().get(code), (
        f"{code}: no row of the table names it and no test does"
    )


# Repairs


@pytest.mark.parametrize(
    ("before", "after", "opened"),
    [
        ("f 600 64060:64060", "f 600 64060:64060", False),
        ("f 644 64060:64060", "f 600 64060:64060", False),
        ("f 600 64060:64060", "f 640 64060:64060", True),
        ("d 700 64060:64060", "d 1777 64060:64060", True),
        ("d 755 0:0", "d 755 64060:64060", False),
        ("f 600 64060:64060", "f 600 3001:3001", True),
        ("f 600 64060:64060", "f 700 64060:64060", False),
        ("l 777 0:0", "f 666 0:0", False),
    ],
)
def test_what_a_repair_opens_to_others_is_seen(before: str, after: str, opened: bool) -> None:
    told = [f"/x\t{facts} 5.0 " for facts in (before, after)]
    assert (
        loosened([told[0], "abc  /x"], [told[1], "def  /x"], {"0:0", "64060:64060"})
        == ["/x"] * opened
    )


# Combinations


def test_what_replaces_the_same_thing_does_not_go_together() -> None:
    shells = [fault for fault in SINGLE if "usermod -s" in fault.b][:2]
    assert len(shells) == 2 and not together(shells)
    assert together([Fault("x", b="usermod -s /bin/sh nova"), Fault("y", a="rm $KH")])
    assert not together(
        [Fault("x", environment={"HOME": "/a"}), Fault("y", environment={"HOME": "/b"})]
    )
    assert not together([Fault("x", ipv6=True), Fault("y", b="ip address add 10.1.1.1/8 dev lo")])


def test_a_combination_does_all_that_its_parts_do() -> None:
    whole = combine(
        [
            Fault("x", a="one", environment={"A": "1"}, unseen="S"),
            Fault("y", a="two", b_after="three", records=True),
        ]
    )
    assert whole.name == "x + y"
    assert whole.a == "(\none\n)\n(\nNR=2; two\n)"
    assert "three" in whole.b_after and whole.b == ""
    assert (whole.environment, whole.unseen, whole.records) == ({"A": "1"}, "S", True)


def test_one_seed_draws_the_same_combinations() -> None:
    drawn = [fault.name for fault, _ in islice(generator.rows(7), 20)]
    assert drawn == [fault.name for fault, _ in islice(generator.rows(7), 20)]
    assert drawn != [fault.name for fault, _ in islice(generator.rows(8), 20)]


def test_a_disagreement_is_shrunk_to_the_parts_that_matter() -> None:
    parts = [Fault(name) for name in ("good", "bad", "fine")]
    tried: list[str] = []

    def run(fault: Fault, kind: str) -> Result:
        tried.append(fault.name)
        verdict = judge.FALSE_READY if "bad" in fault.name else judge.AGREE
        return Result(fault, kind, verdict)

    least = generator.shrunk(Result(combine(parts), "agent", judge.FALSE_READY), run)
    assert (least.fault.name, least.kind) == ("bad", "agent")
    assert tried == ["bad + fine", "fine", "bad"]


def test_what_only_differs_together_is_left_together() -> None:
    whole = combine([Fault("x"), Fault("y")])

    def run(fault: Fault, kind: str) -> Result:
        return Result(fault, kind, judge.AGREE)

    assert generator.shrunk(Result(whole, "agent", judge.FALSE_READY), run).fault is whole


def test_a_result_can_be_kept_as_json() -> None:
    word = judge.word(A_RUN, A_RUN)
    whole = combine([Fault("x", environment={"A": "1"}), Fault("y")])
    kept = json.dumps(asdict(Result(whole, "agent", judge.AGREE, word=word)))
    assert json.loads(kept)["word"]["ready"] is False


def test_of_several_faults_any_may_be_the_one_that_nova_meets() -> None:
    """A's row fails at the login, and what B tells peers to dial is A itself."""
    said = replace(judge.word(A_RUN, A_RUN), impact="rollback", impacts=("rollback", "wrong_disk"))
    nova = Outcome(("compute1", "compute2"), "S", "", ())
    assert judge.compare(combine([Fault("x"), Fault("y")]), "agent", said, nova) == judge.AGREE
    assert judge.compare(Fault("x"), "agent", said, nova) == judge.CLASS
