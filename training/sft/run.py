"""A whole training: rows checked and packed, stages one after another, the result exported."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import jsonlines

from videojudge_bench._util.hashing import Json, content_hash
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.labels import MOST_GROUPS
from videojudge_bench.training.sft import run_folder
from videojudge_bench.training.sft.base_model import BaseModel
from videojudge_bench.training.sft.model_card import Facts, makers_of, overlaps_of
from videojudge_bench.training.sft.options import DataOptions
from videojudge_bench.training.sft.plan import Plan, make_plan
from videojudge_bench.training.sft.recipe import Recipe, Stage
from videojudge_bench.training.sft.rows import check_balance, imbalance, read_rows, share_of
from videojudge_bench.training.sft.run_folder import SftFolder
from videojudge_bench.training.training_row import TRAIN, VALIDATION, TrainingRow

if TYPE_CHECKING:
    from videojudge_bench.training.sft.evaluation import Validation
    from videojudge_bench.training.sft.trainer import JudgeTrainer

logger = logging.getLogger(__name__)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """Training and validation data of a stage."""

    train: Plan
    validation: Plan | None
    judged: Validation | None
    warnings: tuple[str, ...]
    data_hash: str


def train(recipe: Recipe, output: Path, *, say: Say = lambda _line: None) -> Path:
    """Train by a recipe in a folder, or resume an earlier run; return the folder of the model.

    Started by torchrun or `accelerate launch`, all processes call this with the same arguments.

    Raises:
        ConfigError: options that cannot work, or not those that the folder was begun with.
        DataError: rows are malformed.
        JournalBusyError: another run writes the folder.
        RunStoppedError: the disk is full; the checkpoint before is whole.
    """
    folder = SftFolder(output.absolute(), main=int(os.environ.get("RANK", "0")) == 0)
    base = BaseModel(recipe.model, recipe.frames)
    with folder.locked(), run_folder.stopped_by_a_full_disk():
        base.check()
        folder.begin(recipe)
        return _Training(recipe, base, folder, say).run()


class _Training:
    def __init__(self, recipe: Recipe, base: BaseModel, folder: SftFolder, say: Say) -> None:
        self._recipe, self._base, self._folder = recipe, base, folder
        self._say: Say = say if folder.main else lambda _line: None  # of many processes one speaks

    def run(self) -> Path:
        from videojudge_bench.training.sft.export import export

        weights: Path | None = None
        done: dict[str, dict[str, Json]] = {}
        ready = self._prepare()
        for stage in self._recipe.stages:
            record = self._folder.done(stage.name)
            if record is None:
                prepared = ready.pop(stage.name)
                self._folder.begin_stage(stage.name, prepared.data_hash)
                self._report(stage, prepared)
                record = self._train(stage, prepared, weights)
            else:
                self._say(f"{stage.name}: done already")
            done[stage.name] = record
            weights = self._folder.path / stage.name / str(record["best"])
        assert weights is not None, "a recipe has a stage"
        model = self._folder.path / run_folder.MODEL_FOLDER
        if self._folder.main and not (model / "config.json").exists():
            export(self._base, self._recipe, weights, model, facts=self._facts(done))
            self._say(f"wrote {model}")
        return model

    def _prepare(self) -> dict[str, Prepared]:
        """Prepare all stages before the first one trains, so that errors come early."""
        from videojudge_bench.training.sft.trainer import rows_at_once

        ready: dict[str, Prepared] = {}
        same: dict[tuple[DataOptions, int], Prepared] = {}
        for stage in self._recipe.stages:
            if self._folder.done(stage.name) is not None:
                continue
            key = (stage.data, stage.evaluation.videos)
            if key not in same:
                same[key] = prepare(self._recipe, stage, self._base)
            _check_metric(stage, same[key].judged)  # which may differ from stage to stage
            rows_at_once(stage, len(same[key].train.bundles))
            ready[stage.name] = same[key]
        return ready

    def _report(self, stage: Stage, prepared: Prepared) -> None:
        plan = prepared.train
        for warning in prepared.warnings if self._folder.main else ():
            logger.warning("stage %s: %s", stage.name, warning)
        self._say(
            f"{stage.name}: {plan.rows:,} rows in {len(plan.bundles):,} bundles, "
            f"{plan.tokens:,} tokens ({plan.separate_tokens / plan.tokens:.1f} times fewer than "
            "apart)"
        )
        if plan.dropped and self._folder.main:
            path = self._folder.path / stage.name / run_folder.DROPPED_FILE
            path.parent.mkdir(parents=True, exist_ok=True)
            with jsonlines.open(path, "w") as file:
                file.write_all(asdict(dropped) for dropped in plan.dropped)
            self._say(f"{stage.name}: {len(plan.dropped):,} rows are left out, see {path}")

    def _train(self, stage: Stage, prepared: Prepared, weights: Path | None) -> dict[str, Json]:
        from videojudge_bench.training.sft import trainer as training

        path = self._folder.path / stage.name
        path.mkdir(parents=True, exist_ok=True)
        trainer = self._trainer(stage, prepared, weights)
        if self._folder.main:
            training.remove_cut_off(path)
        trainer.accelerator.wait_for_everyone()
        last = training.last_checkpoint(path)
        trainer.train(resume_from_checkpoint=str(last) if last else None)
        trainer.finish()
        log = list(trainer.state.log_history)
        done: dict[str, Json] = {
            "best": training.best_checkpoint(path).name,
            "steps": trainer.state.global_step,
            "data_hash": prepared.data_hash,
            "rows": prepared.train.rows,
            "dropped": len(prepared.train.dropped),
            "log": log,
        }
        if self._folder.main:
            with jsonlines.open(path / run_folder.LOG_FILE, "w") as file:
                file.write_all(log)
            run_folder.write_json(path / run_folder.DONE_FILE, done)
        return done

    def _trainer(self, stage: Stage, prepared: Prepared, weights: Path | None) -> JudgeTrainer:
        from transformers import set_seed

        from videojudge_bench.training.sft import trainer as training
        from videojudge_bench.training.sft.dataset import BundleDataset
        from videojudge_bench.training.sft.model import load_model
        from videojudge_bench.video import FrameStore

        recipe, base, path = self._recipe, self._base, self._folder.path / stage.name
        bundles = prepared.train.bundles
        arguments = training.trainer_arguments(
            stage, base, path, rows=len(bundles), seed=recipe.seed
        )
        set_seed(recipe.seed)  # new weights and dropout
        store = FrameStore()
        held = prepared.validation.bundles if prepared.validation else ()
        trainer = training.JudgeTrainer(
            load_model(base, weights=None if weights is None else str(weights)),
            base=base,
            stage=stage,
            judge=recipe.judge,
            train=BundleDataset(bundles, base, store=store, problems=path / run_folder.VIDEOS_FILE),
            measured=training.Measured(
                BundleDataset(held, base, store=store) if held else None,
                prepared.judged,
                path / "evaluations",
            ),
            arguments=arguments,
        )
        evaluation = stage.evaluation
        if evaluation.stop_above is not None:
            trainer.add_callback(training.StopAbove(evaluation.metric, evaluation.stop_above))
        return trainer

    def _facts(self, done: Mapping[str, Mapping[str, Json]]) -> Facts:
        sources = {source for stage in self._recipe.stages for source in stage.data.rows}
        return Facts(
            data_hash=content_hash([str(record["data_hash"]) for record in done.values()])[:12],
            overlap=overlaps_of(sources),
            made_by=makers_of(sources),
            stages=done,
        )


def prepare(recipe: Recipe, stage: Stage, base: BaseModel) -> Prepared:
    """Return what a stage is trained and measured on, without decoding a video.

    Raises:
        ConfigError: no rows, rows with one verdict, rows of other prompts, or none that fits.
        DataError: rows are malformed.
    """
    from videojudge_bench.training.sft.evaluation import check_prompts, chosen_videos, validation_of

    data, evaluation = stage.data, stage.evaluation
    rows = _rows(stage, TRAIN)
    rows = share_of(rows, data.share, recipe.seed)
    check_balance(rows)
    check_prompts(rows, recipe.judge)
    warnings = [warning] if (warning := imbalance(rows)) else []
    validation: Plan | None = None
    judged: Validation | None = None
    if evaluation.videos:
        held = chosen_videos(_rows(stage, VALIDATION), evaluation.videos, recipe.seed)
        if not held:
            raise ConfigError(
                f"stage {stage.name}: there are no rows to evaluate on (part: validation); give "
                "evaluation.videos=0, or rows with a validation part"
            )
        judged = validation_of(held, Path(data.videos) if data.videos else None)
        _check_metric(stage, judged)
        validation = make_plan(held, base, data)
    plan = make_plan(rows, base, data)
    read = [[row.id, row.video_id, row.system, row.user, row.reply] for row in rows]
    return Prepared(plan, validation, judged, tuple(warnings), content_hash(read))


def _check_metric(stage: Stage, judged: Validation | None) -> None:
    metric, there = stage.evaluation.metric, judged.metric if judged is not None else None
    if not stage.evaluation.videos or metric in ("token_accuracy", "loss"):
        return
    if judged is None or metric.removeprefix("worst_") != there:
        raise ConfigError(
            f"stage {stage.name}: evaluation.metric={metric} cannot be measured on the validation "
            f"rows; give {f'{there}, ' if there else ''}token_accuracy or loss (spearman needs "
            "rows with a response and its rating, accuracy needs pairs)"
        )
    if metric == "worst_spearman":
        asked = judged.videos_by_instruction()
        rare = [instruction for instruction, videos in asked.items() if videos == 1]
        if rare or len(asked) > MOST_GROUPS:
            raise ConfigError(
                f"stage {stage.name}: evaluation.metric=worst_spearman is for at most "
                f"{MOST_GROUPS} instructions that are asked of many videos each; of {len(asked)} "
                f"here, {len(rare)} are asked of one. Give spearman, or more of evaluation.videos"
            )


def _rows(stage: Stage, part: str) -> list[TrainingRow]:
    data = stage.data
    rows = read_rows(data.rows, data.kinds, part)
    if data.verdicts is None:
        return rows
    return [row for row in rows if row.verdict is None or row.verdict in data.verdicts]
