"""What the operator should know: one line on stderr, whatever the text holds."""

from __future__ import annotations

import contextlib
import sys

from agent.formats.escape import visible


def notice(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # a log that is gone stops no scrape
        sys.stderr.write(f"agent exporter: {visible(text, 1000)}\n")
        sys.stderr.flush()
