"""docs/truth.md: what Nova made of each fault and what the agent said of it, as measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tests.lab.fleet import SOURCE as REPOSITORY
from tests.lab.scenarios.judge import ACCEPTED, AGREE, IMPACTS
from tests.lab.scenarios.table import FAULTS

PAGE = REPOSITORY / "docs" / "truth.md"
HEAD = """# What Nova does, and what the agent says

Every row is one fault on a pair of real hosts that worked before: Debian 12, OpenSSH 9.2, nova 26.2.2.
*Nova* is the answer of Nova's own driver (`LibvirtDriver.migrate_disk_and_power_off`) to a move from A to B,
*agent* the word of `agent` on A and B just before. The page is written by
`python3 -m tests.lab.scenarios --fleet by-hand --fix --write-docs`; the faults stand in `tests/lab/scenarios/`.
*After* is Nova's answer when `agent --fix` has run on both hosts, for the rows the agent did not call ready.

| Nova | meaning |
| --- | --- |
| OK | the disk arrived and qemu can read it |
| R | rolled back, the guest noticed nothing |
| E-on, E-off | guest in ERROR, running or powered off |
| E-dest | the disk arrived and qemu cannot read it |
| H | no end within half a minute |
| S | Nova is content and the disk is not where B looks for it |

| fault | Nova | agent | reason, side | after | |
| --- | --- | --- | --- | --- | --- |
"""


def write(results: Iterable[Mapping[str, Any]]) -> None:
    """`results` as `--save` keeps them; the last of a fault on a pair set up by hand counts."""
    rows = {r["fault"]["name"]: r for r in results if r["kind"] == "by-hand" and r["word"]}
    PAGE.write_text(HEAD + "".join(row(rows[f.name]) for f in FAULTS if f.name in rows))


def row(result: Mapping[str, Any]) -> str:
    fault, said = result["fault"], result["word"]
    agent = "ready" if said["ready"] else f"not ready: {said['impact'] or 'cannot tell'}"
    why = "" if said["ready"] else f"`{said['reason']}`, {said['side']}"
    later = f" (later: {IMPACTS[fault['unseen']]})" if fault["unseen"] else ""
    verdict = result["verdict"]
    mark = fault["accepted"] if verdict == ACCEPTED else "" if verdict == AGREE else verdict
    after = result["nova_after"]
    return f"| {fault['name']} | {result['nova']}{later} | {agent} | {why} | {after} | {mark} |\n"
