"""Charts: marks where the numbers are, the same bytes for the same numbers, names as text."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from videojudge_bench._util.charts import (
    Axis,
    Bar,
    Mark,
    bubbles,
    curves,
    document,
    heat,
    intervals,
)
from videojudge_bench.report.figures import mean_marks

UNIT = Axis.over("x", [0.0, 1.0])


def circles(svg: str, kind: str) -> list[tuple[float, float, float]]:
    """Return centre and radius of the circles of a class."""
    made = ElementTree.fromstring(svg).iter("circle")
    return [
        (float(c.attrib["cx"]), float(c.attrib["cy"]), float(c.attrib["r"]))
        for c in made
        if c.attrib["class"].split()[0] == kind
    ]


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.0, 1.0], ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ([-0.1, 0.3], ["−0.1", "0", "0.1", "0.2", "0.3"]),
        ([0, 1234], ["0", "500", "1000"]),
    ],
)
def test_ticks_are_round(values: list[float], ticks: list[str]) -> None:
    axis = Axis.over("x", values)
    assert [text for _, text in axis.ticks] == ticks
    assert all(axis.low - 1e-9 <= tick <= axis.high + 1e-9 for tick, _ in axis.ticks)


def test_an_axis_over_one_value_has_room() -> None:
    axis = Axis.over("x", [7.0], room=0.1)
    assert axis.low < 7 < axis.high
    assert len(axis.ticks) >= 2


def test_marks_stand_where_their_numbers_are() -> None:
    svg = bubbles([Mark(0, 0, 4), Mark(1, 1, 1)], UNIT, UNIT, kind="a", diagonal=True)
    (x0, y0, r0), (x1, y1, r1) = circles(svg, "mark")
    assert (x0, y0) == (54.0, 236.0)  # left and bottom of the plot
    assert (x1, y1) == (426.0, 12.0)
    assert r0 == 2 * r1  # areas are numbers
    assert bubbles([Mark(0, 0, 4)], UNIT, UNIT, kind="a", diagonal=False) == bubbles(
        [Mark(0, 0, 4)], UNIT, UNIT, kind="a", diagonal=False
    )


def test_curves_of_two_runs_do_not_hide_each_other() -> None:
    marks = [Mark(0.5, 0.5, 3, 0.4, 0.6)]
    svg = curves([marks, marks], UNIT, UNIT, zero=True)
    (a, _, _), (b, _, _) = circles(svg, "dot")
    assert b - a == 6.0
    assert svg.count('class="whisker a"') == svg.count('class="whisker b"') == 1
    assert 'class="guide"' in svg


def test_a_table_of_counts_is_shaded_by_row() -> None:
    svg = heat([[3, 1], [0, 0]], ["1", "2"], ["1", "2"], labels=("gold", "rated"))
    assert re.findall(r'fill-opacity="([0-9.]+)"', svg) == ["0.750", "0.250", "0.000", "0.000"]
    texts = [e.text for e in ElementTree.fromstring(svg).iter("text")]
    assert texts == ["rated", "gold", "1", "2", "1", "3", "1", "2", "0", "0"]


def test_a_table_of_counts_has_rows_and_columns_of_its_own() -> None:
    svg = heat([[7, 0, 13]], ["4"], ["1", "5", "unrated"], labels=("aimed at", "rated"))
    texts = [e.text for e in ElementTree.fromstring(svg).iter("text")]
    assert texts == ["rated", "aimed at", "1", "5", "unrated", "4", "7", "0", "13"]


def test_intervals_have_names_as_text() -> None:
    bars = [Bar("<b>&", 0.5, 0.4, 0.6, "judge"), Bar("x" * 40, -0.25, None, None, "human")]
    svg = intervals(bars, "tau")
    texts = [
        e.text for e in ElementTree.fromstring(svg).iter("text") if e.attrib["class"] == "name"
    ]
    assert texts == ["<b>&", "x" * 29 + "…"]
    assert svg.count('class="whisker') == 1
    (x0, _, _), (x1, _, _) = circles(svg, "dot")
    assert x1 < x0


def test_series_have_a_colour_and_a_name_each() -> None:
    series = [[Mark(0.5, share, 4)] for share in (0.25, 0.5, 0.75)]
    svg = curves(series, UNIT, UNIT, names=["rating 1", "rating 2", "<3>"])
    texts = [e.text for e in ElementTree.fromstring(svg).iter("text")]
    assert texts[-3:] == ["rating 1", "rating 2", "<3>"]
    kinds = [c.attrib["class"] for c in ElementTree.fromstring(svg).iter("circle")]
    assert kinds == ["dot a", "dot b", "dot c"] * 2  # the points, then the legend
    assert curves(series, UNIT, UNIT) == curves(series, UNIT, UNIT, names=())


def test_a_file_has_the_colours_of_both_themes() -> None:
    chart = intervals([Bar("a & b", 0.5, 0.4, 0.6, "judge")], "tau")
    text = document(chart)
    assert text == document(chart)
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    style = root[0].text or ""
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    assert "color: #2b5f8c" in light
    assert "color: #82b4de" in dark
    assert "var(" not in style
    assert "a & b" in [e.text for e in root.iter() if e.tag.endswith("text")]


def test_nothing_to_show_is_an_empty_chart() -> None:
    for chart in (curves([], UNIT, UNIT), heat([], [], [], labels=("x", "y")), intervals([], "x")):
        ElementTree.fromstring(document(chart))


def test_means_at_places_with_intervals() -> None:
    videos = np.repeat(np.arange(25), 2)
    places = np.tile([1.0, 2.0], 25)
    values = np.where(places == 1.0, 0.0, np.repeat(np.arange(25), 2).astype(float))
    one, two = mean_marks(places, values, videos)
    assert (one.x, one.y, one.n, one.low, one.high) == (1.0, 0.0, 25, 0.0, 0.0)
    assert (two.x, two.y, two.n) == (2.0, 12.0, 25)
    assert two.low is not None
    assert two.high is not None
    assert two.low < 12 < two.high
