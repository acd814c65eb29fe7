"""The seeds of a run: read, filtered, kept apart from the gold sets, and drawn.

The sources are read twice. The first pass keeps a few numbers of each usable seed, not its text;
the second takes the seeds that were drawn. So memory grows with the draw, and by about half a
kilobyte for each row read (measured: see `tests/training/test_bootstrap_seeds_draw.py`).
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import BeforeValidator

from videojudge_bench import goldsets
from videojudge_bench._util.hashing import Json, unit_interval
from videojudge_bench.errors import ConfigError, DataError, unknown_name
from videojudge_bench.training.bootstrap import seed_filters
from videojudge_bench.training.bootstrap.contracts import Seed
from videojudge_bench.training.bootstrap.overlap import canonical_id, gold_videos
from videojudge_bench.training.bootstrap.seed_sources import SOURCES, read_source, split_spec
from videojudge_bench.training.bootstrap.seed_videos import UNREADABLE, SeedVideos

if TYPE_CHECKING:
    import numpy.typing as npt

NONE = BeforeValidator(lambda value: None if value == "none" else value)
"""Lets `none` stand for no number, as YAML's null does."""

NO_FILE = "no video file in the folder of videos"
NEAR_DUPLICATE = "near-duplicate of an earlier seed"


@dataclass(frozen=True)
class SeedOptions:
    """Selection of the seeds of a run.

    Attributes:
        sources: `name` or `name=path`, of `seed_sources.SOURCES`, in order; of near-duplicates the
            first one stays.
        n: how many are drawn; None: all that are usable.
        allow_overlap: gold sets whose videos may be seeds.
        videos: folder of the seeds' videos; None: texts only. With it, seeds without a file there
            are dropped.
        gold_videos: `set=folder` of gold sets' videos, beside those whose folder is known; seeds
            whose video looks like one of theirs are dropped. Needs `videos`.
        stratify_by: labels that divide the seeds of a source into strata.
        relevance: drop seeds whose texts cannot be about one video.
    """

    sources: tuple[str, ...]
    n: Annotated[int | None, NONE] = None
    seed: int = 0
    allow_overlap: frozenset[str] = frozenset()
    videos: Path | None = None
    gold_videos: tuple[str, ...] = ()
    stratify_by: tuple[str, ...] = ("type",)
    min_gold_words: int = 4
    relevance: bool = True

    def __post_init__(self) -> None:
        if problems := self._problems():
            raise ConfigError.all_of("seeds", problems)

    def _problems(self) -> list[str]:
        problems = [] if self.sources else [f"sources: name one of {', '.join(sorted(SOURCES))}"]
        for spec in self.sources:
            try:
                split_spec(spec)
            except ConfigError as error:
                problems.append(str(error))
        if self.n is not None and self.n < 1:
            problems.append(f"n={self.n}: expected a number from 1 up, or none for all")
        if self.min_gold_words < 1:
            problems.append(f"min_gold_words={self.min_gold_words}: expected a number from 1 up")
        named = [*self.allow_overlap, *(spec.partition("=")[0] for spec in self.gold_videos)]
        known = goldsets.names()
        problems += [unknown_name("gold set", n, known) for n in sorted(named) if n not in known]
        for spec in self.gold_videos:
            if not spec.partition("=")[2]:
                problems.append(f"gold_videos: {spec!r} is not set=folder")
        if self.gold_videos and self.videos is None:
            problems.append("gold_videos needs videos, the folder of the seeds' own")
        return problems


@dataclass
class SourceCounts:
    """Counts of the seeds of a source by outcome.

    `dropped` counts reasons; looks are only compared of seeds whose turn comes in the draw.
    """

    read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    drawn: int = 0
    licence: str | None = None

    def to_json(self) -> dict[str, Json]:
        """Return it as a JSON object."""
        return {
            "read": self.read,
            "dropped": dict(self.dropped.most_common()),
            "usable": self.read - self.dropped.total(),
            "drawn": self.drawn,
            "licence": self.licence,
        }


