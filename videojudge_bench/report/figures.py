"""Plots of a run, or of two side by side: scores, calibration, confusion, biases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from markupsafe import Markup

from videojudge_bench._util import charts
from videojudge_bench._util.charts import KINDS, Axis, Mark
from videojudge_bench.items import Example, Item, OptionGold, Pair, PreferenceGold
from videojudge_bench.leaderboard.opening import OpenRun
from videojudge_bench.metrics.asked import asked
from videojudge_bench.metrics.bootstrap import Floats, Ints, Resampling, codes
from videojudge_bench.metrics.card import measure_means
from videojudge_bench.metrics.disagreement import share_below
from videojudge_bench.metrics.rating_statistics import Rated, confusion, rounded_to
from videojudge_bench.metrics.units import question_scores
from videojudge_bench.verdicts import Preference, Rating, Unparsed, Verdict

RESAMPLING = Resampling(1000)
FEWEST_ITEMS = 2
PARTS = 5
LEVELS = 30
"""So many heights, at most, of the bubbles in the plot of scores."""


@dataclass(frozen=True)
class Figure:
    """A plot with its title and caption, and the run where it is about one of two."""

    title: str
    caption: str
    svg: Markup
    run: str = ""


def mean_marks(places: Floats, values: Floats, videos: Ints) -> list[Mark]:
    """Return the mean of the values at each place, with 95 % intervals by resampling videos.

    All arguments have the shape (items,); `places` are on the horizontal axis.
    """
    at = np.unique(places)
    columns = {str(k): np.where(places == place, values, np.nan) for k, place in enumerate(at)}
    metrics = measure_means(columns, videos, str, RESAMPLING, shares=())
    return [
        Mark(float(place), metric.value, int(np.sum(places == place)), metric.low, metric.high)
        for place, metric in zip(at, metrics.values(), strict=True)
        if metric.value is not None
    ]


def tenths(shares: Floats) -> Floats:
    """Return the middle of the tenth that each share is in."""
    return np.asarray(np.clip(np.floor(shares * 10), 0, 9) / 10 + 0.05, dtype=np.float64)


@dataclass(frozen=True)
class _Scores:
    run: OpenRun
    rated: Rated
    words: Floats

    @classmethod
    def of(cls, run: OpenRun) -> _Scores:
        parsed = [(e, v.value) for e, v in _answers(run) if isinstance(v, Rating)]
        words = [float(len(cast(Item, e.item).response.split())) for e, _ in parsed]
        rated = Rated.of([e for e, _ in parsed], [value for _, value in parsed])
        return cls(run, rated, np.array(words))

    @property
    def on_scale(self) -> bool:
        return self.run.record.on_scale


def figures_of(runs: Sequence[OpenRun]) -> list[Figure]:
    """Return the plots of one run or of two on one set; none where nothing could be read."""
    shape = runs[0].info.shape
    if shape != "ratings":
        return choice_figures(runs)
    scores = [one for one in map(_Scores.of, runs) if len(one.rated.scores) >= FEWEST_ITEMS]
    if not scores:
        return []
    of_kind = list(zip(scores, KINDS, strict=False))
    return [
        *(_scatter(one, kind) for one, kind in of_kind),
        _calibration(scores),
        *(_confusion(one, kind) for one, kind in of_kind if one.on_scale),
        _length(scores),
    ]


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
            mean_marks(rounded_to(scale, rated.scores), rated.gold, rated.videos)
            for rated in (one.rated for one in scores)
        ]
        caption = "On the dashed line a rating means what people mean by it. Bars: 95 %, by video."
        return Figure("Calibration", caption, charts.curves(series, x, y, diagonal=True))
    x = Axis.over("share of items with a lower score", [0.0, 1.0], room=0.04)
    series = [
        mean_marks(tenths(share_below(rated.scores)), rated.gold, rated.videos)
        for rated in (one.rated for one in scores)
    ]
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
    series = [
        mean_marks(_by_length(one.words), _error(one, on_scale), one.rated.videos) for one in scores
    ]
    ends = [v for marks in series for m in marks for v in (m.y, m.low, m.high) if v is not None]
    y = Axis.over(what, [*ends, -0.05, 0.05], room=0.08)
    x = Axis.over("words in the response", [m.x for marks in series for m in marks], room=0.06)
    caption = (
        "Fifths of the responses by length. Level at 0: the judge prefers neither long nor short "
        "answers. Bars: 95 %, by video."
    )
    return Figure("Bias by length", caption, charts.curves(series, x, y, zero=True))


def _error(one: _Scores, on_scale: bool) -> Floats:
    if on_scale:
        return one.rated.scores - one.rated.gold
    return share_below(one.rated.scores) - share_below(one.rated.gold_levels)


def _by_length(words: Floats) -> Floats:
    """Return for each response the median length of its fifth; equal fifths are merged."""
    edges = np.unique(np.quantile(words, np.linspace(0, 1, PARTS + 1)))
    part = np.clip(np.searchsorted(edges, words, side="right") - 1, 0, max(0, len(edges) - 2))
    middles = {int(p): float(np.median(words[part == p])) for p in np.unique(part)}
    return np.array([middles[int(p)] for p in part])


SHARES = Axis.over("share of verdicts that are right", [0.0, 1.0], room=0.04)
CALIBRATION = "Calibration"
LONGER, ALIKE, SHORTER = range(3)
CLOSE = 0.1
"""Two lengths that differ by less than this share of the longer one are alike."""

_Case = tuple[float, float, str]
"""Where on the horizontal axis, how right, which video."""


def choice_figures(runs: Sequence[OpenRun]) -> list[Figure]:
    """Return the plots of one run or two on options or pairs."""
    drawings = [_preference_calibration, _by_position, _pairs_by_length]
    if runs[0].info.shape == "options":
        drawings = [_options_by_score, _options_by_length]
    return [figure for draw in drawings if (figure := draw(runs)) is not None]


def _drawn(
    title: str, caption: str, cases: Sequence[Sequence[_Case]], axes: tuple[Axis, Axis]
) -> Figure | None:
    """Return a plot of each run's means, a calibration with its diagonal; None without cases."""
    series = []
    for run_cases in filter(None, cases):
        places, values, videos = (np.array(column) for column in zip(*run_cases, strict=True))
        series.append(mean_marks(places, values, codes(videos)))
    if not series:
        return None
    svg = charts.curves(series, *axes, diagonal=title == CALIBRATION)
    return Figure(title, f"{caption} Bars: 95 %, by video.", svg)


