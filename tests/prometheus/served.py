"""Reports in the place of hosts: each is served as its host would, to a real Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from agent import metrics
from tests.prometheus import monitoring
from tests.prometheus.monitoring import Monitoring


@contextmanager
def watched(directory: Path, documents: Mapping[str, Mapping[str, Any]]) -> Iterator[Monitoring]:
    """By host; a document that is changed meanwhile is served as it is now."""
    with ExitStack() as stack:
        instances = {}
        for name, document in documents.items():
            served = monitoring.serving(_exporter(document), monitoring.free_socket())
            instances[f"127.0.0.1:{stack.enter_context(served)}"] = name
        yield stack.enter_context(
            monitoring.running(directory, list(instances), instances=instances)
        )


def _exporter(document: Mapping[str, Any]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(metrics.text(document, datetime.now(timezone.utc)).encode())

        def log_message(self, *arguments: object) -> None:
            """Prometheus tells what it thinks of the answers."""

    return Handler
