"""Charts: each value where it belongs, and readable on a dark page."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from bench.charts import Bar, Bars, Lines, apart, drawn, figure, nice

SVG = "{http://www.w3.org/2000/svg}"
ONE_CHECK = Bars(
    "CPU <of> one check",
    "times the floor",
    (("2 records", (Bar("ours", 1.4, 1.5, 1.6, ours=True), Bar("playbook", 30, 45, 60))),),
)


def of(svg: str, kind: str, tag: str) -> list[ElementTree.Element]:
    return [e for e in ElementTree.fromstring(svg).iter(SVG + tag) if e.get("class") == kind]


def words(svg: str) -> list[str]:
    return [e.text or "" for e in ElementTree.fromstring(svg).iter(SVG + "text")]


def test_bars_are_as_long_as_their_values() -> None:
    svg = drawn(ONE_CHECK)
    [ours], [other] = of(svg, "ours", "rect"), of(svg, "other", "rect")
    assert abs(float(other.get("width", 0)) / float(ours.get("width", 1)) - 30) < 0.5


def test_each_bar_has_its_name_and_its_value() -> None:
    told = words(drawn(ONE_CHECK))
    assert {"ours", "1.5", "playbook", "45", "2 records", "CPU <of> one check"} <= {*told}


def test_a_logarithmic_chart_has_dots_and_no_bars() -> None:
    svg = drawn(Bars("t", "a", ONE_CHECK.groups, logarithmic=True))
    assert not of(svg, "ours", "rect") and not of(svg, "other", "rect")
    places = [float(dot.get("cx", 0)) for kind in ("dot-ours", "dot-other") for dot in of(svg, kind, "circle")]  # fmt: skip
    assert places == sorted(places) and len(places) == 2


def test_equal_factors_are_equal_distances_on_a_logarithmic_axis() -> None:
    bars = tuple(Bar(str(value), value, value, value) for value in (1, 10, 100))
    svg = drawn(Bars("t", "a", (("", bars),), logarithmic=True))
    first, second, third = (float(dot.get("cx", 0)) for dot in of(svg, "dot-other", "circle"))
    assert abs((second - first) - (third - second)) < 0.2


def test_what_is_linear_is_straight_and_up_is_more() -> None:
    points = ((10.0, 1.0), (100.0, 10.0), (1000.0, 100.0))
    [path] = of(drawn(Lines("t", "x", "y", (("check", points),))), "line s0", "polyline")
    (x1, y1), (x2, y2), (x3, y3) = (
        tuple(map(float, pair.split(","))) for pair in path.get("points", "").split()
    )
    assert x1 < x2 < x3 and y1 > y2 > y3
    assert abs((y2 - y1) / (x2 - x1) - (y3 - y1) / (x3 - x1)) < 0.01


def test_the_end_of_each_line_is_named() -> None:
    series = (("check", ((10.0, 1.0), (100.0, 5.0))), ("fix", ((10.0, 1.0), (100.0, 5.1))))
    svg = drawn(Lines("t", "x", "y", series))
    assert {"check: 5", "fix: 5.1"} <= {*words(svg)}
    ends = list(of(svg, "value", "text"))
    assert abs(float(ends[0].get("y", 0)) - float(ends[1].get("y", 0))) >= 16


def test_labels_do_not_lie_on_each_other() -> None:
    assert apart([10.0, 12.0, 50.0], 16) == [10.0, 26.0, 50.0]
    assert apart([12.0, 10.0], 16) == [26.0, 10.0]


def test_every_colour_has_another_one_for_dark_pages() -> None:
    svg = drawn(ONE_CHECK)
    light, dark = re.split(r"@media \(prefers-color-scheme: dark\)", svg)
    kinds = re.findall(r"^\.(\w+(?:-\w+)?) ?[,{]", light, re.MULTILINE)
    coloured = {kind for kind in kinds if re.search(rf"\.{kind}\b[^}}]*#", light)}
    assert coloured and all(f".{kind}" in dark for kind in coloured)


def test_ticks_are_round() -> None:
    assert [nice(value) for value in (0.07, 0.3, 1, 13, 40)] == [0.1, 0.5, 1, 20, 50]
    assert [figure(value) for value in (0, 0.25, 20000, 12.5)] == ["0", "0.25", "20,000", "12.5"]
