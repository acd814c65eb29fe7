"""The verb `videojudge train`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from videojudge_bench._util.command import Flag
from videojudge_bench._util.terminal import note, say, show
from videojudge_bench.cli._options import RECIPE, Json, Output, Override, completed
from videojudge_bench.errors import ConfigError

if TYPE_CHECKING:
    from videojudge_bench.training.sft.recipe import Recipe


def _recipes(_: str) -> list[str]:
    from videojudge_bench.training.sft.recipe import recipes

    return recipes()


@Parameter(name="*")
@dataclass(frozen=True)
class Machine:
    """What --dry-run reckons with.

    Attributes:
        gpu: of --dry-run: its kind
        gpus: of --dry-run: how many
        price: of --dry-run: money for one GPU and hour
    """

    gpu: str = "h100"
    gpus: int = 1
    price: float | None = None

    def conclusion(self, hours: float, gigabytes: float, memory_gb: float) -> list[str]:
        """Return what a training takes: GPU hours, memory of a GPU, money."""
        shared = "the state dealt out evenly" if self.gpus > 1 else "all of it"
        fits = "fits" if gigabytes < memory_gb else "does not fit"
        lines = [
            f"{hours:.2f} GPU hours, {hours / self.gpus:.2f} h on {self.gpus} x {self.gpu}; "
            f"{gigabytes:.1f} GB a GPU ({shared}), and there are {memory_gb:g}: it {fits}"
        ]
        if self.price is not None:
            lines.append(f"{hours * self.price:.2f} at {self.price:g} for a GPU and hour")
        return lines


def train(
    *,
    recipe: Annotated[str, completed(_recipes, help=RECIPE)],
    output: Output | None = None,
    override: Override = None,
    inspect: int | None = None,
    dry_run: Flag = False,
    machine: Machine = Machine(),
    json: Json = False,
) -> None:
    """Train a judge on rated rows.

    On the rows that `videojudge bootstrap` writes, a Qwen2.5-VL or Qwen3-VL learns to
    write the reply (a rating, a preference, a rubric first) to the prompt that it will
    be asked with, on the frames that it will see.

      videojudge recipes list
      videojudge train --recipe smoke_cpu --output out/smoke \\
        --override model.pretrained=out/tiny_qwen \\
        --override 'data.rows=[out/bootstrap]' --override data.videos=videos
      videojudge train --recipe videojudge_3b … --inspect 3
      videojudge train --recipe videojudge_3b … --dry-run --gpu h100 --price 2.5
      accelerate launch --config_file CONFIG -m videojudge_bench.cli train \\
        --recipe videojudge_7b …

    The configurations of accelerate (one GPU, several, FSDP2, ZeRO-3) are listed by
    `videojudge recipes list` too. Rows that do not fit or have no video are left out
    and listed before training. Stopped by Ctrl-C, kill -9 or a full disk, the same
    command resumes from the last checkpoint. The model is in OUTPUT/model, for
    judge=videojudge,pretrained=OUTPUT/model. Exit status: 0 done, 1 stopped (run it
    again), 2 used wrongly, 130 interrupted.

    Args:
        output: folder of the run
        inspect: show N packed rows: texts, what is learnt, frames (pictures in OUTPUT/inspect)
        dry_run: print tokens, memory, hours and money, and train nothing
        json: of --dry-run: print JSON
    """
    from videojudge_bench.training.sft import run
    from videojudge_bench.training.sft.recipe import load_recipe

    _check_numbers(inspect, machine)
    options = load_recipe(recipe, override or ())
    if dry_run:
        _dry_run(options, machine, as_json=json)
    elif output is None:
        raise ConfigError("--output is missing: the folder that the run goes to")
    elif inspect is not None:
        _inspect(options, inspect, output / "inspect")
    else:
        run.train(options, output, say=note)


def _check_numbers(inspect: int | None, machine: Machine) -> None:
    problems = []
    if inspect is not None and inspect < 1:
        problems.append(f"--inspect: expected 1 or more, got {inspect}")
    if machine.gpus < 1:
        problems.append(f"--gpus: expected 1 or more, got {machine.gpus}")
    if machine.price is not None and machine.price < 0:
        problems.append(f"--price: expected 0 or more, got {machine.price:g}")
    if problems:
        raise ConfigError.all_of("videojudge train", problems)


def _inspect(recipe: Recipe, number: int, pictures: Path) -> None:
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


def _dry_run(recipe: Recipe, machine: Machine, *, as_json: bool) -> None:
    from videojudge_bench.training.sft.base_model import BaseModel
    from videojudge_bench.training.sft.estimate import EFFICIENCY, estimate, gpu_named
    from videojudge_bench.training.sft.run import prepare

    gpu = gpu_named(machine.gpu)
    base = BaseModel(recipe.model, recipe.frames)
    base.check()
    rows: list[dict[str, str]] = []
    hours = most = 0.0
    for stage in recipe.stages:
        plan = prepare(recipe, stage, base).train
        needs = estimate(plan, base, stage, gpu)
        hours += needs.hours
        most = max(most, needs.state_gb / machine.gpus + needs.activations_gb)
        rows.append(
            {
                "stage": stage.name,
                "rows": f"{plan.rows:,}",
                "left out": f"{len(plan.dropped):,}",
                "steps": f"{needs.steps:,}",
                "tokens": f"{needs.tokens:,}",
                "fewer by trees": f"{plan.separate_tokens / plan.tokens:.1f} x",
                "state GB": f"{needs.state_gb:.1f}",
                "activations GB": f"{needs.activations_gb:.1f}",
                "GPU hours": f"{needs.hours:.2f}",
            }
        )
    show(rows, as_json=as_json)
    if not as_json:
        say(machine.conclusion(hours, most, gpu.memory_gb))
        note(f"Estimates: {EFFICIENCY:.0%} of the GPU's stated bf16 throughput is assumed.")
