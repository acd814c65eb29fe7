"""Plots as SVG text, the same bytes for the same numbers."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points = Sequence[tuple[float, float]]


def lines(series: Mapping[str, Points], *, labels: tuple[str, str]) -> str:
    """Return a plot of named lines through points.

    Args:
        series: points (x, y) by name, drawn in this order; x is a whole number.
        labels: of the two axes.
    """

    def draw(axes: Axes) -> None:
        for name, points in series.items():
            axes.plot([x for x, _ in points], [y for _, y in points], marker="o", label=name)
        axes.set_xticks(sorted({x for points in series.values() for x, _ in points}))
        axes.set_ylim(0, 1)
        if series:
            axes.legend(frameon=False)

    return _svg(draw, labels)


def heat(cells: Mapping[tuple[int, str], int], *, labels: tuple[str, str]) -> str:
    """Return a table of counts, darker where a row has more of its own; the counts are written.

    Args:
        cells: counts by row and column.
        labels: of the columns and of the rows.
    """
    rows = sorted({row for row, _ in cells})
    columns = sorted({column for _, column in cells})
    counts = [[cells.get((row, column), 0) for column in columns] for row in rows]
    shares = [[n / max(1, sum(line)) for n in line] for line in counts]

    def draw(axes: Axes) -> None:
        if rows:
            axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), [str(row) for row in rows])
        for y, line in enumerate(counts):
            for x, count in enumerate(line):
                dark = shares[y][x] > 0.5
                axes.text(x, y, str(count), ha="center", color="white" if dark else "black")

    return _svg(draw, labels)


def bars(groups: Mapping[str, Mapping[str, float]], *, label: str) -> str:
    """Return horizontal bars, the shortest on top in each group; the values are written.

    Args:
        groups: values by name, by group.
        label: of the values.
    """

    def draw(axes: Axes) -> None:
        place, ticks = 0.0, dict[float, str]()
        for group, values in groups.items():
            for name, value in sorted(values.items(), key=lambda pair: pair[1]):
                axes.barh(place, value, color="tab:blue", height=0.7)
                axes.text(value, place, f" {value:g}", va="center")
                ticks[place] = f"{name}, {group}".replace("_", " ") if group else name
                place += 1
            place += 0.5
        axes.set_yticks(list(ticks), list(ticks.values()))
        axes.invert_yaxis()
        axes.margins(x=0.15)

    return _svg(draw, (label, ""), rows=sum(map(len, groups.values())))


def _svg(draw: Callable[[Axes], None], labels: tuple[str, str], *, rows: int = 0) -> str:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # Text as text, and names of parts that do not change from run to run.
    with mpl.rc_context():
        mpl.rc("svg", fonttype="none", hashsalt="videojudge")
        mpl.rc("font", size=9)
        figure = Figure(figsize=(5.5, max(3, 0.3 * rows)), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()
