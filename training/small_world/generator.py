"""The generator of the small world: right answers with so many words made wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Union

from videojudge_bench.training.bootstrap.contracts import (
    TARGETS,
    Attempt,
    Draft,
    Seed,
    Unable,
    checked_share,
)
from videojudge_bench.training.small_world.world import (
    BEST,
    VALUES,
    VERSION,
    changes,
    drawn_wrong,
    kind_of,
    read_answer,
    rng_of,
    text_of,
)

if TYPE_CHECKING:
    from videojudge_bench._util.options import Scalar
    from videojudge_bench.engine import EngineError


class Degrade:
    """Makes words of an answer wrong; the rating that a draft deserves is known by construction.

    Args:
        noise: share of drafts, 0 to 1, that deserve another rating of 1 to 4 than was asked for.
        seed: other seeds give other drafts.
    """

    def __init__(self, noise: float = 0.0, seed: int = 0) -> None:
        self._noise, self._seed = checked_share("noise", noise, of="the drafts"), seed

    async def write(
        self, seed: Seed, target: int, earlier: Sequence[Attempt]
    ) -> Union[Draft, EngineError]:
        """Return the gold answer with 5 - `target` wrong words, noise apart.

        `Unable` for a seed that is none of the small world.
        """
        return self.draft(seed, target, len(earlier))

    def draft(self, seed: Seed, target: int, round_: int = 0) -> Union[Draft, Unable]:
        """Return what `write` returns in the round after `round_` others."""
        kind = kind_of(seed.instruction)
        gold = None if kind is None else read_answer(kind, seed.gold)
        if kind is None or gold is None:
            return Unable("no seed of the small world: its questions have answers of four words")
        rng = rng_of("draft", VERSION, self._seed, seed.id, target, round_)
        truth = target
        if rng.random() < self._noise:
            truth = int(rng.choice([rating for rating in TARGETS if rating != target]))
        words = drawn_wrong(gold, len(VALUES[kind]), BEST - truth, rng)
        return Draft(text_of(kind, words), truth, changes(kind, gold, words))

    def settings(self) -> Mapping[str, Scalar]:
        """Return what the drafts depend on."""
        return {
            "generator": "small_world",
            "version": VERSION,
            "noise": self._noise,
            "seed": self._seed,
        }

    def close(self) -> None:
        """Nothing is held."""
