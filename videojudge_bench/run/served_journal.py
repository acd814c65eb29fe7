"""The journal of a run without an end: in memory is where a judgement stands, not what it says."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from videojudge_bench.run.journal import Journal, Record, lines_of, record_of
from videojudge_bench.verdicts import Judgement


class ServedJournal(Journal):
    """Journal of rows that are asked for by their key alone: ids of callers need not differ.

    Some 130 bytes of memory a row. A failed judgement is written, and never given back.
    """

    def keep(self, key: str, judgement: Judgement) -> None:
        """Record a judgement that is there already, if another reader made it of its reply."""
        if self.records[key].reader != self._reader:
            self.append(key, judgement)

    def append(self, key: str, judgement: Judgement) -> None:
        """Record one judgement under its key; raises as that of any journal."""
        start = os.lseek(self._file, 0, os.SEEK_END)
        super().append(key, judgement)
        if not judgement.failed:
            self._places.add(key, self._path, start)

    def _read(self) -> None:
        self._last = {}
        self.records = self._places = _Places()
        for path in sorted(self.folder.glob("judgements-*.jsonl")):
            for start, key, record in lines_of(path):
                if not record.judgement.failed:
                    self._places.add(key, path, start)

    def _note(self, key: str, record: Record) -> None:
        """Records are read from the file."""


class _Places(Mapping[str, Record]):
    """Records by key, each read when it is asked for."""

    def __init__(self) -> None:
        self._paths: list[Path] = []
        self._places: dict[bytes, int] = {}

    def add(self, key: str, path: Path, start: int) -> None:
        """Note the byte at which a record begins; a later one of the same key replaces it."""
        if path not in self._paths:
            self._paths.append(path)
        with suppress(ValueError):  # no key of ours: a damaged line
            self._places[bytes.fromhex(key)] = start << 16 | self._paths.index(path)

    def __getitem__(self, key: str) -> Record:
        place = self._places[bytes.fromhex(key)]
        with self._paths[place & 0xFFFF].open("rb") as file:
            file.seek(place >> 16)
            return record_of(file.readline())[1]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and bytes.fromhex(key) in self._places

    def __iter__(self) -> Iterator[str]:
        return (key.hex() for key in self._places)

    def __len__(self) -> int:
        return len(self._places)
