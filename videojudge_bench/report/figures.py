"""The plots of a run, or of two beside each other: scores, calibration, confusion, biases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from videojudge_bench._util import charts
from videojudge_bench._util.charts import KINDS, Axis, Mark
from videojudge_bench.items import Item
from videojudge_bench.leaderboard.opening import OpenRun
from videojudge_bench.metrics.asked import asked
from videojudge_bench.metrics.bootstrap import Floats
from videojudge_bench.metrics.disagreement import share_below
from videojudge_bench.metrics.rating_statistics import Rated, confusion, rounded_to
from videojudge_bench.report.choices import choice_figures
from videojudge_bench.report.marks import Figure, mean_marks, tenths
from videojudge_bench.verdicts import Rating

FEWEST_ITEMS = 2
PARTS = 5
LEVELS = 30
"""So many heights, at most, of the bubbles in the plot of scores."""


@dataclass(frozen=True)
class _Scores:
    """The ratings of one run that could be read."""

    run: OpenRun
    rated: Rated
    words: Floats

    @classmethod
    def of(cls, run: OpenRun) -> _Scores:
        answers = asked(run.gold_set, run.judgements).only(run.found.part).answers
        parsed = [(e, v.value) for e, v in answers if isinstance(v, Rating)]
        words = [float(len(cast(Item, e.item).response.split())) for e, _ in parsed]
        rated = Rated.of([e for e, _ in parsed], [value for _, value in parsed])
        return cls(run, rated, np.array(words))

    @property
    def on_scale(self) -> bool:
        return self.run.found.on_scale


def figures_of(runs: Sequence[OpenRun]) -> list[Figure]:
    """Return the plots of one run or of two on one set; none where nothing could be read."""
    shape = runs[0].info.shape
    if shape != "ratings":
        return choice_figures(runs)
    scores = [found for found in map(_Scores.of, runs) if len(found.rated.scores) >= FEWEST_ITEMS]
    if not scores:
        return []
    found = [_scatter(one, kind) for one, kind in zip(scores, KINDS, strict=False)]
    found.append(_calibration(scores))
    found += [
        _confusion(one, kind) for one, kind in zip(scores, KINDS, strict=False) if one.on_scale
    ]
    return [*found, _length(scores)]


def _scatter(one: _Scores, kind: str) -> Figure:
    rated, scale = one.rated, one.run.info.scale
    x = Axis.whole("gold, mean of the raters", scale.low, scale.high)
    y = Axis.over("score", rated.scores.tolist(), room=0.06)
    if one.on_scale:
        y = Axis.whole("rating", scale.low, scale.high)
    step = (y.high - y.low) / LEVELS
    heights = rated.scores
    if len(np.unique(rated.scores)) > LEVELS:
        heights = y.low + (np.floor((rated.scores - y.low) / step) + 0.5) * step
    places, counts = np.unique(
        np.stack([rated.gold_levels, heights], axis=1), axis=0, return_counts=True
    )
    marks = [Mark(float(g), float(s), int(n)) for (g, s), n in zip(places, counts, strict=True)]
    svg = charts.bubbles(marks, x, y, kind=kind, diagonal=one.on_scale)
    return Figure("Scores against gold", "Areas are numbers of items.", svg, one.run.name)


def _calibration(scores: Sequence[_Scores]) -> Figure:
    scale = scores[0].run.info.scale
    y = Axis.whole("mean gold", scale.low, scale.high)
    if all(one.on_scale for one in scores):
        x = Axis.whole("rating, rounded", scale.low, scale.high)
        series = [
            _marks(one, rounded_to(scale, one.rated.scores), one.rated.gold) for one in scores
        ]
        caption = "On the dashed line a rating means what people mean by it. Bars: 95 %, by video."
        return Figure("Calibration", caption, charts.curves(series, x, y, diagonal=True))
    x = Axis.over("share of items with a lower score", [0.0, 1.0], room=0.04)
    series = [_marks(one, tenths(share_below(one.rated.scores)), one.rated.gold) for one in scores]
    caption = "Mean gold of each tenth of the scores; a judge that ranks well rises. Bars: 95 %."
    return Figure("Gold by score", caption, charts.curves(series, x, y))


def _confusion(one: _Scores, kind: str) -> Figure:
    levels = [str(value) for value in one.run.info.scale.values]
    cells = confusion(one.rated, one.run.info.scale)
    svg = charts.heat(cells, levels, levels, labels=("gold", "rated"), kind=kind)
    caption = "Items by gold and by rating, both rounded; the shade is the share of a row."
    return Figure("Confusion", caption, svg, one.run.name)


def _length(scores: Sequence[_Scores]) -> Figure:
    on_scale = all(one.on_scale for one in scores)
    what = "rating − gold" if on_scale else "place of score − place of gold"
    series = [_marks(one, _by_length(one.words), _error(one, on_scale)) for one in scores]
    ends = [v for marks in series for m in marks for v in (m.y, m.low, m.high) if v is not None]
    y = Axis.over(what, [*ends, -0.05, 0.05], room=0.08)
    x = Axis.over("words in the response", [m.x for marks in series for m in marks], room=0.06)
    caption = (
        "Fifths of the responses by length. Level at 0: the judge has no taste for long or short "
        "answers. Bars: 95 %, by video."
    )
    return Figure("Bias by length", caption, charts.curves(series, x, y, zero=True))


def _error(one: _Scores, on_scale: bool) -> Floats:
    if on_scale:
        return one.rated.scores - one.rated.gold
    return share_below(one.rated.scores) - share_below(one.rated.gold_levels)


def _by_length(words: Floats) -> Floats:
    """For each response the median length of its fifth; fifths of equal length are one."""
    edges = np.unique(np.quantile(words, np.linspace(0, 1, PARTS + 1)))
    part = np.clip(np.searchsorted(edges, words, side="right") - 1, 0, max(0, len(edges) - 2))
    middles = {int(p): float(np.median(words[part == p])) for p in np.unique(part)}
    return np.array([middles[int(p)] for p in part])


def _marks(one: _Scores, places: Floats, values: Floats) -> list[Mark]:
    """The mean of the values at each place, with intervals by video."""
    return mean_marks(places, values, one.rated.videos)
