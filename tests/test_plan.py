"""The same findings, in any order, make the same plan; who disagrees gets nothing."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import plan
from agent.model import (
    Action,
    CheckResult,
    HaveLines,
    MakeDirectory,
    MakeKeyPair,
    SetMode,
    SetOwner,
    SetShell,
    WriteFile,
)
from tests.reports import BASH, NOLOGIN, SHELL, a_failure, result

P = PurePosixPath
ONE_OF_EACH: list[Action] = [
    MakeDirectory(P("/h/.ssh"), 0o700, 1, 1),
    SetOwner(P("/h"), 1, 1, (0, 0)),
    SetMode(P("/h/key"), 0o600, 0o644),
    WriteFile(P("/etc/f"), b"new\n", 0o644, 0, 0, b"old\n"),
    HaveLines(P("/h/keys"), (b"new",), (b"gone",), 0o600, 1, 1, b"gone\n"),
    MakeKeyPair(P("/h/id"), "nova", 1, 1, "nova@c1", P("/h/keys2")),
    SHELL,
]
RIVALS: list[Action] = [
    SetShell("nova", P("/bin/sh"), NOLOGIN),
    WriteFile(P("/etc/f"), b"other\n", 0o644, 0, 0, b"old\n"),
    WriteFile(P("/h/.ssh"), b"", 0o600, 1, 1),
    SetOwner(P("/h"), 0, 0, (5, 5)),
]


def asked(action: Action, check: str = "login_shell", subject: str = "user:nova") -> CheckResult:
    return result(a_failure(fix=(action,), subject=subject), check=check)


def test_nothing_wrong_is_nothing_to_do() -> None:
    made = plan.make([result(a_failure())])
    assert (made.steps, made.conflicts) == ((), ())


def test_a_step_names_who_asked_for_it() -> None:
    [step] = plan.make([asked(SHELL)]).steps
    assert (step.action, step.because) == (SHELL, ("login_shell: user:nova",))


def test_equal_actions_are_one_step_and_their_reasons_add_up() -> None:
    [step] = plan.make([asked(SHELL, "b"), asked(SHELL, "a"), asked(SHELL, "b")]).steps
    assert step.because == ("a: user:nova", "b: user:nova")


def test_two_ends_for_one_thing_are_a_conflict_and_neither_runs() -> None:
    made = plan.make([asked(SHELL, "a"), asked(RIVALS[0], "b"), asked(ONE_OF_EACH[0])])
    assert [step.action for step in made.steps] == [ONE_OF_EACH[0]]
    [conflict] = made.conflicts
    assert conflict.slot == "shell of nova"
    assert set(conflict.actions) == {SHELL, RIVALS[0]}
    assert conflict.because == ("a: user:nova", "b: user:nova")


def test_a_file_and_a_directory_at_one_path_are_a_conflict() -> None:
    made = plan.make([asked(ONE_OF_EACH[0]), asked(RIVALS[2])])
    assert (len(made.steps), len(made.conflicts)) == (0, 1)


def test_owner_mode_and_content_of_one_path_are_three_things() -> None:
    path = P("/f")
    actions: list[Action] = [
        SetOwner(path, 1, 1, (0, 0)),
        SetMode(path, 0o600, 0o644),
        WriteFile(path, b"", 0o600, 1, 1, b"x"),
    ]
    assert len(plan.make([asked(action) for action in actions]).steps) == 3


def test_the_order_of_the_union_is_the_order_of_execution() -> None:
    made = plan.make([asked(action) for action in reversed(ONE_OF_EACH)])
    assert [type(step.action) for step in made.steps] == list(get_args(Action))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(ONE_OF_EACH + RIVALS), st.sampled_from("abc"), st.text(max_size=3)
        )
    ).flatmap(lambda found: st.tuples(st.just(found), st.permutations(found)))
)
def test_the_order_of_findings_does_not_matter(
    orders: tuple[list[tuple[Action, str, str]], list[tuple[Action, str, str]]],
) -> None:
    first, second = (plan.make([asked(*words) for words in order]) for order in orders)
    assert first == second
    slots = [plan.slot(step.action) for step in first.steps] + [c.slot for c in first.conflicts]
    assert len(slots) == len(set(slots))


@pytest.mark.parametrize("action", ONE_OF_EACH, ids=lambda action: type(action).__name__)
def test_every_action_is_described_in_one_line(action: Action) -> None:
    line = plan.describe(action)
    assert plan.target(action) in line
    assert "\n" not in line


def test_a_description_says_from_what_to_what() -> None:
    assert plan.describe(SHELL) == f"set the login shell of nova to {BASH}, was {NOLOGIN}"
    assert plan.describe(ONE_OF_EACH[2]) == "set mode of /h/key to 0600, was 0644"


def test_a_diff_shows_the_lines_that_change() -> None:
    shown = plan.diff(WriteFile(P("/f"), b"a\nc\n", 0o644, 0, 0, b"a\nb\n"))
    assert shown.splitlines() == ["--- /f", "+++ /f", "@@ -1,2 +1,2 @@", " a", "-b", "+c"]


def test_the_diff_of_a_new_file_starts_from_nothing() -> None:
    shown = plan.diff(WriteFile(P("/f"), b"a\n", 0o644, 0, 0))
    assert shown.splitlines()[0] == "--- /dev/null"
    assert shown.splitlines()[-1] == "+a"


def test_the_diff_of_a_shared_file_shows_what_is_added_and_struck() -> None:
    lines = plan.diff(ONE_OF_EACH[4]).splitlines()
    assert lines[2:] == ["@@ -1 +1,2 @@", "-gone", "+#one", "+new"]


def test_what_changes_no_text_has_no_diff() -> None:
    without = [a for a in ONE_OF_EACH if not isinstance(a, (WriteFile, HaveLines))]
    assert {plan.diff(action) for action in without} == {""}


def test_a_diff_makes_hostile_text_visible() -> None:
    hostile = b"\x1b[2J\r\xff \xe2\x80\xae\x9b\n"
    shown = plan.diff(WriteFile(P("/f\x1b\n"), b"", 0o644, 0, 0, hostile))
    assert all(line.isprintable() for line in shown.split("\n"))
    assert r"\x1b[2J" in shown and r"\xff" in shown
