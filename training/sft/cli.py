"""The verb `videojudge train`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench._util.terminal import Verbs, add_verb, say, table
from videojudge_bench.errors import ConfigError
from videojudge_bench.training.recipe_arguments import add_recipe_options

if TYPE_CHECKING:
    from videojudge_bench.training.sft.recipe import Recipe

_HELP = """\
Trains a judge on the rows that `videojudge bootstrap` writes: a Qwen2.5-VL or Qwen3-VL learns to
write the reply (a rating, a preference, a rubric first) to the prompt that it will be asked with,
on the frames that it will see.

  videojudge train --recipes
  videojudge train --recipe smoke_cpu --output out/smoke --set model.pretrained=out/tiny_qwen \\
      --set 'data.rows=[out/bootstrap]' --set data.videos=videos
  videojudge train --recipe videojudge_3b … --inspect 3     # what is learnt of the first rows
  videojudge train --recipe videojudge_3b … --dry-run --gpu h100 --price 2.5
  accelerate launch --config_file CONFIG -m videojudge_bench.cli train --recipe videojudge_7b …

The configurations of accelerate (one GPU, several, FSDP2, ZeRO-3) are listed by --recipes too.
Rows that do not fit or have no video are left out and listed before training. Stopped by Ctrl-C,
kill -9 or a full disk, the same command goes on from the last checkpoint. The model is in
OUTPUT/model, for judge=videojudge,pretrained=OUTPUT/model. Exit status: 0 done, 1 stopped (run it
again), 2 used wrongly, 130 interrupted.
"""


def add_train(verbs: Verbs) -> None:
    """Add `train` to a parser's verbs."""
    verb = add_verb(verbs, "train", _train, "train a judge on rated rows", _HELP)
    add_recipe_options(verb, "where the run goes")
    what = "show N packed rows: texts, what is learnt, frames (pictures in OUTPUT/inspect)"
    verb.number("--inspect", what)
    verb.flag("--dry-run", "print tokens, memory, hours and money, and end")
    verb.add_argument("--gpu", default="h100", metavar="KIND", help="for --dry-run; default: h100")
    verb.number("--gpus", "for --dry-run", default=1)
    verb.add_argument(
        "--price", type=float, metavar="MONEY", help="of one GPU for an hour, for --dry-run"
    )


def _train(arguments: argparse.Namespace) -> int:
    from videojudge_bench.training.sft.recipe import load_recipe, recipes
    from videojudge_bench.training.sft.run import train

    if arguments.recipes:
        say([*recipes(), *(str(path) for path in configurations())])
        return 0
    if arguments.recipe is None:
        raise ConfigError(f"--recipe is missing; it is one of {', '.join(recipes())}, or a file")
    _check_numbers(arguments)
    recipe = load_recipe(arguments.recipe, arguments.changes)
    if arguments.dry_run:
        return _dry_run(recipe, arguments)
    if arguments.output is None:
        raise ConfigError("--output is missing: the folder that the run goes to")
    if arguments.inspect is not None:
        return _inspect(recipe, arguments.inspect, arguments.output / "inspect")
    train(recipe, arguments.output, say=lambda line: say([line]))
    return 0


def _check_numbers(arguments: argparse.Namespace) -> None:
    problems = []
    if arguments.inspect is not None and arguments.inspect < 1:
        problems.append(f"--inspect {arguments.inspect}: it is a number of packed rows from 1 up")
    if arguments.gpus < 1:
        problems.append(f"--gpus {arguments.gpus}: it is a number from 1 up")
    if arguments.price is not None and arguments.price < 0:
        problems.append(f"--price {arguments.price:g}: it is 0 or more")
    if problems:
        raise ConfigError.all_of("videojudge train", problems)


def configurations() -> list[Path]:
    """Return our configurations of accelerate."""
    return sorted((Path(__file__).parents[1] / "accelerate").glob("*.yaml"))


def _inspect(recipe: Recipe, number: int, pictures: Path) -> int:
    from videojudge_bench.training.sft.base_model import BaseModel
    from videojudge_bench.training.sft.inspect_rows import inspect
    from videojudge_bench.training.sft.run import prepare

    base = BaseModel(recipe.model, recipe.frames)
    base.check()
    for stage in recipe.stages:
        prepared = prepare(recipe, stage, base)
        say([f"stage {stage.name}: {prepared.train.rows:,} rows"])
        say(inspect(prepared.train.bundles[:number], base, pictures / stage.name))
        say(f"left out: {d.row}: {d.reason}" for d in prepared.train.dropped[:number])
    return 0


def _dry_run(recipe: Recipe, arguments: argparse.Namespace) -> int:
    from videojudge_bench.training.sft.base_model import BaseModel
    from videojudge_bench.training.sft.estimate import EFFICIENCY, estimate, gpu_named
    from videojudge_bench.training.sft.run import prepare

    gpu = gpu_named(arguments.gpu)
    base = BaseModel(recipe.model, recipe.frames)
    base.check()
    rows: list[tuple[str, ...]] = []
    hours = most = 0.0
    for stage in recipe.stages:
        plan = prepare(recipe, stage, base).train
        found = estimate(plan, base, stage, gpu)
        hours += found.hours
        most = max(most, found.state_gb / arguments.gpus + found.activations_gb)
        cells = (
            *(f"{plan.rows:,}", f"{len(plan.dropped):,}", f"{found.steps:,}"),
            *(f"{found.tokens:,}", f"{plan.separate_tokens / plan.tokens:.1f} x"),
            *(f"{found.state_gb:.1f}", f"{found.activations_gb:.1f}", f"{found.hours:.2f}"),
        )
        rows.append((stage.name, *cells))
    head = ("stage", "rows", "left out", "steps", "tokens", "fewer by trees", "state GB")
    table((*head, "activations GB", "GPU hours"), rows)
    say(_conclusion(arguments, hours, most, gpu.memory_gb))
    say([f"Estimates: {EFFICIENCY:.0%} of the GPU's stated bf16 throughput is assumed."])
    return 0


def _conclusion(
    arguments: argparse.Namespace, hours: float, gigabytes: float, there: float
) -> list[str]:
    gpus = arguments.gpus
    fits = "fits" if gigabytes < there else "does not fit"
    shared = "the state dealt out evenly" if gpus > 1 else "all of it"
    needed = (
        f"{hours:.2f} GPU hours, {hours / gpus:.2f} h on {gpus} x {arguments.gpu}; "
        f"{gigabytes:.1f} GB a GPU ({shared}), and there are {there:g}: it {fits}"
    )
    lines = [needed]
    if arguments.price is not None:
        lines.append(f"{hours * arguments.price:.2f} at {arguments.price:g} for a GPU and hour")
    return lines
