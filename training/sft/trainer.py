"""transformers' Trainer with our loss, our evaluation and atomic checkpoints.

TRL's SFTTrainer takes no videos, and its chat templates, packing and prompt masks do not fit rows
that are trees on a video.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch.utils.data import RandomSampler
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from videojudge_bench.errors import ConfigError
from videojudge_bench.training.sft.base_model import BaseModel
from videojudge_bench.training.sft.dataset import BundleDataset, collate
from videojudge_bench.training.sft.evaluation import Validation, live_judge, measure
from videojudge_bench.training.sft.loss import inner_model, score_batch
from videojudge_bench.training.sft.model import put_weights
from videojudge_bench.training.sft.options import JudgeOptions
from videojudge_bench.training.sft.recipe import Stage, steps_of

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import ProcessorMixin

    from videojudge_bench.judges.engines._model_types import Model

COMPLETE = "complete.json"
"""The file that is written last into a checkpoint: one without it was cut off."""

_PREFIX = "checkpoint-"

# transformers 5.24 renamed this argument.
_CHECKPOINTING = (
    "activation_checkpointing"
    if any(field.name == "activation_checkpointing" for field in fields(TrainingArguments))
    else "gradient_checkpointing"
)

_ALWAYS: Mapping[str, object] = {
    "dataloader_drop_last": True,
    "remove_unused_columns": False,
    "label_names": ["labels"],
    "logging_first_step": True,
    "save_total_limit": 2,
    "load_best_model_at_end": False,
    "ddp_find_unused_parameters": False,
    "disable_tqdm": None,
}
"""What every training tells the Trainer."""


@dataclass(frozen=True)
class Measured:
    """Validation data of a stage."""

    dataset: BundleDataset | None
    validation: Validation | None
    journals: Path


class JudgeTrainer(Trainer):
    """Trains a judge."""

    def __init__(
        self,
        model: Model,
        *,
        base: BaseModel,
        stage: Stage,
        judge: JudgeOptions,
        train: BundleDataset,
        measured: Measured,
        arguments: TrainingArguments,
    ) -> None:
        self._base, self._stage, self._judge = base, stage, judge
        self._measured, self._train = measured, train
        self._tree = stage.data.packing == "tree"
        super().__init__(
            model=cast("torch.nn.Module", model),
            args=arguments,
            train_dataset=train,
            eval_dataset=measured.dataset,
            data_collator=collate,
            processing_class=cast("ProcessorMixin", base.checkpoint.processor),
        )
        # The number of labelled tokens of the whole batch is counted for us, over all processes.
        self.model_accepts_loss_kwargs = True

    def _get_train_sampler(self, train_dataset: object = None) -> RandomSampler:
        """Draw whole batches, so that an epoch's last step is the same on any number of processes.

        Which rows are left out is drawn anew in each epoch.
        """
        rows, batch = len(self._train), self._stage.training.batch
        at_once = self.args.train_batch_size * self.args.world_size
        whole = rows // batch * batch or rows // at_once * at_once
        return RandomSampler(self._train, num_samples=whole)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Mapping[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a part of a batch, so that the parts add up to the batch's mean."""
        scored = score_batch(model, inputs, tree=self._tree)
        total = scored.tokens if num_items_in_batch is None else num_items_in_batch
        loss = scored.loss / total
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            loss = loss * self.accelerator.num_processes  # gradients are averaged over processes
        return (loss, {}) if return_outputs else loss

    def evaluate(
        self,
        eval_dataset: object = None,
        ignore_keys: Sequence[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Return loss and token accuracy on validation rows, and the judge's metrics on them.

        Every process works on all of it, as models that are sharded over processes need it.
        """
        self._trained.eval()
        results = self._token_metrics()
        if self._measured.validation is not None:
            mixed = self._stage.training.mixed_precision == "bf16"
            judge = live_judge(inner_model(self.model), self._base, self._judge, mixed=mixed)
            step = self._measured.journals / f"step-{self.state.global_step:06}"
            rank = self.accelerator.process_index
            journal = step if rank == 0 else step.with_name(f"{step.name}-{rank}")
            with torch.no_grad():
                worst = self._stage.evaluation.metric == "worst_spearman"
                results |= measure(self._measured.validation, judge, journal, worst=worst)
        self._trained.train()
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in results.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    @property
    def _trained(self) -> torch.nn.Module:
        assert self.model is not None, "it was given one"
        return self.model

    def _token_metrics(self) -> dict[str, float]:
        if self._measured.dataset is None:
            return {}
        loss, tokens, right = 0.0, 0, 0
        context = self.compute_loss_context_manager
        for start in range(0, len(self._measured.dataset), self._stage.training.micro_batch):
            end = min(start + self._stage.training.micro_batch, len(self._measured.dataset))
            batch = collate([self._measured.dataset[n] for n in range(start, end)])
            with torch.no_grad(), context():
                scored = score_batch(self._trained, self._prepare_inputs(batch), tree=self._tree)
            loss += float(scored.loss)
            tokens += int(scored.tokens)
            right += int(scored.right)
        return {"loss": loss / tokens, "token_accuracy": right / tokens}

    def finish(self) -> None:
        """Write a checkpoint of the last step, where none has been written."""
        if not self._checkpoint_path().joinpath(COMPLETE).is_file():
            self._save_checkpoint(self._trained, None)
        self.accelerator.wait_for_everyone()

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: torch.nn.Module | None = None
    ) -> None:
        """Load the weights of a checkpoint.

        transformers looks for the module's names in a file that has the hub's, finds none, and
        keeps the weights that the model began with (seen in 5.24).
        """
        dealt_out = self.is_fsdp_enabled or self.is_deepspeed_enabled
        if dealt_out or self._base.options.lora is not None:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        put_weights(
            inner_model(self.model if model is None else model),
            Path(resume_from_checkpoint),
            self._base,
        )

    def _checkpoint_path(self) -> Path:
        return Path(str(self.args.output_dir)) / f"{_PREFIX}{self.state.global_step}"

    def _determine_best_metric(self, metrics: dict[str, float], trial: object) -> bool:
        """Save the weights of a best evaluation, whichever step it is at.

        An evaluation whose metric is undefined (all verdicts are equal, say) is no best.
        """
        if f"eval_{self._stage.evaluation.metric}" not in metrics:
            return False
        best = bool(super()._determine_best_metric(metrics, trial))
        self.control.should_save |= best
        return best

    def _save_checkpoint(self, model: torch.nn.Module, trial: object) -> None:
        super()._save_checkpoint(model, trial)
        if self.args.should_save:
            text = json.dumps({"step": self.state.global_step})
            self._checkpoint_path().joinpath(COMPLETE).write_text(text, encoding="utf-8")
        self.accelerator.wait_for_everyone()


class StopAbove(TrainerCallback):
    """Ends a training when a metric is high enough."""

    def __init__(self, metric: str, above: float) -> None:
        self._metric, self._above = f"eval_{metric}", above

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **_others: object,
    ) -> None:
        """Stop after this evaluation, and keep the weights."""
        if metrics is not None and metrics.get(self._metric, -math.inf) > self._above:
            control.should_training_stop = True
            control.should_save = True


def trainer_arguments(
    stage: Stage, base: BaseModel, folder: Path, *, rows: int, seed: int
) -> TrainingArguments:
    """Return the Trainer's arguments; raises as `rows_at_once`."""
    training, evaluation = stage.training, stage.evaluation
    at_once = rows_at_once(stage, rows)
    steps = steps_of(stage, rows)
    evaluated = evaluation.videos > 0
    device = base.checkpoint.torch_device()
    values: dict[str, object] = {
        **_ALWAYS,
        "output_dir": str(folder),
        "per_device_train_batch_size": training.micro_batch,
        "gradient_accumulation_steps": training.batch // at_once,
        "max_steps": steps,
        "learning_rate": training.learning_rate,
        "lr_scheduler_type": training.schedule,
        "warmup_steps": math.ceil(training.warmup * steps),
        "weight_decay": training.weight_decay,
        "max_grad_norm": training.max_grad_norm,
        "adam_beta2": training.beta2,
        "optim": "adamw_torch_fused" if device.type == "cuda" else "adamw_torch",
        "bf16": training.mixed_precision == "bf16",
        _CHECKPOINTING: base.options.gradient_checkpointing,
        f"{_CHECKPOINTING}_kwargs": {"use_reentrant": False},
        "dataloader_num_workers": training.workers,
        "dataloader_persistent_workers": training.workers > 0,
        "logging_steps": training.log_every,
        "save_steps": training.save_every,
        "eval_strategy": "steps" if evaluated else "no",
        "eval_steps": evaluation.every,
        "metric_for_best_model": evaluation.metric if evaluated else None,
        "greater_is_better": evaluation.metric != "loss",
        "report_to": training.report_to,
        "seed": seed,
        "data_seed": seed,
        "use_cpu": device.type == "cpu",
    }
    arguments = TrainingArguments(**values)  # type: ignore[arg-type] # checked by name
    # Several GPUs in one process would be given parts of one row each: they need processes.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def rows_at_once(stage: Stage, rows: int) -> int:
    """Return how many rows all processes take at once.

    Raises:
        ConfigError: the batch is no multiple of it, or there are too few rows.
    """
    training = stage.training
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    at_once = training.micro_batch * processes
    if rows < at_once:
        raise ConfigError(
            f"stage {stage.name}: {rows} packed rows are too few for {processes} processes that "
            f"take training.micro_batch={training.micro_batch} each"
        )
    if training.batch % at_once:
        raise ConfigError(
            f"training.batch={training.batch}: expected a multiple of the {at_once} rows that "
            f"{processes} processes take at once (training.micro_batch={training.micro_batch} each)"
        )
    return at_once


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest whole checkpoint in a folder, None where there is none."""
    checkpoints = {
        int(path.name.removeprefix(_PREFIX)): path
        for path in folder.glob(f"{_PREFIX}*")
        if (path / COMPLETE).is_file()
    }
    return checkpoints[max(checkpoints)] if checkpoints else None


def remove_cut_off(folder: Path) -> None:
    """Remove checkpoints that a stopped run has left half written."""
    for path in folder.glob(f"{_PREFIX}*"):
        if not (path / COMPLETE).is_file():
            shutil.rmtree(path)


def best_checkpoint(folder: Path) -> Path:
    """Return the checkpoint whose evaluation was the best; the newest where none was evaluated."""
    last = last_checkpoint(folder)
    if last is None:
        raise ConfigError(f"{folder} holds no checkpoint")
    state = json.loads((last / "trainer_state.json").read_text(encoding="utf-8"))
    best = folder / f"{_PREFIX}{state.get('best_global_step')}"
    return best if (best / COMPLETE).is_file() else last
