from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr
from sklearn.metrics import cohen_kappa_score

from videojudge_bench import goldsets
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.items import Example, Item, OptionGold, RatingGold
from videojudge_bench.metrics import agreement, all_keys, human_cards, metric_keys

INFO = GoldSetInfo(
    "made_up",
    "made up",
    "human",
    "ratings",
    "none",
    "none",
    "It is made here.",
    recipe="emscore",
)


def rated(ratings: Sequence[Sequence[float]], info: GoldSetInfo = INFO) -> GoldSet:
    """Return a gold set of two items a video."""
    examples = []
    for k, row in enumerate(ratings):
        item = Item(f"v{k // 2:03d}/{k}", f"v{k // 2:03d}", "Describe.", f"response {k}")
        labels = {"candidate": str(k % 2)}
        gold = RatingGold(tuple(map(float, row)))
        examples.append(Example(item, gold, unit=item.video_id, labels=labels))
    return GoldSet(info, tuple(examples))


def made_up(n: int, raters: int) -> list[list[int]]:
    rng = np.random.default_rng(n)
    noisy = rng.normal(3, 1, (n, 1)) + rng.normal(0, 0.7, (n, raters))
    ratings: list[list[int]] = np.clip(np.rint(noisy), 1, 5).astype(int).tolist()
    return ratings


def test_one_rater_against_another_and_the_mean_against_each() -> None:
    ratings = made_up(48, 4)
    cards = human_cards(rated(ratings))
    columns = np.array(ratings).T
    pairs = list(combinations(columns, 2))
    rater, mean = (cards[name].metrics for name in ("human_rater", "human_mean"))
    expected = np.mean([kendalltau(a, b).statistic for a, b in pairs])
    assert rater["emscore_tau_b"].value == pytest.approx(expected, abs=1e-14)
    expected = np.mean([spearmanr(a, b).statistic for a, b in pairs])
    assert rater["emscore_rho"].value == pytest.approx(expected, abs=1e-14)
    expected = np.mean([spearmanr(a[1::2], b[1::2]).statistic for a, b in pairs])
    assert rater["emscore_rho_without_0"].value == pytest.approx(expected, abs=1e-14)
    kappas = [cohen_kappa_score(a, b, weights="quadratic", labels=range(1, 6)) for a, b in pairs]
    assert rater["qwk"].value == pytest.approx(np.mean(kappas), abs=1e-14)

    gold = columns.mean(axis=0)
    expected = np.mean([kendalltau(gold, column).statistic for column in columns])
    assert mean["emscore_tau_b"].value == pytest.approx(expected, abs=1e-14)
    rounded = np.floor(gold + 0.5)
    kappas = [
        cohen_kappa_score(rounded, c, weights="quadratic", labels=range(1, 6)) for c in columns
    ]
    assert mean["qwk"].value == pytest.approx(np.mean(kappas), abs=1e-14)
    for metrics in (rater, mean):
        metric = metrics["emscore_tau_b"]
        assert metric.value is not None
        assert metric.low is not None
        assert metric.high is not None
        assert metric.low < metric.value < metric.high


def test_the_known_rows_of_vatex_eval() -> None:
    # tau-b / rho x100 of EMScore's recipe, as computed from the released ratings with scipy
    cards = human_cards(goldsets.load("vatex"))
    for name, tau_b, rho in (("human_rater", 56.8, 62.8), ("human_mean", 77.1, 85.9)):
        metrics = cards[name].metrics
        assert round(100 * (metrics["emscore_tau_b"].value or 0), 1) == tau_b
        assert round(100 * (metrics["emscore_rho"].value or 0), 1) == rho


def test_what_has_the_raters_as_its_gold_is_undefined() -> None:
    card = human_cards(rated(made_up(10, 2)))["human_mean"]
    assert tuple(card.flat()) == all_keys(INFO)
    assert (card.n, card.n_parsed, card.coverage) == (10, 10, 1.0)
    for key in metric_keys(INFO):
        if not key.startswith("emscore_") and key != "qwk":
            assert card.metrics[key].undefined == "the raters are the gold"
    assert card.metrics["emscore_rho"].no_interval == "fewer than 20 videos"


def test_without_the_recipe_raters_have_rank_correlations_and_kappa() -> None:
    info, ratings = replace(INFO, recipe=None), made_up(48, 3)
    cards = human_cards(rated(ratings, info))
    rater, mean = (cards[name].metrics for name in ("human_rater", "human_mean"))
    for metrics in (rater, mean):
        defined = [key for key in metric_keys(info) if metrics[key].value is not None]
        assert defined == ["spearman", "kendall_tau_b", "qwk"]
    columns = np.array(ratings).T
    expected = np.mean([spearmanr(a, b).statistic for a, b in combinations(columns, 2)])
    assert rater["spearman"].value == pytest.approx(expected, abs=1e-14)
    expected = np.mean([kendalltau(columns.mean(axis=0), c).statistic for c in columns])
    assert mean["kendall_tau_b"].value == pytest.approx(expected, abs=1e-14)
    assert rater["spearman"].low is not None


def test_a_rater_who_always_says_the_same_has_no_correlation() -> None:
    card = human_cards(rated([[1, 3], [2, 3], [4, 3]]))["human_rater"]
    assert card.metrics["emscore_tau_b"].undefined == "constant rater"
    assert card.metrics["qwk"].undefined == "constant rater"


def test_sets_without_two_raters_have_no_human_row() -> None:
    item = Item("v/0", "v", "Which?", "this")
    info = replace(INFO, shape="options", kind="options", recipe=None)
    options = GoldSet(info, (Example(item, OptionGold(True), unit="q"),))
    for gold_set in (rated([[1], [2]]), options):
        assert human_cards(gold_set) == {}
        assert agreement(gold_set) == {}


def test_krippendorffs_alpha_by_hand() -> None:
    # Units (1,1) (1,2) (2,2) (2,2). Coincidences: o11 = 2, o12 = o21 = 1, o22 = 4; n1 = 3, n2 = 5,
    # n = 8. With two levels every metric distance is the same: alpha = 1 - (n-1) o12 / (n1 n2)
    # = 1 - 7 * 1 / 15.
    found = agreement(rated([[1, 1], [1, 2], [2, 2], [2, 2]]))
    assert found == {"krippendorff_alpha_ordinal": pytest.approx(1 - 7 / 15)}


def test_raters_who_all_say_the_same_have_no_alpha() -> None:
    assert agreement(rated([[3, 3], [3, 3]])) == {}