@dataclass(frozen=True)
class SeedCounts:
    """Facts about a draw of seeds.

    Attributes:
        asked: how many were asked for; None: all.
        strata: numbers of usable and drawn seeds, by stratum.
        overlap: seeds drawn from the videos of each gold set that was allowed.
        sets_absent: gold sets whose data are not here, so that their videos are unknown.
        sets_looked_at: how many videos of a gold set were compared by their looks, by set.
    """

    asked: int | None
    by_source: Mapping[str, SourceCounts]
    strata: Mapping[str, tuple[int, int]]
    overlap: Mapping[str, int]
    sets_compared: tuple[str, ...]
    sets_absent: tuple[str, ...]
    sets_looked_at: Mapping[str, int]

    def to_json(self) -> dict[str, Json]:
        """Return it as a JSON object, with the totals of all sources."""
        every = list(self.by_source.values())
        return {
            "asked": self.asked,
            "read": sum(counts.read for counts in every),
            "dropped": dict(sum((counts.dropped for counts in every), Counter()).most_common()),
            "drawn": sum(counts.drawn for counts in every),
            "by_source": {name: each.to_json() for name, each in sorted(self.by_source.items())},
            "strata": {
                name: {"usable": usable, "drawn": drawn}
                for name, (usable, drawn) in sorted(self.strata.items())
            },
            "overlap": dict(sorted(self.overlap.items())),
            "gold_sets": {
                "compared": list(self.sets_compared),
                "not_here": list(self.sets_absent),
                "videos_looked_at": dict(sorted(self.sets_looked_at.items())),
            },
        }


@dataclass(frozen=True)
class SeedDraw:
    """The seeds of a run, in the order of work (a larger draw begins with the same), and counts."""

    seeds: list[Seed]
    counts: SeedCounts


def collect_seeds(options: SeedOptions) -> SeedDraw:
    """Return drawn seeds: the same share of every stratum, rounded.

    A stratum's seeds are put in the order of a hash of their ids. The seed at rank r of s gets the
    place (r + 0.5) / s, and the n seeds of the lowest places are drawn (Webster's method). So a
    draw of n is the beginning of every larger one.

    Raises:
        ConfigError: a folder is missing.
        DataError: a file of seeds is malformed, a gold set is damaged, or no seed is usable.
        VideoError: a gold set's video cannot be decoded.
    """
    draw = _Draw(options)
    draw.read()
    chosen = draw.choose(draw.places())
    return draw.take_up(chosen)


