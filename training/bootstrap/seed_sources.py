"""Sources of seeds: released instruction sets, our gold sets' other halves, your own file.

The schemas of VideoInstruct-100K, VideoChat2-IT and VCG-Plus-112K are those that their training
code or loader reads. Other fields are ignored; a missing or malformed field is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, TypeVar

import ijson
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    model_validator,
)

from videojudge_bench._util.hashing import content_hash, unit_interval
from videojudge_bench.errors import ConfigError, DataError, unknown_name
from videojudge_bench.goldsets import jsonl, nextqa, vatex
from videojudge_bench.goldsets.schema import inside_its_folder
from videojudge_bench.training.bootstrap.contracts import Seed
from videojudge_bench.training.bootstrap.overlap import canonical_id
from videojudge_bench.training.bootstrap.qa_sentences import answer_text

_Text = Annotated[str, Field(min_length=1)]
_VIDEO_TOKEN = re.compile(r"<(?:image|video|vid_patch|ImageHere|VideoHere)>")


@dataclass(frozen=True)
class Source:
    """A kind of source.

    Attributes:
        path: what the path is; "" for a source that travels with the package.
        licence: of the texts, as the release states it; None where that is up to the file.
    """

    read: Callable[[Path], Iterator[Seed]]
    path: str
    licence: str | None


def split_spec(spec: str) -> tuple[str, Path | None]:
    """Return name and path of a source given as `name` or `name=path`; raises ConfigError."""
    name, equals, path = spec.partition("=")
    if name not in SOURCES:
        raise ConfigError(unknown_name("source of seeds", name, SOURCES))
    expected = SOURCES[name].path
    if expected and not path:
        raise ConfigError(f"the source {name!r} needs its path: {name}=PATH ({expected})")
    if equals and not expected:
        raise ConfigError(
            f"the source {name!r} travels with the package and takes no path, found {path!r}"
        )
    return name, Path(path) if path else None


def read_source(name: str, path: Path | None = None) -> Iterator[Seed]:
    """Yield the seeds of a source, in its order; empty texts are passed on as they are.

    Files are streamed: memory does not grow with their size.

    Raises:
        ConfigError: as `split_spec`.
        DataError: a file cannot be read, or a row is malformed; with file, line and field.
    """
    split_spec(name if path is None else f"{name}={path}")
    return SOURCES[name].read(path or Path())


class _Released(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class _VideoInstructRow(_Released):
    q: str
    a: str
    video_id: _Text


def _videoinstruct(path: Path) -> Iterator[Seed]:
    for row in stream_list(path, _VideoInstructRow):
        yield _seed("videoinstruct", canonical_id(row.video_id), row.q.strip(), row.a.strip())


class _Turn(_Released):
    speaker: Literal["human", "gpt"] = Field(alias="from")
    value: str


class _Conversation(_Released):
    video: _Text
    conversations: Annotated[tuple[_Turn, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _takes_turns(self) -> _Conversation:
        speakers = [turn.speaker for turn in self.conversations]
        expected = ["human", "gpt"] * (len(speakers) // 2)
        if speakers != expected:
            raise ValueError(
                "conversations must be turns of human and gpt, one after the other, beginning "
                f"with human and ending with gpt; they are {', '.join(speakers)}"
            )
        return self


def _vcg_plus(path: Path) -> Iterator[Seed]:
    for row in stream_list(path, _Conversation):
        video_id = canonical_id(row.video)
        for turn in range(0, len(row.conversations), 2):
            asked, answered = row.conversations[turn : turn + 2]
            instruction = _VIDEO_TOKEN.sub(" ", asked.value).strip()
            gold = answered.value.strip()
            yield _seed("vcg_plus", video_id, instruction, gold, video=_inside(row.video))


class _Answered(_Released):
    i: str = ""
    q: str = ""
    a: str


class _VideoChat2Row(_Released):
    video: _Text
    questions: Annotated[tuple[_Answered, ...], Field(min_length=1, alias="QA")]
    start: FiniteFloat | None = None
    end: FiniteFloat | None = None

    @property
    def clip(self) -> tuple[float, float] | None:
        return None if self.start is None or self.end is None else (self.start, self.end)

    @model_validator(mode="after")
    def _has_both_times(self) -> _VideoChat2Row:
        if (self.start is None) != (self.end is None):
            raise ValueError(
                f"start and end come together; start is {self.start}, end is {self.end}"
            )
        if self.clip is not None and not 0 <= self.clip[0] < self.clip[1]:
            raise ValueError(f"start must be before end, and from 0 up; they are {self.clip}")
        return self


def _videochat2(path: Path) -> Iterator[Seed]:
    files = [path] if path.is_file() else sorted(path.rglob("train.json"))
    if not files:
        raise DataError(
            "no file and no folder with files train.json; give the folder of the release, or one "
            "train.json of it",
            path=path,
        )
    for file in files:
        subset = "/".join(file.relative_to(path).parent.parts) or file.parent.name
        for row in stream_list(file, _VideoChat2Row):
            for qa in row.questions:
                parts = filter(None, (qa.i.strip(), qa.q.strip()))
                yield _seed(
                    "videochat2",
                    canonical_id(row.video, row.clip),
                    "\n".join(parts),
                    qa.a.strip(),
                    video=_inside(row.video),
                    labels={"type": subset},
                )


def _nextqa(_: Path) -> Iterator[Seed]:
    for row in nextqa.seed_rows():
        gold, form = answer_text(row.instruction, row.gold_answer)
        labels = {"type": row.type, "answer_form": form}
        yield _seed("nextqa", row.video_id, row.instruction, gold, labels=labels)


def _vatex(_: Path) -> Iterator[Seed]:
    for row in vatex.rows():
        chosen = int(unit_interval("seed gold", row.video_id) * len(row.references))
        others = (*row.references[:chosen], *row.references[chosen + 1 :])
        yield _seed(
            "vatex", row.video_id, vatex.INSTRUCTION, row.references[chosen], references=others
        )


class SeedLine(BaseModel):
    """One line of a JSON lines file of your own: a `Seed` without its id.

    `video_id` may be a YouTube id or a file name; `source` is by default the name of the file.
    """

    model_config = jsonl.STRICT

    video_id: _Text
    instruction: str
    gold: str
    description: _Text | None = None
    references: tuple[_Text, ...] = ()
    video: Annotated[_Text, AfterValidator(inside_its_folder)] | None = None
    source: _Text | None = None
    labels: dict[_Text, str] = Field(default_factory=dict)


def _jsonl(path: Path) -> Iterator[Seed]:
    of_file = path.name.removesuffix(".gz").removesuffix(".jsonl")
    for row in _seed_lines(path):
        seed = _seed(
            row.source or of_file,
            canonical_id(row.video_id),
            row.instruction.strip(),
            row.gold.strip(),
            references=row.references,
            video=row.video,
            labels=row.labels,
        )
        yield replace(seed, description=row.description)


def _seed_lines(path: Path) -> Iterator[SeedLine]:
    """The lines of a file; missing and unknown fields are named all at once."""
    try:
        yield from jsonl.read_rows(path, SeedLine, unique=())  # repeated ones are counted as such
    except DataError as error:
        cause = error.__cause__
        errors = cause.errors(include_url=False) if isinstance(cause, ValidationError) else []
        named = {
            what: ", ".join(str(each["loc"][0]) for each in errors if each["type"] == kind)
            for what, kind in (("missing", "missing"), ("unknown", "extra_forbidden"))
        }
        if not any(named.values()):
            raise
        fields = SeedLine.model_fields
        needed = [name for name, field in fields.items() if field.is_required()]
        problem = (
            f"expected the fields {', '.join(needed)}, and where known "
            f"{', '.join(name for name in fields if name not in needed)}; "
            f"{'; '.join(f'{what}: {names}' for what, names in named.items() if names)}"
        )
        raise DataError(problem, path=error.path, line=error.line) from error


def _seed(
    source: str,
    video_id: str,
    instruction: str,
    gold: str,
    *,
    references: tuple[str, ...] = (),
    video: str | None = None,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> Seed:
    return Seed(
        id=content_hash([source, video_id, instruction, gold])[:16],
        source=source,
        video_id=video_id,
        instruction=instruction,
        gold=gold,
        references=references,
        video=video,
        labels=dict(labels),
    )


def _inside(video: str) -> str | None:
    """The path of a file in a release, unless it leaves the folder of videos."""
    try:
        return inside_its_folder(video)
    except ValueError:
        return None


SOURCES: Mapping[str, Source] = {
    "videoinstruct": Source(_videoinstruct, "VideoInstruct100K.json", "CC BY-SA 4.0"),
    "vcg_plus": Source(_vcg_plus, "vcg-plus_112K.json", "MIT"),
    "videochat2": Source(
        _videochat2, "the folder with its files <task>/<subset>/train.json, or one of them", "MIT"
    ),
    "nextqa": Source(_nextqa, "", "MIT"),
    "vatex": Source(_vatex, "", "CC BY 4.0"),
    "jsonl": Source(_jsonl, "a .jsonl file, .gz or not, of the lines that `SeedLine` names", None),
}
"""Sources by name. `vatex` shares all videos with the gold set, `nextqa` none."""


CHUNK_BYTES = 1 << 16

RowT = TypeVar("RowT", bound=BaseModel)


def stream_list(path: Path, row_type: type[RowT]) -> Iterator[RowT]:
    """Yield the rows of a JSON file that is a list; one row and one chunk are in memory at a time.

    Raises:
        DataError: with file and place (`[17].q`), when the file cannot be read, is not UTF-8, is
            no list or an empty one, breaks off, or has a malformed row.
    """
    number = -1
    try:
        with path.open("rb") as file:
            start = file.read(CHUNK_BYTES).lstrip()[:20]
            if not start.startswith(b"["):
                text = start.decode(errors="replace")
                raise DataError(f"expected a JSON list, got a file with {text!r}", path=path)
            file.seek(0)
            rows = ijson.items(file, "item", buf_size=CHUNK_BYTES, use_float=True)
            for number, row in enumerate(rows):
                yield _checked(row, row_type, path, number)
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path=path) from error
    except (ijson.JSONError, UnicodeDecodeError) as error:
        problem = f"not JSON in UTF-8 ({_reason(error)}); get the file again"
        raise DataError(problem, path=path, field=f"[{number + 1}]") from error
    if number < 0:
        raise DataError("expected a list with at least one row, got an empty one", path=path)


def _checked(row: object, row_type: type[RowT], path: Path, number: int) -> RowT:
    try:
        # From JSON, where lists may be tuples: our types take nothing else for something else.
        return row_type.model_validate_json(json.dumps(row))
    except ValidationError as error:
        raise jsonl.data_error(error, path, None, within=f"[{number}]") from error


def _reason(error: Exception) -> str:
    """The message of yajl or of ijson's own parser, and the text beside which it was found."""
    message = error.args[0]
    text = message.decode(errors="replace") if isinstance(message, bytes) else str(error)
    return ", near ".join(line.strip() for line in text.splitlines()[:2] if line.strip())
