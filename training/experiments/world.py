"""Experiments in the small world: which findings of the VideoJudge paper hold with known truth.

An arm is a view: a trained judge with options, on a gold set. Trainings start from the model that
tells right from wrong (stage `tell` of the loop), which has not seen a rating between, as the
paper's start from a model that can judge a little. All of them take as many steps, but one that
takes as many as the loop's judge, to measure what more steps are worth to pairs. Trainings and
verdicts are kept in the loop's folder, and `numbers.json` is written anew after each experiment:
the same command resumes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

from videojudge_bench import goldsets
from videojudge_bench._util.files import write_whole
from videojudge_bench._util.hashing import Json
from videojudge_bench._util.markdown import table
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.training.experiments import grpo, over_optimisation
from videojudge_bench.training.experiments import world_measures as measures
from videojudge_bench.training.experiments.experiment import Experiment, Figure, Figures, cell, run
from videojudge_bench.training.experiments.over_optimisation import (
    DRAWS,
    Drawn,
    Policy,
    gains,
    write_gold,
)
from videojudge_bench.training.sft.recipe import Recipe, load_recipe
from videojudge_bench.training.sft.run import train
from videojudge_bench.training.small_world import loop as small_world
from videojudge_bench.training.small_world.world import KINDS

PAIRS, UNSEEN, LONGER = "small_world_pairs", "small_world_unseen", "small_world_longer"
_FILES: Mapping[str, str] = {
    small_world.GOLD_SET: "gold.jsonl",
    PAIRS: "gold_pairs.jsonl",
    UNSEEN: "gold_unseen.jsonl",
    LONGER: "gold_longer.jsonl",
}
_DRAWN: Mapping[str, Drawn] = {
    f"small_world_best_of_{policy}{ending}": Drawn(policy, answers)
    for ending, answers in (("", DRAWS), ("_few", 16))
    for policy in get_args(Policy)
}
"""The gold sets of `over_optimisation`; small ones for judges that write much."""

_ANY_MASS: Mapping[str, Scalar] = {"lost_mass": 1}
"""Every answer gets a verdict, however odd it is."""

STEPS = 200  # of every training: fewer than the loop's judge has
SHARE = 0.25  # of the rows, for most trainings, which see each of them once or twice
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
    """A judge that is trained for an experiment."""

    bootstrap: tuple[str, ...] = ()
    recipe: tuple[str, ...] = ()
    kinds: str = "pointwise"


@dataclass(frozen=True)
class View:
    """A judge with options, on a gold set; the training `loop` is the judge of the loop itself."""

    training: str
    options: Mapping[str, Scalar] = field(default_factory=dict)
    gold_set: str = small_world.GOLD_SET


def _share(share: float) -> tuple[str]:
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
    "bias_25": Training((*_NOISY, "evaluator={kind: biased, when: '2', shift: 1, rate: 0.25}")),
    "bias_50": Training((*_NOISY, "evaluator={kind: biased, when: '2', shift: 1, rate: 0.5}")),
    "one_shot": Training((*_NOISY, "max_rounds=1", "alpha=4")),
    "apart": Training(
        recipe=("stages.judge.data.packing=none", f"stages.judge.training.batch={_ROWS_A_STEP}")
    ),
}


class Judges:
    """The judges of a loop, and those trained from its model that tells right from wrong."""

    def __init__(self, loop: small_world.LoopFolder, say: small_world.Say = print) -> None:
        self.loop, self._say = loop, say

    def asked(self, view: View) -> tuple[GoldSet, measures.Judgements]:
        """Return a gold set and the verdicts on it, which are made if they are missing."""
        loop, options = self.loop, self.options(view)
        file = _FILES.get(view.gold_set) or write_gold(loop, view.gold_set, _DRAWN[view.gold_set])
        small_world.add_gold_set(loop, file, view.gold_set)
        gold_set = goldsets.load(view.gold_set)
        return gold_set, measures.judged(gold_set, options, loop.journal)

    def options(self, view: View) -> dict[str, Scalar]:
        """Return the options of a view's judge, which is trained if it is missing."""
        loop, name = self.loop, view.training
        model = loop.model if name == "loop" else self._trained(name, TRAININGS[name])
        trained = small_world.judges_of(loop)["trained"]
        return {**trained, "pretrained": str(model), **view.options}

    def _trained(self, name: str, training: Training) -> Path:
        folder = self.loop.path / "experiments"
        rows = self.loop.rows  # those of the loop where the training changes nothing in them
        if training.bootstrap or training.kinds != "pointwise":
            rows = folder / f"{name}_rows"
            changes = [f"export.kinds=[{training.kinds}]", *training.bootstrap]
            small_world.bootstrap(rows, self.loop.world, changes)
        return train(_recipe(self.loop, training, rows), folder / name, say=self._say)


