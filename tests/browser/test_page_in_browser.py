"""The status page as a real browser shows it: wide and narrow, light and dark, to eye and to screen reader.

The reports are real ones, printed by hosts of the lab.  UPDATE_IMAGES=1 writes docs/images anew.
"""

from __future__ import annotations

import json
import os
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agent.page import CONTENT_SECURITY_POLICY, html
from agent.told import moment
from tests.browser import chromium

pytestmark = pytest.mark.skipif(
    not chromium.PROGRAM, reason="no chromium here: apt install chromium"
)

HERE = Path(__file__).parent
IMAGES = HERE.parents[1] / "docs" / "images"
READY = json.loads((HERE / "ready.json").read_text())
BROKEN = json.loads((HERE / "broken.json").read_text())
WIDTHS, SCHEMES = (320, 360, 1280), ("light", "dark")
BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}


def just_after(document: dict[str, Any]) -> datetime:
    taken = moment(document["taken_at"])
    assert taken is not None
    return taken + timedelta(seconds=40)


def with_long_words(document: dict[str, Any]) -> dict[str, Any]:
    """Names and messages that no line can hold."""
    rows = [{**row, "name": "n" * 200, "message": "m" * 500} for row in document["peers"]]
    return {**document, "host": "compute" * 20, "peers": rows}


PAGES = {
    "ready": html(READY, just_after(READY)),
    "broken": html(BROKEN, just_after(BROKEN)),
    "expired": html(BROKEN, just_after(BROKEN) + timedelta(hours=3)),
    "none": html(None, just_after(READY)),
    "long": html(with_long_words(BROKEN), just_after(BROKEN)),
}


@dataclass(frozen=True)
class Site:
    address: str
    asked: list[str]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            page = PAGES.get(self.path.strip("/"))
            self.send_response(200 if page else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
            self.end_headers()
            self.wfile.write((page or "").encode())

        def log_message(self, *arguments: object) -> None:
            """The test looks at `asked`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Site(f"http://127.0.0.1:{server.server_port}", asked)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[chromium.Browser]:
    with chromium.Browser() as started:
        yield started


def visit(browser: chromium.Browser, site: Site, name: str, width: int, scheme: str) -> None:
    site.asked.clear()
    browser.look(width, scheme)
    browser.open(f"{site.address}/{name}")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_the_page_fits_its_window_folded_and_unfolded(browser, site, name, width, scheme):
    visit(browser, site, name, width, scheme)
    too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.evaluate("window.innerWidth") == width
    assert browser.evaluate(too_wide) == 0
    browser.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert browser.evaluate(too_wide) == 0


@pytest.mark.parametrize("name", PAGES)
def test_the_page_asks_for_nothing_and_complains_of_nothing(browser, site, name):
    visit(browser, site, name, 1280, "light")
    assert site.asked == [f"/{name}"]
    sent = [event["request"]["url"] for event in browser.of("Network.requestWillBeSent")]
    assert {url for url in sent if not url.startswith("data:")} == {f"{site.address}/{name}"}
    assert browser.of("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded") == []
    assert browser.evaluate("document.compatMode") == "CSS1Compat"


# Of every piece of text: the WCAG 2 contrast between its colour and the nearest background behind it.
CONTRAST = """
(() => {
  const numbers = c => c.match(/[0-9.]+/g).map(Number);
  const part = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = numbers(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.data.trim(), e = walk.currentNode.parentElement;
    if (!text) continue;
    const [a, b] = [light(numbers(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), text]);
  }
  return found.sort((x, y) => x[0] - y[0]);
})()
"""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", PAGES)
def test_every_text_has_contrast_in_both_schemes(browser, site, name, scheme):
    visit(browser, site, name, 1280, scheme)
    back = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert back == BACKGROUNDS[scheme]  # so the style sheet came past the content security policy
    contrast, text = browser.evaluate(CONTRAST)[0]
    assert contrast >= 4.5, text


def spoken(browser: chromium.Browser) -> list[tuple[str, str, dict[str, Any]]]:
    """What a screen reader is told: role, name, properties."""
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    return [
        (
            node["role"]["value"],
            node.get("name", {}).get("value", ""),
            {p["name"]: p["value"].get("value") for p in node.get("properties", [])},
        )
        for node in nodes
        if not node["ignored"]
    ]


def test_a_screen_reader_finds_landmarks_headings_and_names(browser, site):
    visit(browser, site, "broken", 1280, "light")
    heard = spoken(browser)
    roles = [role for role, _, _ in heard]
    assert [roles.count(role) for role in ("banner", "main", "contentinfo")] == [1, 1, 1]
    headings = [(p["level"], name) for role, name, p in heard if role == "heading"]
    assert headings[0] == (1, "compute1: NOT READY")
    assert [level for level, _ in headings].count(1) == 1
    assert [name for role, name, _ in heard if role == "region"][:2] == ["Roles", "Problems: 3"]
    named = [name for role, name, _ in heard if role in ("region", "link", "heading")]
    assert all(named) and roles.count("article") == 5


def test_the_verdict_is_heard_without_its_sign(browser, site):
    visit(browser, site, "ready", 1280, "light")
    said = " ".join(name for role, name, _ in spoken(browser) if role == "StaticText")
    assert "READY" in said and "yes" in said
    assert not set("✓✗") & set(said)


def test_the_keyboard_reaches_and_opens_every_fold(browser, site):
    visit(browser, site, "broken", 1280, "light")
    folds = browser.evaluate("document.querySelectorAll('details').length")
    key = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
    enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
    for _ in range(folds):
        browser.call("Input.dispatchKeyEvent", type="keyDown", **key)
        browser.call("Input.dispatchKeyEvent", type="keyUp", **key)
        assert browser.evaluate("document.activeElement.tagName") == "SUMMARY"
        browser.call("Input.dispatchKeyEvent", type="keyDown", **enter)
        browser.call("Input.dispatchKeyEvent", type="keyUp", **enter)
    assert folds >= 3
    assert browser.evaluate("document.querySelectorAll('details[open]').length") == folds


@pytest.mark.parametrize(
    ("name", "width", "scheme", "image"),
    [
        ("ready", 900, "light", "ready.png"),
        ("broken", 900, "light", "broken.png"),
        ("broken", 360, "dark", "broken-narrow-dark.png"),
    ],
)
def test_the_documentation_shows_the_page(browser, site, name, width, scheme, image):
    visit(browser, site, name, width, scheme)
    picture, path = browser.picture(), IMAGES / image
    if os.environ.get("UPDATE_IMAGES"):
        path.write_bytes(picture)
    assert size(picture)[0] == width
    # Fonts differ between machines, and so do pixels and the height.
    assert size(path.read_bytes())[0] == width


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height
