"""System-level pairwise accuracy: by hand, against Somers' D and against a naive bootstrap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from measured_runs import score
from rated_sets import INFO, TEST, rated
from scipy.stats import somersd

from videojudge_bench.goldsets.base import GoldSet, Shape
from videojudge_bench.metrics import (
    Metric,
    ScoreCard,
    all_keys,
    higher_is_better,
    metric_keys,
)
from videojudge_bench.metrics.bootstrap import Resampling, resampled_weights
from videojudge_bench.verdicts import Judgement, Unparsed, Verdict

SYSTEMS = replace(INFO, systems=True)
Row = tuple[str, str, float, float | Verdict]
"""System, video, gold, score or verdict."""


def named(rows: Sequence[Row]) -> tuple[GoldSet, dict[str, Judgement]]:
    """Return a set that names its systems, and judgements."""
    gold_set, judgements = rated([(video, [gold], said) for _, video, gold, said in rows])
    examples = zip(gold_set.examples, rows, strict=True)
    return GoldSet(SYSTEMS, tuple(replace(e, system=row[0]) for e, row in examples)), judgements


def card_of(rows: Sequence[Row], *, on_scale: bool = True, resamples: int = 20) -> ScoreCard:
    return score(*named(rows), on_scale=on_scale, resamples=resamples)


def accuracy_of(rows: Sequence[Row]) -> Metric:
    return card_of(rows).metrics["system_accuracy"]


def test_by_hand() -> None:
    # Mean gold a 2, b 3, c 4; mean scores a 3, b 2, c 5. Right are (a, c) and (b, c): 2/3.
    # Item by item the judge has only c's first answer above all others.
    rows: list[Row] = [
        *(("a", TEST[0], 1, 2), ("b", TEST[0], 2, 1), ("c", TEST[0], 5, 5)),
        *(("a", TEST[1], 3, 4), ("b", TEST[1], 4, 3), ("c", TEST[1], 3, 5)),
    ]
    metric = accuracy_of(rows)
    assert metric.value == pytest.approx(2 / 3)
    assert metric.no_interval == "fewer than 20 videos"


def test_systems_are_ranked_by_means_however_many_items_each_has() -> None:
    # Mean gold a 2 (of three), b 5 (of one); mean scores a 1, b 4: right. By sums it would be
    # wrong: gold 6 above 5, scores 3 below 4.
    rows: list[Row] = [*[("a", TEST[0], 2, 1)] * 3, ("b", TEST[1], 5, 4)]
    assert accuracy_of(rows).value == 1.0


def test_a_tie_of_the_judge_is_half_right() -> None:
    # Gold a 1, b 2, c 3; scores 4 4 5: (a, b) half, (a, c) and (b, c) right: 2.5 / 3.
    rows: list[Row] = [("a", TEST[0], 1, 4), ("b", TEST[0], 2, 4), ("c", TEST[0], 3, 5)]
    assert accuracy_of(rows).value == pytest.approx(2.5 / 3)


def test_a_tie_of_gold_is_left_out() -> None:
    # Gold a 2, b 2, c 3; scores 1 5 4: (a, b) left out, (a, c) right, (b, c) wrong: 1/2.
    rows: list[Row] = [("a", TEST[0], 2, 1), ("b", TEST[0], 2, 5), ("c", TEST[0], 3, 4)]
    assert accuracy_of(rows).value == 0.5


def test_means_of_gold_that_only_rounding_separates_are_tied() -> None:
    # (1.3 + 1.2 + 1.1) / 3 and (1.3 + 1.1 + 1.2) / 3 differ in the last bit
    rows: list[Row] = [("a", TEST[0], gold, k) for k, gold in enumerate((1.3, 1.2, 1.1), 1)]
    rows += [("b", TEST[0], gold, k) for k, gold in enumerate((1.3, 1.1, 1.2), 2)]
    assert accuracy_of(rows).undefined == "all systems have the same mean gold"


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, 10**6), min_size=2, max_size=12, unique=True),
    st.sampled_from([1e-9, 0.1, 1e7]),
    st.randoms(use_true_random=False),
)
def test_means_of_scores_that_only_rounding_separates_are_tied(
    whole: list[int], step: float, random: Random
) -> None:
    scores = [step * k for k in whole]
    rows: list[Row] = [("a", TEST[0], 2, said) for said in scores]
    rows += [("b", TEST[0], 3, said) for said in random.sample(scores, len(scores))]
    metric = card_of(rows, on_scale=False).metrics["system_accuracy"]
    assert metric.value == 0.5


def test_judge_and_gold_are_averaged_over_the_same_items() -> None:
    # Parsed: gold a 1, b 2; scores a 2, b 3: right. Over all items a's gold would be 3, above b's.
    # With 5 imputed as 1: gold a 3, b 2; scores a 1.5, b 3: wrong.
    rows: list[Row] = [
        ("a", TEST[0], 5, Unparsed("no verdict")),
        ("a", TEST[1], 1, 2),
        *(("b", TEST[0], 2, 3), ("b", TEST[1], 2, 3)),
    ]
    metrics = card_of(rows).metrics
    assert metrics["system_accuracy"].value == 1.0
    assert metrics["system_accuracy_all"] == Metric(0.0)


def test_a_system_without_a_parsed_item_has_no_pair() -> None:
    # a and b are ordered right; c is unparsed, and d has no video. Imputed, c (gold 4 -> 1) is
    # below both, though gold has it above: 1 right of 3; d stays out.
    rows: list[Row] = [
        *(("a", TEST[0], 2, 3), ("b", TEST[0], 3, 4)),
        ("c", TEST[0], 4, Unparsed("no verdict")),
        ("d", TEST[1], 5, Unparsed("video missing: v.mp4")),
    ]
    metrics = card_of(rows).metrics
    assert metrics["system_accuracy"].value == 1.0
    assert metrics["system_accuracy_all"].value == pytest.approx(1 / 3)


def test_one_system_is_no_comparison() -> None:
    rows: list[Row] = [("a", TEST[0], 2, 3), ("a", TEST[1], 3, 4)]
    assert accuracy_of(rows).undefined == "fewer than 2 systems"
    unparsed: list[Row] = [*rows, ("b", TEST[0], 5, Unparsed("no verdict"))]
    assert accuracy_of(unparsed).undefined == "fewer than 2 systems"
    assert card_of(unparsed).flat()["system_accuracy_low"] == "undefined (fewer than 2 systems)"


def test_nothing_parsed() -> None:
    rows: list[Row] = [(s, TEST[0], 2, Unparsed("no verdict")) for s in "ab"]
    assert accuracy_of(rows).undefined == "no parsed verdict"


def test_a_constant_judge_orders_no_system() -> None:
    rows: list[Row] = [(s, v, g, 0.1) for v in TEST[:25] for s, g in (("a", 2), ("b", 3))]
    metric = accuracy_of(rows)
    assert metric == Metric(None, undefined="constant judge")
    # a judge that ties the systems but not the items is not constant
    swapped: list[Row] = [
        *(("a", TEST[0], 1, 1), ("a", TEST[1], 1, 2)),
        *(("b", TEST[0], 2, 2), ("b", TEST[1], 2, 1)),
    ]
    assert accuracy_of(swapped).value == 0.5


ANSWERS = st.lists(
    st.tuples(
        st.sampled_from("abcdef"), st.sampled_from(TEST[:4]), st.integers(1, 5), st.integers(1, 5)
    ),
    min_size=4,
    max_size=40,
)


@settings(max_examples=50)
@given(ANSWERS)
def test_equals_somers_d(rows: list[tuple[str, str, int, int]]) -> None:
    # Somers' D of scores given gold: (right - wrong) / pairs that gold separates
    names = sorted({row[0] for row in rows})
    gold, scores = (
        [np.mean([row[k] for row in rows if row[0] == name]).round(9) for name in names]
        for k in (2, 3)
    )
    assume(len(set(gold)) > 1 and len(set(scores)) > 1)  # scipy has NaN where all are tied
    expected = (1 + somersd(gold, scores).statistic) / 2
    assert accuracy_of(rows).value == pytest.approx(expected, abs=1e-12)


def answers(gap: float, seed: int) -> list[Row]:
    """Four systems `gap` apart on 24 videos, a fifth on one video alone; whole numbers."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = [("e", TEST[3], 3, 2)]
    for video in TEST[:24]:
        for k, system in enumerate("abcd"):
            gold, said = np.clip(np.rint(2 + gap * k + rng.normal(0, 1, 2)), 1, 5).tolist()
            rows.append((system, video, gold, said))
    return rows


