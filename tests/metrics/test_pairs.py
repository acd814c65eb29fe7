from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_runs import score

from videojudge_bench.errors import DataError
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.items import Example, Pair, PreferenceGold, part_of
from videojudge_bench.metrics import ScoreCard, all_keys, metric_keys
from videojudge_bench.metrics.bootstrap import Resampling, resampled_weights
from videojudge_bench.metrics.units import pair_scores
from videojudge_bench.verdicts import Judgement, Preference, Unparsed, Verdict

INFO = GoldSetInfo("made_up", "made up", "human", "pairs", "none", "none", "It is made here.")
NO_VERDICT, NO_VIDEO = Unparsed("no verdict"), Unparsed("video missing: v.mp4")

Said = tuple[str, float, "float | Verdict", "float | Verdict"]  # video, gold of ab, said of ab, ba


def shown(pairs: Sequence[Said]) -> tuple[GoldSet, dict[str, Judgement]]:
    """Return a gold set in both orders, and what was said of each."""
    examples, judgements = [], {}
    for k, (video, gold, ab, ba) in enumerate(pairs):
        for order, p_first, verdict in (("ab", gold, ab), ("ba", 1 - gold, ba)):
            first, second = ("one", "two") if order == "ab" else ("two", "one")
            item = Pair(f"{video}/{k}/{order}", video, "Describe.", first, second)
            examples.append(Example(item, PreferenceGold(p_first), unit=f"p{k}"))
            said = Preference(verdict) if isinstance(verdict, (int, float)) else verdict
            judgements[item.id] = Judgement(item.id, said)
    return GoldSet(INFO, tuple(examples)), judgements


def values(card: ScoreCard) -> dict[str, float | None]:
    return {key: metric.value for key, metric in card.metrics.items()}


def four(scores: Mapping[str, float]) -> tuple[float, ...]:
    keys = ("accuracy", "both_orders_correct", "order_consistency", "first_position_rate")
    return tuple(scores[key] for key in keys)


@pytest.mark.parametrize(
    ("ab", "ba", "expected"),
    [
        # A is better. p = (ab + 1 - ba) / 2
        (1.0, 0.0, (1, 1, 1, 0.5)),  # A both times
        (0.0, 1.0, (0, 0, 1, 0.5)),  # B both times
        (1.0, 1.0, (0.5, 0, 0, 1)),  # the first both times: p = 1/2
        (0.0, 0.0, (0.5, 0, 0, 0)),  # the second both times
        (0.5, 0.5, (0.5, 0, 1, 0.5)),  # a tie both times
        (0.5, 0.0, (1, 0, 0, 0.25)),  # a tie, then A: p = 3/4
        (0.9, 0.6, (1, 0, 0, 1)),  # the first both times, A more surely: p = 0.65
        (0.7, 0.7, (0.5, 0, 0, 1)),  # p is exactly 1/2 however 1 - 0.7 is rounded
    ],
)
def test_one_pair_by_hand(ab: float, ba: float, expected: tuple[float, ...]) -> None:
    assert four(pair_scores(Preference(ab), Preference(ba), a_is_better=True)) == expected


def test_pairs_are_averaged() -> None:
    pairs: list[Said] = [("a", 1.0, 1.0, 0.0), ("a", 0.0, 1.0, 0.0), ("b", 0.0, 1.0, 1.0)]
    card = score(*shown(pairs), on_scale=True)
    found = values(card)
    assert found["accuracy"] == pytest.approx((1 + 0 + 0.5) / 3)
    assert found["both_orders_correct"] == pytest.approx(1 / 3)
    assert found["order_consistency"] == pytest.approx(2 / 3)
    assert found["first_position_rate"] == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert (card.n, card.n_parsed, card.n_left_out, card.coverage) == (3, 3, 0, 1.0)
    assert tuple(card.flat()) == all_keys(INFO)


def test_one_unparsed_order_makes_the_pair_unparsed_and_lost_in_the_twin() -> None:
    pairs: list[Said] = [
        ("a", 1.0, 1.0, 0.0),
        ("a", 1.0, 1.0, NO_VERDICT),
        ("b", 1.0, NO_VERDICT, NO_VERDICT),
        ("c", 1.0, NO_VIDEO, NO_VIDEO),
    ]
    card = score(*shown(pairs), on_scale=True)
    assert (card.n, card.n_parsed, card.n_missing_video, card.n_left_out) == (4, 1, 1, 0)
    assert card.coverage == pytest.approx(1 / 3)
    assert values(card)["accuracy"] == 1.0
    for key in ("accuracy_all", "both_orders_correct_all", "order_consistency_all"):
        assert values(card)[key] == pytest.approx(1 / 3)
    assert "first_position_rate_all" not in card.metrics


