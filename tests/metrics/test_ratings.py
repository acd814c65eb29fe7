from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from measured_runs import score
from rated_sets import DEV, INFO, SAMPLE, TEST, VATEX, made_up, rated, values
from scipy.stats import spearmanr

from videojudge_bench.errors import ConfigError
from videojudge_bench.items import part_of
from videojudge_bench.metrics import ScoreCard, all_keys, metric_keys
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed, Verdict


def test_the_constant_of_skill_comes_from_the_whole_dev_part_asked_or_not() -> None:
    # Dev gold 1 and 5: the constant is 3. Test gold 2 and 4, scores 2 and 5: MSE 1/2 against
    # ((2 - 3)^2 + (4 - 3)^2) / 2 = 1: skill 1/2. Without any dev judgement no epsilon is known.
    rows = [(DEV[0], [1], 3.0), (DEV[1], [5], 3.0), (TEST[0], [2], 2.0), (TEST[0], [4], 5.0)]
    gold_set, judgements = rated(rows)
    asked = {i: j for i, j in judgements.items() if not i.startswith((DEV[0] + "/", DEV[1] + "/"))}
    card = score(gold_set, asked, on_scale=True)
    assert card.metrics["skill"].value == pytest.approx(0.5)
    assert card.metrics["acc_eq_cal"].undefined == "no dev group of 2 or more parsed items"
    assert card.n == 2


def test_part_test_reports_test_videos_only() -> None:
    rows = made_up([*DEV[:25], *TEST[:22]], whole=True)
    gold_set, judgements = rated(rows)
    card = score(gold_set, judgements, on_scale=True, part="test", resamples=20)
    only = [row for row in rows if part_of(row[0]) == "test"]
    whole = score(*rated(only), on_scale=True, resamples=20)
    assert card.part == "test"
    assert card.n == 88
    for key in ("spearman", "rmse", "acc_eq", "qwk"):
        assert card.metrics[key] == whole.metrics[key]
    both = score(gold_set, judgements, on_scale=True, resamples=20)
    for key in ("skill", "acc_eq_cal"):
        assert card.metrics[key] == both.metrics[key]


def test_errors_by_hand() -> None:
    # Gold 1 2 4 5 (one rater), scores 3 2.5 4 2: errors 2 .5 0 -3.
    # rmse sqrt(13.25 / 4), mae 5.5 / 4, bias -.5 / 4, over2 1/4, under2 1/4.
    # Bins: 2 -> {-3}, 3 -> {2, 2.5 rounded up: .5} sum 2.5, 4 -> {0}: (3 + 2.5 + 0) / 4.
    rows = [(TEST[0], [1], 3), (TEST[0], [2], 2.5), (TEST[1], [4], 4), (TEST[1], [5], 2)]
    card = score(*rated(rows), on_scale=True)
    found = values(card)
    assert found["rmse"] == pytest.approx(np.sqrt(13.25 / 4))
    assert found["mae"] == pytest.approx(5.5 / 4)
    assert found["bias"] == pytest.approx(-0.125)
    assert found["over2"] == found["under2"] == 0.25
    assert found["calibration_error"] == pytest.approx(5.5 / 4)
    # rows: gold 1..5, columns: predicted 1..5
    assert card.confusion == (
        (0, 0, 1, 0, 0),
        (0, 0, 1, 0, 0),
        (0, 0, 0, 0, 0),
        (0, 0, 0, 1, 0),
        (0, 1, 0, 0, 0),
    )


def test_two_points_too_high_are_counted_however_the_mean_of_the_raters_is_rounded() -> None:
    # the mean of 1.1, 1.2, 1.3 is 1.2000000000000002 in floating point
    rows = [(TEST[0], [1.1, 1.2, 1.3], 3.2), (TEST[0], [3.1, 3.3, 3.2], 1.2)]
    found = values(score(*rated(rows), on_scale=True))
    assert found["over2"] == found["under2"] == 0.5


