"""Experiments in the small world: what of the VideoJudge paper holds where the truth is known?

Each experiment is a name, the runs that it needs, and what is measured of them. A run is a training
that goes on from the model that tells right from wrong (stage `tell` of the loop) and has not seen
a rating between, as the paper's goes on from a model that can judge a little. So all runs of a seed
begin equal, and all of them take as many steps, but one that takes as many as the loop's judge, to
say what more of them are worth to pairs. Runs and verdicts are kept in the loop's folder, and
`numbers.json` is written anew after each: whatever stops it, the same command goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from videojudge_bench import goldsets
from videojudge_bench._util.files import write_whole
from videojudge_bench._util.hashing import Json
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.training.sft.recipe import Recipe, load_recipe
from videojudge_bench.training.sft.run import train
from videojudge_bench.training.small_world.loop import (
    GOLD_SET,
    LoopFolder,
    Say,
    add_gold_set,
    bootstrap,
    judges_of,
    own_home,
    rows_of_stages,
)
from videojudge_bench.training.small_world.measure import (
    Judgements,
    Number,
    differences,
    errors_by_rating,
    judged,
    numbers,
)
from videojudge_bench.training.small_world.tables import tables_of

PAIRS, UNSEEN, LONGER = "small_world_pairs", "small_world_unseen", "small_world_longer"
_FILES: Mapping[str, str] = {
    GOLD_SET: "gold.jsonl",
    PAIRS: "gold_pairs.jsonl",
    UNSEEN: "gold_unseen.jsonl",
    LONGER: "gold_longer.jsonl",
}
STEPS = 200
"""Of every run: fewer than the loop's judge has."""

SHARE = 0.25
"""Of the rows, for most runs: they see each of them once or twice."""

_AS_THE_LOOP = (
    "stages.judge.training.steps=900", "stages.judge.evaluation.every=900",
    "stages.judge.data.share=1",
)  # fmt: skip
"""As many steps and rows as the loop's judge has."""

_NOISY = ("generator.noise=0.3",)
_ROWS_A_STEP = 160
"""In the trees of a step: sixteen videos, two questions about each, five responses to each."""


@dataclass(frozen=True)
class Training:
    """A judge that is trained for an experiment.

    Attributes:
        bootstrap: changes of the bootstrap's recipe, beside those of the loop.
        recipe: changes of the training's recipe.
        kinds: rows that are exported.
    """

    bootstrap: tuple[str, ...] = ()
    recipe: tuple[str, ...] = ()
    kinds: str = "pointwise"


@dataclass(frozen=True)
class View:
    """A judge asked in some way about a gold set.

    Attributes:
        training: the name of a training, or `loop`: the judge of the loop itself.
        options: how it is asked, beside how it was trained to be.
        gold_set: what about.
    """

    training: str
    options: Mapping[str, Scalar] = field(default_factory=dict)
    gold_set: str = GOLD_SET


def _share(share: float) -> tuple[str]:
    """The change of the recipe that trains on a share of the rows."""
    return (f"stages.judge.data.share={share}",)


TRAININGS: Mapping[str, Training] = {
    "pointwise": Training(),
    "pairwise": Training(kinds="pairwise"),
    "rubric": Training(
        kinds="rubric", recipe=("judge.rubric=write", "judge.max_tokens=256", *_share(0.1))
    ),
    "pairwise_long": Training(kinds="pairwise", recipe=_AS_THE_LOOP),
    "tenth": Training(recipe=_share(0.1)),
    "fiftieth": Training(recipe=_share(0.02)),
    "reasoning": Training(("export.feedback=true",), ("judge.feedback=true",)),
    "bias_0": Training(_NOISY),
    "bias_25": Training(
        (*_NOISY, "evaluator={kind: biased, when: '2', shift: 1, rate: 0.25}"),
    ),
    "bias_50": Training(
        (*_NOISY, "evaluator={kind: biased, when: '2', shift: 1, rate: 0.5}"),
    ),
    "one_shot": Training((*_NOISY, "max_rounds=1", "alpha=4")),
    "apart": Training(
        recipe=("stages.judge.data.packing=none", f"stages.judge.training.batch={_ROWS_A_STEP}")
    ),
}


def _frames(frames: int) -> Mapping[str, Scalar]:
    return {"max_frames": frames, "fps": None}


EXPERIMENTS: Mapping[str, Mapping[str, View]] = {
    "looks": {
        "trained": View("loop"),
        "blind": View("loop", {"video": "none", "lost_mass": 1}),
        "shuffled": View("loop", {"video": "shuffled", "lost_mass": 1}),
    },
    "frames": {str(n): View("loop", _frames(n)) for n in (1, 2, 4, 8, 16)},
    "scores": {
        "expected": View("loop"),
        "text": View("loop", {"score": "text"}),
    },
    "temperature": {
        str(t): View("loop", {"score": "text", "temperature": t, "samples": 1, "seed": 1})
        for t in (0.0, 0.3, 0.7, 1.0)
    },
    "domains": {
        "seen": View("loop"),
        "unseen": View("loop", gold_set=UNSEEN),
        "longer": View("loop", {"max_frames": 24}, LONGER),
        "longer, 16 frames": View("loop", _frames(16), LONGER),
    },
    "pairs": {
        "pointwise": View("pointwise", {"pairs": "rate"}, PAIRS),
        "pairwise": View("pairwise", gold_set=PAIRS),
    },
    "rubric": {"rubric first": View("rubric"), "the same share, no rubric": View("tenth")},
    "pairs_long": {
        "pointwise": View("loop", {"pairs": "rate"}, PAIRS),
        "pairwise": View("pairwise_long", gold_set=PAIRS),
    },
    "reasoning": {"at once": View("pointwise"), "reasons first": View("reasoning")},
    "bias": {rate: View(f"bias_{rate}") for rate in ("0", "25", "50")},
    "refined": {"one shot, unfiltered": View("one_shot"), "refined": View("bias_0")},
    "amount": {
        "a quarter": View("pointwise"),
        "a tenth": View("tenth"),
        "a fiftieth": View("fiftieth"),
    },
    "packing": {"tree": View("pointwise"), "rows apart": View("apart")},
}
"""Views by experiment; the first one of each is what the others are compared with."""


