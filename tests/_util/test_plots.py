"""Plots are SVG: they parse, say what they show, and are the same bytes for the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from videojudge_bench._util import plots

MAKERS: dict[str, Callable[[], str]] = {
    "lines": lambda: plots.lines(
        {"rating 1": [(1, 0.25), (2, 0.5)], "rating 2": [(1, 0.75)]}, labels=("round", "accepted")
    ),
    "heat": lambda: plots.heat({(1, "1"): 7, (1, "5"): 13, (2, "2"): 3}, labels=("rated", "aimed")),
    "bars": lambda: plots.bars({"3min": {"ours": 1.5, "theirs": 12.25}}, label="CPU seconds"),
}
SAYS = {
    "lines": {"round", "accepted", "rating 1", "rating 2"},
    "heat": {"rated", "aimed", "7", "13", "3", "0"},
    "bars": {"CPU seconds", "ours, 3min", "theirs, 3min", "1.5", "12.25"},
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_plot_says_what_it_shows(name: str) -> None:
    root = ElementTree.fromstring(MAKERS[name]())
    assert root.tag.endswith("svg")
    said = {"".join(node.itertext()).strip() for node in root.iter() if node.tag.endswith("text")}
    assert SAYS[name] <= said


@pytest.mark.parametrize("name", MAKERS)
def test_equal_numbers_are_equal_bytes(name: str) -> None:
    assert MAKERS[name]() == MAKERS[name]()


def test_bars_stand_in_the_order_of_their_length() -> None:
    svg = plots.bars({"": {"b": 3.0, "c": 9.0, "a": 1.0}}, label="x")
    places = [svg.index(f">{name}<") for name in "abc"]
    assert places == sorted(places)


def test_nothing_to_show_is_an_empty_plot() -> None:
    for svg in (
        plots.lines({}, labels=("x", "y")),
        plots.heat({}, labels=("x", "y")),
        plots.bars({}, label="x"),
    ):
        ElementTree.fromstring(svg)
