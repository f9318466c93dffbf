"""The dashboard: well-formed, and every question it asks has an answer in a real Prometheus."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.prometheus import monitoring
from tests.prometheus.dashboard import DASHBOARD, PATH, panels, queries, variables
from tests.prometheus.served import watched

REPORTS = PATH.parents[2] / "tests" / "browser"


def report(name: str, **changes: Any) -> dict[str, Any]:
    """A real report, of now."""
    now = datetime.now(timezone.utc)
    times = {"taken_at": now, "valid_until": now + timedelta(minutes=10)}
    told = {key: f"{moment:%Y-%m-%dT%H:%M:%SZ}" for key, moment in times.items()}
    document: dict[str, Any] = json.loads((REPORTS / f"{name}.json").read_text())
    return {**document, **told, **changes}


def test_every_question_has_an_answer(tmp_path: Path) -> None:
    if monitoring.MISSING:
        pytest.skip(f"not here: {', '.join(monitoring.MISSING)}")
    config, broken = {"valid": True}, report("broken")
    documents = {
        "compute1": {**broken, "config": config, "fixes": {"done": 3, "failed": 1}},
        "compute2": report("ready", config=config, peers=broken["peers"]),
    }
    with watched(tmp_path, documents) as running:
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
