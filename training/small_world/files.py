"""Writer of the small world: videos, seeds, rows that teach to look, gold sets.

The folder gets

- `videos/<video id>.mp4`;
- `seeds.jsonl`: for `videojudge bootstrap` (`seeds.sources=[jsonl=…]`);
- `language.jsonl`: descriptions and right answers, to learn to look before learning to judge;
- `gold.jsonl`, `gold_pairs.jsonl`: held-out responses with the ratings that they deserve, and pairs
  of 2 against 3, for `videojudge data add`; of the other domains `gold_unseen.jsonl` and so on;
- `world.json`: its options.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from videojudge_bench._util.files import write_whole
from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import ConfigError, DataError, unknown_name
from videojudge_bench.training.small_world import world
from videojudge_bench.training.small_world.language import SOURCE, describing_rows, file_of, seed_of
from videojudge_bench.training.small_world.render import render
from videojudge_bench.training.small_world.world import Domain, Kind, Part, Scene

RECORD = "world.json"
VIDEOS = "videos"
_AT_ONCE = 16

Progress = Callable[[int, int], None]
"""Called with the numbers of videos written so far and in all."""


@dataclass(frozen=True)
class WorldOptions:
    """Size of a world, in videos.

    Attributes:
        lessons: easier videos for training, beside `train`.
        validation: videos like those of `train`.
        test: held-out videos of each domain, with combinations of properties that no other has.

    Raises:
        ConfigError: values that cannot be, all of them in one message.
    """

    train: int = 4_000
    lessons: int = 1_000
    validation: int = 200
    test: int = 200
    domains: tuple[Domain, ...] = world.DOMAINS
    seed: int = 0

    def __post_init__(self) -> None:
        problems = [
            f"{name}={value}: expected a number from 0 up"
            for name in ("train", "lessons", "validation", "test")
            if (value := getattr(self, name)) < 0
        ]
        problems += [
            unknown_name("domain", d, world.DOMAINS) for d in self.domains if d not in world.DOMAINS
        ]
        if len(set(self.domains)) < len(self.domains):
            problems.append(f"domains={','.join(self.domains)}: each is named once")
        if problems:
            raise ConfigError.all_of("small world", problems)

    def videos(self) -> Iterator[str]:
        """Yield the ids of all videos."""
        yield from _ids("train", self.train)
        yield from _ids("lesson", self.lessons)
        yield from _ids("validation", self.validation)
        for domain in self.domains:
            yield from _ids("test", self.test, domain)


@dataclass(frozen=True)
class WrittenWorld:
    """Numbers of rendered videos now, and of rows by file; and whether nothing was left to do."""

    rendered: int
    counts: Mapping[str, int]
    existed: bool


def make(
    folder: Path,
    options: WorldOptions = WorldOptions(),
    *,
    workers: int = 1,
    on_progress: Progress = lambda _done, _all: None,
) -> WrittenWorld:
    """Write a world into a folder, or resume an earlier call with the same options.

    Raises:
        ConfigError: the folder holds a world of other options, or something else.
        DataError: its record cannot be read.
        OSError: it cannot be written; complete files stay, and the same call resumes.
    """
    if workers < 1:
        raise ConfigError(f"workers={workers}: expected a number from 1 up")
    was_whole = _begin(folder, options)
    videos = folder / VIDEOS
    videos.mkdir(exist_ok=True)
    there = {path.name for path in videos.iterdir()}
    missing = [video for video in options.videos() if file_of(video) not in there]
    _render(missing, videos, options.seed, workers, on_progress)
    if was_whole is not None:
        return WrittenWorld(len(missing), was_whole, not missing)
    counts = {VIDEOS: sum(1 for _ in options.videos())}
    for name, rows in _files(options):
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        write_whole(folder / name, "".join(f"{line}\n" for line in lines))
        counts[name] = len(lines)
    _note(folder, options, counts)
    return WrittenWorld(len(missing), counts, existed=False)


def _begin(folder: Path, options: WorldOptions) -> Mapping[str, int] | None:
    """Record the options; return the counts of a world that was complete before."""
    record = folder / RECORD
    if not record.exists():
        if folder.is_dir() and any(folder.iterdir()):
            raise ConfigError(f"{folder} holds something else; name a new or an empty folder")
        folder.mkdir(parents=True, exist_ok=True)
        _note(folder, options, None)
        return None
    try:
        data = json.loads(record.read_bytes())
        made_of, counts = data["made_of"], data["counts"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"no record of a small world ({error!r}); remove the folder and make it anew",
            path=record,
        ) from error
    expected = _made_of(options)
    if made_of != expected:
        other = [f"{k}: {v!r} there, {expected.get(k)!r} asked" for k, v in made_of.items()
                 if v != expected.get(k)]  # fmt: skip
        raise ConfigError(
            f"{folder} was made with other options of the small world ({'; '.join(other)}); give "
            "another folder, or delete this one"
        )
    whole = counts is not None and all((folder / name).exists() for name in counts)
    return counts if whole else None


def _note(folder: Path, options: WorldOptions, counts: Mapping[str, int] | None) -> None:
    record = {"made_of": _made_of(options), "counts": counts}
    write_whole(folder / RECORD, json.dumps(record, indent=2) + "\n")


def _made_of(options: WorldOptions) -> dict[str, Json]:
    values = asdict(options)
    return {"world": SOURCE, "version": world.VERSION, **values, "domains": list(options.domains)}


def _render(
    missing: Sequence[str], folder: Path, seed: int, workers: int, on_progress: Progress
) -> None:
    draw = partial(render, seed=seed, folder=folder)
    if workers == 1 or len(missing) <= _AT_ONCE:
        _follow(map(draw, missing), len(missing), on_progress)
        return
    # A forked child would inherit the threads' locks of whoever calls this.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        _follow(pool.map(draw, missing, chunksize=_AT_ONCE), len(missing), on_progress)


def _follow(work: Iterator[None], total: int, on_progress: Progress) -> None:
    for done, _ in enumerate(work, start=1):
        if done % _AT_ONCE == 0 or done == total:
            on_progress(done, total)


def _files(options: WorldOptions) -> Iterator[tuple[str, Iterable[Mapping[str, Json]]]]:
    def scenes(part: Part, number: int, domain: Domain = "seen") -> Iterator[Scene]:
        return (world.scene_of(video, options.seed) for video in _ids(part, number, domain))

    def to_learn() -> Iterator[Scene]:
        yield from scenes("train", options.train)
        yield from scenes("validation", options.validation)

    seeds = (seed_of(scene, kind) for scene in to_learn() for kind in world.KINDS)
    fields = ("source", "video_id", "instruction", "gold", "video", "labels")
    yield "seeds.jsonl", ({name: getattr(seed, name) for name in fields} for seed in seeds)
    lessons = scenes("lesson", options.lessons)
    scenes_described = chain(lessons, to_learn())
    yield "language.jsonl", (row for s in scenes_described for row in describing_rows(s))
    for domain in options.domains:
        ending = "" if domain == "seen" else f"_{domain}"
        rated = (row for s in scenes("test", options.test, domain) for row in rated_rows(s))
        yield f"gold{ending}.jsonl", rated
        pairs = (row for s in scenes("test", options.test, domain) for row in pair_rows(s))
        yield f"gold_pairs{ending}.jsonl", pairs


def _ids(part: Part, number: int, domain: Domain = "seen") -> Iterator[str]:
    return (world.video_id(part, index, domain) for index in range(number))


def rated_rows(scene: Scene) -> Iterator[dict[str, Json]]:
    """Yield the five responses to each question with the rating that each deserves."""
    for kind in world.KINDS:
        for rating, response in world.responses(scene, kind).items():
            yield {**question(scene, kind), "response": response, "ratings": [rating]}


def pair_rows(scene: Scene) -> Iterator[dict[str, Json]]:
    """Yield for each question a response that deserves 3 and one that deserves 2."""
    for kind in world.KINDS:
        by_rating = world.responses(scene, kind)
        better = str(world.rng_of("pair", scene.seed, scene.video_id, kind).choice(["a", "b"]))
        a, b = (3, 2) if better == "a" else (2, 3)
        texts = {"response_a": by_rating[a], "response_b": by_rating[b]}
        yield {**question(scene, kind), **texts, "preferences": [better]}


def question(scene: Scene, kind: Kind) -> dict[str, Json]:
    """Return the fields of a row of gold that say what is asked about which video."""
    return {
        "video_id": scene.video_id,
        "video": file_of(scene.video_id),
        "instruction": world.INSTRUCTIONS[kind],
        "labels": {"kind": kind, "domain": scene.domain},
    }
