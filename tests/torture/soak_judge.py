"""A judge that costs nothing, writes down what it is asked about, and breaks when told to."""

from __future__ import annotations

import os

from videojudge_bench import Item, Judge, Rating, Unparsed

BREAKS, NOTHING = "break", "say nothing"
"""Answers at which it raises, and of which it makes no score."""


class Counts(Judge):
    """Rates by length; each call is a line of a file, there before the verdict."""

    scale = None
    unsigned = frozenset({"log"})

    def __init__(self, log: str) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def rate(self, item: Item) -> Rating | Unparsed:
        os.write(self._log, f"{item.id}\n".encode())
        if item.response == BREAKS:
            raise ValueError("it was told to")
        if item.response == NOTHING:
            return Unparsed("nothing to say")
        return Rating(len(item.response))