def _answers(run: OpenRun) -> list[tuple[Example, Verdict]]:
    answers = asked(run.gold_set, run.judgements).only(run.record.part).answers
    return [(e, verdict) for e, verdict in answers if not isinstance(verdict, Unparsed)]


def _options_by_score(runs: Sequence[OpenRun]) -> Figure | None:
    """Return the share of correct options in each tenth of the scores."""
    cases: list[list[_Case]] = []
    for run in runs:
        answers = _answers(run)
        places = share_below(np.array([cast(Rating, verdict).value for _, verdict in answers]))
        cases.append(
            [
                (float(place), float(cast(OptionGold, e.gold).correct), e.item.video_id)
                for place, (e, _) in zip(tenths(places), answers, strict=True)
            ]
        )
    x = Axis.over("share of options with a lower score", [0.0, 1.0], room=0.04)
    y = Axis.over("share that is correct", [0.0, 1.0], room=0.04)
    caption = "A judge that tells the correct option rises to the right."
    return _drawn("Correct options by score", caption, cases, (x, y))


def _options_by_length(runs: Sequence[OpenRun]) -> Figure | None:
    x = Axis.named("the correct option, beside the mean of the others", _COMPARED)
    caption = (
        "Share of wrong options below the correct one, ties half. Equal heights: the judge prefers "
        "neither long nor short answers."
    )
    return _drawn("Bias by length", caption, [_option_cases(run) for run in runs], (x, SHARES))


