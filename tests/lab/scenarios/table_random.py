"""Combinations on which the agent's word and Nova's once differed, as the generator found them."""

from __future__ import annotations

from collections.abc import Iterable

from tests.lab.scenarios.combine import named
from tests.lab.scenarios.fault import Fault

FOUND: tuple[str, ...] = ()


def rows(table: Iterable[Fault]) -> tuple[Fault, ...]:
    """The combinations, made of the rows of `table`."""
    by_name = {fault.name: fault for fault in table}
    return tuple(named(name, by_name) for name in FOUND)
