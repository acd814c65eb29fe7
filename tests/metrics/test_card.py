from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from videojudge_bench.errors import UnknownNameError
from videojudge_bench.goldsets.base import GoldSetInfo, Shape
from videojudge_bench.metrics import (
    METRIC_VERSION,
    Metric,
    ScoreCard,
    all_keys,
    higher_is_better,
    metric_keys,
    primary_key,
    undefined_card,
)
from videojudge_bench.metrics.bootstrap import Floats, Resampling, Statistic
from videojudge_bench.metrics.card import measure

RATED = GoldSetInfo("made_up", "made up", "human", "ratings", "none", "none", "It is made here.")
VATEX = replace(RATED, recipe="emscore")
OPTIONS = replace(RATED, shape="options", kind="options")
PAIRS = replace(RATED, shape="pairs")

_RATED_KEYS = [
    *("pearson", "spearman", "kendall_tau_b", "tau_b_within", "tau_b_within_undefined_groups"),
    *("rmse", "mae", "skill", "calibration_error", "qwk", "bias", "over2", "under2"),
    *("acc_eq", "acc_eq_cal", "tie_rate_gold", "tie_rate_judge"),
]
_EMSCORE_KEYS = ["emscore_tau_b", "emscore_rho", "emscore_tau_b_without_0", "emscore_rho_without_0"]
_COUNTS = ["n", "n_parsed", "n_missing_video", "n_left_out", "coverage"]


def test_the_version_is_part_of_the_signature() -> None:
    assert METRIC_VERSION == "1"


@pytest.mark.parametrize(
    ("info", "keys", "primary"),
    [
        (RATED, _RATED_KEYS, "spearman"),
        (VATEX, [*_EMSCORE_KEYS, *_RATED_KEYS], "emscore_tau_b"),
        (OPTIONS, ["psup", "psup_strict", "delta", "top1", "tie_rate"], "psup"),
        (
            PAIRS,
            ["accuracy", "both_orders_correct", "order_consistency", "first_position_rate"],
            "accuracy",
        ),
    ],
)
def test_keys_by_shape(info: GoldSetInfo, keys: list[str], primary: str) -> None:
    assert metric_keys(info) == tuple(keys)
    assert primary_key(info) == primary
    flat = all_keys(info)
    assert len(set(flat)) == len(flat)
    assert list(flat[-5:]) == _COUNTS
    assert [key for key in flat if key in keys] == keys


def test_all_keys_in_order() -> None:
    assert all_keys(PAIRS)[:4] == ("accuracy", "accuracy_low", "accuracy_high", "accuracy_all")
    rated = all_keys(RATED)
    at = rated.index("tau_b_within_undefined_groups")  # a count: no interval, no twin
    assert rated[at + 1] == "rmse"
    for name in ("bias", "tie_rate_gold", "tie_rate_judge"):  # no worst case to impute
        assert f"{name}_high" in rated
        assert f"{name}_all" not in rated


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("spearman", True),
        ("spearman_low", True),
        ("accuracy_all", True),
        ("coverage", True),
        ("emscore_rho_without_0", True),
        ("rmse", False),
        ("rmse_all", False),
        ("over2_high", False),
        ("bias", False),
        ("n_missing_video", False),
        ("tau_b_within_undefined_groups", False),
    ],
)
def test_direction(key: str, expected: bool) -> None:
    assert higher_is_better(key) is expected


def test_every_key_has_a_direction_and_others_are_named() -> None:
    for info in (VATEX, OPTIONS, PAIRS):
        assert all(isinstance(higher_is_better(key), bool) for key in all_keys(info))
    with pytest.raises(
        UnknownNameError, match=r"unknown metric 'spearmen'\. Did you mean 'spearman"
    ):
        higher_is_better("spearmen")


@pytest.mark.parametrize("shape", ["ratings", "options", "pairs"])
def test_an_undefined_card_says_why_under_every_key(shape: Shape) -> None:
    info = replace(RATED, shape=shape)
    flat = undefined_card(info, "no data: ask for it").flat()
    assert tuple(flat) == all_keys(info)
    metrics = {key: value for key, value in flat.items() if key not in _COUNTS}
    assert set(metrics.values()) == {"undefined (no data: ask for it)"}
    assert [flat[key] for key in _COUNTS] == [0, 0, 0, 0, "undefined (nothing to judge)"]


def test_flat_renders_numbers_and_reasons() -> None:
    metrics = {
        "accuracy": Metric(0.5, 0.25, 0.75),
        "accuracy_all": Metric(0.25),
        "both_orders_correct": Metric(0.5, no_interval="fewer than 20 videos"),
        "order_consistency": Metric(None, undefined="no complete pair"),
    }
    flat = ScoreCard(metrics, n=4, n_parsed=2, n_missing_video=1, coverage=2 / 3).flat()
    assert flat == {
        "accuracy": 0.5,
        "accuracy_low": 0.25,
        "accuracy_high": 0.75,
        "accuracy_all": 0.25,
        "both_orders_correct": 0.5,
        "both_orders_correct_low": "undefined (fewer than 20 videos)",
        "both_orders_correct_high": "undefined (fewer than 20 videos)",
        "order_consistency": "undefined (no complete pair)",
        "order_consistency_low": "undefined (no complete pair)",
        "order_consistency_high": "undefined (no complete pair)",
        "n": 4,
        "n_parsed": 2,
        "n_missing_video": 1,
        "n_left_out": 0,
        "coverage": 2 / 3,
    }


def test_a_card_without_videos_has_no_coverage() -> None:
    flat = ScoreCard({}, n=3, n_missing_video=3).flat()
    assert flat["coverage"] == "undefined (video missing for every item)"


def test_a_statistic_that_is_defined_once_only() -> None:
    def evaluate(weights: Floats) -> dict[str, Floats]:
        is_whole = (weights == 1).all(axis=1)
        return {"pearson": np.where(is_whole, 0.5, np.nan), "spearman": np.full(len(weights), 0.1)}

    statistic = Statistic(evaluate, {"pearson": 30, "spearman": 30})
    found = measure([statistic], 30, lambda _: "never", Resampling(resamples=10))
    assert found["pearson"] == Metric(0.5, no_interval="undefined in every resample")
    assert found["spearman"] == Metric(0.1, 0.1, 0.1)
    without = measure([statistic], 30, lambda _: "never", None)
    assert without["spearman"] == Metric(0.1)
