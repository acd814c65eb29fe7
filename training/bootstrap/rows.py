"""From outcomes to training rows: pointwise, pairwise, and with a rubric."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

from videojudge_bench._util.hashing import Json, unit_interval
from videojudge_bench.errors import ConfigError
from videojudge_bench.items import Item, Pair
from videojudge_bench.prompts import PROMPTS_FOLDER, PromptTemplate, Wanted, load_prompt
from videojudge_bench.replies.reply_format import format_preference, format_rating
from videojudge_bench.scale import RatingScale
from videojudge_bench.training.bootstrap.contracts import GOLD_RATING, Outcome, Rated, Seed

Kind = Literal["pointwise", "pairwise", "rubric"]
KINDS: tuple[Kind, ...] = ("pointwise", "pairwise", "rubric")

PARTS = ("train", "validation")

_TRAINING_FOLDER = Path(__file__).parents[1]

PAIRS_SHARE = 0.5
"""Of all pairs of an instruction's responses: the paper's 103,825 are half of 10 x 20,765."""

RUBRIC_SHARE = 0.1
"""Of the pointwise rows: the paper trains VideoJudgeR-3B on a tenth of its data."""

_MARK = re.compile(r"<(video|image|audio)>")

GOLD_FEEDBACK = "Everything that the answer says is right, and nothing that was asked is missing."


@dataclass(frozen=True, slots=True)
class Response:
    """A response with its rating and how it came by it.

    Attributes:
        rating: what a judge is trained to say: the rating aimed at, 5 for the gold answer.
        text: the response.
        evaluator: what the evaluator said; None for the gold answer, which it was not shown.
        truth: what it deserves by construction, where known.
        rounds: how often it was written; 0 for the gold answer.
        feedback: what is wrong with it, in the evaluator's words.
        changes: how it differs from the gold answer, where known.
    """

    rating: int
    text: str
    evaluator: float | None
    truth: int | None
    rounds: int
    feedback: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One example of what a judge is trained to write.

    Attributes:
        id: unique in the data set.
        kind: pointwise, pairwise or rubric.
        part: `train` or `validation`, by video.
        seed: what the responses answer.
        responses: one, or the two of a pair in the order in which they are shown.
        prompt: system message and user message, without the video.
        reply: what the judge is to write.
        verdict: the rating, or A or B.
    """

    id: str
    kind: Kind
    part: str
    seed: Seed
    responses: tuple[Response, ...]
    prompt: tuple[str, str]
    reply: str
    verdict: str

    def to_json(self) -> dict[str, Json]:
        """Return the row as our own files have it."""
        seed: dict[str, Json] = {
            "seed_id": self.seed.id,
            "source": self.seed.source,
            "video_id": self.seed.video_id,
            "video": self.seed.video,
            "instruction": self.seed.instruction,
            "gold": self.seed.gold,
        }
        responses: list[Json] = [
            {**asdict(response), "changes": list(response.changes)} for response in self.responses
        ]
        return {
            "id": self.id,
            "kind": self.kind,
            "part": self.part,
            **seed,
            "responses": responses,
            "system": self.prompt[0],
            "user": self.prompt[1],
            "reply": self.reply,
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class RowOptions:
    """Which rows are made.

    Attributes:
        kinds: of rows.
        validation: share of the videos whose rows are for validation, 0 to 1.
        feedback: the judge reasons before its verdict, with the evaluator's feedback.
        seed: draws pairs, their order and the rows with a rubric.
        part_label: label of the seeds that says `train` or `validation`; None: parts are drawn.
        prompt: file to rate with, as the judge's option of this name; None: ours. A path of a file
            below `training/` of this package, `small_world/prompts/rate.jinja`, means that one.
        pair_prompt: the same to compare with.
        videos: folder of the videos; with it, chat rows name each file by its absolute path.

    Raises:
        ConfigError: a prompt cannot be read.
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
        """What rows with one response ask."""
        return _prompt(self.prompt, "rate.jinja")

    @property
    def prefer_prompt(self) -> PromptTemplate:
        """What rows with two responses ask."""
        return _prompt(self.pair_prompt, "prefer.jinja")

    def part(self, seed: Seed) -> str:
        """Return `train` or `validation`: all rows of a video are in one of them.

        Raises:
            ConfigError: the seed's label is neither.
        """
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
        """Return the place of a video, 0 to 1: those below `validation` are for validation."""
        return unit_interval(f"validation-{self.seed}", video_id)

    def has_rubric_row(self, seed_id: str, rating: int) -> bool:
        """Return whether the response with this rating gets a row with a rubric."""
        return unit_interval(f"rubric-{self.seed}", seed_id, str(rating)) < RUBRIC_SHARE

    def need_rubric(self, seed_id: str) -> bool:
        """Return whether a rubric is needed for the instruction of this seed."""
        ratings = range(1, GOLD_RATING + 1)
        return "rubric" in self.kinds and any(self.has_rubric_row(seed_id, r) for r in ratings)


def _prompt(path: str | None, ours: str) -> PromptTemplate:
    if path is None:
        return load_prompt(PROMPTS_FOLDER / ours)
    beside_recipes = _TRAINING_FOLDER / path
    return load_prompt(beside_recipes if beside_recipes.is_file() else Path(path))


def rows_of(outcome: Outcome, options: RowOptions) -> Iterator[TrainingRow]:
    """Yield the rows of one seed; none of one that was kept aside."""
    if not outcome.kept:
        return
    responses = responses_of(outcome)
    makers = {"pointwise": _pointwise, "pairwise": _pairwise, "rubric": _with_rubric}
    for kind in options.kinds:
        yield from makers[kind](outcome, responses, options)


def responses_of(outcome: Outcome) -> tuple[Response, ...]:
    """Return the five responses of a kept seed, from the worst to the gold answer."""
    written = tuple(_response(rated) for rated in outcome.rated)
    gold = Response(GOLD_RATING, outcome.seed.gold, None, GOLD_RATING, 0, GOLD_FEEDBACK)
    return (*written, gold)


def _response(rated: Rated) -> Response:
    last = rated.attempts[-1]
    feedback = last.evaluation.feedback or " ".join(last.draft.changes)
    return Response(
        rated.target,
        last.draft.text,
        last.evaluation.rating,
        last.draft.truth,
        len(rated.attempts),
        feedback,
        last.draft.changes,
    )


def _pointwise(
    outcome: Outcome, responses: Sequence[Response], options: RowOptions
) -> Iterator[TrainingRow]:
    wanted = Wanted(feedback=options.feedback)
    for response in responses:
        thinking = response.feedback if options.feedback else ""
        reply = format_rating(response.rating, thinking=thinking)
        yield _rated_row(outcome.seed, response, options, ("pointwise", wanted, reply))


def _with_rubric(
    outcome: Outcome, responses: Sequence[Response], options: RowOptions
) -> Iterator[TrainingRow]:
    if outcome.rubric_problem:
        return
    rubric = outcome.rubric or rubric_of(responses)
    seed, wanted = outcome.seed, Wanted(feedback=options.feedback, write_rubric=True)
    for response in responses:
        if options.has_rubric_row(seed.id, response.rating):
            thinking = response.feedback if options.feedback else ""
            reply = format_rating(response.rating, thinking=thinking, rubric=rubric)
            yield _rated_row(seed, response, options, ("rubric", wanted, reply))


def rubric_of(responses: Sequence[Response]) -> str:
    """Return a rubric for one instruction: per rating, an answer that deserves it and why.

    What there is where no model writes it: put together from what the loop found out.
    """
    return "\n".join(
        f"{r.rating}: as in {_quoted(r.text)}. {_one_line(r.feedback)}".rstrip() for r in responses
    )


def _rated_row(
    seed: Seed, response: Response, options: RowOptions, written: tuple[Kind, Wanted, str]
) -> TrainingRow:
    kind, wanted, reply = written
    item = Item(seed.id, seed.video_id, seed.instruction, response.text, video=_video(seed))
    prompt = options.rate_prompt.render(item, RatingScale(), wanted)
    return TrainingRow(
        id=f"{seed.id}/{kind}/{response.rating}",
        kind=kind,
        part=options.part(seed),
        seed=seed,
        responses=(response,),
        prompt=(prompt.system, prompt.shared + prompt.response),
        reply=reply,
        verdict=str(response.rating),
    )


def _pairwise(
    outcome: Outcome, responses: Sequence[Response], options: RowOptions
) -> Iterator[TrainingRow]:
    seed = outcome.seed
    pairs = list(combinations(responses, 2))
    pairs.sort(key=lambda pair: unit_interval(f"pairs-{options.seed}", seed.id, _name(pair)))
    for worse, better in sorted(pairs[: round(PAIRS_SHARE * len(pairs))], key=_name):
        name = _name((worse, better))
        first = unit_interval(f"order-{options.seed}", seed.id, name) < 0.5
        shown = (better, worse) if first else (worse, better)
        yield _pair_row(seed, shown, options, "A" if first else "B")


def _pair_row(
    seed: Seed,
    shown: tuple[Response, Response],
    options: RowOptions,
    answer: Literal["A", "B"],
) -> TrainingRow:
    pair = Pair(
        seed.id, seed.video_id, seed.instruction, shown[0].text, shown[1].text, video=_video(seed)
    )
    wanted = Wanted(feedback=options.feedback)
    prompt = options.prefer_prompt.render(pair, RatingScale(), wanted)
    said = "\n".join(f"{label}: {r.feedback}" for label, r in zip("AB", shown, strict=True))
    return TrainingRow(
        id=f"{seed.id}/pairwise/{_name(shown)}",
        kind="pairwise",
        part=options.part(seed),
        seed=seed,
        responses=shown,
        prompt=(prompt.system, prompt.shared + prompt.response),
        reply=format_preference(answer, thinking=said if options.feedback else ""),
        verdict=answer,
    )


def _name(pair: Sequence[Response]) -> str:
    return "-".join(str(rating) for rating in sorted(response.rating for response in pair))


def _video(seed: Seed) -> Path:
    """The prompt says that a video stands above it; where it lies, the export says."""
    return Path(seed.video or seed.video_id)


def _quoted(text: str) -> str:
    return f'"{_one_line(text)}"'


def _one_line(text: str) -> str:
    return " ".join(text.split())


def chat_of(row: TrainingRow) -> list[dict[str, str]]:
    """Return system, user and assistant message; `<video>` stands where the video goes.

    Such a mark inside a text loses its angle brackets: trainers count marks and videos.
    """
    system, user, reply = (_MARK.sub(r"(\1)", text) for text in (*row.prompt, row.reply))
    return [
        {"role": "system", "content": system},
        {"role": "user", "content": f"<video>\n{user}"},
        {"role": "assistant", "content": reply},
    ]
