"""The score card of a pair set: every pair is shown in both orders."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

from videojudge_bench.errors import DataError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Example, PreferenceGold
from videojudge_bench.metrics.asked import Asked, asked, is_missing_video
from videojudge_bench.metrics.bootstrap import Resampling
from videojudge_bench.metrics.card import ScoreCard, assemble, coverage
from videojudge_bench.metrics.units import Units, imputed_metrics, unit_metrics
from videojudge_bench.verdicts import FIRST, SECOND, TIE, Judgement, Preference, Unparsed, Verdict

_ORDERS = ("ab", "ba")
_FIRST_SHARE = {FIRST: 1.0, TIE: 0.5, SECOND: 0.0}
_SWAPPED = {FIRST: SECOND, TIE: TIE, SECOND: FIRST}


def pair_card(
    gold_set: GoldSet,
    judgements: Mapping[str, Judgement],
    *,
    part: str,
    resampling: Resampling,
) -> ScoreCard:
    """Return the score card of a pair set; see `videojudge_bench.metrics.score`."""
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
    """Return the pairs by what becomes of them, and how many had no video to look at."""
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
            scored.append((example.item.video_id, _scores_of(orders)))
    return Units(scored, lost, n_left_out), n_missing


def _scores_of(orders: Mapping[str, tuple[Example, Verdict]]) -> dict[str, float]:
    a_is_better = cast(PreferenceGold, orders["ab"][0].gold).p_first > 0.5
    ab, ba = (cast(Preference, orders[order][1]) for order in _ORDERS)
    return pair_scores(ab, ba, a_is_better=a_is_better)


def pair_scores(ab: Preference, ba: Preference, *, a_is_better: bool) -> dict[str, float]:
    """Return the values of one pair from its verdicts in both orders.

    accuracy: with p = (P(first | A, B) + P(second | B, A)) / 2, whether p and gold are on the same
    side of 1/2; p = 1/2 earns half. both_orders_correct: whether both verdicts name the better
    response. order_consistency: whether both name the same response, or both a tie.
    first_position_rate: share of the two verdicts that name the first position, a tie half.
    """
    better = FIRST if a_is_better else SECOND
    named_in_ba = _SWAPPED[ba.choice]
    # p > 1/2 exactly when P(first | A, B) > P(first | B, A); compared so, nothing is rounded
    says_a, is_tie = ab.p_first > ba.p_first, ab.p_first == ba.p_first
    return {
        "accuracy": 0.5 if is_tie else float(says_a == a_is_better),
        "both_orders_correct": float(ab.choice == better == named_in_ba),
        "order_consistency": float(ab.choice == named_in_ba),
        "first_position_rate": (_FIRST_SHARE[ab.choice] + _FIRST_SHARE[ba.choice]) / 2,
    }
