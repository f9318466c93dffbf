"""The peers: those with a problem first, by problem; the others folded."""

from __future__ import annotations

from collections.abc import Sequence

from agent.formats.markup import Child, Markup, element
from agent.page.pieces import WORDS, card, folded, rank, remedy, rest, section, who_and_what
from agent.reasons import REASONS
from agent.told import BAD, FAIL, PASS, SKIP, UNKNOWN, WARN, Row, Told, ago, moment, rows, text

_WITH_PROBLEM, _FINE = 100, 200  # how many are shown


def peers(told: Told) -> Markup:
    known = rows(told.document, "peers")
    bad = [row for row in known if row.get("outcome") in BAD]
    fine = [row for row in known if row.get("outcome") not in BAD]
    room, cards = _WITH_PROBLEM, []
    for group in _by_problem(bad):
        if room > 0:
            cards.append(_card(told, group, group[:room]))
            room -= len(group[:room])
    lines = [_peer(told, row) for row in fine[:_FINE]]
    more = rest(len(fine) - len(lines), "peers without a problem")
    count = f"{len(fine)} peer{'' if len(fine) == 1 else 's'} without a problem"
    return section(
        "peers",
        f"Peers: {_counts(told, known)}",
        *cards,
        rest(len(bad) - (_WITH_PROBLEM - room), "peers with a problem"),
        folded(count, element("ul", *lines), more) if fine else Markup(""),
    )


def _by_problem(bad: Sequence[Row]) -> list[list[Row]]:
    """Rows of one outcome, harm, reason, stage and side together, the worst for the guest first."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in bad:
        key = tuple(text(row, k) for k in ("outcome", "impact", "reason", "stage", "side"))
        groups.setdefault(key, []).append(row)
    return [groups[key] for key in sorted(groups, key=lambda key: rank(key[0], key[1]))]


def _counts(told: Told, known: Sequence[Row]) -> str:
    if not known:
        return "none known"
    found = [text(row, "outcome") for row in known]
    words = ((FAIL, "do not take a disk"), (UNKNOWN, "unknown"), (WARN, "with a warning"))
    fine = ((PASS, "take a disk from here"), (SKIP, "not looked at"))
    parts = [f"{found.count(o)} {word}" for o, word in (*words, *fine) if o in found]
    return f"{len(known)} known: " + ", ".join(parts) if told.fresh else f"{len(known)} known"


def _card(told: Told, group: Sequence[Row], shown: Sequence[Row]) -> Markup:
    first, code, stage = group[0], text(group[0], "reason"), text(group[0], "stage")
    reason = REASONS.get(code)
    facts: list[tuple[str, Child]] = [
        ("Cause", reason.cause if reason else ""),
        ("Peers", element("ul", *(_peer(told, row, text(row, "message")) for row in shown))),
        *who_and_what(first),
        ("Fix", remedy({"reason": code, "remedy": reason.remedy if reason else None})),
    ]
    count = f"{len(group)} peer{'' if len(group) == 1 else 's'}"
    title = f"{count}: {code}" + (f" at stage {stage}" if stage else "")
    return card(told, text(first, "outcome"), title, facts)


def _peer(told: Told, row: Row, message: str = "") -> Markup:
    checked = moment(row.get("checked_at"))
    parts = [f"{text(row, 'name')} ({text(row, 'address')})"]
    if not message:
        word = WORDS.get(text(row, "outcome"), "UNKNOWN").lower()
        parts.append(word if told.fresh else f"was {word}")
    if checked:
        parts.append(f"{ago(told.now - checked)} ago")
    return element("li", ", ".join(parts), f": {message}" if message else "")
