"""The journal of a run without an end: in memory is where a judgement stands, not what it says."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from videojudge_bench.run.journal import Journal, Record, lines_of, record_of
from videojudge_bench.verdicts import Judgement

_MERGED_AT_ONCE = 4096
_FILE_BITS = 16


class ServedJournal(Journal):
    """Journal of rows that are asked for by their key alone: ids of callers need not differ.

    16 bytes of memory a row. A failed judgement is written, and never given back.
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
    """Records by key, each read when it is asked for.

    A key is known by its first 16 digits, and a record by its file and its first byte there: in two
    sorted arrays, and the latest in a dictionary.
    """

    def __init__(self) -> None:
        self._paths: list[Path] = []
        self._keys, self._places = _array(()), _array(())
        self._latest: dict[int, int] = {}

    def add(self, key: str, path: Path, start: int) -> None:
        """Note where a record begins; a later one of the same key replaces it."""
        if path not in self._paths:
            self._paths.append(path)
        with suppress(ValueError):  # no key of ours: a damaged line
            self._latest[_number(key)] = start << _FILE_BITS | self._paths.index(path)
        if len(self._latest) == _MERGED_AT_ONCE:
            self._merge()

    def __getitem__(self, key: str) -> Record:
        number = _number(key)
        place = self._latest.get(number)
        if place is None:
            # Of equal keys the last one, which is the latest.
            at = int(np.searchsorted(self._keys, np.uint64(number), side="right")) - 1
            if at < 0 or self._keys[at] != number:
                raise KeyError(key)
            place = int(self._places[at])
        with self._paths[place & (1 << _FILE_BITS) - 1].open("rb") as file:
            file.seek(place >> _FILE_BITS)
            read, record = record_of(file.readline())
        if read != key:
            raise KeyError(key)
        return record

    def __iter__(self) -> Iterator[str]:
        raise TypeError("keys are not kept in full")

    def __len__(self) -> int:
        return len(self._keys) + len(self._latest)

    def _merge(self) -> None:
        keys = np.concatenate([self._keys, _array(self._latest.keys())])
        order = np.argsort(keys, kind="stable")
        places = np.concatenate([self._places, _array(self._latest.values())])
        self._keys, self._places = keys[order], places[order]
        self._latest.clear()


def _number(key: str) -> int:
    return int(key[:16], 16)


def _array(numbers: Collection[int]) -> NDArray[np.uint64]:
    return np.fromiter(numbers, np.uint64, len(numbers))
