"""The verb `videojudge train`."""

from __future__ import annotations

from typing import Annotated

from videojudge_bench._util.command import Flag
from videojudge_bench._util.terminal import note, say, show
from videojudge_bench.cli._options import RECIPE, Json, Output, Override, completed
from videojudge_bench.errors import ConfigError


def _recipes(_: str) -> list[str]:
    from videojudge_bench.training.sft.recipe import recipes

    return recipes()


def train(
    *,
    recipe: Annotated[str, completed(_recipes, RECIPE)],
    output: Output | None = None,
    override: Override = None,
    inspect: int | None = None,
    dry_run: Flag = False,
    gpu: str = "h100",
    gpus: int = 1,
    price: float | None = None,
    json: Json = False,
) -> None:
    r"""Train a judge on rated rows.

    On the rows that `videojudge bootstrap` writes, a Qwen2.5-VL or Qwen3-VL learns to write the
    reply (a rating, a preference, a rubric first) to the prompt that it will be asked with, on the
    frames that it will see.

      videojudge recipes list
      videojudge train --recipe smoke_cpu --output out/smoke \
        --override model.pretrained=out/tiny_qwen \
        --override 'data.rows=[out/bootstrap]' --override data.videos=videos
      videojudge train --recipe videojudge_3b … --inspect 3
      videojudge train --recipe videojudge_3b … --dry-run --gpu h100 --price 2.5
      accelerate launch --config_file CONFIG -m videojudge_bench.cli train \
        --recipe videojudge_7b …

    The configurations of accelerate (one GPU, several, FSDP2, ZeRO-3) are listed by `videojudge
    recipes list` too. Rows that do not fit or have no video are left out and listed before
    training. Stopped by Ctrl-C, kill -9 or a full disk, the same command resumes from the last
    checkpoint. The model is in OUTPUT/model, for judge=videojudge,pretrained=OUTPUT/model. Exit
    status: 0 done, 1 stopped (run it again), 2 used wrongly, 130 interrupted.

    Args:
        output: folder of the run
        inspect: show N packed rows: texts, what is learnt, frames (pictures in OUTPUT/inspect)
        dry_run: print tokens, memory, hours and money, and train nothing
        gpu: of --dry-run: its kind
        gpus: of --dry-run: how many
        price: of --dry-run: money for one GPU and hour
        json: of --dry-run: print JSON
    """
    from videojudge_bench.training.sft.recipe import load_recipe

    options = load_recipe(recipe, override or ())
    if dry_run:
        from videojudge_bench.training.sft.estimate import estimate_rows

        rows, lines = estimate_rows(options, gpu, gpus, price)
        show(rows, as_json=json)
        say(() if json else lines)
    elif output is None:
        raise ConfigError("--output is missing: the folder that the run goes to")
    elif inspect is not None:
        from videojudge_bench.training.sft.inspect_rows import inspect_recipe

        say(inspect_recipe(options, inspect, output / "inspect"))
    else:
        from videojudge_bench.training.sft.run import train as run_training

        run_training(options, output, say=note)