def naive(rows: Sequence[Row], copies: dict[str, float]) -> float:
    """Return the accuracy with every item as often as its video counts; NaN where undefined."""
    items: dict[str, list[tuple[float, float]]] = {}
    for system, video, gold, said in rows:
        assert isinstance(said, (int, float))
        items.setdefault(system, []).extend([(gold, said)] * int(copies[video]))
    means = [np.mean(pairs, axis=0).round(9) for pairs in items.values() if pairs]
    right = [
        (1 + np.sign(a[0] - b[0]) * np.sign(a[1] - b[1])) / 2
        for a, b in combinations(means, 2)
        if a[0] != b[0]
    ]
    return float(np.mean(right)) if right else math.nan


@pytest.mark.parametrize(("gap", "seed"), [(0.1, 3), (0.4, 2)])
def test_the_interval_equals_that_of_a_naive_bootstrap(gap: float, seed: int) -> None:
    rows = answers(gap, seed)
    metric = card_of(rows, resamples=200).metrics["system_accuracy"]
    (weights,) = resampled_weights(24, Resampling(resamples=200))
    videos = sorted(TEST[:24])
    assert metric.value == pytest.approx(naive(rows, dict.fromkeys(videos, 1)))
    resampled = [naive(rows, dict(zip(videos, row, strict=True))) for row in weights]
    expected_interval = np.percentile(resampled, [2.5, 97.5])
    assert (metric.low, metric.high) == pytest.approx(expected_interval, abs=1e-12)
    assert expected_interval[0] < expected_interval[1]


