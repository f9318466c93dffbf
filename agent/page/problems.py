"""What is wrong here: each problem with its cause, side, harm and remedy."""

from __future__ import annotations

from collections.abc import Sequence

from agent.formats.markup import Child, Markup, element
from agent.page.pieces import card, rank, remedy, rest, rest_item, section, who_and_what
from agent.reasons import REASONS
from agent.told import BAD, Row, Told, text

_PROBLEMS, _MESSAGES = 60, 5  # how many are shown


def problems(told: Told) -> Markup:
    """Findings of one check, reason and remedy stand together, the worst for the guest first."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for check, found in told.findings():
        if found.get("outcome") in BAD:
            said = (text(found, key) for key in ("outcome", "impact", "reason", "remedy"))
            groups.setdefault((text(check, "id"), *said), []).append(found)
    ordered = sorted(groups, key=lambda key: rank(key[1], key[2]))
    shown = [_problem(told, key[0], groups[key]) for key in ordered[:_PROBLEMS]]
    title = f"Problems: {len(ordered)}" if ordered else "No problems"
    return section("problems", title, *shown, rest(len(ordered) - len(shown), "problems"))


def _problem(told: Told, check: str, found: Sequence[Row]) -> Markup:
    first, code = found[0], text(found[0], "reason")
    messages = [_message(f) for f in found[:_MESSAGES]]
    facts: list[tuple[str, Child]] = [
        ("Cause", REASONS[code].cause if code in REASONS else ""),
        ("Found", element("ul", *messages, rest_item(len(found) - len(messages)))),
        *who_and_what(first),
        ("Fix", remedy(first)),
    ]
    return card(told, text(first, "outcome"), f"{check}: {code}", facts)


def _message(found: Row) -> Markup:
    subject = text(found, "peer") or text(found, "subject")
    said = text(found, "message")
    return element("li", said if subject in said else f"{subject}: {said}")
