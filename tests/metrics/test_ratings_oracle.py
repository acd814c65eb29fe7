from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest
from measured_runs import score
from rated_sets import DEV, TEST, VATEX, made_up, rated
from scipy.stats import kendalltau, pearsonr, spearmanr
from sklearn.metrics import cohen_kappa_score

from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import RatingGold, part_of
from videojudge_bench.metrics import metric_keys
from videojudge_bench.metrics.bootstrap import Bools, Floats, Resampling, resampled_weights
from videojudge_bench.verdicts import Judgement, Rating


@dataclass(frozen=True)
class Written:
    """Items with every copy written out; each copy of a video is a group of its own."""

    x: Floats
    raters: Floats
    groups: Floats
    candidate_0: Floats

    @property
    def gold(self) -> Floats:
        return np.asarray(self.raters.mean(axis=1), dtype=np.float64)


def write_out(gold_set: GoldSet, judgements: Mapping[str, Judgement], weights: Floats) -> Written:
    examples = sorted(gold_set.examples, key=lambda e: e.item.id)
    videos = sorted({e.item.video_id for e in examples})
    rows = []
    for video, copies in zip(videos, weights, strict=True):
        mine = [e for e in examples if e.item.video_id == video]
        for copy in range(int(copies)):
            rows += [(e, f"{video}#{copy}") for e in mine]
    verdicts = [judgements[e.item.id].verdict for e, _ in rows]
    return Written(
        x=np.array([v.value for v in verdicts if isinstance(v, Rating)]),
        raters=np.array([e.gold.ratings for e, _ in rows if isinstance(e.gold, RatingGold)]),
        groups=np.unique([group for _, group in rows], return_inverse=True)[1].astype(float),
        candidate_0=np.array([float(e.labels["candidate"] == "0") for e, _ in rows]),
    )


def oracle(items: Written) -> dict[str, float]:
    """Return the statistics of a rated set the slow way."""
    x, gold = items.x, items.gold
    error, rounded = x - gold, np.clip(np.floor(x + 0.5), 1, 5)
    kept = items.candidate_0 == 0
    in_bins = [error[rounded == level] for level in range(1, 6)]
    return {
        "pearson": pearsonr(x, gold).statistic,
        "spearman": spearmanr(x, gold).statistic,
        "kendall_tau_b": kendalltau(x, gold).statistic,
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": float(np.mean(np.abs(error))),
        "bias": float(np.mean(error)),
        "over2": float(np.mean(error >= 2 - 1e-9)),
        "under2": float(np.mean(error <= -2 + 1e-9)),
        "calibration_error": sum(len(e) / len(x) * abs(e.mean()) for e in in_bins if len(e)),
        "qwk": float(
            np.mean(
                [
                    cohen_kappa_score(rounded, rater, weights="quadratic", labels=[1, 2, 3, 4, 5])
                    for rater in items.raters.T
                ]
            )
        ),
        **oracle_inside_groups(items),
        **oracle_emscore(items, np.ones(len(x), dtype=bool), ""),
        **oracle_emscore(items, kept, "_without_0"),
    }


def oracle_emscore(items: Written, kept: Bools, suffix: str) -> dict[str, float]:
    x, raters = np.round(items.x[kept], 4), items.raters[kept].T
    return {
        f"emscore_tau_b{suffix}": float(np.mean([kendalltau(x, y).statistic for y in raters])),
        f"emscore_rho{suffix}": float(np.mean([spearmanr(x, y).statistic for y in raters])),
    }


