"""Mappings: YAML that says where the fields of our rows are in a row of a foreign source.

A field's value is a column's name, a JMESPath expression (`videojudge_bench.goldsets.expressions`),
`{constant: TEXT}`, `{from: EXPRESSION, values: {TEXT: TEXT}}`, or a list of these. Besides the
fields of `videojudge_bench.goldsets.schema` there are:

- `answer`: the text of the correct option, in the place of its index `correct`;
- `annotator`: who gave the rating of this row; rows that agree in all else become one example;
- `criteria`: the ratings by the name of each criterion, on a scale of their own;
- `explode`: `{NAME: EXPRESSION}`: one row for each member of a list or object, with a column NAME
  for its index or key, `_value` for the member, and the member's own columns where it has some;
- `drop`: rows for which this expression (or one of a list) is true are left out;
- `average`: `true` makes one rating of all that a row or its annotators give;
- `scale` (`1-5`, or `0-100 to 1-5` for a linear map), `kind`, `title`, `licence`, and `files`, a
  pattern for the files of a folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from videojudge_bench._util.files import packaged
from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.goldsets import jsonl
from videojudge_bench.goldsets.base import GoldKind, Shape
from videojudge_bench.goldsets.expressions import Expression, Row, expression
from videojudge_bench.goldsets.map_values import BadRowError, text_of
from videojudge_bench.scale import RatingScale, read_scale

_OF_SHAPE: Mapping[Shape, tuple[str, ...]] = {
    "ratings": ("response", "ratings"),
    "options": ("options", "correct or answer"),
    "pairs": ("response_a", "response_b", "preferences"),
}
_OPTIONAL: Mapping[Shape, tuple[str, ...]] = {
    "ratings": ("criteria", "system", "annotator", "average"),
    "options": ("correct", "answer"),
    "pairs": ("annotator",),
}
_FORMS = (
    "a column, a JMESPath expression, {constant: TEXT}, {from: EXPRESSION, values: {TEXT: TEXT}} "
    "or a list of these"
)


@dataclass(frozen=True)
class Reader:
    """Reads one field's value from a row; `expressions` are all that it evaluates."""

    read: Callable[[Row], object]
    expressions: tuple[Expression, ...] = ()


def _reader(spec: object) -> Reader:
    if isinstance(spec, str) and spec:
        compiled = expression(spec)
        return Reader(compiled, (compiled,))
    if isinstance(spec, list) and spec:
        readers = [_reader(each) for each in spec]
        parts = tuple(each for reader in readers for each in reader.expressions)
        return Reader(lambda row: [reader.read(row) for reader in readers], parts)
    if isinstance(spec, dict) and spec.keys() == {"constant"}:
        return Reader(lambda _: spec["constant"])
    if isinstance(spec, dict) and spec.keys() == {"from", "values"}:
        return _table(spec["from"], spec["values"])
    raise ValueError(f"expected {_FORMS}")


def _table(source: object, values: object) -> Reader:
    if not isinstance(values, dict):
        raise ValueError("values: expected {TEXT: TEXT}, what to make of each text")  # noqa: TRY004
    inner = _reader(source)

    def look_up(value: object) -> object:
        if isinstance(value, list):
            return [look_up(each) for each in value]
        key = str(value).lower() if isinstance(value, bool) else text_of("", value)
        if key is None or key in values:
            return None if key is None else values[key]
        raise BadRowError("", f"expected one of {', '.join(values)}", value)

    return Reader(lambda row: look_up(inner.read(row)), inner.expressions)


def _scales(text: object) -> tuple[RatingScale, RatingScale]:
    source, _, target = str(text).partition(" to ")
    try:
        return read_scale(source.strip()), read_scale((target or source).strip())
    except ConfigError as error:
        raise ValueError(str(error)) from error


Spec = Annotated[Reader, BeforeValidator(_reader)]
Scales = Annotated[tuple[RatingScale, RatingScale], BeforeValidator(_scales)]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class MapFile(BaseModel):
    """The content of a mapping's file."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    id: Spec | None = None
    video_id: Spec | None = None
    video: Spec | None = None
    instruction: Spec
    references: Spec | None = None
    description: Spec | None = None
    labels: dict[str, Spec] = Field(default_factory=dict)
    response: Spec | None = None
    ratings: Spec | None = None
    criteria: dict[str, Spec] = Field(default_factory=dict)
    system: Spec | None = None
    annotator: Spec | None = None
    options: Spec | None = None
    correct: Spec | None = None
    answer: Spec | None = None
    response_a: Spec | None = None
    response_b: Spec | None = None
    preferences: Spec | None = None
    explode: dict[str, Spec] = Field(default_factory=dict)
    drop: Annotated[list[Spec], BeforeValidator(_as_list)] = Field(default_factory=list)
    files: str | None = None
    average: bool = False
    scale: Scales | None = None
    kind: GoldKind | None = None
    title: str | None = None
    licence: str | None = None

    @property
    def shape(self) -> Shape:
        """Kind of the rows that the mapping makes."""
        if self.options is not None:
            return "options"
        return "ratings" if self.response_a is None else "pairs"


class _Loader(yaml.BaseLoader):
    """Reads every scalar as a text: `no` is no truth value, and `1-5` no date."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        keys = [key.value for key, _ in node.value]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise yaml.YAMLError(f"the key {twice[0]!r} stands there twice")
        return super().construct_mapping(node, deep)


def names() -> list[str]:
    """Return the names of the mappings in this package, sorted."""
    return sorted(path.stem for path in (packaged("goldsets") / "mappings").glob("*.yaml"))


def load(name: str) -> tuple[Path, MapFile]:
    """Return a mapping of this package by name, or one in a file, with its path.

    Raises:
        UnknownNameError: there is no such mapping.
        ConfigError: the file cannot be read, or fields are missing or do not go together.
        DataError: with the field: a key is unknown, or a value is of no form.
    """
    path = packaged("goldsets") / "mappings" / f"{name}.yaml"
    if name not in names():
        path = Path(name)
        if path.suffix not in (".yaml", ".yml"):
            hint = "A mapping of your own is a .yaml file."
            raise UnknownNameError("mapping", name, names(), hint=hint)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        hint = "; put a value with [, {, ?, : or # in quotes" if path.is_file() else ""
        raise ConfigError(f"the mapping {path} cannot be read: {error}{hint}") from error
    try:
        file = MapFile.model_validate(content)
    except ValidationError as error:
        raise jsonl.data_error(error, path, None, known=MapFile.model_fields) from error
    if problems := _problems(file):
        raise ConfigError.all_of(str(path), problems)
    return path, file


def _problems(file: MapFile) -> list[str]:
    given, shape = file.model_fields_set, file.shape
    needed = ("video_id or video", "instruction", *_OF_SHAPE[shape])
    own = {*_OPTIONAL[shape], *_OF_SHAPE[shape]}
    others = {name for names in (*_OF_SHAPE.values(), *_OPTIONAL.values()) for name in names} - own
    missing = (names for names in needed if not {*names.split(" or ")} & given)
    return [f"{shape} need {names}, which is missing" for names in missing] + [
        f"{name} does not go with {shape}; remove it" for name in sorted(others & given)
    ]
