"""Measures of the model in training: loss, and agreement as the judge that it will be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.criteria import Criterion, overall_criterion
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo, Shape
from videojudge_bench.items import Example, Item, Pair, PreferenceGold, RatingGold
from videojudge_bench.judges.engines._hub_format import PROMPT_OPTIONS
from videojudge_bench.judges.engines.transformers_engine import LoadedModel, TransformersEngine
from videojudge_bench.metrics import Measurement, by_criterion, by_label
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.prompted.templates import CRITERIA_PROMPT
from videojudge_bench.prompts import PromptOptions
from videojudge_bench.prompts.criteria_book import read_criteria
from videojudge_bench.registry import BuiltJudge
from videojudge_bench.replies.criteria import parse_criterion
from videojudge_bench.run.runner import Run, RunOptions
from videojudge_bench.scale import RatingScale
from videojudge_bench.training.recipe_file import load_prompt_of, prompt_path
from videojudge_bench.training.sft.base_model import BaseModel
from videojudge_bench.training.sft.options import JudgeOptions
from videojudge_bench.training.training_row import TrainingRow
from videojudge_bench.verdicts import Unparsed

if TYPE_CHECKING:
    from videojudge_bench.judges.engines._model_types import Model

_RATED = ("pointwise", "rubric")
_PAIRS = "pairwise"
_NAME = "validation"
_INSTRUCTION = "instruction"


@dataclass(frozen=True)
class Validation:
    """Rows to measure the judge on."""

    gold_set: GoldSet
    metric: Literal["spearman", "accuracy"]

    def videos_by_instruction(self) -> dict[str, int]:
        """Return of how many videos each instruction is asked."""
        items = [example.item for example in self.gold_set.examples]
        return Counter(i for i, _ in {(item.instruction, item.video_id) for item in items})


def chosen_videos(rows: Sequence[TrainingRow], videos: int, seed: int) -> list[TrainingRow]:
    """Return the rows of so many videos, drawn by hash."""
    ids = sorted(
        {row.video_id for row in rows}, key=lambda i: unit_interval(f"validation-{seed}", i)
    )
    kept = set(ids[:videos])
    return [row for row in rows if row.video_id in kept]


def validation_of(rows: Sequence[TrainingRow], videos: Path | None) -> Validation | None:
    """Return what the judge is measured on; None where no row holds a judgement.

    Where there are rated rows they are taken, else pairs.
    """
    rated = [row for row in rows if _is_rated(row)]
    pairs = [row for row in rows if _is_pair(row)]
    if rated:
        once = {(r.video_id, r.instruction or "", r.responses[0].text): r for r in rated}
        examples = tuple(map(_rated, once.values()))
    elif pairs:
        examples = tuple(example for row in pairs for example in _pair(row))
    else:
        return None
    files = {row.video_id: row.video for row in rows if row.video is not None}
    gold_set = _gold_set(examples, "ratings" if rated else "pairs", videos, files)
    return Validation(gold_set, "spearman" if rated else "accuracy")


def _is_rated(row: TrainingRow) -> bool:
    return row.kind in _RATED and bool(row.responses and row.instruction)


def _is_pair(row: TrainingRow) -> bool:
    return row.kind == _PAIRS and len(row.responses) == 2 and bool(row.instruction)


def _rated(row: TrainingRow) -> Example:
    response = row.responses[0]
    item = Item(row.id, row.video_id, row.instruction or "", response.text)
    labels = {_INSTRUCTION: item.instruction}
    criteria = {n: (float({"yes": 1, "no": 0}.get(str(v), v)),) for n, v in row.criteria.items()}
    gold = RatingGold((response.rating,), criteria)
    return Example(item, gold, unit=row.video_id, labels=labels)


def _pair(row: TrainingRow) -> list[Example]:
    first, second = row.responses
    prefers = 0.5 + 0.5 * ((first.rating > second.rating) - (first.rating < second.rating))
    examples = []
    for order, (one, other), gold in (
        ("ab", (first, second), prefers),
        ("ba", (second, first), 1 - prefers),
    ):
        pair = Pair(f"{row.id}/{order}", row.video_id, row.instruction or "", one.text, other.text)
        examples.append(Example(pair, PreferenceGold(gold), unit=row.id))
    return examples


def _gold_set(
    examples: tuple[Example, ...], shape: Shape, videos: Path | None, files: Mapping[str, str]
) -> GoldSet:
    info = GoldSetInfo(
        name=_NAME,
        title="the validation part of the training rows",
        kind="constructed",
        shape=shape,
        licence="as the training rows",
        source="the training rows",
        how_to_get="it is made of the training rows",
        scale=RatingScale(),
        data=f"sample-{len(examples)}",
    )
    return GoldSet(info, examples, videos, files)


def live_judge(
    model: Model, base: BaseModel, options: JudgeOptions, *, mixed: bool = False
) -> PromptedJudge:
    """Return the judge that a model in memory is now; `model` is without wrappers.

    With `mixed` it works in bfloat16 whatever its weights are, as in training.
    """
    policy = base.policy
    engine = TransformersEngine(
        pretrained=LoadedModel(model, base.checkpoint.processor, mixed=mixed),
        mrope=base.scheme,
        max_frames=policy.max_frames,
        fps=policy.fps,
        min_pixels=policy.min_pixels,
        max_pixels=policy.max_pixels,
        total_pixels=policy.total_pixels,
    )
    asked = {
        name: str(prompt_path(value)) if name in PROMPT_OPTIONS else value
        for name, value in options.model_dump(mode="json").items()
        if value is not None
    }
    return PromptedJudge(engine=engine, video="frames", **asked)  # type: ignore[arg-type]


def measure(
    validation: Validation, judge: PromptedJudge, journal: Path, *, worst: bool = False
) -> dict[str, float]:
    """Return how well a judge agrees with the validation rows; verdicts go to the folder `journal`.

    With `worst`, `worst_spearman` is that of the instruction where it is lowest.

    Returns:
        The metric, `coverage`, and for ratings `mae`; a metric that is undefined (all verdicts are
        equal, say) is left out.
    """
    run = Run(BuiltJudge("live", judge, {}), validation.gold_set, RunOptions(journal=journal))
    judgements = run.judge(list(validation.gold_set.by_id))
    measurement = Measurement(validation.gold_set)
    card = measurement.card(judgements, resamples=1)
    metrics = {n: card.metrics[n].value for n in (validation.metric, "mae") if n in card.metrics}
    metrics["coverage"] = card.coverage
    for name, each in by_criterion(measurement, judgements, resamples=1).items():
        metrics[f"criterion.{name}.spearman"] = each.metrics["spearman"].value
    if worst:
        cards = by_label(measurement, judgements, _INSTRUCTION, resamples=1).values()
        values = [each.metrics["spearman"].value for each in cards]
        defined = [value for value in values if value is not None]
        metrics["worst_spearman"] = min(defined) if len(defined) == len(values) else None
    return {name: value for name, value in metrics.items() if value is not None}


def check_prompts(rows: Sequence[TrainingRow], judge: JudgeOptions) -> None:
    """Raise ConfigError, with the difference, unless all rows have the prompts of the judge."""
    slots = slots_of(judge)
    reply_form = PromptOptions(judge.feedback, judge.rubric == "write", criteria=slots)
    rate = load_prompt_of(judge.prompt, CRITERIA_PROMPT if slots else "rate.jinja")
    prefer = load_prompt_of(judge.pair_prompt, "prefer.jinja")
    for row in rows:
        if _is_rated(row):
            template, item = rate, _rated(row).item
        elif _is_pair(row):
            template, item = prefer, _pair(row)[0].item
        else:
            continue  # of a kind of one's own, with a prompt of its own
        _check_slots(row, slots)
        seen = replace(item, video=Path(item.video_id))
        prompt = template.render(seen, RatingScale(), reply_form)
        asked = (prompt.system, prompt.shared + prompt.response)
        if asked != (row.system, row.user):
            raise ConfigError(
                f"row {row.id} was written with another prompt than the judge will be asked with "
                f"(judge.prompt={template.name}, feedback={judge.feedback}, "
                f"rubric={judge.rubric}): {_difference(asked, (row.system, row.user))}. Give the "
                "judge section of the recipe as the export of the rows was made"
            )


def slots_of(judge: JudgeOptions) -> tuple[Criterion, ...]:
    """Return what a reply of the judge rates, the overall rating last; empty: one rating."""
    if judge.criteria is None:
        return ()
    criteria = read_criteria(prompt_path(judge.criteria))
    return (*criteria, overall_criterion(RatingScale())) if judge.overall == "model" else criteria


def _check_slots(row: TrainingRow, slots: Sequence[Criterion]) -> None:
    """Raise ConfigError where a row does not teach the judge to fill in its slots."""
    if slots and _is_pair(row):
        raise ConfigError(f"row {row.id}: expected rated rows with judge.criteria, got a pair")
    for slot in slots:
        if isinstance(verdict := parse_criterion(row.reply, slot), Unparsed):
            raise ConfigError(
                f"row {row.id}: its reply has no verdict on judge.criteria's {slot.name!r} "
                f"({verdict.reason}); give the row `criteria` with each of them"
            )


def _difference(asked: tuple[str, str], stored: tuple[str, str]) -> str:
    for name, ours, theirs in zip(("system", "user"), asked, stored, strict=True):
        if ours != theirs:
            at = next(
                (n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b),
                min(len(ours), len(theirs)),
            )
            return (
                f"the {name} message of the judge has {ours[at : at + 40]!r} where that of the row "
                f"has {theirs[at : at + 40]!r}"
            )
    return ""
