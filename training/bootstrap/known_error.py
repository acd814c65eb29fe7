"""Evaluators of known error, for experiments on the effect of a wrong evaluator.

They read the rating that a draft deserves by construction, which only a generator like `perturb`
states: a control for real evaluators, not a way to rate a model's responses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError
from videojudge_bench.training.bootstrap.contracts import (
    GOLD_RATING,
    Draft,
    Evaluation,
    EvaluationReply,
    Seed,
    Unable,
    checked_share,
)

RATINGS: Sequence[int] = range(1, GOLD_RATING + 1)


class TruthEvaluator:
    """Rates a draft as it deserves, and with a known probability otherwise.

    The error depends on seed and text: the same draft gets the same rating.

    Args:
        error: share of drafts, 0 to 1, that get another rating, each of the four others as often.
        seed: other seeds err elsewhere.
    """

    def __init__(self, error: float = 0.0, seed: int = 0) -> None:
        self._error, self._seed = checked_share("error", error), seed

    async def rate(
        self, seed: Seed, draft: Draft, unread: Sequence[Evaluation] = ()
    ) -> EvaluationReply:
        """Return the rating, with the draft's changes as feedback.

        `Unable` for a draft of unknown truth.
        """
        if draft.truth is None:
            return Unable(
                "nobody knows what this draft deserves: the evaluator `truth` goes with a "
                "generator that does, such as `perturb`"
            )
        names = (str(self._seed), seed.id, draft.text)
        feedback = "; ".join(draft.changes)
        if unit_interval("error", *names) >= self._error:
            return Evaluation(float(draft.truth), feedback)
        others = [rating for rating in RATINGS if rating != draft.truth]
        other = others[int(unit_interval("other", *names) * len(others))]
        return Evaluation(float(other), feedback)

    def settings(self) -> Mapping[str, Scalar]:
        """Return what the ratings depend on."""
        return {"evaluator": "truth", "error": self._error, "seed": self._seed}

    def close(self) -> None:
        """Nothing is held."""


class BiasedTruthEvaluator(TruthEvaluator):
    """Rates a draft as it deserves, and moves some ratings by a fixed step, at a known rate.

    The share of wrong labels in the end is not `rate`: a draft that is moved is accepted only where
    another target was aimed at, so the generator has to err too (its `noise`).

    Args:
        when: the ratings that may be moved, with commas between them: `2`, `1,2`.
        shift: by how much; the result stays between 1 and 5.
        rate: share of those ratings, 0 to 1, that are moved.
        error: share of drafts that get another rating, as of `truth`.
        seed: other seeds move others.
    """

    def __init__(
        self,
        when: int | str = 2,
        shift: float = 1.0,
        rate: float = 0.0,
        error: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(error, seed)
        named = [part.strip() for part in str(when).split(",")]
        if not set(named) <= set(map(str, RATINGS)):
            raise ConfigError(
                f"when={when!r}: expected ratings from 1 to {GOLD_RATING} with commas between "
                "them, such as 2 or 1,2"
            )
        self._when, self._shift, self._rate = sorted(set(named)), shift, checked_share("rate", rate)

    async def rate(
        self, seed: Seed, draft: Draft, unread: Sequence[Evaluation] = ()
    ) -> EvaluationReply:
        """Return the rating of `TruthEvaluator`, moved or not."""
        evaluation = await super().rate(seed, draft)
        if not isinstance(evaluation, Evaluation) or evaluation.rating is None:
            return evaluation
        moved = unit_interval("bias", str(self._seed), seed.id, draft.text) < self._rate
        if not moved or f"{evaluation.rating:.0f}" not in self._when:
            return evaluation
        rating = min(max(evaluation.rating + self._shift, float(RATINGS[0])), float(GOLD_RATING))
        return replace(evaluation, rating=rating)

    def settings(self) -> Mapping[str, Scalar]:
        """Return those of `TruthEvaluator`, and the bias."""
        return {
            **super().settings(),
            "bias_when": ",".join(self._when),
            "bias_shift": self._shift,
            "bias_rate": self._rate,
            "bias_seed": self._seed,
        }
