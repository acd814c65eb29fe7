"""Charts as SVG, the same bytes for the same numbers; colours come from `charts.css`.

A page holds that style sheet once and the charts inline; `document` makes a file of a chart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10, sqrt
from pathlib import Path

from markupsafe import Markup, escape

from videojudge_bench._util.files import write_whole

WIDTH, HEIGHT = 440, 280
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 12, 44
ROW = 24
NAMES = 190
KINDS = "abcde"
"""Classes of the series of a chart, each with a colour of its own."""

STYLE = Path(__file__).with_name("charts.css")
LARGEST = 11.0
"""Radius, in pixels, of the bubble of the most items."""


@dataclass(frozen=True)
class Axis:
    """One axis: its label, its ends, and the values and texts of its ticks."""

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]

    @classmethod
    def over(cls, label: str, values: Sequence[float], *, room: float = 0.0) -> Axis:
        """Return an axis with round ticks over some values, and some room at the ends."""
        low, high = min(values), max(values)
        wide = (high - low) or abs(high) or 1.0
        low, high = low - room * wide, high + room * wide
        rough = (high - low) / 5
        power: float = 10.0 ** floor(log10(rough))
        step = next(k * power for k in (1, 2, 5, 10) if k * power >= rough * 0.999)
        ticks = [k * step for k in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]
        return cls(label, low, high, [(tick, _short(tick)) for tick in ticks])

    @classmethod
    def whole(cls, label: str, low: int, high: int) -> Axis:
        """Return an axis of whole numbers, with half a step of room at each end."""
        ticks = [(float(k), str(k)) for k in range(low, high + 1)]
        return cls(label, low - 0.5, high + 0.5, ticks)

    @classmethod
    def named(cls, label: str, names: Sequence[str]) -> Axis:
        """Return an axis of names, at 0, 1, 2 and so on."""
        return cls(label, -0.5, len(names) - 0.5, [(float(k), n) for k, n in enumerate(names)])


@dataclass(frozen=True)
class Mark:
    """A point, the interval of its y where it has one, and how many items it stands for."""

    x: float
    y: float
    n: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Bar:
    """One line of a plot of intervals: a name, a value, its interval, and the class of its mark."""

    name: str
    value: float
    low: float | None
    high: float | None
    kind: str


def bubbles(marks: Sequence[Mark], x: Axis, y: Axis, *, kind: str, diagonal: bool) -> Markup:
    """Return points whose areas are proportional to their numbers of items."""
    plot = _Plot(x, y)
    most = max((mark.n for mark in marks), default=1)
    circles = [
        f'<circle class="mark {kind}" cx="{plot.x(m.x):.1f}" cy="{plot.y(m.y):.1f}" '
        f'r="{max(0.8, LARGEST * sqrt(m.n / most)):.1f}">'
        f"<title>{_short(m.x)}, {_short(m.y)}: {m.n}</title></circle>"
        for m in marks
    ]
    return plot.svg([*([plot.diagonal()] if diagonal else ()), *circles])


def curves(
    series: Sequence[Sequence[Mark]],
    x: Axis,
    y: Axis,
    *,
    diagonal: bool = False,
    zero: bool = False,
    names: Sequence[str] = (),
) -> Markup:
    """Return points with intervals, joined by lines; five series at most, each in its own colour.

    `diagonal` and `zero` draw the lines of x = y and of y = 0; `names` of the series make a legend.
    """
    plot = _Plot(x, y)
    parts: list[str] = [plot.diagonal()] if diagonal else []
    if zero:
        level = f"{plot.y(0.0):.1f}"
        ends = f'x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{level}" y2="{level}"'
        parts.append(f'<line class="guide" {ends}/>')
    for place, (kind, marks) in enumerate(zip(KINDS, series, strict=False)):
        shift = 12 / len(series) * (place - (len(series) - 1) / 2)
        line = " ".join(f"{plot.x(m.x) + shift:.1f},{plot.y(m.y):.1f}" for m in marks)
        parts.append(f'<polyline class="line {kind}" points="{line}"/>')
        parts += [plot.point(mark, kind, shift) for mark in marks]
    return plot.svg([*parts, *_legend(names)], more=20 if names else 0)


def heat(
    cells: Sequence[Sequence[int]],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    labels: tuple[str, str],
    kind: str = "a",
) -> Markup:
    """Return a table of counts, shaded by the share of each in its row."""
    x0, y0 = 64, 30
    side = min(52, 300 // max(1, len(rows), len(columns)))
    middle, width, height = side / 2, side * len(columns), side * len(rows)
    parts = [_text(x0 + width / 2, 12, labels[1], "middle", "label")]
    parts.append(_text(12, y0 + height / 2, labels[0], "middle", "label", turned=True))
    for column, name in enumerate(columns):
        parts.append(_text(x0 + side * column + middle, y0 - 6, name, "middle"))
    for row, line in enumerate(cells):
        parts.append(_text(x0 - 10, y0 + side * row + middle + 4, rows[row], "end"))
        for column, count in enumerate(line):
            share = count / max(1, sum(line))
            parts.append(
                f'<rect class="cell {kind}" x="{x0 + side * column}" y="{y0 + side * row}" '
                f'width="{side - 2}" height="{side - 2}" fill-opacity="{share:.3f}"/>'
            )
            across, down = x0 + side * column + middle - 1, y0 + side * row + middle + 3
            strong = "count strong" if share > 0.55 else "count"
            parts.append(_text(across, down, str(count), "middle", strong))
    return _svg(x0 + width + 8, y0 + height + 8, parts)


def intervals(bars: Sequence[Bar], label: str, *, guide: float | None = None) -> Markup:
    """Return one line a judge: a dot, its interval, and the value written beside it.

    `guide` draws a vertical line at a value.
    """
    ends = [v for bar in bars for v in (bar.value, bar.low, bar.high) if v is not None]
    axis = Axis.over(label, [*ends, 0.0], room=0.04)
    width, height = 640, ROW * len(bars) + 46
    across = NAMES + 10, width - 60

    def x(value: float) -> float:
        return across[0] + (value - axis.low) / (axis.high - axis.low) * (across[1] - across[0])

    bottom = height - 40
    parts = [
        f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="4" y2="{bottom}"/>'
        + _text(x(tick), bottom + 16, text, "middle")
        for tick, text in axis.ticks
    ]
    if guide is not None:
        parts.append(
            f'<line class="guide" x1="{x(guide):.1f}" x2="{x(guide):.1f}" y1="4" y2="{bottom}"/>'
        )
    parts.append(_text(sum(across) / 2, height - 6, label, "middle", "label"))
    for row, bar in enumerate(bars):
        y = ROW * row + 16.0
        name = bar.name if len(bar.name) <= 30 else f"{bar.name[:29]}…"
        parts.append(_text(NAMES, y + 4, name, "end", "name"))
        if bar.low is not None and bar.high is not None:
            parts.append(
                f'<line class="whisker {bar.kind}" x1="{x(bar.low):.1f}" x2="{x(bar.high):.1f}" '
                f'y1="{y:.1f}" y2="{y:.1f}"/>'
            )
        parts.append(f'<circle class="dot {bar.kind}" cx="{x(bar.value):.1f}" cy="{y:.1f}" r="4"/>')
        parts.append(_text(width - 4, y + 4, f"{bar.value:.3f}", "end", "value"))
    return _svg(width, height, parts)


def document(chart: Markup) -> str:
    """Return a chart as the text of an SVG file, in the light or the dark colours of its reader."""
    colours, _, rules = STYLE.read_text(encoding="utf-8").partition("}\n")
    light = dark = rules
    for name, bright, dim in re.findall(r"(--\w+): light-dark\((.+), (.+)\);", colours):
        light, dark = light.replace(f"var({name})", bright), dark.replace(f"var({name})", dim)
    style = f"<style>{light}@media (prefers-color-scheme: dark) {{\n{dark}}}\n</style>"
    head, _, rest = chart.replace(' aria-hidden="true"', "").partition(">")
    ground = '<rect class="ground" width="100%" height="100%"/>'
    name = 'xmlns="http://www.w3.org/2000/svg"'
    return f'{head} {name} font-family="sans-serif">{style}{ground}{rest}\n'


@dataclass(frozen=True, repr=False)
class Plot:
    """A chart that a notebook displays, with a caption that says how to read it."""

    title: str
    caption: str
    chart: Markup

    def save(self, path: str | Path) -> None:
        """Write the chart as an SVG file."""
        write_whole(Path(path), document(self.chart))

    def __repr__(self) -> str:
        return f"<Plot: {self.title}>"

    def _repr_html_(self) -> str:
        caption = escape(self.caption)
        return f"<figure>{document(self.chart)}<figcaption>{caption}</figcaption></figure>"


class _Plot:
    """Two axes, and the pixel positions of data between them."""

    def __init__(self, x: Axis, y: Axis) -> None:
        self._x, self._y = x, y

    def x(self, value: float) -> float:
        share = (value - self._x.low) / (self._x.high - self._x.low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        share = (value - self._y.low) / (self._y.high - self._y.low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def diagonal(self) -> str:
        low, high = max(self._x.low, self._y.low), min(self._x.high, self._y.high)
        return (
            f'<line class="guide" x1="{self.x(low):.1f}" y1="{self.y(low):.1f}" '
            f'x2="{self.x(high):.1f}" y2="{self.y(high):.1f}"/>'
        )

    def point(self, mark: Mark, kind: str, shift: float) -> str:
        x, parts = self.x(mark.x) + shift, list[str]()
        if mark.low is not None and mark.high is not None:
            parts.append(
                f'<line class="whisker {kind}" x1="{x:.1f}" x2="{x:.1f}" '
                f'y1="{self.y(mark.low):.1f}" y2="{self.y(mark.high):.1f}"/>'
            )
        title = f"<title>{mark.y:.3f}, {mark.n} items</title>"
        parts.append(
            f'<circle class="dot {kind}" cx="{x:.1f}" cy="{self.y(mark.y):.1f}" r="4">{title}'
            "</circle>"
        )
        return "".join(parts)

    def svg(self, parts: Sequence[str], *, more: int = 0) -> Markup:
        return _svg(WIDTH, HEIGHT + more, [*self._axes(), *parts])

    def _axes(self) -> list[str]:
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        parts = []
        for tick, text in self._y.ticks:
            y = self.y(tick)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(_text(LEFT - 8, y + 4, text, "end"))
        parts += [_text(self.x(tick), bottom + 16, text, "middle") for tick, text in self._x.ticks]
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
        parts.append(_text((LEFT + right) / 2, HEIGHT - 8, self._x.label, "middle", "label"))
        parts.append(_text(14, (TOP + bottom) / 2, self._y.label, "middle", "label", turned=True))
        return parts


def _legend(names: Sequence[str]) -> list[str]:
    """Dots and names in a line below the plot."""
    parts = []
    for place, (kind, name) in enumerate(zip(KINDS, names, strict=False)):
        x = LEFT + place * (WIDTH - LEFT) / len(names)
        parts.append(f'<circle class="dot {kind}" cx="{x:.1f}" cy="{HEIGHT + 8}" r="4"/>')
        parts.append(_text(x + 8, HEIGHT + 12, name, "start"))
    return parts


def _svg(width: float, height: float, parts: Sequence[str]) -> Markup:
    head = f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return Markup(f'{head} role="img" aria-hidden="true">{"".join(parts)}</svg>')


def _text(
    x: float, y: float, text: str, anchor: str, kind: str = "tick", *, turned: bool = False
) -> str:
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turn}>'
        f"{escape(text)}</text>"
    )


def _short(value: float) -> str:
    text = f"{value:.4g}"
    return "0" if text in ("-0", "0") else text.replace("-", "\N{MINUS SIGN}")
