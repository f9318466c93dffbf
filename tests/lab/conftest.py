"""Fixtures for tests that need several real hosts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.lab.fleet import Fleet

MakeFleet = Callable[..., Fleet]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    why = pytest.mark.skip(reason="the lab makes namespaces and mounts: needs root")
    for item in items:
        if item.get_closest_marker("lab"):
            item.add_marker(why)


@pytest.fixture
def make_fleet(capfd: pytest.CaptureFixture[str]) -> Iterator[MakeFleet]:
    """Fleets that live as long as the test: `make_fleet("compute1", "compute2", ipv6=True)`."""

    def progress(line: str) -> None:
        # The first run builds the base tree for minutes and must not look dead.
        with capfd.disabled():
            print(line, flush=True)

    with ExitStack() as stack:

        def make(*names: str, **options: Any) -> Fleet:
            fleet = Fleet(names, progress=progress, **options)
            # What the hosts say of themselves is printed before they go; pytest shows it on failure.
            stack.enter_context(fleet)
            stack.callback(lambda: print(fleet.diagnose()))
            return fleet

        yield make
