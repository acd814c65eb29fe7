"""The training row: one conversation about one video, as our files and users' files hold it."""

from __future__ import annotations

from typing import Annotated, Literal, Union

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_serializer,
    model_validator,
)

from videojudge_bench.goldsets.schema import inside_its_folder
from videojudge_bench.replies.criteria import format_criteria

PARTS = (TRAIN, VALIDATION) = ("train", "validation")

_Text = Annotated[str, Field(min_length=1)]


class Response(BaseModel):
    """A response that a row is about.

    Attributes:
        rating: label that a judge is trained to give.
        evaluator: the evaluator's rating; None for the gold answer, which it did not rate.
        truth: rating that it deserves by construction, where known.
        feedback: the evaluator's feedback.
        changes: differences from the gold answer, where known.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    rating: float
    text: str
    evaluator: float | None = None
    truth: int | None = None
    rounds: int = 0
    feedback: str = ""
    changes: tuple[str, ...] = ()

    @field_serializer("rating")
    def _whole_as_integer(self, rating: float) -> float:
        return int(rating) if rating == int(rating) else rating


class TrainingRow(BaseModel):
    """One conversation to learn from: system message, user message and reply.

    `videojudge bootstrap` fills all fields in; of a file of one's own, `id`, `kind`, `video_id`,
    `user` and `reply` are enough.

    Attributes:
        kind: pointwise, pairwise, rubric, or a name of one's own.
        part: `train` or `validation`, by video.
        source: released set that the seed comes from.
        video_id: names the video; rows of one video are packed together.
        video: file, relative to the folder of videos.
        responses: what is judged; the two of a pair in the order of the prompt.
        user: user message, without the video, which stands before it.
        reply: text that the model is trained to write; by default that of `criteria`.
        criteria: by criterion the rating, or `yes` or `no`, that the reply gives; `overall` too
            where the judge gives that itself.
        verdict: the rating, or A or B, where the reply is a judgement.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    id: _Text
    kind: _Text
    part: str = TRAIN
    seed_id: str | None = None
    source: str | None = None
    video_id: _Text
    video: Annotated[str, AfterValidator(inside_its_folder)] | None = None
    instruction: str | None = None
    gold: str | None = None
    responses: tuple[Response, ...] = Field(default=(), strict=False)
    system: str = ""
    user: _Text
    reply: str = ""
    criteria: dict[_Text, Union[int, Literal["yes", "no"]]] = Field(default_factory=dict)
    verdict: str | None = None

    @model_validator(mode="after")
    def _writes_its_criteria(self) -> TrainingRow:
        lines = format_criteria(self.criteria)
        if not (self.reply or lines):
            raise ValueError("expected a reply, or criteria to write one from, got neither")
        if not self.reply.endswith(lines):
            if self.reply:
                raise ValueError(f"expected a reply that ends with its criteria, {lines!r}")
            object.__setattr__(self, "reply", lines)
        return self
