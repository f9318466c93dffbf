"""What the daemon logs: a line for each turn, and one for the whole."""

from __future__ import annotations

import resource
import subprocess
import sys
from dataclasses import replace
from typing import Any

from agent.changes import Change, Told, changes, in_one_line, remembered
from agent.model import Outcome, Report, Role
from agent.reasons import Side, Stage
from tests.reports import a_failure, a_finding, a_report, a_row, result
from tests.test_cli import TOP


def a_dead(name: str = "compute2", **changes: Any) -> Any:
    said = {"reason": "connect_timeout", "stage": Stage.CONNECT, "message": "no answer"}
    return a_row(Outcome.FAIL, Side.NETWORK, name=name, **{**said, **changes})


def a_wait(name: str = "compute2", reason: str = "dial_outdated") -> Any:
    return a_row(Outcome.UNKNOWN, name=name, reason=reason)


def said(before: Report | Told | None, after: Report) -> list[Change]:
    if isinstance(before, Report):
        before = remembered(None, before)
    return list(changes(before, after))


def lines(before: Report | Told | None, after: Report) -> list[str]:
    return [change.message for change in said(before, after)]


BROKEN = a_report(result(a_failure()))


def test_nothing_new_is_nothing_said() -> None:
    assert lines(a_report(), a_report()) == []
    assert lines(BROKEN, BROKEN) == []


def test_the_first_report_says_how_it_stands() -> None:
    assert lines(None, a_report()) == [
        "resizes can leave this host: yes",
        "resizes can arrive at this host: yes",
        "compute1 is ready",
    ]


def test_a_turn_names_role_check_and_reason() -> None:
    found = said(a_report(), BROKEN)
    assert [(c.role, c.check, c.reason, c.bad) for c in found] == [
        ("destination", "", "shell_refuses_commands", True),
        ("", "", "", True),
        ("", "login_shell", "shell_refuses_commands", True),
    ]
    assert found[0].message == (
        "resizes can arrive at this host: NO: shell_refuses_commands: a failure"
    )
    assert [c.bad for c in said(BROKEN, a_report())] == [False, False, False]


def test_another_figure_in_the_message_is_no_news() -> None:
    other = a_report(result(a_failure(message="3 blocks left")))
    assert lines(BROKEN, other) == []


def test_another_reason_is() -> None:
    other = a_report(result(a_failure("shell_missing")))
    assert lines(BROKEN, other) == ["check login_shell: fail: shell_missing: a failure"]


def test_a_peer_that_turns_is_one_line() -> None:
    dead = a_report(peers=(a_dead(), a_row(name="compute3")))
    alive = a_report(peers=(a_row(), a_row(name="compute3")))
    assert lines(alive, dead) == [
        "peer compute2: fail: connect_timeout at connect: no answer",
    ]
    assert lines(dead, alive) == ["peer compute2: pass"]


def test_waiting_for_a_turn_is_no_news_and_forgets_nothing() -> None:
    dead = a_report(peers=(a_dead(), a_row(name="compute3")))
    waiting = a_report(peers=(a_wait(), a_row(name="compute3")))
    alive = a_report(peers=(a_row(), a_row(name="compute3")))
    assert lines(dead, waiting) == []
    before = remembered(remembered(None, dead), waiting)
    assert lines(before, dead) == []
    assert lines(before, alive) == ["peer compute2: pass"]


def test_a_host_is_ready_again_when_its_report_says_so_and_not_when_a_peer_waits() -> None:
    broken = a_report(result(a_failure()), peers=(a_row(),), probed=True)
    waiting = a_report(peers=(a_wait(),), probed=True)
    ready = a_report(peers=(a_row(),), probed=True)
    first = remembered(remembered(None, ready), broken)
    assert "compute1 is ready" not in lines(first, waiting)
    assert "compute1 is ready" in lines(remembered(first, waiting), ready)


def test_a_thousand_dead_peers_are_not_a_thousand_lines() -> None:
    many = tuple(a_dead(f"c{n}") for n in range(1000))
    told = lines(a_report(), a_report(peers=(a_row(), *many)))
    assert len(told) == 21
    assert told[-1] == "980 more peers are different"


def test_a_configuration_that_is_not_used_is_told_once() -> None:
    bad = a_report(config_error="/etc/x.yaml:3: interval: expected a number")
    assert lines(a_report(), bad) == [
        "the configuration stays as it was: /etc/x.yaml:3: interval: expected a number"
    ]
    assert lines(bad, bad) == []
    assert lines(bad, a_report()) == ["the configuration is read and in use"]


def test_one_line_for_systemctl_status() -> None:
    assert in_one_line(a_report()) == (
        "ready; 1 of 1 peers accept a disk from here; looked at 10:00:00Z"
    )
    told = in_one_line(replace(BROKEN, peers=(a_dead(), a_row(name="compute3"))))
    assert told == (
        "NOT READY; resizes can arrive at this host: NO (shell_refuses_commands);"
        " 1 of 2 peers accept a disk from here; failing: compute2; looked at 10:00:00Z"
    )


def test_hostile_text_stays_on_one_line() -> None:
    nasty = a_failure(message="a\nb\x1b[2J" + "x" * 9999)
    for text in (*lines(a_report(), a_report(result(nasty))), in_one_line(a_report(result(nasty)))):
        assert text.isprintable() and len(text) <= 300


def test_an_unknown_is_told_as_such() -> None:
    doubt = a_report(result(a_finding(Outcome.UNKNOWN, reason="needs_root"), role=Role.SOURCE))
    assert lines(a_report(), doubt)[0].startswith("resizes can leave this host: NO: needs_root")


MANY = """
from agent.changes import changes, in_one_line, remembered
from tests.reports import a_finding, a_report, result
report = a_report(result(*(a_finding() for _ in range(20000))))
assert list(changes(remembered(None, report), report)) == []
assert in_one_line(report)
"""


def test_a_large_fleet_costs_in_proportion() -> None:
    """A thousand peers once cost a second each minute, five thousand 25: each finding looked at all of them."""
    limits = (resource.RLIMIT_CPU, (60, 60))
    done = subprocess.run(
        [sys.executable, "-c", MANY], cwd=TOP, preexec_fn=lambda: resource.setrlimit(*limits)
    )
    assert done.returncode == 0
