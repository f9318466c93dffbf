"""docs/truth.md: what Nova made of each fault and what the agent said of it, as measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from agent.reasons import REASONS
from tests.lab.fleet import SOURCE as REPOSITORY
from tests.lab.scenarios.judge import (
    ACCEPTED,
    AGREE,
    CANNOT_TELL,
    IMPACTS,
    NOT_RUNNING,
    UNSEEN,
    VERDICTS,
)
from tests.lab.scenarios.left_out import LEFT_OUT
from tests.lab.scenarios.table import FAULTS

RELEASES = {
    "bookworm": ("truth.md", "Debian 12, OpenSSH 9.2, nova 26", "--fix"),
    "trixie": ("truth-debian-13.md", "Debian 13, OpenSSH 10.0, nova 31", "--suite trixie --builds"),
    "bullseye": (
        "truth-debian-11.md",
        "Debian 11, OpenSSH 8.4, nova 22",
        "--suite bullseye --builds",
    ),
}
"""Page, what it was measured on, and how."""
HEAD = """# What Nova does, and what the agent says: {release}

Every row is one fault on a pair of real hosts that worked before.
*Nova* is the answer of Nova's own driver (`LibvirtDriver.migrate_disk_and_power_off`) to a move from A to B,
*agent* the word of `agent` on A and B just before. The page is written by
`python3 -m tests.lab.scenarios --fleet by-hand {options} --write-docs`; the faults stand in `tests/lab/scenarios/`. Rows that came
after the last run of all were measured by themselves (`--save FILE --resume`).
*After* is Nova's answer when `agent --fix` has run on both hosts, for the rows the agent did not call ready.
In the last column a difference that is meant has its reason. {counts}
{classes}

| Nova | meaning |
| --- | --- |
| OK | the disk arrived and qemu can read it |
| R | rolled back, the guest noticed nothing |
| E-on, E-off | guest in ERROR, running or powered off |
| L | guest powered off, in ERROR, and its disk is on neither host |
| E-dest | the disk arrived and qemu cannot read it |
| H | no end within half a minute |
| S | Nova is content and the disk is not where B looks for it |

| fault | Nova | agent | reason, side | after | |
| --- | --- | --- | --- | --- | --- |
"""


def write(suite: str, results: Iterable[Mapping[str, Any]]) -> None:
    """`results` as `--save` keeps them; the last of a fault on a pair set up by hand counts."""
    name, release, options = RELEASES[suite]
    by_name = {r["fault"]["name"]: r for r in results if r["kind"] == "by-hand" and r["word"]}
    rows = [by_name[fault.name] for fault in FAULTS if fault.name in by_name]
    counted = Counter(result["verdict"] for result in rows)
    counts = f"{len(rows)} rows: " + ", ".join(f"{counted[v]} {v}" for v in VERDICTS) + "."
    head = HEAD.format(release=release, options=options, counts=counts, classes=classes(rows))
    (REPOSITORY / "docs" / name).write_text(head + "".join(map(row, rows)) + left_out())


def classes(results: Iterable[Mapping[str, Any]]) -> str:
    """In how many of the rows in which something becomes of the guest the agent told what.  Not telling is not telling right."""
    bad = [r for r in results if expected(r)]
    moved = [r for r in bad if NOT_RUNNING not in r["nova_said"]]
    silent = sum((r["word"]["impact"] or CANNOT_TELL) == CANNOT_TELL for r in moved)
    right = sum(r["word"]["impact"] in expected(r) for r in moved)
    return (
        f"Of the {len(moved)} rows in which something becomes of the guest the agent told the class of {right} as it is with Nova"
        f" ({100 * right / max(len(moved), 1):.1f} %);\nof {silent} it says that it cannot tell."
        f" In {len(bad) - len(moved)} more nova-compute does not start, and nothing is moved."
    )


def expected(result: Mapping[str, Any]) -> tuple[str, ...]:
    """The impacts that are Nova's word; none where the move is a good one."""
    if result["fault"]["unseen"]:
        return UNSEEN[result["fault"]["unseen"]]
    return () if result["nova"] == "OK" else (IMPACTS[result["nova"]],)


def left_out() -> str:
    lines = (f"| {what} | {why} |\n" for what, why in LEFT_OUT.items())
    return "\n| not in the table | because |\n| --- | --- |\n" + "".join(lines)


def row(result: Mapping[str, Any]) -> str:
    fault, said = result["fault"], result["word"]
    agent = "ready" if said["ready"] else f"not ready: {said['impact'] or CANNOT_TELL}"
    why = "" if said["ready"] else f"`{said['reason']}`, {said['side']}"
    later = f" (later: {IMPACTS[fault['unseen']]})" if fault["unseen"] else ""
    verdict = result["verdict"]
    mark = fault["accepted"] if verdict == ACCEPTED else "" if verdict == AGREE else verdict
    if not mark and agent.endswith(CANNOT_TELL):
        mark = f"cannot tell: {REASONS[said['reason']].cause}"
    after = result["nova_after"]
    return f"| {fault['name']} | {result['nova']}{later} | {agent} | {why} | {after} | {mark} |\n"