class _Draw:
    """A draw in progress: numbers that describe the usable seeds."""

    def __init__(self, options: SeedOptions) -> None:
        self._options = options
        self._gold = gold_videos()
        self._videos = SeedVideos.of(options.videos, self._gold, options.gold_videos)
        self._known = seed_filters.NearDuplicates()
        self._by_source: dict[str, SourceCounts] = {}
        self._strata: dict[str, int] = {}
        self._of_strata: list[SourceCounts] = []
        self._usable: list[int] = []
        self._files: dict[str | None, int] = {}
        # Of each usable seed: its number among all that are read, a hash, its stratum, its file.
        self._numbers, self._hashes = array("q"), array("d")
        self._strata_of, self._files_of = array("l"), array("l")

    def _seeds(self) -> Iterator[tuple[SourceCounts, Seed]]:
        for spec in self._options.sources:
            name, path = split_spec(spec)
            for seed in read_source(name, path):
                counts = self._by_source.get(seed.source)
                if counts is None:
                    counts = self._by_source[seed.source] = SourceCounts(
                        licence=SOURCES[name].licence
                    )
                yield counts, self._videos.located(seed)

    def read(self) -> None:
        for number, (counts, seed) in enumerate(self._seeds()):
            counts.read += 1
            if problem := self._problem(seed):
                counts.dropped[problem] += 1
                continue
            self._numbers.append(number)
            self._hashes.append(unit_interval("draw", str(self._options.seed), seed.id))
            self._strata_of.append(self._stratum_number(seed, counts))
            self._files_of.append(self._files.setdefault(seed.video, len(self._files)))

    def _problem(self, seed: Seed) -> str:
        options = self._options
        if problem := seed_filters.length_problem(seed, options.min_gold_words):
            return problem
        if options.relevance and (problem := seed_filters.relevance_problem(seed)):
            return problem
        if kept_out := self._gold_sets(seed) - options.allow_overlap:
            return f"video of the gold set {', '.join(sorted(kept_out))}"
        if options.videos is not None and seed.video is None:
            return NO_FILE
        texts = [(f"asked of {seed.video_id}", seed.instruction)]
        if len(seed_filters.words(seed.gold)) >= seed_filters.LONG_GOLD_WORDS:
            texts.append(("gold", seed.gold))
        return NEAR_DUPLICATE if self._known.seen(*texts) else ""

    def _gold_sets(self, seed: Seed) -> frozenset[str]:
        sets = self._gold.sets_with(seed.video_id)
        if seed.video is None:
            return sets
        return sets | self._gold.sets_with(canonical_id(seed.video))

    def _stratum_number(self, seed: Seed, counts: SourceCounts) -> int:
        number = self._strata.setdefault(self._stratum(seed), len(self._strata))
        if number == len(self._usable):
            self._usable.append(0)
            self._of_strata.append(counts)
        self._usable[number] += 1
        return number

    def _stratum(self, seed: Seed) -> str:
        named = (name for name in self._options.stratify_by if name in seed.labels)
        return ", ".join([seed.source, *(f"{name}={seed.labels[name]}" for name in named)])

    def places(self) -> npt.NDArray[np.intp]:
        """Indices of the usable seeds, in the order of the draw."""
        # Seeds of one hash are those of one id, which are near-duplicates: no ties are left.
        hashes, strata = np.array(self._hashes), np.array(self._strata_of)
        order = np.lexsort((hashes, strata))
        sizes = np.bincount(strata)
        starts = np.cumsum(sizes) - sizes
        places = np.empty(len(hashes))
        of_order = strata[order]
        places[order] = (np.arange(len(hashes)) - starts[of_order] + 0.5) / sizes[of_order]
        return np.lexsort((hashes, places))

    def choose(self, places: npt.NDArray[np.intp]) -> dict[int, int]:
        """The seeds that are drawn: rank in the draw by number among all that are read."""
        files, allowed = list(self._files), self._options.allow_overlap
        chosen: dict[int, int] = {}
        for index in map(int, places):
            if len(chosen) == self._options.n:
                break
            stratum, file = self._strata_of[index], files[self._files_of[index]]
            looks = frozenset() if file is None else self._videos.sets_like(file)
            if looks is None:
                self._drop(stratum, UNREADABLE)
            elif kept_out := looks - allowed:
                self._drop(stratum, f"looks like a video of {', '.join(sorted(kept_out))}")
            else:
                chosen[self._numbers[index]] = len(chosen)
        return chosen

    def _drop(self, stratum: int, problem: str) -> None:
        self._of_strata[stratum].dropped[problem] += 1
        self._usable[stratum] -= 1

    def take_up(self, chosen: Mapping[int, int]) -> SeedDraw:
        paths = ", ".join(self._options.sources)
        if not chosen:
            dropped = sum((counts.dropped for counts in self._by_source.values()), Counter[str]())
            reasons = ", ".join(f"{reason}: {number}" for reason, number in dropped.most_common())
            raise DataError(f"none of {dropped.total()} seeds is usable ({reasons})", path=paths)
        seeds: dict[int, Seed] = {}
        strata: Counter[str] = Counter()
        overlap = Counter(dict.fromkeys(self._options.allow_overlap, 0))
        for number, (counts, seed) in enumerate(self._seeds()):
            if number not in chosen:
                continue
            seeds[chosen[number]] = seed
            counts.drawn += 1
            strata[self._stratum(seed)] += 1
            looks = None if seed.video is None else self._videos.sets_like(seed.video)
            overlap.update(self._gold_sets(seed) | (looks or frozenset()))
        if len(seeds) < len(chosen):
            raise DataError("a file became shorter while it was read; run again", path=paths)
        return SeedDraw(
            [seeds[rank] for rank in range(len(chosen))],
            SeedCounts(
                asked=self._options.n,
                by_source=self._by_source,
                strata={
                    name: (self._usable[index], strata[name])
                    for name, index in self._strata.items()
                },
                overlap=overlap,
                sets_compared=tuple(sorted(self._gold.files.keys() - self._options.allow_overlap)),
                sets_absent=self._gold.absent,
                sets_looked_at=self._videos.looked_at,
            ),
        )
