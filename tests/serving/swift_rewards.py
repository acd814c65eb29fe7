"""Have ms-swift's own scoring of completions call our rewards, whole and cut off."""

from __future__ import annotations

import math

import torch
from swift.rewards import AsyncORM, orms

from videojudge_bench.serving.rewards import swift_reward


def main() -> None:
    """Print `ok` when the tensor has the rewards of the judge."""
    from swift.rl_core.data import GRPOSample
    from swift.rl_core.grpo_algorithm import compute_rewards_per_func

    orms["videojudge"] = swift_reward("longest", low=0, high=4)
    reward = orms["videojudge"](args=None)
    assert isinstance(reward, AsyncORM)
    samples = [
        GRPOSample(
            messages=[
                {"role": "user", "content": "What happens?"},
                {"role": "assistant", "content": text},
            ],
            videos=["/data/garden.mp4"],
            finish_reason=finish,
        )
        for text, finish in (("a b", "stop"), ("a b c d e", "stop"), ("a b", "length"))
    ]
    found = compute_rewards_per_func(samples, [reward], [None], device=torch.device("cpu"))
    assert found[:2, 0].tolist() == [0.5, 1.0], found
    assert math.isnan(found[2, 0]), found
    print("ok")  # noqa: T201


main()