def run_experiments(
    folders: Sequence[Path], names: Sequence[str], output: Path, *, say: Say = print
) -> Path:
    """Run experiments on finished loops, one a seed; return the file with the numbers.

    Beside it stands `tables.md`, with the same numbers to read.

    Args:
        folders: of the loops.
        names: of `EXPERIMENTS`; none: all of them.
        output: the folder that the numbers go to.
        say: told what is done.

    Raises:
        UnknownNameError: no such experiment.
        ConfigError: a folder holds no finished loop.
    """
    for name in names:
        if name not in EXPERIMENTS:
            raise UnknownNameError("experiment", name, EXPERIMENTS)
    loops = [LoopFolder(folder.absolute()) for folder in folders]
    for loop in loops:
        if not (loop.model / "config.json").is_file():
            raise ConfigError(f"{loop.path} holds no finished loop: run `… small_world loop` first")
    path = output / "numbers.json"
    output.mkdir(parents=True, exist_ok=True)
    found: dict[str, Json] = json.loads(path.read_text()) if path.exists() else {}
    for name in names or EXPERIMENTS:
        for loop in loops:
            say(f"{name}, {loop.path.name}")
            with own_home(loop):
                key = f"{name}/{loop.path.name}"
                found[key] = _measured(loop, EXPERIMENTS[name], say)
            write_whole(path, json.dumps(dict(sorted(found.items())), indent=1) + "\n")
            in_order = {key: found[key] for n in EXPERIMENTS for key in sorted(found)
                        if key.startswith(f"{n}/")}  # fmt: skip
            write_whole(output / "tables.md", tables_of(in_order))
    return path


def _measured(loop: LoopFolder, views: Mapping[str, View], say: Say) -> dict[str, Json]:
    verdicts: dict[str, tuple[GoldSet, Judgements]] = {}
    for name, view in views.items():
        model = loop.model if view.training == "loop" else trained(loop, view.training, say)
        options = {**judges_of(loop)["trained"], "pretrained": str(model), **view.options}
        add_gold_set(loop, _FILES[view.gold_set], view.gold_set)
        gold_set = goldsets.load(view.gold_set)
        verdicts[name] = (gold_set, judged(gold_set, options, loop.journal))
    first = next(iter(views))
    made: dict[str, Json] = {}
    for name, (gold_set, judgements) in verdicts.items():
        key = "accuracy" if gold_set.info.shape == "pairs" else "spearman"
        entry: dict[str, Json] = {key: _plain(numbers(gold_set, judgements, key))}
        if key == "spearman":
            entry["bias"] = _plain(errors_by_rating(gold_set, judgements))
        other_set, other = verdicts[first]
        if name != first and gold_set.content_hash == other_set.content_hash:
            less = differences(gold_set, judgements, other, key)
            entry[f"less {first}"] = _plain(less)
        made[name] = entry
    return made


def _plain(row: Mapping[str, Number]) -> dict[str, Json]:
    return {kind: number.to_json() for kind, number in row.items()}


def trained(loop: LoopFolder, name: str, say: Say) -> Path:
    """Return the model of a training, which is done or finished where it is not there yet.

    Args:
        loop: whose world, and whose model that tells right from wrong.
        name: of `TRAININGS`.
        say: told what is done.
    """
    folder = loop.path / "experiments" / name
    return train(_recipe(loop, TRAININGS[name], _rows(loop, name)), folder, say=say)


def _rows(loop: LoopFolder, name: str) -> Path:
    """The rows of a training: those of the loop where it changes nothing."""
    training = TRAININGS[name]
    if not training.bootstrap and training.kinds == "pointwise":
        return loop.rows
    rows = loop.path / "experiments" / f"{name}_rows"
    bootstrap(rows, loop.world, [f"export.kinds=[{training.kinds}]", *training.bootstrap])
    return rows


def _recipe(loop: LoopFolder, training: Training, rows: Path) -> Recipe:
    changes = [
        *rows_of_stages(rows, loop.videos),
        f"stages.judge.data.kinds=[{training.kinds}]",
        f"stages.judge.training.steps={STEPS}",
        f"stages.judge.evaluation.every={STEPS}",  # with a rate that falls, the last is the best
        *_share(SHARE),
        *training.recipe,
    ]
    if training.kinds == "pairwise":
        changes.append("stages.judge.evaluation.metric=loss")
    recipe = load_recipe("small_world", changes)
    told = loop.judge / "tell"
    best = json.loads((told / "done.json").read_text(encoding="utf-8"))["best"]
    model = recipe.model.model_copy(update={"pretrained": str(told / str(best))})
    seed = json.loads((loop.judge / "recipe.json").read_text(encoding="utf-8"))["seed"]
    return replace(recipe, model=model, seed=seed, stages=recipe.stages[2:])
