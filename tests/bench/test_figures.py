"""Medians, quartiles and ratios of a run, and how they are kept."""

from __future__ import annotations

import json

import pytest

from bench.figures import Spent, Spread, cpu, dumped, loaded, number, over, spread


def runs(*seconds: float) -> list[Spent]:
    return [Spent(each, each / 2, 10.0, {"logins": 3}) for each in seconds]


def test_a_median_stands_between_its_quartiles() -> None:
    assert spread([5, 1, 4, 2, 3]) == Spread(2, 3, 4)
    assert spread([7]) == Spread(7, 7, 7)


def test_nothing_measured_is_no_figure() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        spread([])


def test_ratios_are_taken_round_by_round() -> None:
    """A round in which the machine was slow was slow for both."""
    ours, theirs = runs(1, 2, 10), runs(2, 4, 20)
    assert over(cpu(ours), cpu(theirs)) == Spread(0.5, 0.5, 0.5)


def test_rounds_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError):
        over([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0"), (0.0123, "0.012"), (0.5, "0.50"), (1.234, "1.23"), (12.34, "12.3"), (1234.5, "1234")],
)  # fmt: skip
def test_a_figure_has_three_digits(value: float, said: str) -> None:
    assert number(value) == said


def test_quartiles_are_told_where_they_differ() -> None:
    assert str(Spread(1.001, 1.002, 1.003)) == "1.00"
    assert str(Spread(1.4, 1.5, 1.7)) == "1.50 (1.40 .. 1.70)"


def test_what_is_kept_of_a_run_comes_back() -> None:
    figures = {"2": {"agent": runs(1, 2), "floor": runs(3)}}
    assert loaded(json.loads(json.dumps(dumped(figures)))) == figures
