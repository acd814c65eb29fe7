"""Judges for the tests of the server: waiting for a file, breaking, rating by all fields."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from videojudge_bench import Item, Judge, Judgement, Pair, Rating
from videojudge_bench._util.hashing import unit_interval


class Gated(Judge):
    """Rates by length, once a file is there; writes down the batches that it is given."""

    scale = None
    unsigned = frozenset({"gate", "log"})

    def __init__(self, gate: str, log: str) -> None:
        self._gate, self._log = Path(gate), Path(log)

    def judge(self, items: Iterable[Item | Pair]) -> Iterator[Judgement]:
        batch = list(items)
        with self._log.open("a", encoding="utf-8") as log:
            log.write(" ".join(item.id for item in batch) + "\n")
        while not self._gate.exists():
            time.sleep(0.01)
        for item in batch:
            assert isinstance(item, Item)
            yield Judgement(item.id, Rating(len(item.response)))


class Watches(Judge):
    """Requires a video, and says how many bytes it has."""

    requires = frozenset({"video"})
    scale = None

    def rate(self, item: Item) -> Rating:
        assert item.video is not None
        if not item.video.stat().st_size:
            raise ValueError(f"{item.video} is broken")
        return Rating(item.video.stat().st_size)


class Names(Judge):
    """Rates by the number of the process that judges."""

    scale = None

    def rate(self, item: Item) -> Rating:
        if item.response == "break":
            raise ValueError("it was told to")
        return Rating(os.getpid())


class Fields(Judge):
    """Rates 1 to 5, another number for any other field; breaks on an answer that says so."""

    requires = frozenset({"references"})

    def rate(self, item: Item) -> Rating:
        if item.response == "break":
            raise ValueError("broken")
        fields = (item.instruction, item.response, *item.references)
        return Rating(1 + 4 * unit_interval(*fields))
