"""The status page: one report as HTML, without script or anything to load.  The verdict first, then what to do.

What the report says is text of other people and programs: it becomes markup only through `element`, which escapes it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Optional

from agent.formats.markup import Child, Markup, element
from agent.page.peers import peers
from agent.page.pieces import WORDS, folded, rest, section, word
from agent.page.problems import problems
from agent.page.style import CSS
from agent.told import BAD, FAIL, PASS, UNKNOWN, Told, ago, mapping, rows, text

_HASH = b64encode(sha256(CSS.encode()).digest()).decode()
# For the header of the same name: the page needs its one style sheet and nothing else.
CONTENT_SECURITY_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; base-uri 'none'; form-action 'none'"
LINKS = (("Metrics", "/metrics"), ("Report as JSON", "/api/v1/report"))

_STEPS, _CHECKS = 50, 200  # how many are shown
_VERDICT = {PASS: "READY", FAIL: "NOT READY", UNKNOWN: "UNKNOWN"}
_ROLES = (
    ("source", "Resizes can leave this host"),
    ("destination", "Resizes can arrive at this host"),
)
_ANSWER = {PASS: "yes", FAIL: "NO", UNKNOWN: "UNKNOWN"}


def html(
    document: Optional[Mapping[str, Any]],
    now: datetime,
    links: Sequence[tuple[str, str]] = LINKS,
) -> str:
    """The whole page; `now` is aware.  Any document will do: what cannot be read is unknown, never ready."""
    told = Told(document or {}, now)
    name = text(told.document, "host") or "This host"
    title = f"{name}: {_VERDICT[told.verdict]}"
    body = element(
        "body",
        element("header", _headline(name, told), _taken(told)),
        element("main", _roles(told), _notice(told), *_details(told)),
        _footer(told, links),
    )
    return "<!DOCTYPE html>\n" + element("html", _head(title), body, lang="en").text + "\n"


def _head(title: str) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        Markup(
            f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_SECURITY_POLICY}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark">'
            '<link rel="icon" href="data:,">'  # or the browser would ask for one
        ),
        element("title", title),
        Markup(f"<style>{CSS}</style>"),
    )


def _headline(name: str, told: Told) -> Markup:
    return element("h1", name, ": ", word(told.verdict, _VERDICT[told.verdict]))


def _taken(told: Told) -> Markup:
    if told.taken_at is None:
        return element("p", "Nothing is known of when anything was looked at.")
    age = ago(told.now - told.taken_at)
    return element("p", "Looked at ", _time(told.document.get("taken_at")), f", {age} ago")


def _time(value: object) -> Markup:
    return element("time", str(value), datetime=str(value))


def _roles(told: Told) -> Markup:
    items = [
        element(
            "li",
            f"{sentence}: ",
            word(told.role(role), _ANSWER[told.role(role)]),
            element("div", f"role {role}", class_="faint"),
            class_=f"is-{told.role(role)}",
        )
        for role, sentence in _ROLES
    ]
    return section("roles", "Roles", element("ul", *items, class_="roles"))


def _notice(told: Told) -> Markup:
    if told.doubt:
        word = element("strong", told.doubt)
        rest = " Nothing is known about this host now. Is the daemon running? "
        look = element("code", "systemctl status resize-agent.service")
        return element("p", word, rest, look, class_="notice is-unknown")
    if not told.whole:
        return element("p", "This report looks at a part only.", class_="notice is-unknown")
    return Markup("")


def _details(told: Told) -> list[Markup]:
    """What is wrong, the peers, the rest.  Of an expired report folded, as history."""
    parts = [problems(told), peers(told), _plan(told), _fine(told)] if told.document else []
    if told.fresh:
        return parts
    return [folded("What the last report said", *parts)] if parts else []


def _plan(told: Told) -> Markup:
    steps = rows(mapping(told.document, "plan"), "steps")
    if not steps:
        return Markup("")
    items = [element("li", text(step, "action")) for step in steps[:_STEPS]]
    count = f"{len(steps)} change{'' if len(steps) == 1 else 's'}"
    more = rest(len(steps) - len(items), "changes")
    return folded(f"agent --fix would make {count} on this host", element("ul", *items), more)


def _fine(told: Told) -> Markup:
    checks = rows(told.document, "checks")
    fine = [check for check in checks if check.get("outcome") not in BAD]
    lines = []
    for check in fine[:_CHECKS]:
        outcome = text(check, "outcome")
        said = WORDS.get(outcome, WORDS[UNKNOWN]).lower()
        lines.append(
            element(
                "li", word(outcome, said if told.fresh else f"was {said}"), f" {text(check, 'id')}"
            )
        )
    title = f"{len(fine)} of {len(checks)} checks without a problem"
    more = rest(len(fine) - len(lines), "checks")
    return folded(title, element("ul", *lines), more) if fine else Markup("")


def _footer(told: Told, links: Sequence[tuple[str, str]]) -> Markup:
    parts: list[Child] = [f"resize-agent {text(mapping(told.document, 'tool'), 'version')}".strip()]
    for name, target in links:
        parts += [" · ", element("a", name, href=target)]
    return element("footer", element("p", *parts))
