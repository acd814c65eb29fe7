from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_runs import score

from videojudge_bench.errors import DataError
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.items import Example, Item, OptionGold, part_of
from videojudge_bench.metrics import ScoreCard, all_keys, metric_keys
from videojudge_bench.metrics.bootstrap import Resampling, resampled_weights
from videojudge_bench.metrics.units import question_scores
from videojudge_bench.verdicts import Judgement, Rating, Unparsed, Verdict

INFO = GoldSetInfo("made_up", "made up", "options", "options", "none", "none", "It is made here.")
NO_VERDICT, NO_VIDEO = Unparsed("no verdict"), Unparsed("video missing: v.mp4")

Question = tuple[str, Sequence["float | Verdict"]]  # video; what is said of c, then of each d


def asked(
    questions: Sequence[Question], *, correct: int = 0
) -> tuple[GoldSet, dict[str, Judgement]]:
    """Return a gold set and judgements; option number `correct` is the correct one."""
    examples, judgements = [], {}
    for q, (video, said) in enumerate(questions):
        for k, verdict in enumerate(said):
            item = Item(f"{video}/{q}/{k}", video, f"Question {q}?", f"option {k}")
            examples.append(Example(item, OptionGold(k == correct), unit=f"q{q}"))
            given = Rating(verdict) if isinstance(verdict, (int, float)) else verdict
            judgements[item.id] = Judgement(item.id, given)
    return GoldSet(INFO, tuple(examples)), judgements


def values(card: ScoreCard) -> dict[str, float | None]:
    return {key: metric.value for key, metric in card.metrics.items()}


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        # above all; above one, level with one, below one; level with all; below all
        ([5, 1, 2, 3], {"psup_strict": 1, "psup": 1, "delta": 3, "top1": 1, "tie_rate": 0}),
        (
            [3, 1, 3, 5],
            {"psup_strict": 1 / 3, "psup": 1 / 2, "delta": 0, "top1": 0, "tie_rate": 1 / 3},
        ),
        ([4, 4, 4], {"psup_strict": 0, "psup": 1 / 2, "delta": 0, "top1": 1 / 3, "tie_rate": 1}),
        ([1, 2], {"psup_strict": 0, "psup": 0, "delta": -1, "top1": 0, "tie_rate": 0}),
    ],
)
def test_one_question_by_hand(scores: list[float], expected: dict[str, float]) -> None:
    assert question_scores(scores[0], scores[1:]) == pytest.approx(expected)


def test_questions_are_averaged_whatever_their_number_of_options() -> None:
    card = score(*asked([("a", [5, 1, 2, 3]), ("a", [1, 2])]), on_scale=True)
    assert values(card)["psup"] == 0.5
    assert values(card)["delta"] == 1.0
    assert (card.n, card.n_parsed, card.n_left_out, card.coverage) == (6, 6, 0, 1.0)
    assert card.confusion is None
    assert tuple(card.flat()) == all_keys(INFO)


def test_a_question_with_an_unparsed_option_is_left_out_and_lost_in_the_twin() -> None:
    questions: list[Question] = [
        ("a", [5, 1]),
        ("a", [NO_VERDICT, 1]),
        ("b", [5, 1, NO_VERDICT]),
        ("c", [5, NO_VIDEO]),
    ]
    card = score(*asked(questions), on_scale=True)
    assert (card.n, card.n_parsed, card.n_missing_video, card.n_left_out) == (9, 6, 1, 3)
    assert card.coverage == 6 / 8
    assert values(card)["psup"] == values(card)["top1"] == 1.0
    for key in ("psup_all", "psup_strict_all", "top1_all"):
        assert values(card)[key] == pytest.approx(1 / 3)
    assert "delta_all" not in card.metrics


def test_questions_cut_by_a_limit() -> None:
    questions = [("a", [5, 1, 1]), ("a", [5, 1, 1]), ("a", [5, 1, 1]), ("a", [2, 1, 3])]
    gold_set, judgements = asked(questions)
    # the first lacks its correct option, the second its distractors, the third one distractor
    for item_id in ("a/0/0", "a/1/1", "a/1/2", "a/2/2"):
        del judgements[item_id]
    card = score(gold_set, judgements, on_scale=True)
    assert (card.n, card.n_parsed, card.n_left_out, card.coverage) == (8, 8, 3, 1.0)
    assert values(card)["psup"] == 0.5
    assert values(card)["psup_all"] == 0.5


