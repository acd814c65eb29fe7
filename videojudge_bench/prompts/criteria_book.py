"""Files of criteria: one list for all responses, or a checklist for each instruction."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, Field, FiniteFloat, TypeAdapter, ValidationError

from videojudge_bench._util.hashing import Json, content_hash
from videojudge_bench.criteria import OVERALL, YES_NO, Criterion
from videojudge_bench.errors import DataError
from videojudge_bench.goldsets.jsonl import STRICT, data_error
from videojudge_bench.goldsets.schema import Text
from videojudge_bench.prompts.rubric_book import Group, RubricBook
from videojudge_bench.scale import RatingScale

CHECKLISTS = (".jsonl", ".jsonl.gz")
"""How the names of files with a checklist for each instruction end."""


def _name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise ValueError("expected letters, digits, _, - and . as a criterion's name")
    if name.lower() == OVERALL:
        raise ValueError(f"{OVERALL!r} is the name of the overall rating; give another")
    return name


class _Row(BaseModel):
    model_config = STRICT

    name: Annotated[str, AfterValidator(_name)]
    question: Text
    weight: Annotated[FiniteFloat, Field(ge=0)] = 1.0
    scale: Literal["1-5", "yes/no"] = "1-5"


_ROWS: TypeAdapter[list[_Row]] = TypeAdapter(Annotated[list[_Row], Field(min_length=1)])


class CriteriaBook:
    """The criteria of a file.

    Args:
        path: YAML or JSON, a list of {name, question, weight, scale}; or a JSON Lines file of
            rubrics whose lines have a `checklist`, each entry of which is asked with yes or no.

    Attributes:
        sha: of the criteria, wherever and in whichever of the forms they are written.

    Raises:
        DataError: with file and field: a file that is missing, empty or malformed, one name twice,
            weights that sum to 0, or rubrics without a checklist.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._by_group = path, dict[Group, tuple[Criterion, ...]]()
        self._all: tuple[Criterion, ...] = ()
        if path.name.endswith(CHECKLISTS):
            book = RubricBook(path)
            self._by_group = {group: checklist(book.items(group)) for group in book.groups}
            if not all(self._by_group.values()):
                problem = "expected a `checklist` in every line, as criteria=FILE reads it"
                raise DataError(problem, path=path)
        else:
            self._all = read_criteria(path)
        by_group = self._by_group or {("", ""): self._all}
        facts: list[Json] = [[*group, [*map(_facts, some)]] for group, some in by_group.items()]
        self.sha = content_hash(facts)[:12]

    def of(self, group: Group) -> tuple[Criterion, ...]:
        """Return the criteria for a video and an instruction; empty where the file has none."""
        return self._all or self._by_group.get(group, ())

    def missing(self, group: Group) -> str:
        """Return what the file lacks for a video and an instruction; "" where it has criteria."""
        return "" if self.of(group) else f"no checklist for its instruction in {self._path.name}"


def checklist(items: tuple[str, ...]) -> tuple[Criterion, ...]:
    """Return the entries of a checklist as criteria, called `1`, `2`, ..."""
    return tuple(Criterion(str(n), item, scale=YES_NO) for n, item in enumerate(items, 1))


def read_criteria(path: Path) -> tuple[Criterion, ...]:
    """Return the criteria in a YAML or JSON file; raises DataError as `CriteriaBook`."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        rows = _ROWS.validate_python(data)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"expected YAML or JSON: {error}", path=path) from error
    except ValidationError as error:
        if not isinstance(data, list) or not data:
            problem = "expected a list of criteria, each with name and question, got "
            got = "nothing" if not data else type(data).__name__
            raise DataError(problem + got, path=path) from error
        raise data_error(error, path, None, known=_Row.model_fields) from error
    names = [row.name.lower() for row in rows]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"criterion {twice!r} is there twice; rename one", path=path, field="name")
    if not any(row.weight for row in rows):
        problem = "the weights sum to 0; give a criterion a weight above 0"
        raise DataError(problem, path=path, field="weight")
    scales = {"1-5": RatingScale(1, 5), "yes/no": YES_NO}
    return tuple(Criterion(r.name, r.question, float(r.weight), scales[r.scale]) for r in rows)


def _facts(criterion: Criterion) -> Json:
    return [criterion.name, criterion.question, criterion.weight, str(criterion.scale)]
