"""What travels with a checkpoint: the rows that it comes from, and what they overlap with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import DataError
from videojudge_bench.training.bootstrap.run_folder import COUNTS_FILE, FACTS_FILE


@dataclass(frozen=True)
class Facts:
    """What is known of a trained model beside its recipe.

    Attributes:
        data_hash: of the rows of all stages.
        overlap: gold sets whose videos or texts are among the rows.
        stages: what `done.json` says, by stage.
        made_by: the models that wrote and rated the rows' responses, where that is known.
    """

    data_hash: str
    overlap: tuple[str, ...] = ()
    stages: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    made_by: tuple[str, ...] = ()


def overlaps_of(sources: Iterable[str]) -> tuple[str, ...]:
    """Return the gold sets that rows overlap with, as their bootstrap has noted it.

    A file of rows that lies in a bootstrap's folder, or in `data/` there, counts like the folder.
    Of other files nothing is known.

    Raises:
        DataError: what the bootstrap wrote cannot be read.
    """
    found: set[str] = set()
    for counts in _noted(sources, COUNTS_FILE):
        try:
            named = json.loads(counts.read_bytes()).get("overlap", {})
            found |= {name for name, seeds in named.items() if seeds}
        except (ValueError, AttributeError) as error:
            raise DataError(f"it is not what a bootstrap writes ({error})", path=counts) from error
    return tuple(sorted(found))


def makers_of(sources: Iterable[str]) -> tuple[str, ...]:
    """Return the generators and evaluators of rows, by the names of their models.

    Known as `overlaps_of` knows overlaps; a role that asks no model has no name.

    Raises:
        DataError: what the bootstrap wrote cannot be read.
    """
    found: set[str] = set()
    for facts in _noted(sources, FACTS_FILE):
        try:
            noted = json.loads(facts.read_bytes())
            models = [noted.get(role, {}).get("model") for role in ("generator", "evaluator")]
        except (ValueError, AttributeError) as error:
            raise DataError(f"it is not what a bootstrap writes ({error})", path=facts) from error
        found |= {str(model) for model in models if model}
    return tuple(sorted(found))


def _noted(sources: Iterable[str], file: str) -> Iterator[Path]:
    """Files that bootstraps have written beside rows, of those that have."""
    for source in sources:
        path = Path(source)
        folders = (path, path.parent, path.parent.parent)
        yield from islice((f / file for f in folders if (f / file).is_file()), 1)