def test_equal_sums_of_ratings_are_tied_gold() -> None:
    # 1.1 + 1.2 + 1.3 and 1.3 + 1.2 + 1.1 differ in the last bit
    rows = [(TEST[0], [1.1, 1.2, 1.3], 1.0), (TEST[0], [1.3, 1.2, 1.1], 2.0)]
    card = score(*rated(rows), on_scale=True)
    assert values(card)["tie_rate_gold"] == 1.0
    for key in ("pearson", "spearman", "kendall_tau_b", "tau_b_within"):
        assert card.metrics[key].undefined == "constant gold"


CORRELATIONS = ("pearson", "spearman", "kendall_tau_b", "tau_b_within", "qwk")
EMSCORE = ("emscore_tau_b", "emscore_rho", "emscore_tau_b_without_0", "emscore_rho_without_0")


def test_a_constant_judge_has_errors_and_no_correlation() -> None:
    rows = [(v, [1 + (k % 5)], 3) for k, v in enumerate([*DEV[:22], *TEST[:22]] * 2)]
    card = score(*rated(rows, VATEX), on_scale=True, resamples=20)
    for key in (*CORRELATIONS, *EMSCORE):
        metric = card.metrics[key]
        assert (metric.value, metric.low, metric.high) == (None, None, None)
        assert metric.undefined == "constant judge"
        flat = card.flat()
        assert flat[key] == flat[f"{key}_low"] == "undefined (constant judge)"
    for key in ("rmse", "mae", "bias", "calibration_error", "skill", "acc_eq", "tie_rate_judge"):
        assert card.metrics[key].value is not None
    assert card.metrics["tie_rate_judge"].value == 1.0


def test_a_judge_that_is_constant_at_four_decimals_is_constant_for_emscore() -> None:
    rows = [(v, [1 + k % 5], 0.5 + k * 1e-6) for k, v in enumerate([*TEST[:6], *TEST[:6]])]
    card = score(*rated(rows, VATEX), on_scale=False)
    assert card.metrics["spearman"].value is not None
    assert card.metrics["emscore_tau_b"].undefined == "constant judge"


def test_constant_gold() -> None:
    rows = [(v, [4, 4], 1 + k % 4) for k, v in enumerate([*DEV[:8], *TEST[:8]] * 2)]
    card = score(*rated(rows, VATEX), on_scale=True)
    for key in (*CORRELATIONS, *EMSCORE):
        assert card.metrics[key].undefined == "constant gold"
    assert card.metrics["skill"].undefined == "constant gold"
    assert card.metrics["tie_rate_gold"].value == 1.0
    assert card.metrics["tau_b_within_undefined_groups"].value == 16


def test_one_rater_column_may_be_constant() -> None:
    rows = [(v, [4, 1 + k % 5], 1 + k % 3) for k, v in enumerate([*TEST[:6], *TEST[:6]])]
    card = score(*rated(rows, VATEX), on_scale=True)
    assert card.metrics["emscore_tau_b"].undefined == "constant gold"
    assert card.metrics["qwk"].undefined == "constant gold"
    assert card.metrics["spearman"].value is not None


def test_one_item() -> None:
    card = score(*rated([(TEST[0], [2, 3], 4)], VATEX), on_scale=True)
    for key in (*CORRELATIONS, "emscore_tau_b"):
        assert card.metrics[key].undefined == "fewer than 2 items"
    for key in ("acc_eq", "tie_rate_gold", "tie_rate_judge"):
        assert card.metrics[key].undefined == "no group of 2 or more items"
    assert card.metrics["emscore_rho_without_0"].undefined == "fewer than 2 items"
    assert values(card)["mae"] == 1.5
    assert card.metrics["mae"].no_interval == "fewer than 20 videos"
    assert card.flat()["mae_low"] == "undefined (fewer than 20 videos)"


def test_groups_in_which_nothing_can_be_ordered() -> None:
    # both groups differ in one of gold and scores only, so no group has a tau-b
    rows = [(TEST[0], [1], 2), (TEST[0], [1], 3), (TEST[1], [1], 4), (TEST[1], [2], 4)]
    card = score(*rated(rows), on_scale=True)
    expected = "in every group, all scores or all gold are tied"
    assert card.metrics["tau_b_within"].undefined == expected
    assert card.metrics["tau_b_within_undefined_groups"].value == 2
    assert card.metrics["spearman"].value is not None