_COMPARED = ("longer", "as long", "shorter")


def _option_cases(run: OpenRun) -> list[_Case]:
    questions: dict[str, list[tuple[Example, float]]] = {}
    for example, verdict in _answers(run):
        questions.setdefault(example.unit, []).append((example, cast(Rating, verdict).value))
    cases: list[_Case] = []
    for options in questions.values():
        right = [o for o in options if cast(OptionGold, o[0].gold).correct]
        wrong = [o for o in options if not cast(OptionGold, o[0].gold).correct]
        if right and wrong:
            example, score = right[0]
            words = sum(_words(e) for e, _ in wrong) / len(wrong)
            value = question_scores(score, [s for _, s in wrong])["psup"]
            cases.append((_compared(_words(example), words), value, example.item.video_id))
    return cases


def _words(example: Example) -> int:
    return len(cast(Item, example.item).response.split())


def _compared(words: float, others: float) -> int:
    if abs(words - others) <= CLOSE * max(words, others):
        return ALIKE
    return LONGER if words > others else SHORTER


def _rightness(example: Example, verdict: Verdict) -> float:
    gold = cast(PreferenceGold, example.gold).p_first
    p_first = cast(Preference, verdict).p_first
    return 0.5 if p_first == 0.5 else float((p_first > 0.5) == (gold > 0.5))


def _decided(run: OpenRun) -> list[tuple[Example, Verdict]]:
    return [a for a in _answers(run) if cast(PreferenceGold, a[0].gold).p_first != 0.5]


def _by_position(runs: Sequence[OpenRun]) -> Figure | None:
    x = Axis.named("the better response stands", ("first", "second"))
    cases = [
        [
            (float(cast(PreferenceGold, e.gold).p_first < 0.5), _rightness(e, v), e.item.video_id)
            for e, v in _decided(run)
        ]
        for run in runs
    ]
    caption = "Every pair is shown in both orders; unequal heights are a position bias."
    return _drawn("Bias by position", caption, cases, (x, SHARES))


def _pairs_by_length(runs: Sequence[OpenRun]) -> Figure | None:
    x = Axis.named("the better response is", _COMPARED)
    cases = [[_pair_case(example, verdict) for example, verdict in _decided(run)] for run in runs]
    caption = "Equal heights: the judge prefers neither long nor short answers."
    return _drawn("Bias by length", caption, cases, (x, SHARES))


def _pair_case(example: Example, verdict: Verdict) -> _Case:
    pair = cast(Pair, example.item)
    first, second = len(pair.first.split()), len(pair.second.split())
    if cast(PreferenceGold, example.gold).p_first < 0.5:
        first, second = second, first
    return _compared(first, second), _rightness(example, verdict), pair.video_id


def _preference_calibration(runs: Sequence[OpenRun]) -> Figure | None:
    """Return the share of better first responses by the judge's probability for them."""
    places = [0.1, 0.3, 0.5, 0.7, 0.9]
    cases: list[list[_Case]] = []
    for run in runs:
        run_cases = []
        for example, verdict in _decided(run):
            place = places[min(4, int(5 * cast(Preference, verdict).p_first))]
            better = float(cast(PreferenceGold, example.gold).p_first > 0.5)
            run_cases.append((place, better, example.item.video_id))
        cases.append(run_cases if len({place for place, *_ in run_cases}) > 1 else [])
    x = Axis.over("probability given to the first response", [0.0, 1.0], room=0.04)
    y = Axis.over("share where the first is better", [0.0, 1.0], room=0.04)
    caption = "On the dashed line a probability means what it says."
    return _drawn(CALIBRATION, caption, cases, (x, y))
