"""The documents of a task, as lmms-eval sees them: light, and the same for model and scoring."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Union, overload

from videojudge_bench._util.options import scalar
from videojudge_bench.goldsets.view import ItemView, References, checked_references, view_of

if TYPE_CHECKING:
    from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
    from videojudge_bench.run.runner import Run

Document = dict[str, Union[str, int]]

REFERENCES_VARIABLE = "VIDEOJUDGE_REFERENCES"
VIDEOS_VARIABLE = "VIDEOJUDGE_VIDEOS"


class Documents(Sequence[Document]):
    """One document per item: its index and id. Gold and text stay in the gold set.

    lmms-eval hands the same object to the model (`task_dict`) and to scoring, so the run that a
    model of ours made is found here by scoring.

    Args:
        info: what is known of the gold set.
        gold_set: the set, or None when its data are not here: then there is one placeholder.
        problem: why there are no data.

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


@dataclass(frozen=True)
class StockSettings:
    """Content of the prompts for stock lmms-eval models.

    A stock model has no options of ours, so these come from the environment:
    `VIDEOJUDGE_REFERENCES` (0, 1, … or all; default 0) and `VIDEOJUDGE_VIDEOS` (a folder).
    """

    references: References = 0
    videos: Path | None = None

    @classmethod
    def from_environment(cls) -> StockSettings:
        """Return the settings; raises ConfigError for a value that is not allowed."""
        text = os.environ.get(REFERENCES_VARIABLE) or "0"
        folder = os.environ.get(VIDEOS_VARIABLE)
        return cls(checked_references(scalar(text)), Path(folder) if folder else None)

    def view(self, gold_set: GoldSet) -> ItemView:
        """Return the items as a stock model's prompts show them."""
        return view_of(gold_set, self.references, self.videos)
