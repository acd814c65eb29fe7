"""The training row: one conversation about one video, as our files and users' files hold it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_serializer

from videojudge_bench.goldsets.schema import inside_its_folder

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
        reply: text that the model is trained to write.
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
    reply: _Text
    verdict: str | None = None