def _recipe(loop: small_world.LoopFolder, training: Training, rows: Path) -> Recipe:
    changes = [
        *small_world.rows_of_stages(rows, loop.videos),
        f"stages.judge.data.kinds=[{training.kinds}]",
        f"stages.judge.training.steps={STEPS}",
        f"stages.judge.evaluation.every={STEPS}",  # with a rate that falls, the last is the best
        *_share(SHARE),
        *training.recipe,
    ]
    if training.kinds == "pairwise":
        changes.append("stages.judge.evaluation.metric=loss")
    recipe = load_recipe("small_world", changes)
    tell = loop.judge / "tell"
    best = json.loads((tell / "done.json").read_text(encoding="utf-8"))["best"]
    model = recipe.model.model_copy(update={"pretrained": str(tell / str(best))})
    changed = {"model": model, "seed": _seed(loop), "stages": recipe.stages[2:]}
    return recipe.model_copy(update=changed)


def _seed(loop: small_world.LoopFolder) -> int:
    return int(json.loads((loop.judge / "recipe.json").read_text(encoding="utf-8"))["seed"])


METRICS: Mapping[str, str] = {
    "spearman": "Spearman with what is deserved",
    "accuracy": "Share of pairs whose better response is named, both orders of each",
}
BIAS = "bias"  # of a view: mean error of the verdicts, by deserved rating


def _views(question: str, views: Mapping[str, View]) -> Experiment[Judges, View]:
    """An experiment that compares views with the first of them, where they share a gold set."""
    first_name, first = next(iter(views.items()))

    def measure(judges: Judges, view: View) -> Figures:
        gold_set, judgements = judges.asked(view)
        key = "accuracy" if gold_set.info.shape == "pairs" else "spearman"
        figures: dict[str, measures.ByKind] = {key: measures.numbers(gold_set, judgements, key)}
        if key == "spearman":
            figures[BIAS] = measures.errors_by_rating(gold_set, judgements)
        if view is not first and view.gold_set == first.gold_set:
            _, others = judges.asked(first)
            figures[f"less {first_name}"] = measures.differences(gold_set, judgements, others, key)
        return measures.rounded(figures)

    return Experiment(question, views, measure, table_of)


def table_of(rows: Mapping[str, Figures]) -> Iterator[str]:
    """Yield the lines of one table for each metric that some of the rows have."""
    compared = sorted({metric for row in rows.values() for metric in row if "less " in metric})
    titles = {m: f"{m[0].upper()}{m[1:]}, where both gave a verdict" for m in compared}
    titles = {**METRICS, **titles, BIAS: "Points of the scale above what is deserved, by that"}
    for metric, title in titles.items():
        columns = tuple("12345") if metric == BIAS else (measures.ALL, *KINDS)
        cells = [
            [name, *(cell(figures[c]) if c in figures else "" for c in columns)]
            for name, row in rows.items()
            if (figures := cast("Mapping[str, Figure]", row.get(metric)))
        ]
        if cells:
            yield from (f"{title}:", "", *table(("", *columns), cells, rule="---"), "")


def _optimised(training: str, question: str, ending: str = "") -> Experiment[Judges, View]:
    """An experiment on the best of n answers of each policy by a judge."""
    views = {
        policy: View(training, _ANY_MASS, f"small_world_best_of_{policy}{ending}")
        for policy in get_args(Policy)
    }
    return Experiment(question, views, _gains, over_optimisation.table_of, over_optimisation.chart)


def _gains(judges: Judges, view: View) -> Figures:
    return gains(*judges.asked(view), _DRAWN[view.gold_set])


def _pushed(judges: Judges, arm: grpo.Arm) -> Figures:
    options = judges.options(View("loop", _ANY_MASS))
    return grpo.figures(judges.loop, options, arm, seed=_seed(judges.loop))


def _frames(frames: int) -> Mapping[str, Scalar]:
    return {"max_frames": frames, "fps": None}


