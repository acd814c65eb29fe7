"""Reader of training rows: of `videojudge bootstrap`, or of one's own file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.goldsets.jsonl import numbered_rows
from videojudge_bench.goldsets.schema import inside_its_folder
from videojudge_bench.scale import RatingScale
from videojudge_bench.training.bootstrap.export import DATA_FOLDER
from videojudge_bench.training.training_row import PARTS, TrainingRow

_SCALE = RatingScale()


def read_rows(sources: Sequence[str], kinds: Sequence[str], part: str) -> list[TrainingRow]:
    """Return the rows of some kinds and one part, in the order of the sources.

    Sources are folders that `videojudge bootstrap` wrote, or `.jsonl` files.

    Raises:
        ConfigError: a source is missing, or holds no rows at all.
        DataError: a line is malformed, or an id is there twice; with file, line and field.
    """
    rows: list[TrainingRow] = []
    seen: set[str] = set()
    for source in sources:
        for path in _files(Path(source), kinds, part):
            for row in _read(path, seen):
                if row.kind in kinds and row.part == part:
                    rows.append(row)
    return rows


def check_balance(rows: Sequence[TrainingRow]) -> None:
    """Raise ConfigError if there are no rows, or all of them have one verdict."""
    if not rows:
        raise ConfigError(
            "there are no rows to train on: data.rows holds none of data.kinds whose part is train"
        )
    verdicts = Counter(row.verdict for row in rows if row.verdict is not None)
    if sum(verdicts.values()) > 1 and len(verdicts) == 1:
        (verdict,) = verdicts
        raise ConfigError(
            f"all {len(rows)} rows have the verdict {verdict}: a judge would learn to always "
            "say it. Give rows with all verdicts"
        )


def imbalance(rows: Sequence[TrainingRow], *, allowed: float = 2.0) -> str:
    """Return a warning about verdicts that are much rarer than others; "" when none is."""
    verdicts = Counter(row.verdict for row in rows if row.verdict is not None)
    if len(verdicts) < 2 or max(verdicts.values()) <= allowed * min(verdicts.values()):
        return ""
    counts = ", ".join(f"{verdict}: {count}" for verdict, count in sorted(verdicts.items()))
    return f"the verdicts are unbalanced ({counts}); a judge learns what is frequent"


def share_of(rows: Sequence[TrainingRow], share: float, seed: int) -> list[TrainingRow]:
    """Return a share of rows, drawn by the hash of video and instruction."""
    if share >= 1:
        return list(rows)
    return [
        row
        for row in rows
        if unit_interval(f"share-{seed}", row.video_id, row.instruction or row.id) < share
    ]


def video_path(row: TrainingRow, folder: Path | None) -> Path:
    """Return where a row's video lies: always in the folder, whatever the id of the video is."""
    name = row.video or row.video_id
    try:
        return (folder or Path()) / inside_its_folder(name)
    except ValueError:
        return (folder or Path()) / PurePosixPath(f"./{name}").name.strip(".")


def _files(source: Path, kinds: Sequence[str], part: str) -> list[Path]:
    if source.is_file():
        return [source]
    data = source / DATA_FOLDER
    if not data.is_dir():
        problem = "it is not there" if not source.exists() else f"it has no folder {DATA_FOLDER}/"
        raise ConfigError(
            f"data.rows: {source}: {problem}; give a folder that `videojudge bootstrap` wrote, or "
            "a .jsonl file of rows"
        )
    return [path for kind in kinds if (path := data / f"{kind}_{part}.jsonl").is_file()]


def _read(path: Path, seen: set[str]) -> Iterator[TrainingRow]:
    for line, row in numbered_rows(path, TrainingRow, unique=()):
        off = [r.rating for r in row.responses if r.rating not in _SCALE]
        field, problem = "", ""
        if row.id in seen:
            field, problem = "id", f"{row.id!r} is there twice"
        elif row.part not in PARTS:
            field, problem = "part", f"expected {' or '.join(PARTS)}, got {row.part!r}"
        elif off:
            field, problem = "responses", f"rating {off[0]:g} is outside the scale {_SCALE}"
        if problem:
            raise DataError(problem, path=path, line=line, field=field)
        seen.add(row.id)
        yield row