def test_an_interval_needs_twenty_videos_that_contribute() -> None:
    singles = [(v, [1 + k % 5], 1 + k % 4) for k, v in enumerate(TEST[:25])]
    doubles = [(v, [1 + k % 4], 1 + k % 3) for k, v in enumerate(TEST[:3])]
    card = score(*rated([*singles, *doubles]), on_scale=True, resamples=20)
    assert card.metrics["spearman"].low is not None
    assert card.metrics["acc_eq"].value is not None  # from three groups in three videos
    assert card.metrics["acc_eq"].no_interval == "fewer than 20 videos"
    nineteen = score(*rated(singles[:19]), on_scale=True)
    assert nineteen.metrics["spearman"].no_interval == "fewer than 20 videos"


def test_a_share_of_zero_has_wilsons_interval_over_videos() -> None:
    rows = [(v, [3], 3 + k % 2) for k, v in enumerate(TEST[:20] * 2)]
    card = score(*rated(rows), on_scale=True, resamples=20)
    metric = card.metrics["over2"]
    assert metric.value == 0.0
    # n = 20 videos: 0 and z^2 / (n + z^2) = 3.84146 / 23.84146
    assert (metric.low, metric.high) == pytest.approx((0.0, 0.16113), abs=1e-5)


def test_off_the_scale() -> None:
    rows = made_up([*DEV[:22], *TEST[:22]], whole=False)
    card = score(*rated(rows), on_scale=False, resamples=20)
    off = ("rmse", "mae", "skill", "bias", "qwk", "calibration_error", "over2", "under2")
    for key in off:
        assert card.metrics[key].undefined == "not on the rating scale"
        assert card.flat()[f"{key}_low"] == "undefined (not on the rating scale)"
    assert card.confusion is None
    on = score(*rated(rows), on_scale=True, resamples=20)
    for key in set(metric_keys(INFO)) - set(off):
        assert card.metrics[key] == on.metrics[key]


def test_samples_have_no_dev_part() -> None:
    card = score(*rated(made_up(TEST[:3], whole=True), SAMPLE), on_scale=True)
    for key in ("skill", "acc_eq_cal"):
        assert card.metrics[key].undefined == "no dev part"
    expected = (
        "videojudge_made_up: part 'test' was asked, but sample-4 has no parts; use part 'all'"
    )
    with pytest.raises(ConfigError) as error:
        score(*rated(made_up(TEST[:3], whole=True), SAMPLE), on_scale=True, part="test")
    assert str(error.value) == expected


def test_unparsed_is_excluded_and_imputed_at_the_far_end() -> None:
    # gold 4 -> 1, gold 2 -> 5, gold 3 (the middle) -> 1
    rows: list[tuple[str, list[float], float | Verdict]] = [
        (TEST[0], [5], 5),
        (TEST[0], [4], Unparsed("no verdict")),
        (TEST[1], [2], Unparsed("no verdict")),
        (TEST[1], [3], Unparsed("no verdict")),
        (TEST[1], [1], Unparsed("video missing: v.mp4")),
    ]
    card = score(*rated(rows), on_scale=True)
    assert (card.n, card.n_parsed, card.n_missing_video, card.n_left_out) == (5, 1, 1, 0)
    assert card.coverage == 0.25
    assert values(card)["mae"] == 0.0
    assert values(card)["mae_all"] == (0 + 3 + 3 + 2) / 4
    assert values(card)["over2_all"] == 0.25
    assert values(card)["under2_all"] == 0.5
    # imputed scores 5 1 5 1 against 5 4 2 3
    assert values(card)["spearman_all"] == pytest.approx(
        spearmanr([5, 1, 5, 1], [5, 4, 2, 3]).statistic
    )
    assert card.metrics["mae_all"].no_interval == ""
    assert "bias_all" not in card.metrics
    assert sum(map(sum, card.confusion or ())) == 1


