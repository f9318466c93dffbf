"""What the parts of the page are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.explain import IMPACTS
from agent.formats.markup import LIMIT, Child, Markup, element, together
from agent.reasons import REASONS, Impact
from agent.told import BAD, FAIL, PASS, SKIP, UNKNOWN, WARN, Row, Told, text

WORDS = {FAIL: "FAIL", UNKNOWN: "UNKNOWN", WARN: "Warning", PASS: "Pass", SKIP: "Not looked at"}
_SIGNS = {PASS: "✓", FAIL: "✗", UNKNOWN: "?", WARN: "!", SKIP: "·"}
_SIDES = {
    "here": "this host",
    "peer": "the peer",
    "network": "the network between the hosts",
    "inventory": "the peer records",
}
# Worst for the guest first.
_HARM = [impact.value for impact in reversed(Impact)]


def word(outcome: str, said: str) -> Markup:
    """Sign, word and colour say the same; the sign is for the eye only."""
    known = outcome if outcome in _SIGNS else UNKNOWN
    sign = element("span", _SIGNS[known], aria_hidden="true")
    return element("span", sign, " ", said, class_=f"word {known}")


def prose(said: str) -> Markup:
    """Our own words, in which commands stand between backquotes."""
    parts = said[:LIMIT].split("`")
    if len(parts) % 2 == 0:
        return together(said)
    return together(*(element("code", part) if n % 2 else part for n, part in enumerate(parts)))


def folded(title: str, *children: Markup) -> Markup:
    return element("details", element("summary", title), *children)


def section(name: str, title: str, *children: Markup) -> Markup:
    heading = element("h2", title, id=name)
    return element("section", heading, *children, aria_labelledby=name)


def rank(outcome: str, impact: str) -> tuple[int, int]:
    return BAD.index(outcome), _HARM.index(impact) if impact in _HARM else len(_HARM)


def who_and_what(row: Row) -> Iterator[tuple[str, Child]]:
    yield "Who has to act", _SIDES.get(text(row, "side"), "")
    impact = text(row, "impact")
    yield "For the guest", prose(IMPACTS[Impact(impact)][0]) if impact in _HARM else ""


def remedy(row: Row) -> Markup:
    """What to do; `agent --fix` first where the plan has it and the remedy does not say so itself."""
    said, code = text(row, "remedy"), text(row, "reason")
    parts: list[Child] = [prose(said)]
    if row.get("fixable") is True and "agent --fix" not in said:
        parts = [element("code", "agent --fix"), ", or: " if said else "", *parts]
    if code in REASONS:
        more = element("code", f"agent explain {code}")
        parts.append(element("div", "More: ", more, class_="faint"))
    return together(*parts)


def card(told: Told, outcome: str, title: str, facts: Sequence[tuple[str, Child]]) -> Markup:
    said = WORDS[outcome] if told.fresh else f"was {WORDS[outcome].lower()}"
    shown = [
        together(element("dt", name), element("dd", value))
        for name, value in facts
        if value not in ("", Markup(""))
    ]
    heading = element("h3", word(outcome, said), " ", title)
    return element("article", heading, element("dl", *shown), class_=f"is-{outcome}")


def rest(number: int, noun: str) -> Markup:
    if number <= 0:
        return Markup("")
    where = element("code", "agent --format json")
    return element("p", f"{number} more {noun} are not shown here; ", where, " shows all.")


def rest_item(number: int) -> Markup:
    return element("li", f"and {number} more") if number > 0 else Markup("")
