"""Types of the loop: seeds, drafts, evaluations, outcomes, generator and evaluator.

Algorithm 1 of the VideoJudge paper (arXiv 2509.21451): for each rating 1 to 4 a generator writes a
response to a seed's instruction, an evaluator rates it without knowing the target, and a mismatch
is written again with the evaluator's feedback. The gold answer is the response for 5. Both read a
text description of the video, never its frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar, Union

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter, ValidationError

from videojudge_bench._util.hashing import Json
from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import EngineError
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.jsonl import data_error
from videojudge_bench.verdicts import Usage

GOLD_RATING = 5
TARGETS = (1, 2, 3, 4)


def checked_share(name: str, value: float, *, of: str = "") -> float:
    """Return a share, 0 to 1, of things named `of`.

    Raises:
        ConfigError: it is out of that range.
    """
    if not 0 <= value <= 1:
        raise ConfigError(f"{name}={value}: expected a share{of and f' of {of}'}, from 0 to 1")
    return value


def _usage_to_list(usage: Usage) -> list[float]:
    numbers = [usage.input_tokens, usage.output_tokens, usage.seconds]
    return [*numbers, usage.cost] if usage.cost else numbers


def _usage_of_list(data: object) -> object:
    return dict(zip(_USAGE, data, strict=False)) if isinstance(data, list) else data


_USAGE = ("input_tokens", "output_tokens", "seconds", "cost")
_ListedUsage = Annotated[Usage, PlainSerializer(_usage_to_list), BeforeValidator(_usage_of_list)]
"""A usage that stands in files as `[input tokens, output tokens, seconds, cost]`."""


@dataclass(frozen=True, slots=True)
class Seed:
    """A video, an instruction and its gold answer.

    Attributes:
        id: unique among the seeds of a run; the same for the same content.
        video_id: names the video, in the canonical form of its origin (a YouTube id and times, not
            a file name): what the leak guard compares and what data are split by.
        gold: the answer that deserves rating 5.
        description: dense text description of the video, where known.
        references: further good answers, the gold answer left out.
        video: file, relative to the folder of the source's videos, where known.
        labels: properties to stratify and to report by, such as a question type.
    """

    id: str
    source: str
    video_id: str
    instruction: str
    gold: str
    description: str | None = None
    references: tuple[str, ...] = ()
    video: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Draft:
    """A response that a generator wrote.

    Attributes:
        truth: rating that it deserves by construction; None when unknown.
        changes: differences from the gold answer, one line each, where known.
        problem: why the reply holds no response, and what to write; empty where it holds one.
        raw: a model's reply as it came in. Journals keep it, outcomes do not.
    """

    text: str
    truth: int | None = None
    changes: tuple[str, ...] = ()
    usage: _ListedUsage = Usage()
    problem: str = ""
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Evaluation of a draft.

    Attributes:
        rating: 1 to 5; None when its reply states none.
        feedback: faults of the draft, for the generator's next round; or why there is no rating.
    """

    rating: float | None
    feedback: str = ""
    usage: _ListedUsage = Usage()
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One round: a draft and what the evaluator said of it."""

    draft: Draft
    evaluation: Evaluation


@dataclass(frozen=True)
class Unable(EngineError):  # noqa: N818 - a value, as its base is, and never raised
    """A request that cannot be served for this seed, now or later.

    It stops no run, and the seed is not tried again when the run resumes.
    """


DraftReply = Union[Draft, EngineError]
EvaluationReply = Union[Evaluation, EngineError]


class Role(Protocol):
    """A role of the loop."""

    def settings(self) -> Mapping[str, Scalar]:
        """Return what the replies depend on: model, prompts' hashes, decoding."""

    def close(self) -> None:
        """Release resources."""


class Generator(Role, Protocol):
    """Writes responses that deserve a rating."""

    async def write(self, seed: Seed, target: int, earlier: Sequence[Attempt]) -> DraftReply:
        """Return a response to the seed's instruction that deserves `target`, 1 to 4.

        `earlier` holds the attempts so far, of which the last is to be improved. Equal arguments
        give equal drafts, in any order of work. A reply that cannot be read is a draft with a
        `problem`; it is among `earlier` of the next call, which does not count as another round. A
        generator that cannot serve this seed returns `Unable`.
        """


class Evaluator(Role, Protocol):
    """Rates responses, with the gold answer and without the target."""

    async def rate(
        self, seed: Seed, draft: Draft, unread: Sequence[Evaluation] = ()
    ) -> EvaluationReply:
        """Return the rating of a draft and feedback on it.

        `unread` holds its earlier replies on this draft that stated no rating. `draft.truth` is for
        evaluators of known error in experiments alone.
        """


class RubricWriter(Role, Protocol):
    """Writes what deserves each rating, for one instruction about one video."""

    async def rubric(self, seed: Seed, number: int, problem: str) -> DraftReply:
        """Return five lines, one a rating from 1 to 5, each beginning with its rating.

        `number` counts the rounds from 1, and `problem` is what was wrong in the last one, "" in
        the first. Equal arguments give equal rubrics.
        """


@dataclass(frozen=True, slots=True)
class Rated:
    """Outcome of one target rating of a seed.

    Attributes:
        attempts: all of them, the last one being the response that counts. One whose draft has a
            `problem` is not a round; see `loop.rounds_of`.
        accepted: whether the last round met the acceptance rule.
        problem: why there is no acceptable response; empty otherwise.
    """

    target: int
    attempts: tuple[Attempt, ...]
    accepted: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one seed: with `kept`, five rated responses, the gold answer among them.

    Attributes:
        rated: one entry per target, in the order of `TARGETS`.
        problem: why the seed is rejected; empty otherwise.
        rubric: text of a `RubricWriter`; empty where there is none.
        rubric_problem: why a writer that was asked wrote none.
    """

    seed: Seed
    rated: tuple[Rated, ...]
    kept: bool
    problem: str = ""
    rubric: str = ""
    rubric_problem: str = ""


FormT = TypeVar("FormT", Seed, Draft, Evaluation, Outcome)

_ADAPTERS: dict[type, TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for kind in (Seed, Draft, Evaluation, Outcome)
}


def to_json(value: Seed | Draft | Evaluation | Outcome) -> dict[str, Json]:
    """Return a value as a JSON object; `from_json` gives it back."""
    data: dict[str, Json] = _ADAPTERS[type(value)].dump_python(value, exclude_defaults=True)
    return data


def from_json(kind: type[FormT], data: object, *, path: Path, line: int) -> FormT:
    """Return the value of a JSON object that `to_json` wrote.

    Raises:
        DataError: a field is missing or of the wrong type; with file, line and field.
    """
    try:
        value: FormT = _ADAPTERS[kind].validate_python(data)
    except ValidationError as error:
        raise data_error(error, path, line) from error
    return value
