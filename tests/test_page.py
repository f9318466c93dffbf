"""The status page: one report as HTML that no text of the report can break out of."""

from __future__ import annotations

import copy
import json
import re
from datetime import datetime, timedelta
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import archive
from agent.model import Outcome, Role, Scope
from agent.page import CONTENT_SECURITY_POLICY, html
from agent.reasons import REASONS, Impact, Side, Stage
from agent.told import Told, ago
from tests.hosts import NOW
from tests.reports import a_failure, a_finding, a_plan, a_report, a_row, result

VOID = {"meta", "link"}
ELEMENTS = set(
    "html head meta title style link body header main footer section article details summary"
    " h1 h2 h3 p ul li dl dt dd div span strong code time a".split()
)
HOSTILE = (
    "</code><script>alert(1)</script><!-- \" ' onload=x \x1b[31m\u202e\u2066\x00\ud800 --> &lt;"
)
SOON = NOW + timedelta(seconds=40)
LATER = NOW + timedelta(hours=2)


class Page(HTMLParser):
    """A page as a browser takes it apart: `text` without style, `tags`; raises where it is not balanced."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.source, self.open, self.tags = source, [], []
        self.pieces: list[str] = []
        self.comments: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.pieces.append(data)

    def handle_comment(self, data):
        self.comments.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())


def a_document(*results: Any, **changes: Any) -> dict[str, Any]:
    return json.loads(archive.dump(a_report(*results, **changes)))


def a_broken_document(**changes: Any) -> dict[str, Any]:
    return a_document(
        result(a_failure("shell_refuses_commands", message="shell is /usr/sbin/nologin")),
        result(a_finding(Outcome.WARN, reason="little_room"), check="room", role=Role.BOTH),
        result(a_finding(), check="identity", role=Role.SOURCE),
        **{"plan": a_plan(), **changes},
    )


def show(document: dict[str, Any] | None, now: datetime = SOON) -> Page:
    return Page(html(document, now))


def headings(page: Page) -> list[str]:
    found = re.findall(r"<h[123][^>]*>(.*?)</h[123]>", page.source)
    return [" ".join(unescape(re.sub(r"<[^>]*>", " ", h)).split()) for h in found]


# The verdict


def test_a_ready_host_is_called_ready():
    page = show(a_document())
    assert headings(page)[0] == "compute1: ✓ READY"
    assert "Resizes can leave this host: ✓ yes" in page.text
    assert "Resizes can arrive at this host: ✓ yes" in page.text
    assert "No problems" in page.text


def test_a_broken_role_is_named_and_the_other_is_not():
    page = show(a_broken_document())
    assert "compute1: NOT READY" in re.findall("<title>(.*?)</title>", page.source)
    assert "Resizes can leave this host: ✓ yes" in page.text
    assert "Resizes can arrive at this host: ✗ NO" in page.text


def test_not_knowing_is_called_unknown():
    found = a_finding(Outcome.UNKNOWN, reason="needs_root")
    page = show(a_document(result(found, role=Role.SOURCE)))
    assert headings(page)[0] == "compute1: ? UNKNOWN"
    assert "Resizes can leave this host: ? UNKNOWN" in page.text
    assert "Resizes can arrive at this host: ✓ yes" in page.text


def test_a_finding_about_one_peer_changes_no_role():
    found = a_failure("host_key_unknown", peer="compute2")
    page = show(a_document(result(found, role=Role.SOURCE), result(a_finding())))
    assert "Resizes can leave this host: ✓ yes" in page.text


def test_a_partial_report_is_never_ready():
    page = show(a_document(scope=Scope.PARTIAL))
    assert headings(page)[0] == "compute1: ? UNKNOWN"
    assert "This report looks at a part only." in page.text


# Age


def test_the_age_of_the_data_is_shown():
    page = show(a_document())
    assert f"{NOW:%Y-%m-%dT%H:%M:%SZ} , 40 seconds ago" in page.text


@pytest.mark.parametrize(
    ("document", "now", "why"),
    [
        (None, NOW, "There is no report yet."),
        ({}, NOW, "There is no report yet."),
        (a_document(), LATER, "The last report is 2 hours old."),
        (a_document(), NOW + timedelta(seconds=180), "The last report is 3 minutes old."),
        (a_document(), NOW - timedelta(hours=1), "The report is from the future"),
        ({**a_document(), "schema_version": 2}, SOON, "written by another version"),
        ({**a_document(), "valid_until": "soon"}, SOON, "does not say when"),
    ],
)
def test_what_says_nothing_about_now_is_unknown_and_never_ready(document, now, why):
    page = show(document, now)
    assert why in page.text
    assert headings(page)[0].endswith(": ? UNKNOWN")
    assert page.text.count("? UNKNOWN") == 3
    assert "✓ READY" not in page.text and "✓ yes" not in page.text


def test_an_expired_report_speaks_in_the_past_and_is_folded():
    page = show(a_broken_document(), LATER)
    before, _, history = page.source.partition("What the last report said")
    assert "nologin" not in before and "nologin" in history
    assert "was fail" in history and "was pass" in history
    assert "take a disk from here" not in history


def test_an_interrupted_report_is_never_ready():
    page = show(a_document(interrupted=True))
    assert headings(page)[0] == "compute1: ? UNKNOWN" and "✓ yes" not in page.text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0 seconds"), (1, "1 second"), (119, "119 seconds"), (120, "2 minutes"),
     (7199, "119 minutes"), (7200, "2 hours"), (200_000, "2 days")],
)  # fmt: skip
def test_an_age_is_told_in_the_largest_unit_of_which_there_are_two(seconds, said):
    assert ago(timedelta(seconds=seconds)) == said


# What is wrong


def test_a_problem_tells_cause_side_harm_and_the_command_that_fixes_it():
    page = show(a_broken_document())
    reason = REASONS["shell_refuses_commands"]
    for said in (
        reason.cause,
        "shell is /usr/sbin/nologin",
        "Who has to act this host",
        "Nova gives up before it touches the guest",
        reason.remedy,
        "agent explain shell_refuses_commands",
    ):
        assert said in page.text


def fixable(reason: str) -> dict[str, Any]:
    fix = tuple(step.action for step in a_plan().steps)
    return a_document(result(a_failure(reason, fix=fix)), plan=a_plan())


def test_the_fix_is_offered_where_the_plan_has_it_and_once():
    page = show(fixable("password_expired"))
    assert "Fix agent --fix , or: chage" in page.text
    assert "agent --fix would make 1 change on this host" in page.text
    assert (
        "Fix usermod --shell /bin/bash nova, or: agent --fix More"
        in show(fixable("shell_refuses_commands")).text
    )
    assert "agent --fix" not in show(a_document(result(a_failure("password_expired")))).text


def test_a_command_between_backquotes_is_marked_as_one_and_a_lone_one_stays():
    remedy = "start it: `systemctl start ssh`, then `agent`"
    page = show(a_document(result(a_failure(remedy=remedy))))
    assert "<code>systemctl start ssh</code>, then <code>agent</code>" in page.source
    assert "<code>openstack server show</code>" in page.source
    page = show(a_document(result(a_failure(remedy="a `half <b>"))))
    assert "a `half &lt;b&gt;" in page.source


def test_what_loses_a_disk_comes_first_and_warnings_last():
    page = show(
        a_document(
            result(a_finding(Outcome.WARN, reason="little_room"), check="room"),
            result(a_failure("no_identity"), check="identity"),
            result(a_finding(Outcome.UNKNOWN, reason="needs_root"), check="sshd"),
            result(a_failure("undeletable_resize"), check="leftovers"),
        )
    )
    order = [h for h in headings(page) if "_" in h]
    assert [h.split()[-1] for h in order] == [
        "undeletable_resize",
        "no_identity",
        "needs_root",
        "little_room",
    ]


@pytest.mark.parametrize("code", sorted(REASONS))
def test_every_reason_can_be_shown(code):
    page = show(a_document(result(a_failure(code)), peers=(a_row(Outcome.FAIL, reason=code),)))
    assert page.text.count(REASONS[code].cause) == 2


# Peers


def many_peers(count: int) -> dict[str, Any]:
    rows = [
        a_row(
            Outcome.FAIL if n % 2 else Outcome.PASS,
            Side.NETWORK,
            name=f"compute{n:04}",
            reason="connect_timeout" if n % 2 else None,
            stage=Stage.CONNECT if n % 2 else None,
            impact=Impact.ROLLBACK if n % 2 else None,
            message="did not answer" if n % 2 else "",
            checked_at=NOW,
        )
        for n in range(count)
    ]
    return a_document(peers=tuple(rows))


def test_failing_peers_come_first_and_the_rest_is_folded():
    page = show(many_peers(30))
    before, folded, after = page.source.partition("15 peers without a problem")
    assert folded and "compute0001" in before and "compute0000" not in before
    assert "compute0000" in after
    assert before.rindex("<details>") > before.rindex("compute0029")
    assert "30 known: 15 do not take a disk, 15 take a disk from here" in page.text


def test_one_cause_is_told_once_for_all_its_peers():
    assert show(many_peers(30)).text.count(REASONS["connect_timeout"].cause) == 1


def test_a_big_fleet_makes_no_big_page_and_says_what_is_missing():
    page = show(many_peers(5000))
    assert len(page.source) < 200_000
    assert "2400 more peers with a problem are not shown here" in page.text
    assert "2300 more peers without a problem are not shown here" in page.text


def test_the_worst_report_makes_a_bounded_page():
    long = HOSTILE * 1000
    found = [a_failure(f"{long}{n}", message=long, remedy=long) for n in range(300)]
    rows = [a_row(Outcome.FAIL, name=long, address=long, message=long) for _ in range(300)]
    page = show(a_document(result(*found, check=long), peers=tuple(rows)))
    assert len(page.source) < 3_000_000


def test_no_peers_at_all_is_said():
    assert "Peers: none known" in show(a_document(peers=())).text


# Nothing gets out


def replaced(value: Any, text: str) -> Any:
    """The document with every free text in it replaced."""
    if isinstance(value, dict):
        return {
            key: item
            if key in ("outcome", "role", "taken_at", "valid_until")
            else replaced(item, text)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [replaced(item, text) for item in value]
    return text if isinstance(value, str) else value


def assert_harmless(page: Page) -> None:
    assert set(page.tags) <= ELEMENTS
    assert page.comments == []
    assert not any(name.startswith("on") or name == "style" for name, _ in page.attributes)
    hrefs = [value for name, value in page.attributes if name in ("href", "src")]
    assert set(hrefs) <= {"data:,", "/metrics", "/api/v1/report"}
    assert all(c.isprintable() or c == "\n" for c in page.source)


@pytest.mark.parametrize("now", [SOON, LATER])
def test_hostile_text_stays_text(now):
    document = replaced(a_broken_document(peers=(a_row(Outcome.FAIL), a_row())), HOSTILE)
    page = show(document, now)
    assert_harmless(page)
    assert "</code><script>alert(1)</script>" in page.text


@given(st.text(max_size=60))
@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_no_text_of_the_report_gets_out(text):
    document = replaced(a_broken_document(peers=(a_row(Outcome.FAIL), a_row())), text + '<&">')
    assert_harmless(show(document))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["fail", "pass"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in the document."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return (
        [at, *(place for key, item in inner for place in places(item, (*at, key)))]
        if at
        else [place for key, item in inner for place in places(item, (key,))]
    )


WHOLE = a_broken_document(peers=(a_row(Outcome.FAIL), a_row()))


@given(st.sampled_from(places(WHOLE)), JSON)
@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_report_of_another_shape_makes_a_page_all_the_same(place, value):
    document = copy.deepcopy(WHOLE)
    holder: Any = document
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    page = show(document)
    assert_harmless(page)
    if Told(document, SOON).verdict != "pass":
        assert "✓ READY" not in page.text


# For everybody


def test_the_page_has_landmarks_and_a_language_and_one_first_heading():
    page = show(a_broken_document())
    assert [page.tags.count(tag) for tag in ("header", "main", "footer", "h1", "title")] == [1] * 5
    assert ("lang", "en") in page.attributes
    levels = [int(tag[1]) for tag in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:]))


def test_every_section_is_named_by_its_heading():
    page = show(a_broken_document())
    named = {value for name, value in page.attributes if name == "aria-labelledby"}
    ids = [value for name, value in page.attributes if name == "id"]
    assert named == set(ids) and len(ids) == len(set(ids)) == page.tags.count("section")


def test_colour_is_never_alone():
    page = show(a_broken_document())
    coloured = re.findall(
        r'<span class="word [a-z]+"><span[^>]*>.</span> ([^<]*)</span>', page.source
    )
    assert len(coloured) == page.source.count('class="word ') and all(coloured)


def test_nothing_is_loaded_and_the_policy_forbids_it():
    page = show(a_document())
    assert not {"script", "img", "iframe", "form"} & set(page.tags)
    assert "url(" not in page.source and "@import" not in page.source
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'; style-src 'sha256-")
    assert dict(page.attributes)["http-equiv"] == "Content-Security-Policy"
    assert unescape(CONTENT_SECURITY_POLICY) in page.source
