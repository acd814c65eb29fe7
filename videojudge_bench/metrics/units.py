"""Score cards of option and pair sets: means over questions or pairs.

The correct option is compared with the distractors of its question; every pair is shown in both
orders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from videojudge_bench.errors import DataError
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.items import Example, OptionGold, PreferenceGold
from videojudge_bench.metrics.asked import Asked, asked, is_missing_video
from videojudge_bench.metrics.bootstrap import Resampling
from videojudge_bench.metrics.card import Metric, ScoreCard, assemble, coverage, measure_means
from videojudge_bench.metrics.keys import Key, keys_of
from videojudge_bench.metrics.ratings import NOT_ON_SCALE
from videojudge_bench.verdicts import (
    FIRST,
    SECOND,
    TIE,
    Judgement,
    Preference,
    Rating,
    Unparsed,
    Verdict,
)


@dataclass(frozen=True)
class Units:
    """Scored questions or pairs."""

    scored: Sequence[tuple[str, Mapping[str, float]]]
    lost: Sequence[str]
    n_left_out: int


def unit_metrics(units: Units, resampling: Resampling) -> dict[str, Metric]:
    """Return the means over units with intervals; empty when no unit was scored."""
    return _means([v for v, _ in units.scored], [row for _, row in units.scored], resampling)


def imputed_metrics(info: GoldSetInfo, units: Units) -> dict[str, Metric]:
    """Return the means with 0 for every lost unit, without intervals; empty without any unit."""
    names = [key.name for key in keys_of(info) if key.imputed]
    loss = dict.fromkeys(names, 0.0)
    rows = [{name: row[name] for name in names} for _, row in units.scored]
    rows += [loss] * len(units.lost)
    return _means([*(v for v, _ in units.scored), *units.lost], rows, None)


def _means(
    videos: Sequence[str], rows: Sequence[Mapping[str, float]], resampling: Resampling | None
) -> dict[str, Metric]:
    if not rows:
        return {}
    values = {key: np.array([row[key] for row in rows], dtype=np.float64) for key in rows[0]}
    return measure_means(values, np.array(videos), lambda _: "", resampling)


def option_card(
    gold_set: GoldSet,
    judgements: Mapping[str, Judgement],
    *,
    on_scale: bool,
    part: str,
    resampling: Resampling,
) -> ScoreCard:
    """Return the score card of an option set; see `Measurement.card`."""
    info = gold_set.info
    reported = asked(gold_set, judgements).only(part)
    whole = Counter(example.unit for example in gold_set.examples)
    units = _questions(reported, whole, task=info.task)
    values = unit_metrics(units, resampling)
    if not on_scale:
        values.pop("delta", None)
    n, n_parsed, n_missing = len(reported.answers), reported.n_parsed, reported.n_missing_video

    def why(key: Key) -> str:
        if key.on_scale and not on_scale:
            return NOT_ON_SCALE
        return "no complete question" if n_parsed else reported.why_nothing()

    return ScoreCard(
        assemble(info, values, imputed_metrics(info, units), why),
        n=n,
        n_parsed=n_parsed,
        n_missing_video=n_missing,
        n_left_out=units.n_left_out,
        coverage=coverage(n, n_parsed, n_missing),
        part=part,
    )


def _questions(reported: Asked, whole: Mapping[str, int], *, task: str) -> Units:
    """Return the questions, scored where all of their options, counted in `whole`, were asked."""
    questions: dict[str, list[tuple[Example, Verdict]]] = {}
    for example, verdict in reported.answers:
        questions.setdefault(example.unit, []).append((example, verdict))
    scored: list[tuple[str, dict[str, float]]] = []
    lost: list[str] = []
    for name, options in questions.items():
        right = [v for e, v in options if cast(OptionGold, e.gold).correct]
        wrong = [v for e, v in options if not cast(OptionGold, e.gold).correct]
        if len(right) > 1:
            problem = f"question {name!r} has {len(right)} correct options; scoring needs one"
            raise DataError(problem, path=task)
        if not (right and wrong) or len(options) < whole[name]:
            continue
        video = options[0][0].item.video_id
        scores = [v.value for v in (*right, *wrong) if isinstance(v, Rating)]
        if len(scores) == len(options):
            scored.append((video, question_scores(scores[0], scores[1:])))
        elif not any(is_missing_video(v) for _, v in options):
            lost.append(video)
    return Units(scored, lost, n_left_out=len(questions) - len(scored))


def question_scores(correct: float, distractors: Sequence[float]) -> dict[str, float]:
    """Return the values of one question from the scores of its options; a distractor is needed.

    psup_strict: share of distractors below the correct option. tie_rate: share level with it.
    psup: strict + half the ties. delta: score of the correct option - mean of the distractors.
    top1: 1/k where the correct option is one of the k best, 0 where it is not among them.
    """
    others = np.array(distractors, dtype=np.float64)
    strict, tied = float(np.mean(others < correct)), float(np.mean(others == correct))
    is_best = bool(np.all(others <= correct))
    return {
        "psup": strict + tied / 2,
        "psup_strict": strict,
        "delta": correct - float(others.mean()),
        "top1": 1 / (1 + int(np.sum(others == correct))) if is_best else 0.0,
        "tie_rate": tied,
    }


_ORDERS = ("ab", "ba")
FIRST_SHARE = {FIRST: 1.0, TIE: 0.5, SECOND: 0.0}
_SWAPPED = {FIRST: SECOND, TIE: TIE, SECOND: FIRST}


def pair_card(
    gold_set: GoldSet,
    judgements: Mapping[str, Judgement],
    *,
    part: str,
    resampling: Resampling,
) -> ScoreCard:
    """Return the score card of a pair set; see `Measurement.card`."""
    info = gold_set.info
    reported = asked(gold_set, judgements).only(part)
    units, n_missing = _units(_both_orders(reported, task=info.task).values())
    n_parsed = len(units.scored)
    n = n_parsed + len(units.lost) + n_missing
    nothing = reported.why_nothing() if n or not reported.answers else "no complete pair"
    return ScoreCard(
        assemble(
            info,
            unit_metrics(units, resampling),
            imputed_metrics(info, units),
            lambda _: nothing,
        ),
        n=n,
        n_parsed=n_parsed,
        n_missing_video=n_missing,
        n_left_out=units.n_left_out,
        coverage=coverage(n, n_parsed, n_missing),
        part=part,
    )


def _both_orders(reported: Asked, *, task: str) -> dict[str, dict[str, tuple[Example, Verdict]]]:
    """Return for each pair its examples and verdicts by order, `ab` first."""
    pairs: dict[str, dict[str, tuple[Example, Verdict]]] = {}
    for example, verdict in reported.answers:
        orders = pairs.setdefault(example.unit, {})
        order = example.item.id.rpartition("/")[2]
        if order not in _ORDERS or order in orders:
            problem = (
                f"item {example.item.id!r} of pair {example.unit!r}: a pair has two items, "
                "one whose id ends in /ab and one in /ba"
            )
            raise DataError(problem, path=task)
        orders[order] = (example, verdict)
    return pairs


def _units(pairs: Collection[dict[str, tuple[Example, Verdict]]]) -> tuple[Units, int]:
    """Return the pairs as units, and how many lack their video."""
    scored: list[tuple[str, dict[str, float]]] = []
    lost: list[str] = []
    n_missing = n_left_out = 0
    for orders in pairs:
        verdicts = [verdict for _, verdict in orders.values()]
        example = next(iter(orders.values()))[0]
        if len(orders) < 2 or cast(PreferenceGold, example.gold).p_first == 0.5:
            n_left_out += 1
        elif any(is_missing_video(verdict) for verdict in verdicts):
            n_missing += 1
        elif any(isinstance(verdict, Unparsed) for verdict in verdicts):
            lost.append(example.item.video_id)
        else:
            ab, ba = (cast(Preference, orders[order][1]) for order in _ORDERS)
            a_is_better = cast(PreferenceGold, orders["ab"][0].gold).p_first > 0.5
            scores = pair_scores(ab, ba, a_is_better=a_is_better)
            scored.append((example.item.video_id, scores))
    return Units(scored, lost, n_left_out), n_missing


def pair_scores(ab: Preference, ba: Preference, *, a_is_better: bool) -> dict[str, float]:
    """Return the values of one pair from its verdicts in both orders.

    accuracy: with p = (P(first | A, B) + P(second | B, A)) / 2, whether p and gold are on the same
    side of 1/2; p = 1/2 earns half. both_orders_correct: whether both verdicts name the better
    response. order_consistency: whether both name the same response, or both a tie.
    first_position_rate: share of the two verdicts that name the first position, a tie half.
    """
    better = FIRST if a_is_better else SECOND
    named_in_ba = _SWAPPED[ba.choice]
    # p > 1/2 exactly when P(first | A, B) > P(first | B, A), which needs no rounding
    says_a, is_tie = ab.p_first > ba.p_first, ab.p_first == ba.p_first
    return {
        "accuracy": 0.5 if is_tie else float(says_a == a_is_better),
        "both_orders_correct": float(ab.choice == better == named_in_ba),
        "order_consistency": float(ab.choice == named_in_ba),
        "first_position_rate": (FIRST_SHARE[ab.choice] + FIRST_SHARE[ba.choice]) / 2,
    }