def test_off_the_scale_unparsed_takes_the_judges_own_extremes() -> None:
    rows: list[tuple[str, list[float], float | Verdict]] = [
        (TEST[0], [4], 0.2),
        (TEST[0], [2], -0.7),
        (TEST[1], [5], 0.9),
        (TEST[1], [5], Unparsed("no verdict")),
        (TEST[1], [1], Unparsed("no verdict")),
    ]
    card = score(*rated(rows), on_scale=False)
    expected = spearmanr([0.2, -0.7, 0.9, -0.7, 0.9], [4, 2, 5, 5, 1]).statistic
    assert values(card)["spearman"] == 1.0
    assert values(card)["spearman_all"] == pytest.approx(expected)


def test_fully_parsed_judges_have_equal_twins() -> None:
    card = score(*rated(made_up([*DEV[:5], *TEST[:5]], whole=True)), on_scale=True)
    for key in metric_keys(INFO):
        if f"{key}_all" in card.metrics:
            assert card.metrics[f"{key}_all"].value == card.metrics[key].value


@pytest.mark.parametrize(
    ("verdict", "reason", "coverage"),
    [
        (Unparsed("no verdict"), "no parsed verdict", 0.0),
        (Unparsed("video missing: v.mp4"), "video missing for every item", None),
    ],
)
def test_nothing_parsed(verdict: Unparsed, reason: str, coverage: float | None) -> None:
    gold_set, judgements = rated([(v, [1 + k], verdict) for k, v in enumerate([DEV[0], *TEST[:3]])])
    card = score(gold_set, judgements, on_scale=False)
    assert card.coverage == coverage
    assert card.metrics["spearman"].undefined == reason
    assert card.metrics["spearman_all"].undefined == reason
    on_scale = score(gold_set, judgements, on_scale=True)
    # all imputed: gold 1 -> 5, 2 -> 5, 3 -> 1, 4 -> 1
    expected = None if coverage is None else (4 + 3 + 2 + 3) / 4
    assert values(on_scale)["mae_all"] == expected


def test_nothing_asked() -> None:
    gold_set, _ = rated([(TEST[0], [1], 1)])
    card = score(gold_set, {}, on_scale=True)
    assert card.flat()["spearman"] == "undefined (no judgements)"
    assert card.flat()["coverage"] == "undefined (nothing to judge)"
    assert tuple(card.flat()) == all_keys(INFO)


def test_dev_judgements_alone() -> None:
    gold_set, judgements = rated([*made_up(DEV[:4], whole=True), (TEST[0], [1, 1, 1], 1)])
    dev_only = {i: j for i, j in judgements.items() if not i.startswith(f"{TEST[0]}/")}
    card = score(gold_set, dev_only, on_scale=True)
    assert card.metrics["spearman"].value is not None
    for key in ("skill", "acc_eq_cal"):
        assert card.metrics[key].undefined == "no parsed item in the test part"


def test_unusable_arguments() -> None:
    gold_set, judgements = rated([(TEST[0], [1], 1)])
    (item_id,) = judgements
    cases: list[tuple[Callable[[], ScoreCard], str]] = [
        (
            lambda: score(gold_set, judgements, on_scale=True, part="dev"),
            "unknown part 'dev'. Known: all, test.",
        ),
        (
            lambda: score(gold_set, judgements, on_scale=True, resamples=0),
            "resamples must be at least 1, got 0; 10000 is usual",
        ),
        (
            lambda: score(gold_set, {"x/1": Judgement("x/1", Rating(1))}, on_scale=True),
            (
                "videojudge_made_up: 1 judgements are of items that the set does not have, such as "
                "'x/1'. They belong to another set or version; judge again."
            ),
        ),
        (
            lambda: score(gold_set, {item_id: Judgement(item_id, Preference(1))}, on_scale=True),
            (
                f"videojudge_made_up: item {item_id!r} was judged with a Preference; "
                "ratings need a Rating"
            ),
        ),
    ]
    for call, text in cases:
        with pytest.raises(ConfigError) as error:
            call()
        assert str(error.value) == text
