"""Paired permutation tests against naive ones through scipy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo, Shape
from videojudge_bench.items import (
    Example,
    Item,
    OptionGold,
    Pair,
    PreferenceGold,
    RatingGold,
    part_of,
)
from videojudge_bench.metrics.bootstrap import Bools, Floats
from videojudge_bench.metrics.compare import (
    _STATISTICS,
    Comparison,
    compare,
    joint_units,
)
from videojudge_bench.metrics.permutation import permuted_differences
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed

RATING_STATISTICS = sorted(_STATISTICS["ratings"])
CORRELATIONS = sorted(set(RATING_STATISTICS) - {"mae", "rmse"})


def gold_of(shape: Shape, examples: Sequence[Example], data: str = "full") -> GoldSet:
    info = GoldSetInfo(
        name="toy",
        title="a toy",
        kind="human",
        shape=shape,
        licence="none",
        source="this test",
        how_to_get="It is here.",
        data=data,
    )
    return GoldSet(info, tuple(examples))


def rated(ratings: Floats, video: Sequence[int]) -> GoldSet:
    """Ratings (n, raters) of items of the numbered videos."""
    return gold_of(
        "ratings",
        [
            Example(_item(f"{v:04}/{k}", f"{v:04}"), RatingGold(tuple(row)), unit=str(v))
            for k, (v, row) in enumerate(zip(video, ratings.tolist(), strict=True))
        ],
    )


def options(*questions: int) -> GoldSet:
    """One question a video with as many options as given; the first option is the correct one."""
    return gold_of(
        "options",
        [
            Example(_item(f"q{q}/{k}", f"v{q}"), OptionGold(k == 0), unit=f"q{q}")
            for q, count in enumerate(questions)
            for k in range(count)
        ],
    )


def pairs(count: int, ties: Collection[int] = ()) -> GoldSet:
    """One pair a video in both orders; A is better in all of them, but for ties."""
    examples = []
    for k in range(count):
        for order, first, second, p_first in (("ba", "B", "A", 0.0), ("ab", "A", "B", 1.0)):
            pair = Pair(f"p{k}/{order}", f"v{k}", "?", first=first, second=second)
            gold = PreferenceGold(0.5 if k in ties else p_first)
            examples.append(Example(pair, gold, unit=f"p{k}"))
    return gold_of("pairs", examples)


def _item(item_id: str, video_id: str) -> Item:
    return Item(item_id, video_id, instruction="?", response="!")


def judged(gold_set: GoldSet, scores: Sequence[float] | Floats) -> dict[str, Judgement]:
    """Judgements with these scores; NaN is unparsed."""
    make = Preference if gold_set.info.shape == "pairs" else Rating
    return {
        e.item.id: Judgement(e.item.id, Unparsed("odd") if np.isnan(s) else make(float(s)))
        for e, s in zip(gold_set.examples, scores, strict=True)
    }


def differences(gold_set: GoldSet, a: Floats, b: Floats, *, statistic: str, swaps: Bools) -> Floats:
    units, starts = joint_units(gold_set, judged(gold_set, a), judged(gold_set, b), "all")
    mix = _STATISTICS[gold_set.info.shape][statistic](units, starts)
    return permuted_differences(mix, swaps)


Scipy = Callable[[Floats, Floats], float]


def naive_statistic(name: str, scores: Floats, ratings: Floats) -> float:
    """The statistic by its definition, through scipy."""
    mean = ratings.mean(axis=1)
    known: dict[str, tuple[Scipy, list[Floats]]] = {
        "emscore_tau_b": (lambda x, y: float(stats.kendalltau(x, y).statistic), list(ratings.T)),
        "emscore_rho": (lambda x, y: float(stats.spearmanr(x, y).statistic), list(ratings.T)),
        "kendall_tau_b": (lambda x, y: float(stats.kendalltau(x, y).statistic), [mean]),
        "spearman": (lambda x, y: float(stats.spearmanr(x, y).statistic), [mean]),
        "pearson": (lambda x, y: float(stats.pearsonr(x, y).statistic), [mean]),
        "mae": (lambda x, y: float(np.mean(np.abs(x - y))), [mean]),
        "rmse": (lambda x, y: float(np.sqrt(np.mean((x - y) ** 2))), [mean]),
    }
    function, columns = known[name]
    return float(np.mean([function(scores, column) for column in columns]))


def naive_differences(name: str, a: Floats, b: Floats, ratings: Floats, swapped: Bools) -> Floats:
    """One difference per row of `swapped` (m, items): mix on a common footing, then scipy."""
    footing: Callable[[Floats], Floats] = lambda x: x  # noqa: E731
    if name.startswith("emscore"):
        footing = lambda x: stats.rankdata(np.round(x, 4))  # noqa: E731
    elif name in ("spearman", "kendall_tau_b"):
        footing = stats.rankdata
    elif name == "pearson":
        footing = stats.zscore
    a, b = footing(a), footing(b)
    return np.array(
        [
            naive_statistic(name, np.where(row, b, a), ratings)
            - naive_statistic(name, np.where(row, a, b), ratings)
            for row in swapped
        ]
    )


def toy(kind: str, seed: int = 0) -> tuple[list[int], Floats, Floats, Floats]:
    """Videos of 1 to 5 items, 3 raters, and two judges of which the first is the better one."""
    rng = np.random.default_rng(seed)
    video = np.repeat(np.arange(25), rng.integers(1, 6, 25))
    quality = rng.normal(3, 1, len(video))
    ratings = np.clip(np.rint(quality[:, None] + rng.normal(0, 0.8, (len(video), 3))), 1, 5)
    a, b = quality + rng.normal(0, 0.5, len(video)), quality + rng.normal(0, 1.5, len(video))
    if kind == "integer":
        a, b = np.clip(np.rint(a), 1, 5), np.clip(np.rint(b), 1, 5)
    if kind == "other scale":
        a, b = np.clip(np.rint(a), 1, 5), np.exp(-b)
    return video.tolist(), ratings, a, b


@pytest.mark.parametrize("kind", ["continuous", "integer", "other scale"])
@pytest.mark.parametrize("statistic", RATING_STATISTICS)
def test_permuted_differences_are_those_of_scipy(statistic: str, kind: str) -> None:
    video, ratings, a, b = toy(kind)
    swaps = np.random.default_rng(1).integers(0, 2, (60, 25), dtype=np.bool_)
    found = differences(rated(ratings, video), a, b, statistic=statistic, swaps=swaps)
    wanted = naive_differences(statistic, a, b, ratings, swaps[:, video])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("statistic", ["emscore_tau_b", "spearman"])
def test_blocks_of_videos_join_seamlessly(statistic: str) -> None:
    rng = np.random.default_rng(2)  # 1,100 videos: three blocks of the quadratic form
    video = np.repeat(np.arange(1_100), 2)
    ratings = rng.integers(1, 6, (2_200, 2)).astype(np.float64)
    a, b = np.rint(4 * rng.normal(ratings.mean(axis=1), 1)), rng.normal(size=2_200)
    swaps = rng.integers(0, 2, (10, 1_100), dtype=np.bool_)
    found = differences(rated(ratings, video.tolist()), a, b, statistic=statistic, swaps=swaps)
    wanted = naive_differences(statistic, a, b, ratings, swaps[:, video])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("statistic", RATING_STATISTICS)
def test_values_are_those_of_the_unmixed_judges_and_p_counts_the_extreme(statistic: str) -> None:
    video, ratings, a, b = toy("integer")
    gold_set = rated(ratings, video)
    found = compare(
        gold_set,
        judged(gold_set, a),
        judged(gold_set, b),
        statistic=statistic,
        permutations=200,
        seed=3,
    )
    value_a, value_b = (naive_statistic(statistic, x, ratings) for x in (a, b))
    swaps = np.random.default_rng(3).integers(0, 2, (200, 25), dtype=np.bool_)
    naive = naive_differences(statistic, a, b, ratings, swaps[:, video])
    extreme = np.sum(np.abs(naive) >= abs(value_a - value_b) - 1e-12)
    assert (found.a, found.b) == pytest.approx((value_a, value_b), abs=1e-12)
    assert found.difference == found.a - found.b
    assert found.p_value == (1 + extreme) / 201
    assert (found.statistic, found.n, found.n_videos) == (statistic, len(video), 25)
    assert found.permutations == 200


def test_p_value_of_two_videos_by_hand() -> None:
    # Errors (0, 0) against (1, 1), one item a video: without a swap, and with both swapped, the
    # difference of the mean errors is 1; with one swapped both means are ½. So p tends to ½, and
    # 10,000 fair coins stray from it by more than 0.02 (4 standard deviations) next to never.
    gold_set = rated(np.array([[3.0], [3.0]]), [0, 1])
    found = compare(gold_set, judged(gold_set, [3, 3]), judged(gold_set, [4, 2]), statistic="mae")
    assert (found.a, found.b, found.difference) == (0, 1, -1)
    assert found.p_value == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("statistic", RATING_STATISTICS)
def test_identical_judges_differ_by_nothing(statistic: str) -> None:
    video, ratings, a, _ = toy("integer")
    gold_set = rated(ratings, video)
    one = judged(gold_set, a)
    found = compare(gold_set, one, dict(one), statistic=statistic, permutations=300)
    assert (found.difference, found.p_value) == (0, 1)


@pytest.mark.parametrize("statistic", RATING_STATISTICS)
def test_a_copy_with_a_little_noise_is_not_significantly_different(statistic: str) -> None:
    video, ratings, a, _ = toy("continuous")
    gold_set = rated(ratings, video)
    noisy = a + np.random.default_rng(4).normal(0, 0.01, len(a))
    found = compare(
        gold_set,
        judged(gold_set, a),
        judged(gold_set, noisy),
        statistic=statistic,
        permutations=500,
    )
    assert found.p_value > 0.05


@pytest.mark.parametrize("statistic", RATING_STATISTICS)
def test_a_clearly_better_judge_gets_the_smallest_p_value(statistic: str) -> None:
    rng = np.random.default_rng(5)
    video, mean = np.repeat(np.arange(40), 3), rng.integers(1, 6, 120).astype(np.float64)
    gold_set = rated(np.stack([mean, mean], axis=1), video.tolist())
    good, bad = judged(gold_set, mean), judged(gold_set, rng.permutation(mean))
    found = compare(gold_set, good, bad, statistic=statistic, permutations=999)
    assert found.p_value == 1 / 1000


@pytest.mark.parametrize("statistic", RATING_STATISTICS)
def test_exchanging_the_judges_turns_the_difference_around(statistic: str) -> None:
    video, ratings, a, b = toy("integer", seed=6)
    gold_set = rated(ratings, video)
    one, other = judged(gold_set, a), judged(gold_set, b)
    there = compare(gold_set, one, other, statistic=statistic, permutations=500)
    back = compare(gold_set, other, one, statistic=statistic, permutations=500)
    assert back.difference == pytest.approx(-there.difference, abs=1e-12)
    assert back.p_value == there.p_value


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from(["spearman", "kendall_tau_b"]))
def test_rescaling_a_judge_changes_nothing_of_a_rank_correlation(seed: int, statistic: str) -> None:
    video, ratings, a, b = toy("integer", seed)
    gold_set = rated(ratings, video)
    one, other, rescaled = (judged(gold_set, x) for x in (a, b, np.exp(b) - 7))
    before = compare(gold_set, one, other, statistic=statistic, permutations=50)
    assert compare(gold_set, one, rescaled, statistic=statistic, permutations=50) == before


@pytest.mark.parametrize("statistic", ["spearman", "kendall_tau_b", "pearson"])
def test_a_mix_that_is_constant_counts_as_extreme(statistic: str) -> None:
    # Swapping one of the two videos leaves one judge with 1, 1, 1, 1 and the other with 2, 2, 2, 2.
    gold_set = rated(np.array([[1.0], [1.0], [5.0], [5.0]]), [0, 0, 1, 1])
    a, b = np.array([1.0, 1, 2, 2]), np.array([2.0, 2, 1, 1])
    swaps = np.array([[False, False], [True, False], [False, True], [True, True]])
    found = differences(gold_set, a, b, statistic=statistic, swaps=swaps)
    np.testing.assert_allclose(found, [2, np.nan, np.nan, -2])
    result = compare(gold_set, judged(gold_set, a), judged(gold_set, b), statistic=statistic)
    assert result.difference == pytest.approx(2)
    assert result.p_value == 1


@pytest.mark.parametrize(
    ("statistic", "wanted_a", "wanted_b"),
    [
        # a, question 1: 3 against 1, 3, 5, 2 wins 2 of 4 and ties 1; 5 is the only top.
        #    question 2: 5 against 5, 1 wins 1 of 2 and ties 1; two share the top.
        ("psup_strict", (2 / 4 + 1 / 2) / 2, 1.0),
        ("psup", (2.5 / 4 + 1.5 / 2) / 2, 1.0),
        ("top1", (0 + 1 / 2) / 2, 1.0),
    ],
)
def test_options_by_hand(statistic: str, wanted_a: float, wanted_b: float) -> None:
    gold_set = options(5, 3)
    a, b = judged(gold_set, [3, 1, 3, 5, 2, 5, 5, 1]), judged(gold_set, [5, 1, 1, 1, 1, 9, 2, 1])
    found = compare(gold_set, a, b, statistic=statistic, permutations=100)
    assert (found.a, found.b) == pytest.approx((wanted_a, wanted_b))
    assert (found.n, found.n_videos) == (2, 2)
    # Both questions speak for b, so that only swapping neither or both is as extreme.
    swaps = np.random.default_rng(0).integers(0, 2, (100, 2), dtype=np.bool_)
    assert found.p_value == (1 + np.sum(swaps[:, 0] == swaps[:, 1])) / 101


def test_pairs_by_hand() -> None:
    # Orders are listed ba, ab. p = ½[P(first | A,B) + 1 - P(first | B,A)]:
    # a: (.9 + 1 - .1)/2 = .9 right; (.7 + .3)/2 = ½ half; (.6 + .5)/2 = .55 right; 0 wrong.
    gold_set = pairs(4)
    a = judged(gold_set, [0.1, 0.9, 0.7, 0.7, 0.5, 0.6, 1.0, 0.0])
    b = judged(gold_set, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    found = compare(gold_set, a, b, statistic="accuracy", permutations=100)
    assert (found.a, found.b, found.n, found.n_videos) == (2.5 / 4, 1.0, 4, 4)


def only(result: Comparison) -> tuple[float, float, int, int]:
    return result.a, result.b, result.n, result.n_videos


def test_only_ratings_that_both_judged_and_parsed_count() -> None:
    gold_set = rated(np.full((6, 1), 3.0), [0, 0, 1, 1, 2, 2])
    nan = float("nan")
    a, b = judged(gold_set, [3, 3, nan, 3, 3, 3]), judged(gold_set, [4, 4, 5, 5, nan, 5])
    del b["0002/5"]
    # Left: both items of video 0 and the second of video 1; b errs by 1, 1 and 2.
    assert only(compare(gold_set, a, b, statistic="mae", permutations=9)) == (0, 4 / 3, 3, 2)


def test_a_question_with_an_unparsed_option_is_left_out() -> None:
    gold_set, nan = options(3, 3, 3, 3), float("nan")
    a = judged(gold_set, [2, 1, nan, 2, 1, 1, 2, 1, 1, 2, 1, 1])
    b = judged(gold_set, [1, 2, 2, 1, 2, 2, 1, 2, 2, 1, 2, 2])
    del b["q3/0"]  # not asked of b: the question lacks its correct option
    assert only(compare(gold_set, a, b, statistic="psup", permutations=9)) == (1, 0, 2, 2)


def test_a_pair_needs_both_orders_and_a_better_response() -> None:
    gold_set, nan = pairs(5, ties=[4]), float("nan")
    a = judged(gold_set, [0, 1, nan, 1, 0, 1, 0, 1, 0, 1])
    b = judged(gold_set, [1, 0, 1, 0, 1, 0, 1, 0, 1, 0])
    del a["p3/ab"]
    assert only(compare(gold_set, a, b, statistic="accuracy", permutations=9)) == (1, 0, 2, 2)


def test_part_restricts_the_videos() -> None:
    gold_set = rated(np.full((20, 1), 3.0), list(range(20)))
    dev = [part_of(e.item.video_id) == "dev" for e in gold_set.examples]
    a, b = judged(gold_set, [4 if d else 3 for d in dev]), judged(gold_set, [5] * 20)
    found = compare(gold_set, a, b, statistic="mae", permutations=9, part="test")
    assert only(found) == (0, 2, 20 - sum(dev), 20 - sum(dev))


def _fails(gold_set: GoldSet, a: Sequence[float], b: Sequence[float], **options: object) -> str:
    with pytest.raises(ConfigError) as caught:
        compare(gold_set, judged(gold_set, a), judged(gold_set, b), **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_what_cannot_be_compared_is_explained() -> None:
    gold_set, nan = rated(np.array([[1.0], [3.0], [5.0]]), [0, 1, 2]), float("nan")
    good = [1.0, 3.0, 5.0]
    assert _fails(gold_set, good, good, statistic="spearmann") == (
        "unknown statistic of a set of ratings 'spearmann'. Did you mean 'spearman' or 'pearson'? "
        "Known: emscore_rho, emscore_tau_b, kendall_tau_b, mae, pearson, rmse, spearman."
    )
    assert "Known: psup, psup_strict, top1." in _fails(
        options(2, 2), [1, 0, 1, 0], [1, 0, 1, 0], statistic="mae"
    )
    assert "Known: accuracy." in _fails(pairs(1), [0, 1], [0, 1], statistic="psup")
    assert _fails(gold_set, good, good, statistic="mae", part="tst") == (
        "unknown part 'tst'. Did you mean 'test'? Known: all, test."
    )
    sample = gold_of("ratings", gold_set.examples, data="sample-3")
    assert _fails(sample, good, good, statistic="mae", part="test") == (
        "videojudge_toy: part 'test' was asked, but sample-3 has no parts; use part 'all'"
    )
    assert _fails(gold_set, good, good, statistic="mae", permutations=0) == (
        "permutations must be at least 1, got 0; 10000 is usual"
    )
    assert _fails(gold_set, [1, nan, nan], [nan, 2, 3], statistic="mae") == (
        "videojudge_toy, part 'all': the judges have 3 and 3 judgements, and what both judged and "
        "parsed is 0 ratings on 0 videos. A comparison needs at least 2 videos; judge more with "
        "both."
    )
    assert "is 1 ratings on 1 videos" in _fails(gold_set, [1, nan, nan], good, statistic="mae")


@pytest.mark.parametrize("statistic", CORRELATIONS)
def test_constants_have_no_correlation(statistic: str) -> None:
    gold_set, good = rated(np.array([[1.0], [3.0], [5.0]]), [0, 1, 2]), [1.0, 3.0, 5.0]
    assert _fails(gold_set, [2, 2, 2], good, statistic=statistic) == (
        "no correlation is defined: the first judge has 2 for all 3 ratings that both judges "
        "judged and parsed. Compare by mae or rmse if both judges are on the rating scale, or "
        "leave this comparison out."
    )
    assert "the second judge has 4 for" in _fails(gold_set, good, [4, 4, 4], statistic=statistic)
    flat = rated(np.full((3, 2), 3.0), [0, 1, 2])
    assert "the gold has 3 for all 3" in _fails(flat, good, good, statistic=statistic)


def test_emscore_rounds_to_four_decimals() -> None:
    gold_set = rated(np.array([[1.0], [3.0], [5.0]]), [0, 1, 2])
    nearly = [0.50001, 0.50002, 0.50003]
    message = _fails(gold_set, nearly, [1, 2, 3], statistic="emscore_tau_b")
    assert "the first judge has 0.5 for all 3" in message