EXPERIMENTS: Mapping[str, Experiment[Judges, Any]] = {
    "looks": _views(
        "does the judge need the video, and the right one?",
        {
            "trained": View("loop"),
            "blind": View("loop", {"video": "none", "lost_mass": 1}),
            "shuffled": View("loop", {"video": "shuffled", "lost_mass": 1}),
        },
    ),
    "frames": _views(
        "are more frames better?", {str(n): View("loop", _frames(n)) for n in (1, 2, 4, 8, 16)}
    ),
    "scores": _views(
        "is an expected score better than the verdict that is written?",
        {"expected": View("loop"), "text": View("loop", {"score": "text"})},
    ),
    "temperature": _views(
        "does a trained judge get better with temperature?",
        {
            str(t): View("loop", {"score": "text", "temperature": t, "samples": 1, "seed": 1})
            for t in (0.0, 0.3, 0.7, 1.0)
        },
    ),
    "domains": _views(
        "does it hold for other shapes, backgrounds, speeds and lengths?",
        {
            "seen": View("loop"),
            "unseen": View("loop", gold_set=UNSEEN),
            "longer": View("loop", {"max_frames": 24}, LONGER),
            "longer, 16 frames": View("loop", _frames(16), LONGER),
        },
    ),
    "pairs": _views(
        "are pairs told apart better by a judge that was trained on pairs?",
        {
            "pointwise": View("pointwise", {"pairs": "rate"}, PAIRS),
            "pairwise": View("pairwise", gold_set=PAIRS),
        },
    ),
    "rubric": _views(
        "does a rubric that is written first help?",
        {"rubric first": View("rubric"), "the same share, no rubric": View("tenth")},
    ),
    "pairs_long": _views(
        "the same as `pairs`, after as many steps as the loop's judge has",
        {
            "pointwise": View("loop", {"pairs": "rate"}, PAIRS),
            "pairwise": View("pairwise_long", gold_set=PAIRS),
        },
    ),
    "reasoning": _views(
        "does reasoning before the score help?",
        {"at once": View("pointwise"), "reasons first": View("reasoning")},
    ),
    "bias": _views(
        "does an evaluator that is often wrong at 2 spoil the judge?",
        {rate: View(f"bias_{rate}") for rate in ("0", "25", "50")},
    ),
    "refined": _views(
        "are refined data better than one shot?",
        {"one shot, unfiltered": View("one_shot"), "refined": View("bias_0")},
    ),
    "amount": _views(
        "how much do fewer rows cost?",
        {"a quarter": View("pointwise"), "a tenth": View("tenth"), "a fiftieth": View("fiftieth")},
    ),
    "packing": _views(
        "are trees of rows worth as much as rows apart?",
        {"tree": View("pointwise"), "rows apart": View("apart")},
    ),
    "best_of": _optimised("loop", "how far can the judge be optimised against?"),
    "best_of_tenth": _optimised("tenth", "the same of a judge of 200 steps on a tenth of the rows"),
    "best_of_rubric": _optimised(
        "rubric", "the same of a judge that writes a rubric first, on fewer answers", "_few"
    ),
    "best_of_biased": _optimised("bias_50", "the same where the evaluator is often wrong at 2"),
    "grpo": Experiment(
        "what becomes of a policy that GRPO trains against the judge?",
        grpo.ARMS,
        _pushed,
        grpo.table_of,
        grpo.chart,
    ),
}


def run_experiments(
    folders: Sequence[Path], names: Sequence[str], output: Path, *, say: small_world.Say = print
) -> Path:
    """Run experiments on finished loops, one a seed; return `numbers.json`, beside `tables.md`.

    The curves of an optimised judge are drawn beside them, `<experiment>-<loop>-<policy>.svg`.
    """
    _check_names(names)
    loops = [small_world.LoopFolder(folder.absolute()) for folder in folders]
    for loop in loops:
        if not (loop.model / "config.json").is_file():
            raise ConfigError(
                f"{loop.path} holds no finished loop; make one: python -m "
                f"videojudge_bench.training.small_world loop {loop.path}"
            )
    if not names or "grpo" in names:
        grpo.check_installed()
    path, log = output / "numbers.json", output / ".arms.jsonl"
    output.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Json] = json.loads(path.read_text()) if path.exists() else {}
    for name in names or EXPERIMENTS:
        for loop in loops:
            say(f"{name}, {loop.path.name}")
            identity: Json = [name, str(loop.path), loop.model.stat().st_mtime_ns]
            with small_world.own_home(loop):
                by_arm = run(EXPERIMENTS[name], Judges(loop, say), log, identity)
            figures[f"{name}/{loop.path.name}"] = by_arm
            write_whole(path, json.dumps(dict(sorted(figures.items())), indent=1) + "\n")
            write_whole(output / "tables.md", page_of(figures))
            if chart := EXPERIMENTS[name].chart:
                for arm, row in by_arm.items():
                    write_whole(output / f"{name}-{loop.path.name}-{arm}.svg", chart(row))
    log.unlink(missing_ok=True)
    return path


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if name not in EXPERIMENTS:
            raise UnknownNameError("experiment", name, EXPERIMENTS)


def page_of(figures: Mapping[str, Json]) -> str:
    """Return a page of Markdown with the tables of all experiments."""
    lines = [
        "# Experiments in the small world",
        "",
        "The numbers of `numbers.json`, as `… small_world experiments` writes them. Brackets hold",
        "95 % intervals by resampling videos.",
        "",
    ]
    for name, experiment in EXPERIMENTS.items():
        loops = {
            key.partition("/")[2]: cast("Mapping[str, Figures]", views)
            for key, views in sorted(figures.items())
            if key.startswith(f"{name}/")
        }
        rows = {
            f"{view}, {loop}": views[view]
            for view in experiment.arms
            for loop, views in loops.items()
            if view in views
        }
        if rows and experiment.table is not None:
            lines += [f"## {name}", "", *experiment.table(rows)]
    return "\n".join(lines).rstrip() + "\n"