def test_an_accuracy_of_one_may_be_luck() -> None:
    # b is 1 above a on 11 videos and 1 below on 9: right by 2 points in all. In the resamples that
    # draw one of the 9 more often than not the order is wrong: about a third of them.
    rows: list[Row] = [("a", v, 2, 3) for v in TEST[:20]]
    rows += [("b", v, 3, 4 if k < 11 else 2) for k, v in enumerate(TEST[:20])]
    metric = card_of(rows, resamples=200).metrics["system_accuracy"]
    assert (metric.value, metric.low, metric.high) == (1.0, 0.0, 1.0)


def test_a_resample_with_one_score_has_no_accuracy() -> None:
    # The judge is right on one video and says 3 on the 24 others: a resample without that video is
    # one of a constant judge, and with it the order is right. Dropped, not counted as a half.
    rows: list[Row] = [(s, v, g, 3) for v in TEST[1:25] for s, g in (("a", 2), ("b", 4))]
    rows += [("a", TEST[0], 2, 2), ("b", TEST[0], 4, 4)]
    metric = card_of(rows, resamples=200).metrics["system_accuracy"]
    assert (metric.value, metric.low, metric.high) == (1.0, 1.0, 1.0)


@settings(max_examples=25)
@given(ANSWERS, st.randoms(use_true_random=False))
def test_the_order_of_items_does_not_matter(
    rows: list[tuple[str, str, int, int]], random: Random
) -> None:
    gold_set, judgements = named(rows)
    card = score(gold_set, judgements, on_scale=True)
    shuffled = GoldSet(SYSTEMS, tuple(random.sample(gold_set.examples, len(gold_set.examples))))
    ids = random.sample(list(judgements), len(judgements))
    assert score(shuffled, {i: judgements[i] for i in ids}, on_scale=True) == card


@settings(max_examples=25)
@given(ANSWERS, st.sampled_from([(1e-6, 0.0), (7.0, -3.0), (1e4, 1e6)]))
def test_names_and_the_scale_of_scores_do_not_matter(
    rows: list[tuple[str, str, int, int]], line: tuple[float, float]
) -> None:
    slope, offset = line
    other: list[Row] = [
        (chr(ord("z") - ord(s) + ord("a")), v, g, slope * x + offset) for s, v, g, x in rows
    ]
    found = card_of(other, on_scale=False).metrics["system_accuracy"]
    expected = accuracy_of(rows)
    assert (found.value is None) == (expected.value is None)
    assert found.undefined == expected.undefined
    assert found.value == pytest.approx(expected.value, abs=1e-12)


def test_a_judge_turned_round_has_the_rest() -> None:
    rows = answers(0.5, seed=5)
    turned: list[Row] = [(s, v, g, -x) for s, v, g, x in rows if isinstance(x, (int, float))]
    one, other = (card_of(r, on_scale=False).metrics["system_accuracy"] for r in (rows, turned))
    assert one.value is not None
    assert other.value == pytest.approx(1 - one.value)


def test_the_key_is_there_for_rated_sets_that_name_systems() -> None:
    keys = metric_keys(SYSTEMS)
    at = keys.index("system_accuracy")
    assert keys[at - 1 : at + 2] == ("acc_eq_cal", "system_accuracy", "tie_rate_gold")
    assert (*keys[:at], *keys[at + 1 :]) == metric_keys(INFO)
    twins = [f"system_accuracy{suffix}" for suffix in ("", "_low", "_high", "_all")]
    assert [key for key in all_keys(SYSTEMS) if key.startswith("system")] == twins
    assert higher_is_better("system_accuracy_all")


@pytest.mark.parametrize("shape", ["options", "pairs"])
def test_other_shapes_have_no_such_key(shape: Shape) -> None:
    assert metric_keys(replace(SYSTEMS, shape=shape)) == metric_keys(replace(INFO, shape=shape))


def test_naming_systems_changes_no_other_number() -> None:
    rows = answers(0.2, seed=4)
    metrics = dict(card_of(rows).metrics)
    gold_set, judgements = named(rows)
    without = score(GoldSet(INFO, gold_set.examples), judgements, on_scale=True, resamples=20)
    assert metrics.pop("system_accuracy").low is not None
    assert metrics.pop("system_accuracy_all").value is not None
    assert metrics == without.metrics
