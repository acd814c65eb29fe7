"""Generator of the small world: right answers with a set number of wrong words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Union

from videojudge_bench._util.options import Scalar
from videojudge_bench.training.bootstrap.contracts import (
    TARGETS,
    Attempt,
    Draft,
    DraftReply,
    Seed,
    Unable,
    checked_share,
)
from videojudge_bench.training.small_world import world


class Degrade:
    """Makes words of an answer wrong; the rating that a draft deserves is known by construction.

    Args:
        noise: share of drafts, 0 to 1, that deserve another rating of 1 to 4 than was asked for.
        seed: other seeds give other drafts.
    """

    def __init__(self, noise: float = 0.0, seed: int = 0) -> None:
        self._noise, self._seed = checked_share("noise", noise, of="the drafts"), seed

    async def write(self, seed: Seed, target: int, earlier: Sequence[Attempt]) -> DraftReply:
        """Return the gold answer with 5 - `target` wrong words, noise apart.

        `Unable` for a seed that is none of the small world.
        """
        return self.draft(seed, target, len(earlier))

    def draft(self, seed: Seed, target: int, round_: int = 0) -> Union[Draft, Unable]:
        """Return what `write` returns in the round after `round_` others."""
        kind = world.kind_of(seed.instruction)
        gold = None if kind is None else world.read_answer(kind, seed.gold)
        if kind is None or gold is None:
            return Unable("no seed of the small world: its questions have answers of four words")
        rng = world.rng_of("draft", world.VERSION, self._seed, seed.id, target, round_)
        truth = target
        if rng.random() < self._noise:
            truth = int(rng.choice([rating for rating in TARGETS if rating != target]))
        words = world.drawn_wrong(gold, len(world.VALUES[kind]), world.BEST - truth, rng)
        return Draft(world.text_of(kind, words), truth, world.changes(kind, gold, words))

    def settings(self) -> Mapping[str, Scalar]:
        """Return what the drafts depend on."""
        return {
            "generator": "small_world",
            "version": world.VERSION,
            "noise": self._noise,
            "seed": self._seed,
        }

    def close(self) -> None:
        """Nothing is held."""
