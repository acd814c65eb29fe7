"""The documents of a task for lmms-eval: light, and the same object for model and scoring."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Union, overload

from videojudge_bench._util.options import scalar
from videojudge_bench.goldsets.view import ItemView, checked_references, view_of

if TYPE_CHECKING:
    from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
    from videojudge_bench.run.runner import Run

Document = dict[str, Union[str, int]]

REFERENCES_VARIABLE = "VIDEOJUDGE_REFERENCES"
VIDEOS_VARIABLE = "VIDEOJUDGE_VIDEOS"


class Documents(Sequence[Document]):
    """One document per item: its index and id. Gold and text stay in the gold set.

    lmms-eval passes the same object to the model (`task_dict`) and to scoring, so it carries the
    run of our model to scoring.

    Without the data of the gold set, because of `problem`, there is one placeholder.

    Attributes:
        run: the run of our model, once it has begun; None under a stock model.
    """

    features: Mapping[str, type] = MappingProxyType({"index": int, "id": str})

    def __init__(self, info: GoldSetInfo, gold_set: GoldSet | None, problem: str = "") -> None:
        self.info, self.gold_set, self.problem = info, gold_set, problem
        self.run: Run | None = None
        self._ids = [e.item.id for e in gold_set.examples] if gold_set else ["no data"]

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, index: int) -> Document: ...
    @overload
    def __getitem__(self, index: slice) -> list[Document]: ...
    def __getitem__(self, index: int | slice) -> Document | list[Document]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return {"index": range(len(self))[index], "id": self._ids[index]}

    def __iter__(self) -> Iterator[Document]:
        return (self[i] for i in range(len(self)))


def stock_view(gold_set: GoldSet) -> ItemView:
    """Return the items as the prompts of stock lmms-eval models show them.

    A stock model has no options of ours, so they come from the environment: `VIDEOJUDGE_REFERENCES`
    (0, 1, … or all; default 0) and `VIDEOJUDGE_VIDEOS` (a folder).

    Raises:
        ConfigError: the value of a variable is not allowed.
    """
    references = checked_references(scalar(os.environ.get(REFERENCES_VARIABLE) or "0"))
    folder = os.environ.get(VIDEOS_VARIABLE)
    return view_of(gold_set, references, Path(folder) if folder else None)
