"""What is said to whoever started the command, when there is no result."""

from __future__ import annotations

import sys

from agent.formats.escape import visible


def complain(message: str, code: int) -> int:
    """One line on stderr; `code` back, to end with."""
    sys.stderr.write(f"agent: {visible(message, 2000)}\n")
    return code
