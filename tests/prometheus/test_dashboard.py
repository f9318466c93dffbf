"""The dashboard: well-formed, and every question it asks has an answer in a real Prometheus."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from agent import metrics
from tests.prometheus import monitoring
from tests.prometheus.dashboard import DASHBOARD, PATH, panels, queries, variables

REPORTS = PATH.parents[2] / "tests" / "browser"


def report(name: str, **changes: Any) -> dict[str, Any]:
    """A real report, of now."""
    now = datetime.now(timezone.utc)
    times = {"taken_at": now, "valid_until": now + timedelta(minutes=10)}
    told = {key: f"{moment:%Y-%m-%dT%H:%M:%SZ}" for key, moment in times.items()}
    document: dict[str, Any] = json.loads((REPORTS / f"{name}.json").read_text())
    return {**document, **told, **changes}


def exporter(document: dict[str, Any]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(metrics.text(document, datetime.now(timezone.utc)).encode())

        def log_message(self, *arguments: object) -> None:
            """Prometheus tells what it thinks of the answers."""

    return Handler


def test_every_question_has_an_answer(tmp_path: Path) -> None:
    if monitoring.MISSING:
        pytest.skip(f"not here: {', '.join(monitoring.MISSING)}")
    config, broken = {"valid": True}, report("broken")
    documents = {
        "compute1": {**broken, "config": config, "fixes": {"done": 3, "failed": 1}},
        "compute2": report("ready", config=config, peers=broken["peers"]),
    }
    with ExitStack() as stack:
        instances = {}
        for name, document in documents.items():
            served = monitoring.serving(exporter(document), monitoring.free_socket())
            instances[f"127.0.0.1:{stack.enter_context(served)}"] = name
        running = stack.enter_context(
            monitoring.running(tmp_path, list(instances), instances=instances)
        )
        unanswered = dict(queries())

        def all_answered() -> bool:
            for name, expression in list(unanswered.items()):
                if running.query(expression):
                    del unanswered[name]
            return not unanswered

        running.await_that(all_answered, "every question has an answer", 60)
        for selector, label in variables():
            assert running.label_values(selector, label), (selector, label)


def test_the_data_source_is_the_readers_choice():
    assert DASHBOARD["uid"] == "resize-agent"
    sources = [panel["datasource"] for panel in panels()]
    sources += [target["datasource"] for panel in panels() for target in panel["targets"]]
    assert {source["uid"] for source in sources} == {"${datasource}"}
    assert DASHBOARD["templating"]["list"][0]["type"] == "datasource"


def test_panels_have_their_own_id_and_place():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_every_panel_has_a_title_and_a_question():
    assert all(panel["title"] and panel["targets"] for panel in panels())
