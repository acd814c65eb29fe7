"""Have ms-swift's own scoring of completions call our rewards, whole and cut off."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

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
    check_command()
    print("ok")  # noqa: T201


def check_command() -> None:
    """Look the options of examples/grpo_swift.sh up among those of ms-swift; load the plug-in."""
    from swift.arguments import RLHFArguments
    from swift.utils import import_external_file

    examples = Path(__file__).parents[2] / "examples"
    text = (examples / "grpo_swift.sh").read_text("utf-8").partition("command=(")[2]
    options = re.findall(r"^  --(\w+)", text.partition("\n)\n")[0], re.MULTILINE)
    known = {field.name for field in dataclasses.fields(RLHFArguments)}
    assert len(options) > 10, options
    assert not {*options} - known, {*options} - known
    del orms["videojudge"]
    import_external_file(str(examples / "swift_judge.py"))
    assert issubclass(orms["videojudge"], AsyncORM)


main()