def test_split_pairs_and_tied_gold_are_left_out() -> None:
    gold_set, judgements = shown([("a", 1.0, 1.0, 0.0), ("a", 1.0, 0.0, 1.0), ("b", 0.5, 1.0, 0.0)])
    del judgements["a/1/ba"]
    card = score(gold_set, judgements, on_scale=True)
    assert (card.n, card.n_parsed, card.n_left_out, card.coverage) == (1, 1, 2, 1.0)
    assert values(card)["accuracy"] == 1.0
    del judgements["a/0/ab"], judgements["b/2/ab"]
    only_halves = score(gold_set, judgements, on_scale=True)
    assert (only_halves.n, only_halves.n_left_out, only_halves.coverage) == (0, 3, None)
    assert only_halves.flat()["accuracy"] == "undefined (no complete pair)"


@pytest.mark.parametrize(
    ("verdict", "reason", "coverage", "lost"),
    [
        (NO_VERDICT, "no parsed verdict", 0.0, 0.0),
        (NO_VIDEO, "video missing for every item", None, None),
    ],
)
def test_nothing_parsed(
    verdict: Unparsed, reason: str, coverage: float | None, lost: float | None
) -> None:
    card = score(*shown([("a", 1.0, verdict, verdict)]), on_scale=True)
    assert {card.metrics[key].undefined for key in metric_keys(INFO)} == {reason}
    assert card.coverage == coverage
    assert values(card)["accuracy_all"] == lost


def test_ids_must_name_the_order() -> None:
    pair = Pair("a/0/first", "a", "Describe.", "one", "two")
    gold_set = GoldSet(INFO, (Example(pair, PreferenceGold(1.0), unit="p0"),))
    with pytest.raises(DataError) as error:
        score(gold_set, {pair.id: Judgement(pair.id, Preference(1.0))}, on_scale=True)
    assert str(error.value) == (
        "videojudge_made_up: item 'a/0/first' of pair 'p0': a pair has two items, "
        "one whose id ends in /ab and one in /ba"
    )


def test_intervals_resample_videos() -> None:
    rng = np.random.default_rng(0)
    pairs: list[Said] = [
        (f"v{k % 21:02d}", float(rng.integers(2)), float(rng.random()), float(rng.random()))
        for k in range(50)
    ]
    card = score(*shown(pairs), on_scale=True, resamples=50, seed=4)
    (weights,) = resampled_weights(21, Resampling(resamples=50, seed=4))
    videos = sorted({video for video, *_ in pairs})
    for column, key in enumerate(metric_keys(INFO)):
        resampled = [
            np.mean(
                [
                    four(pair_scores(Preference(ab), Preference(ba), a_is_better=gold == 1))[column]
                    for drawn, n in zip(videos, row, strict=True)
                    for video, gold, ab, ba in pairs * int(n)
                    if video == drawn and isinstance(ab, float) and isinstance(ba, float)
                ]
            )
            for row in weights
        ]
        metric = card.metrics[key]
        assert (metric.low, metric.high) == pytest.approx(np.percentile(resampled, [2.5, 97.5]))


def test_a_share_of_one_has_wilsons_interval_over_videos() -> None:
    pairs: list[Said] = [(f"v{k % 20}", 1.0, 1.0, 0.0) for k in range(40)]
    card = score(*shown(pairs), on_scale=True, resamples=20)
    for key in ("accuracy", "both_orders_correct", "order_consistency"):
        metric = card.metrics[key]
        # 20 videos, not 40 pairs: n / (n + z^2) = 20 / 23.84146
        assert (metric.value, metric.low, metric.high) == pytest.approx((1, 0.83887, 1), abs=1e-5)
    rate = card.metrics["first_position_rate"]
    assert (rate.value, rate.low, rate.high) == (0.5, 0.5, 0.5)


def test_part_test_reports_test_videos_only() -> None:
    pairs: list[Said] = [(f"v{k}", float(part_of(f"v{k}") == "test"), 1.0, 0.0) for k in range(30)]
    gold_set, judgements = shown(pairs)
    assert values(score(gold_set, judgements, on_scale=True, part="test"))["accuracy"] == 1.0
    assert values(score(gold_set, judgements, on_scale=True))["accuracy"] != 1.0


SHARES = st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0])


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), SHARES, SHARES), min_size=1, max_size=8))
def test_swapping_the_two_responses_changes_nothing(
    rows: list[tuple[bool, float, float]],
) -> None:
    pairs: list[Said] = [("a", float(gold), ab, ba) for gold, ab, ba in rows]
    swapped: list[Said] = [("a", 1 - float(gold), ba, ab) for gold, ab, ba in rows]
    assert values(score(*shown(swapped), on_scale=True)) == values(
        score(*shown(pairs), on_scale=True)
    )