def oracle_inside_groups(items: Written) -> dict[str, float]:
    taus, accuracies, gold_ties, judge_ties = [], [], [], []
    for group in np.unique(items.groups):
        x, y = (values[items.groups == group] for values in (items.x, items.gold))
        signs = [
            (np.sign(x[i] - x[j]), np.sign(round(y[i] - y[j], 9)))
            for i, j in combinations(range(len(x)), 2)
        ]
        taus.append(kendalltau(x, np.round(y, 9)).statistic)
        accuracies.append(np.mean([a == b for a, b in signs]))
        judge_ties += [a == 0 for a, _ in signs]
        gold_ties += [b == 0 for _, b in signs]
    return {
        "tau_b_within": float(np.nanmean(taus)),
        "acc_eq": float(np.mean(accuracies)),
        "tie_rate_gold": float(np.mean(gold_ties)),
        "tie_rate_judge": float(np.mean(judge_ties)),
    }


@pytest.mark.parametrize("whole", [True, False])
def test_values_and_intervals_equal_a_naive_bootstrap(whole: bool) -> None:
    gold_set, judgements = rated(made_up([f"v{k:02d}" for k in range(24)], whole=whole), VATEX)
    card = score(gold_set, judgements, on_scale=True, resamples=30, seed=5)
    (weights,) = resampled_weights(24, Resampling(resamples=30, seed=5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns of groups with tied scores and returns NaN
        expected = oracle(write_out(gold_set, judgements, np.ones(24)))
        resampled = [oracle(write_out(gold_set, judgements, row)) for row in weights]
    fitted = {"skill", "acc_eq_cal", "tau_b_within_undefined_groups"}
    assert set(expected) == set(metric_keys(VATEX)) - fitted
    for key, value in expected.items():
        metric = card.metrics[key]
        low, high = np.percentile([row[key] for row in resampled], [2.5, 97.5])
        assert metric.value == pytest.approx(value, abs=1e-12), key
        assert (metric.low, metric.high) == pytest.approx((low, high), abs=1e-12), key


def test_fitted_numbers_use_dev_and_are_reported_on_test() -> None:
    made = made_up([*DEV[:30], *TEST[:30]], whole=False)
    rows = [(video, [min(ratings[0], 4.0)], said) for video, ratings, said in made]
    gold_set, judgements = rated(rows)
    card = score(gold_set, judgements, on_scale=True, resamples=40, seed=1)
    dev, test = ([r for r in rows if part_of(r[0]) == part] for part in ("dev", "test"))
    constant = np.mean([np.mean(ratings) for _, ratings, _ in dev])

    def accuracy(part: list[tuple[str, list[float], float]], epsilon: float) -> float:
        shares = []
        for video in {row[0] for row in part}:
            x, y = zip(*[(s, round(np.mean(r), 9)) for v, r, s in part if v == video], strict=True)
            right = [
                (0 if abs(x[i] - x[j]) <= epsilon else np.sign(x[i] - x[j])) == np.sign(y[i] - y[j])
                for i, j in combinations(range(len(x)), 2)
            ]
            shares.append(np.mean(right))
        return float(np.mean(shares))

    gaps = {abs(a[2] - b[2]) for a, b in combinations(dev, 2) if a[0] == b[0]}
    best = max(sorted({0.0, *gaps}), key=lambda e: (round(accuracy(dev, e), 9), -e))
    assert best > 0  # continuous scores never tie, gold does
    assert card.metrics["acc_eq_cal"].value == pytest.approx(accuracy(test, best), abs=1e-12)

    def skill(part: list[tuple[str, list[float], float]]) -> float:
        gold, x = np.array([(np.mean(r), s) for _, r, s in part]).T
        return float(1 - np.mean((x - gold) ** 2) / np.mean((constant - gold) ** 2))

    assert card.metrics["skill"].value == pytest.approx(skill(test), abs=1e-12)
    (weights,) = resampled_weights(30, Resampling(resamples=40, seed=1))
    in_order = sorted(set(TEST[:30]))
    resampled = [
        skill([r for v, n in zip(in_order, row, strict=True) for r in test * int(n) if r[0] == v])
        for row in weights
    ]
    metric = card.metrics["skill"]
    assert (metric.low, metric.high) == pytest.approx(np.percentile(resampled, [2.5, 97.5]))
