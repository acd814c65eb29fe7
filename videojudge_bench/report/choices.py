"""The plots of sets of options and of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from videojudge_bench._util import charts
from videojudge_bench._util.charts import Axis, Mark
from videojudge_bench.items import Example, Item, OptionGold, Pair, PreferenceGold
from videojudge_bench.leaderboard.opening import OpenRun
from videojudge_bench.metrics.asked import asked
from videojudge_bench.metrics.bootstrap import codes
from videojudge_bench.metrics.disagreement import share_below
from videojudge_bench.metrics.options import question_scores
from videojudge_bench.report.marks import Figure, mean_marks, tenths
from videojudge_bench.verdicts import Preference, Rating, Unparsed, Verdict

SHARES = Axis.over("share of verdicts that are right", [0.0, 1.0], room=0.04)
CALIBRATION = "Calibration"
LONGER, ALIKE, SHORTER = range(3)
CLOSE = 0.1
"""Two lengths that differ by less than this share of the longer one are alike."""

_Case = tuple[float, float, str]
"""Where on the horizontal axis, how right, which video."""


def choice_figures(runs: Sequence[OpenRun]) -> list[Figure]:
    """Return the plots of one run or two on options or pairs."""
    if runs[0].info.shape == "options":
        return _filled([_options_by_score(runs), _options_by_length(runs)])
    return _filled([_calibration(runs), _by_position(runs), _pairs_by_length(runs)])


def _filled(figures: Sequence[Figure | None]) -> list[Figure]:
    return [figure for figure in figures if figure is not None]


def _drawn(
    title: str, caption: str, cases: Sequence[Sequence[_Case]], axes: tuple[Axis, Axis]
) -> Figure | None:
    """A plot of each run's means, the diagonal with a calibration; None without a case."""
    series = [_marks(found) for found in cases if found]
    if not series:
        return None
    svg = charts.curves(series, *axes, diagonal=title == CALIBRATION)
    return Figure(title, f"{caption} Bars: 95 %, by video.", svg)


def _marks(cases: Sequence[_Case]) -> list[Mark]:
    places, values, videos = zip(*cases, strict=True)
    return mean_marks(np.array(places), np.array(values), codes(np.array(videos)))


def _answers(run: OpenRun) -> list[tuple[Example, Verdict]]:
    answers = asked(run.gold_set, run.judgements).only(run.found.part).answers
    return [(e, verdict) for e, verdict in answers if not isinstance(verdict, Unparsed)]


def _options_by_score(runs: Sequence[OpenRun]) -> Figure | None:
    """How often an option is the correct one, by the tenth of the scores that it is in."""
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
        "Share of wrong options below the correct one, ties half. Equal heights: the judge has no "
        "taste for long or short answers."
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
    said = cast(Preference, verdict).p_first
    return 0.5 if said == 0.5 else float((said > 0.5) == (gold > 0.5))


def _decided(run: OpenRun) -> list[tuple[Example, Verdict]]:
    """The verdicts on pairs of which gold says which response is better."""
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
    caption = "Every pair is shown in both orders; unequal heights are a taste for a place."
    return _drawn("Bias by position", caption, cases, (x, SHARES))


def _pairs_by_length(runs: Sequence[OpenRun]) -> Figure | None:
    x = Axis.named("the better response is", _COMPARED)
    cases = [[_pair_case(example, verdict) for example, verdict in _decided(run)] for run in runs]
    caption = "Equal heights: the judge has no taste for long or short answers."
    return _drawn("Bias by length", caption, cases, (x, SHARES))


def _pair_case(example: Example, verdict: Verdict) -> _Case:
    pair = cast(Pair, example.item)
    first, second = len(pair.first.split()), len(pair.second.split())
    if cast(PreferenceGold, example.gold).p_first < 0.5:
        first, second = second, first
    return _compared(first, second), _rightness(example, verdict), pair.video_id


def _calibration(runs: Sequence[OpenRun]) -> Figure | None:
    """How often the first response is better, by the probability that the judge gives to it."""
    places = [0.1, 0.3, 0.5, 0.7, 0.9]
    cases: list[list[_Case]] = []
    for run in runs:
        found = []
        for example, verdict in _decided(run):
            place = places[min(4, int(5 * cast(Preference, verdict).p_first))]
            better = float(cast(PreferenceGold, example.gold).p_first > 0.5)
            found.append((place, better, example.item.video_id))
        cases.append(found if len({place for place, *_ in found}) > 1 else [])
    x = Axis.over("probability given to the first response", [0.0, 1.0], room=0.04)
    y = Axis.over("share where the first is better", [0.0, 1.0], room=0.04)
    caption = "On the dashed line a probability means what it says."
    return _drawn(CALIBRATION, caption, cases, (x, y))
