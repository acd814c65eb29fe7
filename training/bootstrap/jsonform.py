"""Seeds and outcomes as JSON: plain field names, empty parts left out, a usage as a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from videojudge_bench._util.hashing import Json
from videojudge_bench.training.bootstrap.contracts import (
    Attempt,
    Draft,
    Evaluation,
    Outcome,
    Rated,
    Seed,
)
from videojudge_bench.verdicts import Usage


def seed_to_json(seed: Seed) -> dict[str, Json]:
    """Return a seed as a JSON object; `seed_from_json` gives it back."""
    data: dict[str, Json] = {
        "id": seed.id,
        "source": seed.source,
        "video_id": seed.video_id,
        "instruction": seed.instruction,
        "gold": seed.gold,
    }
    if seed.description is not None:
        data["description"] = seed.description
    if seed.references:
        data["references"] = list(seed.references)
    if seed.video is not None:
        data["video"] = seed.video
    if seed.labels:
        data["labels"] = dict(seed.labels)
    return data


def seed_from_json(data: object) -> Seed:
    """Return the seed that `seed_to_json` wrote.

    Raises:
        ValueError: a part is missing or of the wrong kind; says which.
    """
    found = _Object(data, "seed")
    labels = _Object(found.get("labels", {}), "labels")
    return Seed(
        id=found.text("id"),
        source=found.text("source"),
        video_id=found.text("video_id"),
        instruction=found.text("instruction"),
        gold=found.text("gold"),
        description=found.text_or_none("description"),
        references=found.texts("references"),
        video=found.text_or_none("video"),
        labels={name: labels.text(name) for name in labels.names()},
    )


def draft_to_json(draft: Draft) -> dict[str, Json]:
    """Return a draft as a JSON object; `draft_from_json` gives it back."""
    data: dict[str, Json] = {"text": draft.text}
    if draft.truth is not None:
        data["truth"] = draft.truth
    if draft.changes:
        data["changes"] = list(draft.changes)
    return {**data, **_usage_to_json(draft.usage)}


def draft_from_json(data: object) -> Draft:
    """Return the draft that `draft_to_json` wrote; raises as `seed_from_json` does."""
    found = _Object(data, "draft")
    return Draft(
        text=found.text("text"),
        truth=None if found.get("truth") is None else found.whole("truth"),
        changes=found.texts("changes"),
        usage=_usage_from_json(found),
    )


def evaluation_to_json(evaluation: Evaluation) -> dict[str, Json]:
    """Return an evaluation as a JSON object; `evaluation_from_json` gives it back."""
    data: dict[str, Json] = {"rating": evaluation.rating}
    if evaluation.feedback:
        data["feedback"] = evaluation.feedback
    return {**data, **_usage_to_json(evaluation.usage)}


def evaluation_from_json(data: object) -> Evaluation:
    """Return the evaluation that `evaluation_to_json` wrote; raises as `seed_from_json` does."""
    found = _Object(data, "evaluation")
    return Evaluation(
        rating=None if found.get("rating") is None else found.number("rating"),
        feedback=found.text_or_none("feedback") or "",
        usage=_usage_from_json(found),
    )


def outcome_to_json(outcome: Outcome) -> dict[str, Json]:
    """Return an outcome as a JSON object; `outcome_from_json` gives it back."""
    data: dict[str, Json] = {
        "seed": seed_to_json(outcome.seed),
        "rated": [_rated_to_json(rated) for rated in outcome.rated],
        "kept": outcome.kept,
    }
    texts = {
        "problem": outcome.problem,
        "rubric": outcome.rubric,
        "rubric_problem": outcome.rubric_problem,
    }
    return {**data, **{name: text for name, text in texts.items() if text}}


def outcome_from_json(data: object) -> Outcome:
    """Return the outcome that `outcome_to_json` wrote; raises as `seed_from_json` does."""
    found = _Object(data, "outcome")
    return Outcome(
        seed=seed_from_json(found.get("seed")),
        rated=tuple(_rated_from_json(rated) for rated in found.items("rated")),
        kept=found.truth("kept"),
        problem=found.text_or_none("problem") or "",
        rubric=found.text_or_none("rubric") or "",
        rubric_problem=found.text_or_none("rubric_problem") or "",
    )


def _rated_to_json(rated: Rated) -> dict[str, Json]:
    attempts: list[Json] = [
        {"draft": draft_to_json(a.draft), "evaluation": evaluation_to_json(a.evaluation)}
        for a in rated.attempts
    ]
    data: dict[str, Json] = {"target": rated.target, "attempts": attempts}
    data["accepted"] = rated.accepted
    return {**data, "problem": rated.problem} if rated.problem else data


def _rated_from_json(data: object) -> Rated:
    found = _Object(data, "rated")
    attempts = [_Object(attempt, "attempt") for attempt in found.items("attempts")]
    return Rated(
        target=found.whole("target"),
        attempts=tuple(
            Attempt(draft_from_json(a.get("draft")), evaluation_from_json(a.get("evaluation")))
            for a in attempts
        ),
        accepted=found.truth("accepted"),
        problem=found.text_or_none("problem") or "",
    )


def _usage_to_json(usage: Usage) -> dict[str, Json]:
    if usage == Usage():
        return {}
    numbers: list[Json] = [usage.input_tokens, usage.output_tokens, usage.seconds]
    return {"usage": [*numbers, usage.cost] if usage.cost else numbers}


def _usage_from_json(found: _Object) -> Usage:
    numbers = found.items("usage")
    if not numbers:
        return Usage()
    if len(numbers) not in (3, 4) or not all(_is_number(number) for number in numbers):
        raise ValueError(
            f"usage: it is [input tokens, output tokens, seconds, cost], found {numbers!r}"
        )
    tokens_in, tokens_out, *others = (float(str(number)) for number in numbers)
    return Usage(int(tokens_in), int(tokens_out), *others)


class _Object:
    """A JSON object whose parts are asked for by kind."""

    def __init__(self, data: object, what: str) -> None:
        self._data: Mapping[str, object] = data if isinstance(data, Mapping) else {}
        self._what = what
        if self._data is not data:
            raise ValueError(f"{what}: it is a JSON object, found {_short(data)}")

    def get(self, name: str, default: object = None) -> object:
        return self._data.get(name, default)

    def names(self) -> list[str]:
        return list(self._data)

    def text(self, name: str) -> str:
        value = self._data.get(name)
        if not isinstance(value, str):
            raise self._wrong(name, "a text")
        return value

    def text_or_none(self, name: str) -> str | None:
        return None if self._data.get(name) is None else self.text(name)

    def texts(self, name: str) -> tuple[str, ...]:
        values = self.items(name)
        if not all(isinstance(value, str) for value in values):
            raise self._wrong(name, "a list of texts")
        return tuple(str(value) for value in values)

    def items(self, name: str) -> Sequence[object]:
        values = self._data.get(name, [])
        if not isinstance(values, list):
            raise self._wrong(name, "a list")
        return values

    def number(self, name: str) -> float:
        value = self._data.get(name)
        if not _is_number(value):
            raise self._wrong(name, "a number")
        return float(str(value))

    def whole(self, name: str) -> int:
        value = self._data.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(name, "a whole number")
        return value

    def truth(self, name: str) -> bool:
        value = self._data.get(name)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def _wrong(self, name: str, wanted: str) -> ValueError:
        if name not in self._data:
            return ValueError(f"{self._what}.{name} is missing; it is {wanted}")
        return ValueError(f"{self._what}.{name} is {wanted}, found {_short(self._data[name])}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
