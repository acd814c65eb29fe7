"""What travels with a checkpoint: the rows that it comes from, and what they overlap with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import DataError
from videojudge_bench.training.bootstrap.run_folder import COUNTS_FILE


@dataclass(frozen=True)
class Facts:
    """What is known of a trained model beside its recipe.

    Attributes:
        data_hash: of the rows of all stages.
        overlap: gold sets whose videos or texts are among the rows.
        stages: what `done.json` says, by stage.
    """

    data_hash: str
    overlap: tuple[str, ...] = ()
    stages: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)


def overlaps_of(sources: Iterable[str]) -> tuple[str, ...]:
    """Return the gold sets that rows overlap with, as their bootstrap has noted it.

    A file of rows that lies in a bootstrap's folder, or in `data/` there, counts like the folder.
    Of other files nothing is known.

    Raises:
        DataError: what the bootstrap wrote cannot be read.
    """
    found: set[str] = set()
    for source in sources:
        path = Path(source)
        for folder in (path, path.parent, path.parent.parent):
            counts = folder / COUNTS_FILE
            if counts.is_file():
                found |= _overlap(counts)
                break
    return tuple(sorted(found))


def _overlap(counts: Path) -> set[str]:
    try:
        named = json.loads(counts.read_bytes()).get("overlap", {})
        return {name for name, seeds in named.items() if seeds}
    except (ValueError, AttributeError) as error:
        raise DataError(f"it is not what a bootstrap writes ({error})", path=counts) from error
