"""From outcomes to training rows: pointwise, pairwise, and with a rubric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.errors import ConfigError
from videojudge_bench.items import Item, Pair
from videojudge_bench.judges.engines.special_tokens import make_inert
from videojudge_bench.prompts import PromptOptions, PromptTemplate, RenderedPrompt
from videojudge_bench.replies.reply_format import format_preference, format_rating
from videojudge_bench.scale import RatingScale
from videojudge_bench.training.bootstrap.contracts import GOLD_RATING, Outcome, Rated, Seed
from videojudge_bench.training.recipe_file import load_prompt_of
from videojudge_bench.training.training_row import PARTS, Response, TrainingRow

Kind = Literal["pointwise", "pairwise", "rubric"]
KINDS: tuple[Kind, ...] = ("pointwise", "pairwise", "rubric")

PAIRS_SHARE = 0.5
"""Share of all pairs of an instruction's responses: the paper's 103,825 are half of 10 x 20,765."""

RUBRIC_SHARE = 0.1
"""Share of the pointwise rows: the paper trains VideoJudgeR-3B on a tenth of its data."""

GOLD_FEEDBACK = "Everything that the answer says is right, and nothing that was asked is missing."


class WrittenResponse(Response):
    """A response of the bootstrap loop, whose rating is one of 1 to 5: the gold answer's is 5."""

    rating: int


@dataclass(frozen=True)
class RowOptions:
    """Selection of the rows.

    Attributes:
        validation: share of the videos whose rows are for validation, 0 to 1.
        feedback: replies have the evaluator's feedback before the verdict.
        part_label: label of the seeds that is `train` or `validation`; None: parts are drawn.
        prompt: file to rate with, as the judge's option of this name; None: ours. A file below
            `training/` of this package is named from there: `small_world/prompts/rate.jinja`.
        pair_prompt: the same to compare with.
        videos: folder of the videos; with it, chat rows name each file by its absolute path.
    """

    kinds: Sequence[Kind] = ("pointwise",)
    validation: float = 0.05
    feedback: bool = True
    seed: int = 0
    part_label: str | None = None
    prompt: str | None = None
    pair_prompt: str | None = None
    videos: str | None = None

    def __post_init__(self) -> None:
        _ = self.rate_prompt, self.prefer_prompt

    @property
    def rate_prompt(self) -> PromptTemplate:
        """Prompt of rows with one response."""
        return load_prompt_of(self.prompt, "rate.jinja")

    @property
    def prefer_prompt(self) -> PromptTemplate:
        """Prompt of rows with two responses."""
        return load_prompt_of(self.pair_prompt, "prefer.jinja")

    def part(self, seed: Seed) -> str:
        """Return `train` or `validation`: all rows of a video are in one of them."""
        if self.part_label is None:
            return "validation" if self.drawn(seed.video_id) < self.validation else "train"
        part = seed.labels.get(self.part_label, "")
        if part not in PARTS:
            raise ConfigError(
                f"export.part_label={self.part_label!r}: the label of seed {seed.id!r} is "
                f"{part!r}; it is one of {', '.join(PARTS)}"
            )
        return part

    def drawn(self, video_id: str) -> float:
        """Return the position of a video, 0 to 1: those below `validation` are for validation."""
        return unit_interval(f"validation-{self.seed}", video_id)

    def has_rubric_row(self, seed_id: str, rating: int) -> bool:
        """Return whether the response with this rating gets a row with a rubric."""
        return unit_interval(f"rubric-{self.seed}", seed_id, str(rating)) < RUBRIC_SHARE

    def need_rubric(self, seed_id: str) -> bool:
        """Return whether a rubric is needed for the instruction of this seed."""
        ratings = range(1, GOLD_RATING + 1)
        return "rubric" in self.kinds and any(self.has_rubric_row(seed_id, r) for r in ratings)


def rows_of(outcome: Outcome, options: RowOptions) -> Iterator[TrainingRow]:
    """Yield the rows of one seed; none of a rejected one."""
    if not outcome.kept:
        return
    responses = responses_of(outcome)
    makers = {"pointwise": _pointwise, "pairwise": _pairwise, "rubric": _with_rubric}
    for kind in options.kinds:
        yield from makers[kind](outcome, responses, options)


def responses_of(outcome: Outcome) -> tuple[WrittenResponse, ...]:
    """Return the five responses of a kept seed, from the worst to the gold answer."""
    gold = WrittenResponse(
        rating=GOLD_RATING, text=outcome.seed.gold, truth=GOLD_RATING, feedback=GOLD_FEEDBACK
    )
    return (*(_response(rated) for rated in outcome.rated), gold)


