"""Sets that come in two forms: a sample in the package, and the full data once prepared.

The full data replace the sample when `videojudge data prepare` has put them into the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Union

from videojudge_bench._util.files import packaged
from videojudge_bench.errors import NoDataError
from videojudge_bench.goldsets import schema, store
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo

SAMPLE_LICENCE = "texts CC0-1.0; videos CC0-1.0, public domain and CC BY 3.0"
SAMPLE_SOURCE = "written for this package by watching its seven videos"


ReadRelease = Callable[[Path, Union[Path, None]], Iterator[schema.Row]]
"""Yields a release's rows in our schema, checked: of its file, and of its folder of subtitles."""


@dataclass(frozen=True)
class ReleasedSet:
    """A set that is prepared from its release, with a sample in the package or without one.

    Attributes:
        read: reads the release, and the sample, which has the same form; by default rows of our
            own schema (`videojudge_bench.goldsets.schema`).
        sample_file: name of the sample in `tasks/sample/`, if there is one.
        units: how many questions or pairs the release has, where that is known.
    """

    INFO: GoldSetInfo
    read: ReadRelease | None = None
    sample_file: str | None = None
    units: int | None = None

    def load(self) -> GoldSet:
        """Return the full set if it was prepared on this machine, else the sample.

        Raises:
            NoDataError: there is neither.
            DataError: the data are invalid.
        """
        if not store.contains(self.INFO.name):
            return self.sample
        kept = store.load(self.INFO.name)
        return replace(kept, info=replace(self.INFO, data=kept.info.data))

    @cached_property
    def sample(self) -> GoldSet:
        """The sample, whose gold is a model's; raises NoDataError where there is none."""
        folder = packaged("tasks.sample")
        if self.sample_file is None or not (folder / self.sample_file).is_file():
            raise NoDataError(self.INFO.name, self.INFO.how_to_get)
        rows = self._rows(folder / self.sample_file, folder)
        info = replace(
            self.INFO,
            kind="model",
            licence=SAMPLE_LICENCE,
            source=SAMPLE_SOURCE,
            data=f"sample-{len(rows)}",
        )
        return schema.gold_set(rows, info, folder / "videos")

    def prepare(self, release: Path, videos: Path | None, subtitles: Path | None) -> GoldSet:
        """Put the release into the store and return the set.

        Raises:
            ConfigError: the folder of videos does not exist.
            DataError: the release is invalid.
        """
        rows = self._rows(release, subtitles)
        data = "full" if self.units in (None, len(rows)) else f"part-{len(rows)}"
        info = replace(self.INFO, data=data)
        schema.gold_set(rows, info, videos)  # what could not be read again is not kept
        store.write(info, rows, videos)
        return self.load()

    def _rows(self, release: Path, subtitles: Path | None) -> list[schema.Row]:
        if self.read is None:
            return list(schema.checked_rows(release, self.INFO.shape, self.INFO.scale))
        return list(self.read(release, subtitles))
