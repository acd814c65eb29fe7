"""Tests of evaluators whose error is known."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from bootstrap_cases import seed

from videojudge_bench.errors import ConfigError
from videojudge_bench.training.bootstrap.contracts import Draft, Evaluation, Evaluator, Unable
from videojudge_bench.training.bootstrap.known_error import (
    BiasedTruthEvaluator,
    TruthEvaluator,
)

MANY = 2_000


def rate(evaluator: Evaluator, draft: Draft) -> Evaluation:
    found = asyncio.run(evaluator.rate(seed(1), draft))
    assert isinstance(found, Evaluation)
    return found


async def _all(evaluator: Evaluator, truth: int) -> Counter[float | None]:
    said: Counter[float | None] = Counter()
    for number in range(MANY):
        found = await evaluator.rate(seed(1), Draft(f"text {number}", truth))
        assert isinstance(found, Evaluation)
        said[found.rating] += 1
    return said


def ratings(evaluator: Evaluator, truth: int) -> Counter[float | None]:
    return asyncio.run(_all(evaluator, truth))


def test_without_error_it_says_the_truth_and_what_was_changed() -> None:
    found = rate(TruthEvaluator(), Draft("a cat", 2, ("who: 'a dog' -> 'a cat'", "count: 1 -> 2")))
    assert found == Evaluation(2.0, "who: 'a dog' -> 'a cat'; count: 1 -> 2")


def test_it_errs_as_often_as_told_and_evenly() -> None:
    said = ratings(TruthEvaluator(error=0.4), 3)
    # 4 standard deviations of a share of 2,000
    assert said[3.0] / MANY == pytest.approx(0.6, abs=0.045)
    for other in (1.0, 2.0, 4.0, 5.0):
        assert said[other] / MANY == pytest.approx(0.1, abs=0.027)


def test_a_draft_is_rated_the_same_again_and_otherwise_with_another_seed() -> None:
    drafts = [Draft(f"text {number}", 3) for number in range(50)]
    first = [rate(TruthEvaluator(error=0.5), draft).rating for draft in drafts]
    assert first == [rate(TruthEvaluator(error=0.5), draft).rating for draft in drafts[::-1]][::-1]
    assert first != [rate(TruthEvaluator(error=0.5, seed=1), draft).rating for draft in drafts]


def test_a_draft_of_unknown_truth_cannot_be_rated() -> None:
    found = asyncio.run(TruthEvaluator().rate(seed(1), Draft("who knows")))
    assert isinstance(found, Unable)
    assert "such as `perturb`" in found.reason


def test_bias_moves_the_chosen_ratings_at_its_rate() -> None:
    biased = BiasedTruthEvaluator("3, 4", shift=1, rate=0.3)
    said = ratings(biased, 4)
    assert set(said) == {4.0, 5.0}
    assert said[5.0] / MANY == pytest.approx(0.3, abs=0.041)
    assert ratings(biased, 2) == {2.0: MANY}


def test_bias_keeps_to_the_scale_and_to_what_else_is_said() -> None:
    draft = Draft("x", 5, ("who: 'a dog' -> 'a cat'",))
    biased = BiasedTruthEvaluator(5, shift=1, rate=1.0)
    assert rate(biased, draft) == Evaluation(5.0, "who: 'a dog' -> 'a cat'")
    low = BiasedTruthEvaluator(1, shift=-2, rate=1.0)
    assert rate(low, Draft("x", 1)).rating == 1.0


def test_bias_moves_what_an_error_has_moved_before() -> None:
    said = ratings(BiasedTruthEvaluator("1,2,4,5", shift=0.5, rate=1.0, error=1.0), 3)
    assert set(said) == {1.5, 2.5, 4.5, 5.0}


def test_bias_passes_on_what_is_no_rating() -> None:
    biased = BiasedTruthEvaluator(1, shift=1, rate=1.0)
    assert isinstance(asyncio.run(biased.rate(seed(1), Draft("who knows"))), Unable)


def test_settings_tell_evaluators_apart() -> None:
    plain = TruthEvaluator(error=0.1)
    biased = BiasedTruthEvaluator("5,4", shift=1, rate=0.3, error=0.1)
    assert plain.settings() == {"evaluator": "truth", "error": 0.1, "seed": 0}
    assert biased.settings() == {
        **plain.settings(),
        "bias_when": "4,5",
        "bias_shift": 1,
        "bias_rate": 0.3,
        "bias_seed": 0,
    }


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"error=1\.5: expected a share, from 0 to 1"):
        TruthEvaluator(error=1.5)
    with pytest.raises(ConfigError, match=r"rate=-1: expected a share"):
        BiasedTruthEvaluator(4, shift=1, rate=-1)
    with pytest.raises(ConfigError, match=r"when=6: expected ratings from 1 to 5 with commas"):
        BiasedTruthEvaluator(6, shift=1, rate=0.5)
