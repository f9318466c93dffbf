"""Charts as SVG, readable on light and dark pages: values in, text out.

Lengths are compared on a linear axis as bars; where figures span powers of ten they are dots on a logarithmic one, since a bar
without a zero has no length.  Every value stands beside its mark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, MARGIN, LEFT, RIGHT = 720, 20, 230, 96
ROW, BAR, HEAD, FOOT = 26, 14, 58, 46
PLOT = 300  # height of a chart of lines
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
STYLE = f"""
text {{ font: 12px {FONT}; fill: #52514e }}
.title {{ font-size: 15px; font-weight: 600; fill: #0b0b0b }}
.group {{ font-weight: 600; fill: #0b0b0b }}
.value {{ fill: #0b0b0b }}
.page {{ fill: #fcfcfb }}
.grid {{ stroke: #e4e3df }}
.axis {{ stroke: #b5b4ae }}
.other, .dot-other {{ fill: #a3a29b }}
.ours, .dot-ours {{ fill: #2a78d6 }}
.spread {{ stroke: #0b0b0b; stroke-width: 1.5 }}
.guide {{ stroke: #c9c8c2; stroke-dasharray: 1 3 }}
.line {{ fill: none; stroke-width: 2 }}
.s0 {{ stroke: #2a78d6 }} .s1 {{ stroke: #eb6834 }} .s2 {{ stroke: #1baf7a }} .s3 {{ stroke: #8a63d2 }}
.p0 {{ fill: #2a78d6 }} .p1 {{ fill: #eb6834 }} .p2 {{ fill: #1baf7a }} .p3 {{ fill: #8a63d2 }}
@media (prefers-color-scheme: dark) {{
text {{ fill: #c3c2b7 }}
.title, .group, .value {{ fill: #ffffff }}
.page {{ fill: #1a1a19 }}
.grid {{ stroke: #333331 }}
.axis {{ stroke: #5a5954 }}
.other, .dot-other {{ fill: #85847d }}
.ours, .dot-ours {{ fill: #3987e5 }}
.spread {{ stroke: #ffffff }}
.guide {{ stroke: #4a4945 }}
.s0 {{ stroke: #3987e5 }} .s1 {{ stroke: #d95926 }} .s2 {{ stroke: #199e70 }} .s3 {{ stroke: #9a78dc }}
.p0 {{ fill: #3987e5 }} .p1 {{ fill: #d95926 }} .p2 {{ fill: #199e70 }} .p3 {{ fill: #9a78dc }}
}}
"""


@dataclass(frozen=True)
class Bar:
    """`low` and `high` are quartiles."""

    label: str
    low: float
    value: float
    high: float
    ours: bool = False


@dataclass(frozen=True)
class Bars:
    """`groups`: a heading ("" for none) and its bars."""

    title: str
    axis: str
    groups: tuple[tuple[str, tuple[Bar, ...]], ...]
    logarithmic: bool = False


@dataclass(frozen=True)
class Lines:
    """Series of points by name.  Both axes are linear and begin at 0, so what is linear is straight."""

    title: str
    across: str
    up: str
    series: tuple[tuple[str, tuple[tuple[float, float], ...]], ...]


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` between two places of the picture."""

    low: float
    high: float
    begin: float
    end: float
    logarithmic: bool

    def place(self, value: float) -> float:
        part = self._part(max(value, self.low) if self.logarithmic else value)
        return round(self.begin + (self.end - self.begin) * part, 1)

    def _part(self, value: float) -> float:
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        if self.logarithmic:
            first, last = round(math.log10(self.low)), round(math.log10(self.high))
            return [10.0**power for power in range(first, last + 1)]
        step = nice(self.high / 5)
        return [step * n for n in range(int(self.high / step + 1e-9) + 1)]


def drawn(chart: Bars | Lines) -> str:
    return bars(chart) if isinstance(chart, Bars) else lines(chart)


def bars(chart: Bars) -> str:
    count = sum(len(each) + bool(heading) for heading, each in chart.groups)
    height = HEAD + ROW * count + 10 * (len(chart.groups) - 1) + FOOT
    every = [bar for _, each in chart.groups for bar in each]
    axis = scale(
        [v for b in every for v in (b.low, b.high)], LEFT, WIDTH - RIGHT, chart.logarithmic
    )
    bottom = height - FOOT
    parts = [*upright(axis, HEAD, bottom, chart.axis, height)]
    top = HEAD
    for number, (heading, each) in enumerate(chart.groups):
        top += 10 if number else 0
        if heading:
            parts.append(text(MARGIN, top + 17, heading, "group"))
            top += ROW
        for bar in each:
            parts += row(bar, axis, top, chart.logarithmic)
            top += ROW
    return document(chart.title, height, parts)


def row(bar: Bar, axis: Axis, top: float, logarithmic: bool) -> Iterator[str]:
    middle, at = top + ROW / 2, axis.place(bar.value)
    kind = "ours" if bar.ours else "other"
    yield text(LEFT - 10, middle + 4, bar.label, "value" if bar.ours else "", "end")
    if logarithmic:
        yield f'<line class="guide" x1="{LEFT}" x2="{at}" y1="{middle}" y2="{middle}"/>'
    else:
        width, y = max(at - LEFT, 1), middle - BAR / 2
        yield f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>'
    low, high = axis.place(bar.low), axis.place(bar.high)
    if high - low > 2:
        yield f'<line class="spread" x1="{low}" x2="{high}" y1="{middle}" y2="{middle}"/>'
    if logarithmic:
        yield f'<circle class="dot-{kind}" cx="{at}" cy="{middle}" r="6"/>'
    yield text(max(at, high) + 10, middle + 4, figure(bar.value), "value")


def lines(chart: Lines) -> str:
    points = [point for _, each in chart.series for point in each]
    left, right, bottom = 70, WIDTH - 190, HEAD + PLOT
    across = scale([x for x, _ in points], left, right, logarithmic=False)
    up = scale([y for _, y in points], bottom, HEAD, logarithmic=False)
    parts = [text(left, HEAD - 10, chart.up)]
    for tick in up.ticks():
        y = up.place(tick)
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>')
        parts.append(text(left - 8, y + 4, figure(tick), "", "end"))
    for tick in across.ticks():
        parts.append(text(across.place(tick), bottom + 18, figure(tick), "", "middle"))
    parts.append(text((left + right) / 2, bottom + FOOT - 10, chart.across, "", "middle"))
    ends = apart([up.place(each[-1][1]) for _, each in chart.series], 16)
    for number, ((name, each), y) in enumerate(zip(chart.series, ends)):
        parts += line(number, [(across.place(x), up.place(v)) for x, v in each])
        parts.append(text(right + 12, y + 4, f"{name}: {figure(each[-1][1])}", "value"))
    return document(chart.title, bottom + FOOT, parts)


def line(number: int, places: Sequence[tuple[float, float]]) -> Iterator[str]:
    path = " ".join(f"{x},{y}" for x, y in places)
    yield f'<polyline class="line s{number}" points="{path}"/>'
    for x, y in places:
        yield f'<circle class="p{number}" cx="{x}" cy="{y}" r="4"/>'


def apart(places: Sequence[float], least: float) -> list[float]:
    """The same places, moved down where labels would lie on each other."""
    moved = list(places)
    last = -math.inf
    for number in sorted(range(len(places)), key=lambda n: places[n]):
        moved[number] = last = max(places[number], last + least)
    return moved


def scale(values: Iterable[float], begin: float, end: float, logarithmic: bool) -> Axis:
    every = [value for value in values if value > 0]
    if not logarithmic:
        return Axis(0.0, max(every) * 1.02, begin, end, False)
    low, high = (
        10.0 ** math.floor(math.log10(min(every))),
        10.0 ** math.ceil(math.log10(max(every))),
    )
    return Axis(low, high if high > low else low * 10, begin, end, True)


def upright(axis: Axis, top: float, bottom: float, words: str, height: float) -> Iterator[str]:
    """Grid lines with their values, and what is measured."""
    for tick in axis.ticks():
        x = axis.place(tick)
        yield f'<line class="grid" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>'
        yield text(x, bottom + 16, figure(tick), "", "middle")
    yield f'<line class="axis" x1="{axis.begin}" x2="{axis.begin}" y1="{top}" y2="{bottom}"/>'
    yield text((axis.begin + axis.end) / 2, height - 8, words, "", "middle")


def nice(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * 0.999)


def figure(value: float) -> str:
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}".removesuffix(".0")


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'


def document(title: str, height: float, parts: Iterable[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height:g}" rx="8"/>',
        text(MARGIN, 30, title, "title"),
    )
    return "\n".join([*head, *parts, "</svg>"]) + "\n"
