"""docs/benchmarks.md: parts in, Markdown out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.figures import Goal, Part, Table

NOTE = "<!-- Written by `make bench` in one run; do not edit. The section on profiles comes from bench/profiles.md. -->"
HEAD = """# Benchmarks

{note}

What the agent costs, beside what it could not cost less than and beside what would be used instead. Everything is a ratio of
things run in turns on the same lab hosts within one run of `make bench`; a figure is the median of the rounds, with its quartiles
in brackets where they differ. Seconds and MiB appear as goals only, and are those of the machine described at the end.
"""


def page(parts: Sequence[Part], machine: Table, profiles: str) -> str:
    """The whole page; `profiles` is Markdown written by hand."""
    blocks = [HEAD.format(note=NOTE).strip(), goals(parts)]
    blocks += [section(each) for each in parts]
    blocks += [profiles.strip(), method(parts), "### The machine", table(machine)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def goals(parts: Iterable[Part]) -> str:
    rows = tuple(
        (goal.text, goal.measured, "met" if goal.met else "**not met**")
        for part in parts
        for goal in part.goals
    )
    whys = [reason(goal) for part in parts for goal in part.goals if not goal.met]
    blocks = ["## Goals", table(Table(("goal", "measured", ""), rows))]
    return "\n\n".join(blocks + (["\n".join(whys)] if whys else []))


def reason(goal: Goal) -> str:
    return f"- *{goal.text}*: {goal.why}."


def section(part: Part) -> str:
    blocks = [f"## {part.title}", part.lead]
    blocks += [f"![{chart.words}](images/bench-{chart.name}.svg)" for chart in part.charts]
    for each in part.tables:
        blocks += [each.caption] if each.caption else []
        blocks.append(table(each))
    return "\n\n".join(blocks)


def method(parts: Iterable[Part]) -> str:
    return "\n\n".join(
        ["## Method", *(f"**{each.title}.** {each.method}" for each in parts if each.method)]
    )


def table(told: Table) -> str:
    lines = [told.head, tuple("---" for _ in told.head), *told.rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines)


def cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ")