def test_off_the_scale_delta_has_no_unit() -> None:
    card = score(*asked([("a", [0.5, 0.1])]), on_scale=False)
    assert card.metrics["delta"].undefined == "not on the rating scale"
    assert values(card)["psup"] == 1.0


def test_a_constant_judge_is_at_chance() -> None:
    card = score(*asked([("a", [3, 3, 3]), ("b", [3, 3])]), on_scale=True)
    found = values(card)
    assert (found["psup"], found["psup_strict"], found["delta"]) == (0.5, 0.0, 0.0)
    assert found["top1"] == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert found["tie_rate"] == 1.0


@pytest.mark.parametrize(
    ("said", "reason", "coverage"),
    [
        ([NO_VERDICT, NO_VERDICT], "no parsed verdict", 0.0),
        ([NO_VIDEO, NO_VIDEO], "video missing for every item", None),
        ([4, NO_VERDICT], "no complete question", 0.5),
    ],
)
def test_nothing_to_score(said: list[float | Verdict], reason: str, coverage: float | None) -> None:
    card = score(*asked([("a", said)]), on_scale=True)
    assert {card.metrics[key].undefined for key in metric_keys(INFO)} == {reason}
    assert card.coverage == coverage
    assert card.n_left_out == 1
    lost = 0.0 if NO_VERDICT in said else None
    assert values(card)["psup_all"] == lost


def test_two_correct_options_are_an_error_of_the_data() -> None:
    gold_set, judgements = asked([("a", [1, 2, 3])])
    examples = tuple(replace(e, gold=OptionGold(True)) for e in gold_set.examples)
    with pytest.raises(DataError) as error:
        score(GoldSet(INFO, examples), judgements, on_scale=True)
    expected = "videojudge_made_up: question 'q0' has 3 correct options; scoring needs one"
    assert str(error.value) == expected


def test_intervals_resample_videos() -> None:
    rng = np.random.default_rng(0)
    said = [(f"v{k % 22:02d}", rng.integers(1, 6, 4).astype(float).tolist()) for k in range(60)]
    card = score(*asked(said), on_scale=True, resamples=50, seed=2)
    (weights,) = resampled_weights(22, Resampling(resamples=50, seed=2))
    for key in metric_keys(INFO):
        per_video: dict[str, list[float]] = {}
        for video, scores in said:
            per_video.setdefault(video, []).append(question_scores(scores[0], scores[1:])[key])
        resampled = [
            np.mean(
                [
                    value
                    for video, n in zip(sorted(per_video), row, strict=True)
                    for value in per_video[video] * int(n)
                ]
            )
            for row in weights
        ]
        metric = card.metrics[key]
        assert (metric.low, metric.high) == pytest.approx(np.percentile(resampled, [2.5, 97.5]))


def test_a_share_of_one_has_wilsons_interval_over_videos() -> None:
    questions = [(f"v{k % 20}", [5.0, 1.0]) for k in range(40)]
    metric = score(*asked(questions), on_scale=True, resamples=20).metrics["psup"]
    # 20 videos, not 40 questions: n / (n + z^2) = 20 / 23.84146
    assert (metric.value, metric.low, metric.high) == pytest.approx((1, 0.83887, 1), abs=1e-5)


def test_part_test_reports_test_videos_only() -> None:
    videos = [f"v{k}" for k in range(30)]
    gold_set, judgements = asked([(v, [5.0 if part_of(v) == "test" else 1.0, 3.0]) for v in videos])
    assert values(score(gold_set, judgements, on_scale=True, part="test"))["psup"] == 1.0
    assert values(score(gold_set, judgements, on_scale=True))["psup"] != 1.0


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(1, 4), min_size=2, max_size=5), min_size=1, max_size=6))
def test_order_and_monotone_rescaling_do_not_matter(scores: list[list[int]]) -> None:
    plain = values(score(*asked([("a", s) for s in scores]), on_scale=False))
    rescaled = [("a", [float(np.exp(x) - 9) for x in s]) for s in scores]
    assert values(score(*asked(rescaled), on_scale=False)) == plain
    rotated = [("a", [*s[1:], s[0]]) for s in scores if len(s) == len(scores[0])]
    same = [("a", s) for s in scores if len(s) == len(scores[0])]
    last = values(score(*asked(rotated, correct=len(scores[0]) - 1), on_scale=False))
    assert last == values(score(*asked(same), on_scale=False))
