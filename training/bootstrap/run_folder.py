"""The folder of a bootstrap, its lock, and its atomic writes.

bootstrap.json      how the data are made: options, models, prompts' hashes; versions
seeds.jsonl         the drawn seeds, one a line, in the order of work
seeds.json          counts: read, dropped and why, drawn, by source
journal/NNNNN.jsonl the replies of a shard of 256 seeds, one a line as they came in
shards/NNNNN.jsonl  the outcomes of the same seeds, in their order; written when all are there

All but the journals are written under another name and renamed.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from videojudge_bench._util.files import cannot_write
from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import DataError
from videojudge_bench.training.bootstrap.contracts import FormT, Outcome, Seed, from_json, to_json
from videojudge_bench.training.owned_folder import owned, read_facts, refuse_change
from videojudge_bench.version import __version__, installed_version

FACTS_FILE, SEEDS_FILE, COUNTS_FILE = "bootstrap.json", "seeds.jsonl", "seeds.json"
SHARD_SEEDS = 256

_PACKAGES = ("lmms-eval", "torch", "transformers", "aiohttp", "numpy", "scikit-learn", "ray")


@dataclass(frozen=True, slots=True)
class Shard:
    """Seeds that are worked on and written together; `offset`: of the first, in bytes."""

    number: int
    offset: int
    seeds: int


class RunFolder:
    """The files of one bootstrap."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def locked(self) -> AbstractContextManager[None]:
        """Keep others from writing to the folder; raises as `owned`."""
        return owned(self.path, FACTS_FILE, "bootstrap")

    def record(self, part: str, values: Mapping[str, Json]) -> None:
        """Record a part of how the data are made.

        Raises:
            ConfigError: an earlier run recorded another one; names what differs.
        """
        facts = self.facts()
        earlier = facts.get(part)
        new = json.loads(json.dumps(values))  # as it is read again: lists for tuples
        if isinstance(earlier, Mapping):
            refuse_change(self.path, earlier, new, part=f"{part}: ")
        if earlier is None:
            self._write_facts({**facts, part: new})

    def note(self, part: str, values: Mapping[str, Json]) -> None:
        """Record what may differ from one run to the next."""
        self._write_facts({**self.facts(), part: values})

    def facts(self) -> dict[str, Json]:
        """Return the content of `bootstrap.json`; the versions here where there is none yet."""
        path = self.path / FACTS_FILE
        if not path.exists():
            versions = {name: installed_version(name) for name in _PACKAGES}
            known = {name: version for name, version in versions.items() if version}
            ours = {"videojudge-bench": __version__, "python": platform.python_version()}
            return {"versions": {**ours, **known}}
        return read_facts(path)

    def _write_facts(self, facts: Mapping[str, Json]) -> None:
        _write_whole(self.path / FACTS_FILE, [json.dumps(facts, indent=1, ensure_ascii=False)])

    def has_seeds(self) -> bool:
        """True if seeds have been drawn."""
        return (self.path / COUNTS_FILE).exists()

    def write_seeds(self, seeds: Iterable[Seed], counts: Mapping[str, Json]) -> None:
        """Write the seeds of a draw, then its counts."""
        _write_whole(self.path / SEEDS_FILE, (_line(to_json(seed)) for seed in seeds))
        _write_whole(self.path / COUNTS_FILE, [json.dumps(counts, indent=1, ensure_ascii=False)])

    def seeds(self, shard: Shard | None = None) -> Iterator[Seed]:
        """Yield the seeds of a shard, or all."""
        path = self.path / SEEDS_FILE
        first = 1 + (SHARD_SEEDS * shard.number if shard else 0)
        with path.open("rb") as file:
            file.seek(shard.offset if shard else 0)
            lines = islice(file, shard.seeds) if shard else file
            for number, line in enumerate(lines, start=first):
                yield _read(Seed, line, path, number)

    def shards(self) -> list[Shard]:
        """Return all shards, in their order."""
        shards: list[Shard] = []
        with (self.path / SEEDS_FILE).open("rb") as file:
            while True:
                offset = file.tell()
                lines = sum(1 for _ in iter(islice(iter(file.readline, b""), SHARD_SEEDS)))
                if lines:
                    shards.append(Shard(len(shards), offset, lines))
                if lines < SHARD_SEEDS:
                    return shards

    def journal_path(self, shard: Shard) -> Path:
        """Return the file of a shard's replies."""
        return self.path / "journal" / f"{shard.number:05}.jsonl"

    def journals(self) -> Iterator[Path]:
        """Yield the files of the replies of all shards."""
        return (self.journal_path(shard) for shard in self.shards())

    def write_outcomes(self, shard: Shard, outcomes: Iterable[Outcome]) -> None:
        """Write the outcomes of a shard's seeds, in their order."""
        _write_whole(self._path(shard), (_line(to_json(outcome)) for outcome in outcomes))

    def has_outcomes(self, shard: Shard) -> bool:
        """Return whether a shard is written."""
        return self._path(shard).exists()

    def outcomes(self, shard: Shard | None = None) -> Iterator[Outcome]:
        """Yield the outcomes of a shard, or of all that are written, in the seeds' order."""
        folder = self.path / "shards"
        for path in [self._path(shard)] if shard else sorted(folder.glob("*.jsonl")):
            with path.open("rb") as file:
                for number, line in enumerate(file, start=1):
                    yield _read(Outcome, line, path, number)

    def _path(self, shard: Shard) -> Path:
        return self.path / "shards" / f"{shard.number:05}.jsonl"


def _read(kind: type[FormT], line: bytes, path: Path, number: int) -> FormT:
    try:
        data = json.loads(line)
    except ValueError as error:
        raise DataError(f"not JSON ({error})", path=path, line=number) from error
    return from_json(kind, data, path=path, line=number)


def _line(data: Mapping[str, Json]) -> str:
    return json.dumps(data, ensure_ascii=False)


def _write_whole(path: Path, lines: Iterable[str]) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            for line in lines:
                file.write(line.encode("utf-8", "surrogatepass") + b"\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        part.unlink(missing_ok=True)
