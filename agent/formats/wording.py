"""Words that messages share."""

from __future__ import annotations

from collections.abc import Sequence

_MOST_SHOWN = 20


def line_numbers(numbers: Sequence[int]) -> str:
    """`line 3`, `lines 3, 4`; a long list is cut."""
    more = " ..." if len(numbers) > _MOST_SHOWN else ""
    return (
        f"line{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:_MOST_SHOWN]))}{more}"
    )
