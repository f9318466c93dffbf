"""For every fault the agent's word is Nova's own: whether a resize works, and what it does to the guest."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.lab.scenarios.__main__ import detail, key, line
from tests.lab.scenarios.fault import Fault
from tests.lab.scenarios.golden import KINDS
from tests.lab.scenarios.runner import Result, bench, run_one
from tests.lab.scenarios.table import FAULTS, work

pytestmark = [pytest.mark.lab, pytest.mark.scenario]

Pending = dict[str, "Future[Result]"]


def _rows() -> Iterator[object]:
    for fault, kind in work(FAULTS, KINDS):
        quick = fault.ci and kind == "by-hand"
        marks = () if quick else (pytest.mark.slow,)
        yield pytest.param(fault, kind, id=f"{fault.name}-{kind}", marks=marks)


@pytest.fixture(scope="module")
def pending(request: pytest.FixtureRequest) -> Iterator[Pending]:
    """The chosen rows, three at a time: some only wait, ahead of the tests that wait for them."""
    items = [
        item
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module
        if item.originalname == "test_the_agents_word_is_novas"
    ]
    chosen: list[tuple[Fault, str]] = [
        (item.callspec.params["fault"], item.callspec.params["kind"]) for item in items
    ]
    # The whole table repairs each fault and asks once more; CI's selection has no time for it.
    whole = any(item.get_closest_marker("slow") for item in items)
    with bench() as shared, ThreadPoolExecutor(max_workers=3) as pool:
        try:
            yield {key(*row): pool.submit(run_one, shared, *row, fix=whole) for row in chosen}
        finally:
            pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize(("fault", "kind"), list(_rows()))
def test_the_agents_word_is_novas(pending: Pending, fault: Fault, kind: str) -> None:
    result = pending[key(fault, kind)].result()
    assert result.good, f"{line(result)}\n{detail(result)}"
