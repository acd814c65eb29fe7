"""Gold sets out of a user's file of ratings, options or pairs: added and removed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from videojudge_bench import goldsets
from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.goldsets import jsonl, schema, store
from videojudge_bench.goldsets.base import GoldKind, GoldSetInfo
from videojudge_bench.scale import RatingScale

if TYPE_CHECKING:
    from videojudge_bench.goldsets.importing import Report, Tally
    from videojudge_bench.goldsets.map_file import MapFile


@dataclass(frozen=True)
class Request:
    """Options for adding a gold set; what is None is taken from the mapping, if there is one.

    Attributes:
        source: JSON Lines in the schema of `videojudge_bench.goldsets.schema` (`.gz`: compressed),
            or with a mapping anything that `videojudge_bench.goldsets.sources` reads.
        name: of the set; its task is `videojudge_<name>`.
        scale: of the ratings; by default 1-5.
        kind: where the gold comes from; by default annotators, and `options` for options.
        mapping: its file, or the name of one in this package.
        dry_run: whether to count and check only.
    """

    source: str | Path
    name: str
    videos: Path | None = None
    scale: RatingScale | None = None
    kind: GoldKind | None = None
    title: str | None = None
    licence: str | None = None
    overwrite: bool = False
    mapping: str | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Added:
    """Result of adding a gold set; `folder` is None where nothing was written."""

    info: GoldSetInfo
    tally: Tally
    report: Report | None
    videos: dict[str, bool]
    folder: Path | None

    def lines(self) -> list[str]:
        """Return a summary of the set, where it is kept, and the next command."""
        info = self.info
        what = f"{_count(self.tally.rows, 'row')} of {info.shape}"
        if info.shape == "ratings":
            what += f" by {_count(self.tally.raters, 'rater')} on the scale {info.scale}"
        lost = [video_id for video_id, is_there in self.videos.items() if not is_there]
        n_files = len(self.videos) - len(lost)
        there = f"{_count(len(self.videos), 'video')}, files of {n_files} of them found"
        lines = [f"{info.task}: {what}; {there}"]
        if lost:
            lines.append(f"no file of {', '.join(lost[:5])}{', …' if len(lost) > 5 else ''}")
        if self.report is not None:
            lines += self.report.lines()
        if self.report is not None or self.folder is None:
            lines += self.tally.lines(info)
        if self.folder is None:
            return [*lines, "nothing is written; leave --dry-run out to add it"]
        command = "lmms_eval --model videojudge --model_args judge=random"
        return [
            *lines,
            f"kept in {self.folder}; remove it with: videojudge data remove {info.name}",
            f"try it: {command} --tasks {info.task} --output_path out",
        ]


def add(request: Request) -> Added:
    """Check a source and keep it as a gold set.

    Raises:
        ConfigError: the name is invalid or taken, the source or the folder of videos does not
            exist, or the mapping does not suit the source.
        DataError: with file, line and field: a row is invalid; with a mapping: no row is good.
    """
    from videojudge_bench.goldsets.importing import Tally

    _check_name(request.name, overwrite=request.overwrite)
    with _in_our_schema(request) as rows:
        shape, scale, tally = schema.shape_of(rows.path), rows.scale, Tally()
        # A file may be too large to be kept in memory: it is read as a stream, and again to be
        # stored.
        for _ in tally.counted(schema.checked_rows(rows.path, shape, scale)):
            pass
        file, name = rows.map_file, Path(request.source).name
        info = GoldSetInfo(
            name=request.name,
            title=request.title or (file and file.title) or name,
            kind=request.kind
            or (file and file.kind)
            or ("options" if shape == "options" else "human"),
            shape=shape,
            licence=request.licence or (file and file.licence) or "not stated",
            source=f"added from {name}",
            how_to_get="",
            scale=scale,
            systems=bool(tally.systems),
        )
        folder = None
        if not request.dry_run:
            again = schema.checked_rows(rows.path, shape, scale)
            folder = store.write(info, again, request.videos)
            goldsets.load.cache_clear()
    return Added(info, tally, rows.report, _files_present(tally.files, request.videos), folder)


@dataclass(frozen=True)
class _OurRows:
    path: Path
    scale: RatingScale
    report: Report | None = None
    map_file: MapFile | None = None


@contextmanager
def _in_our_schema(request: Request) -> Iterator[_OurRows]:
    """Yield the source as a file in our schema: with a mapping a new one, in a temporary folder."""
    if request.mapping is None:
        yield _OurRows(_checked_file(request), request.scale or RatingScale())
        return
    from videojudge_bench.goldsets import importing, mapping

    row_map = mapping.load(request.mapping, request.scale)
    with TemporaryDirectory() as folder:
        path = Path(folder) / store.ROWS_FILE
        report = importing.convert(str(request.source), row_map, path, request.name)
        yield _OurRows(path, row_map.scales[1], report, row_map.file)


def _checked_file(request: Request) -> Path:
    from videojudge_bench.goldsets import sources

    path = Path(request.source)
    if path.is_file() and path.suffix not in (".csv", ".tsv", ".parquet"):
        return path
    columns = sources.columns_of(str(request.source))
    raise ConfigError(
        f"{request.source}: expected JSON Lines in our schema, or --map MAP.yaml, which says what "
        f"the columns are; there are {', '.join(columns)}"
    )


def remove(name: str) -> str:
    """Remove a set that was added or prepared, but not its videos; return a line for the user.

    Raises UnknownNameError where there is none.
    """
    if not store.remove(name):
        raise UnknownNameError(
            "added or prepared set", name, store.names(), hint="See `videojudge data list`."
        )
    goldsets.load.cache_clear()
    if name in goldsets.names():
        return f"removed what was prepared of {name}; the task serves what the package has"
    return f"removed {name}; there is no task videojudge_{name} any more"


def _check_name(name: str, *, overwrite: bool) -> None:
    if not store.NAME.fullmatch(name):
        raise ConfigError(
            f"the name {name!r} cannot be that of a task: it needs a lower-case letter first, then "
            "lower-case letters, digits and _, 64 at most"
        )
    if store.contains(name) and name in goldsets.extra_names():
        if not overwrite:
            raise ConfigError(f"there is a set {name!r}; give --overwrite, or another --name")
    elif name in goldsets.names():
        raise ConfigError(
            f"the name {name!r} is taken by the task videojudge_{name}; choose another --name"
        )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _files_present(files: dict[str, str | None], folder: Path | None) -> dict[str, bool]:
    there = jsonl.find_videos(folder) if folder else {}
    return {
        video_id: video_id in there or bool(folder and named and (folder / named).is_file())
        for video_id, named in files.items()
    }