def _response(rated: Rated) -> WrittenResponse:
    last = rated.attempts[-1]
    return WrittenResponse(
        rating=rated.target,
        text=last.draft.text,
        evaluator=last.evaluation.rating,
        truth=last.draft.truth,
        rounds=len(rated.attempts),
        feedback=last.evaluation.feedback or " ".join(last.draft.changes),
        changes=last.draft.changes,
    )


def _pointwise(
    outcome: Outcome, responses: Sequence[WrittenResponse], options: RowOptions
) -> Iterator[TrainingRow]:
    reply_form = PromptOptions(feedback=options.feedback)
    for response in responses:
        thinking = response.feedback if options.feedback else ""
        reply = format_rating(response.rating, thinking=thinking)
        yield _rated_row(outcome.seed, response, options, ("pointwise", reply_form, reply))


def _with_rubric(
    outcome: Outcome, responses: Sequence[WrittenResponse], options: RowOptions
) -> Iterator[TrainingRow]:
    if outcome.rubric_problem:
        return
    rubric = outcome.rubric or rubric_of(responses)
    seed, reply_form = outcome.seed, PromptOptions(feedback=options.feedback, write_rubric=True)
    for response in responses:
        if options.has_rubric_row(seed.id, response.rating):
            thinking = response.feedback if options.feedback else ""
            reply = format_rating(response.rating, thinking=thinking, rubric=rubric)
            yield _rated_row(seed, response, options, ("rubric", reply_form, reply))


def rubric_of(responses: Sequence[WrittenResponse]) -> str:
    """Return a rubric for one instruction where no model writes one: an example for each rating."""
    return "\n".join(
        f'{r.rating}: as in "{_one_line(r.text)}". {_one_line(r.feedback)}'.rstrip()
        for r in responses
    )


def _rated_row(
    seed: Seed,
    response: WrittenResponse,
    options: RowOptions,
    written: tuple[Kind, PromptOptions, str],
) -> TrainingRow:
    kind, reply_form, reply = written
    item = Item(seed.id, seed.video_id, seed.instruction, response.text, video=_video(seed))
    prompt = options.rate_prompt.render(item, RatingScale(), reply_form)
    return _row(
        seed, kind, options, prompt, responses=(response,), taught=(reply, str(response.rating))
    )


def _pairwise(
    outcome: Outcome, responses: Sequence[WrittenResponse], options: RowOptions
) -> Iterator[TrainingRow]:
    seed, reply_form = outcome.seed, PromptOptions(feedback=options.feedback)
    pairs = list(combinations(responses, 2))
    pairs.sort(key=lambda pair: unit_interval(f"pairs-{options.seed}", seed.id, _name(pair)))
    for worse, better in sorted(pairs[: round(PAIRS_SHARE * len(pairs))], key=_name):
        name = _name((worse, better))
        first = unit_interval(f"order-{options.seed}", seed.id, name) < 0.5
        a, b = (better, worse) if first else (worse, better)
        pair = Pair(seed.id, seed.video_id, seed.instruction, a.text, b.text, video=_video(seed))
        prompt = options.prefer_prompt.render(pair, RatingScale(), reply_form)
        thinking = f"A: {a.feedback}\nB: {b.feedback}" if options.feedback else ""
        answer: Literal["A", "B"] = "A" if first else "B"
        taught = (format_preference(answer, thinking=thinking), answer)
        yield _row(seed, "pairwise", options, prompt, responses=(a, b), taught=taught)


def _row(
    seed: Seed,
    kind: Kind,
    options: RowOptions,
    prompt: RenderedPrompt,
    *,
    responses: tuple[WrittenResponse, ...],
    taught: tuple[str, str],
) -> TrainingRow:
    reply, verdict = taught
    return TrainingRow(
        id=f"{seed.id}/{kind}/{_name(responses)}",
        kind=kind,
        part=options.part(seed),
        seed_id=seed.id,
        source=seed.source,
        video_id=seed.video_id,
        video=seed.video,
        instruction=seed.instruction,
        gold=seed.gold,
        responses=responses,
        system=prompt.system,
        user=prompt.shared + prompt.response,
        reply=reply,
        verdict=verdict,
    )


def _name(pair: Sequence[WrittenResponse]) -> str:
    return "-".join(str(rating) for rating in sorted(response.rating for response in pair))


def _video(seed: Seed) -> Path:
    """The prompt states that a video precedes it; the export writes its path."""
    return Path(seed.video or seed.video_id)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def chat_of(row: TrainingRow) -> list[dict[str, str]]:
    """Return system, user and assistant message; `<video>` stands where the video goes.

    Special tokens in texts are made inert, and so are such marks: trainers count marks and videos.
    """
    system, user, reply = map(make_inert, (row.system, row.user, row.reply))
    return [
        {"role": "system", "content": system},
        {"role": "user", "content": f"<video>\n{user}"},
        {"role": "assistant", "content": reply},
    ]
