from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_runs import score
from rated_sets import DEV, TEST, VATEX, made_up, rated, values

from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.metrics import all_keys
from videojudge_bench.verdicts import Unparsed

ROWS = st.lists(
    st.tuples(
        st.sampled_from([*DEV[:3], *TEST[:3]]),
        st.lists(st.integers(1, 5), min_size=2, max_size=2),
        st.one_of(st.integers(1, 5), st.just(Unparsed("no verdict"))),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=25)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_examples_and_judgements_does_not_matter(
    rows: list[tuple[str, list[int], int | Unparsed]],
    random: Random,
) -> None:
    gold_set, judgements = rated(rows, VATEX)
    card = score(gold_set, judgements, on_scale=True)
    examples, ids = list(gold_set.examples), list(judgements)
    random.shuffle(examples)
    random.shuffle(ids)
    shuffled = GoldSet(VATEX, tuple(examples))
    assert score(shuffled, {i: judgements[i] for i in ids}, on_scale=True).flat() == card.flat()


def test_intervals_depend_on_the_seed_and_not_on_the_order() -> None:
    gold_set, judgements = rated(made_up([*DEV[:21], *TEST[:21]], whole=True), VATEX)
    backwards = GoldSet(VATEX, gold_set.examples[::-1])
    card = score(gold_set, judgements, on_scale=True, resamples=25)
    assert score(backwards, judgements, on_scale=True, resamples=25) == card
    other = score(gold_set, judgements, on_scale=True, resamples=25, seed=1)
    assert other.metrics["spearman"].low != card.metrics["spearman"].low


@settings(max_examples=25)
@given(ROWS)
def test_every_number_is_defined_or_says_why(
    rows: list[tuple[str, list[int], int | Unparsed]],
) -> None:
    card = score(*rated(rows, VATEX), on_scale=True)
    assert tuple(card.flat()) == all_keys(VATEX)
    for metric in card.metrics.values():
        assert (metric.value is None) == bool(metric.undefined)
        assert metric.value is None or np.isfinite(metric.value)


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from([(0.3, 7.0), (2.0, -1.0)]))
def test_monotone_rescaling_keeps_rank_statistics(seed: int, line: tuple[float, float]) -> None:
    rows = made_up([*DEV[:4], *TEST[:4]], whole=True, seed=seed)
    rescaled = [(v, r, float(np.exp(line[0] * s) + line[1])) for v, r, s in rows]
    one = values(score(*rated(rows), on_scale=False))
    other = values(score(*rated(rescaled), on_scale=False))
    for key in ("spearman", "kendall_tau_b", "tau_b_within", "acc_eq", "tie_rate_judge"):
        assert other[key] == one[key]


def test_duplicating_every_video_keeps_the_values() -> None:
    rows = made_up(TEST[:8], whole=True)
    twice = [*rows, *((f"{v}-again", r, s) for v, r, s in rows)]
    one, other = (values(score(*rated(r), on_scale=True)) for r in (rows, twice))
    for key in ("pearson", "spearman", "kendall_tau_b", "rmse", "mae", "qwk", "acc_eq", "bias"):
        assert other[key] == pytest.approx(one[key], abs=1e-12)
