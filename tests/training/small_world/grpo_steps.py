"""Take steps of the experiment `grpo` with the real TRL, and judges that need no model."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from transformers import LlamaForCausalLM

from videojudge_bench.serving.rewards import reward_function
from videojudge_bench.training.experiments.grpo import (
    ARMS,
    CURVES,
    DISTANCE,
    Length,
    figures,
    measured,
    push,
)
from videojudge_bench.training.experiments.over_optimisation import LONGEST
from videojudge_bench.training.experiments.policy import Policy, taught
from videojudge_bench.training.experiments.world_measures import Number
from videojudge_bench.training.small_world.files import WorldOptions, make
from videojudge_bench.training.small_world.loop import LoopFolder

LENGTH = Length(lessons=40, marks=(2, 16), group=4, videos=2, samples=4)


def main(folder: Path) -> None:
    """Print `ok` when a judge by lot gives all curves, and one that likes length longer answers."""
    loop = LoopFolder(folder)
    make(loop.world, WorldOptions(train=0, lessons=0, validation=100, test=2, domains=("seen",)))
    row = figures(loop, {"judge": "random"}, ARMS["blind"], seed=0, length=LENGTH)
    curves = {name: cast("Mapping[str, Number]", row[name]) for name in CURVES}
    assert all([*by_step] == ["0", "2", "16"] for by_step in curves.values()), row
    assert curves[DISTANCE]["0"][0] == 0, row
    assert (curves[DISTANCE]["16"][0] or 0) > 0, row

    start = ARMS["blind"].start
    first, rows = taught(start, LENGTH.lessons, 0), start.rows("test", LENGTH.videos)
    first.model.save_pretrained(folder / "first")
    policy = Policy(LlamaForCausalLM.from_pretrained(folder / "first"), first.tokenizer)
    longest = reward_function("longest", low=0, high=LONGEST)
    lengths: list[float] = []

    def mark(_: int) -> None:
        lengths.append(measured(policy, first.model, rows, longest, LENGTH.samples)[3].mean())

    mark(0)
    push(policy, start, longest, mark, length=LENGTH, seed=0)
    assert lengths[-1] > lengths[0] + 0.5, lengths
    print("ok")  # noqa: T201


main(Path(sys.argv[1]))
