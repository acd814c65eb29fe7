"""The training row: one conversation about one video, as our files and users' files hold it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_serializer

from videojudge_bench.goldsets.schema import inside_its_folder

PARTS = (TRAIN, VALIDATION) = ("train", "validation")

_Text = Annotated[str, Field(min_length=1)]


class Response(BaseModel):
    """A response that a row is about, with its rating and how it came by it.

    Attributes:
        rating: what a judge is trained to say of it.
        text: the response.
        evaluator: what the evaluator said; None for the gold answer, which it was not shown.
        truth: what it deserves by construction, where known.
        rounds: how often it was written; 0 for the gold answer.
        feedback: what is wrong with it, in the evaluator's words.
        changes: how it differs from the gold answer, where known.
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
        id: unique.
        kind: pointwise, pairwise, rubric, or a name of one's own.
        part: `train` or `validation`, by video.
        seed_id: the seed that the responses answer.
        source: the released set that the seed comes from.
        video_id: names the video; rows of one video are packed together.
        video: the file, relative to the folder of videos.
        instruction: what the responses answer.
        gold: the right answer to it.
        responses: what is judged; the two of a pair in the order in which they are shown.
        system: the system message.
        user: the user message, without the video, which stands before it.
        reply: what the model is to write.
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
