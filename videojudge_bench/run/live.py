"""Runs whose items come one batch after another: those of a server, and of a reward function."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import cached_property
from pathlib import Path

from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.registry import BuiltJudge
from videojudge_bench.run._early_replies import EarlyReplies
from videojudge_bench.run.journal import Journal
from videojudge_bench.run.plan import AnyItem, RunOptions
from videojudge_bench.run.runner import Run
from videojudge_bench.run.served_journal import ServedJournal
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement


class LiveRun(Run):
    """A judge that is asked about items as they come; without `journal`, none is kept.

    Use it as a context manager, which opens the journal, and close it in the thread that opened it.
    Only one thread at a time may judge.

    Raises:
        ConfigError: the judge learns from a whole gold set.
        JournalBusyError: on entering, when another process writes the same journal.
    """

    def __init__(self, built: BuiltJudge, journal: Path | None = None, *, rank: int = 0) -> None:
        info = GoldSetInfo(
            name="served", title="served rows", kind="none", shape="ratings", licence="not stated",
            source="", how_to_get="", scale=built.judge.scale or RatingScale(),
        )  # fmt: skip
        options = RunOptions(references="all", journal=journal, scope="served", rank=rank)
        super().__init__(built, _OpenSet(info, ()), options)
        if self.refusal is not None:
            raise ConfigError(self.refusal)
        self.tell_scale()
        self._stack = ExitStack()
        self._journal: Journal = _NoJournal()
        self._served: list[Mapping[str, str]] = []

    def __enter__(self) -> LiveRun:
        if self.options.journal is not None:
            rank, reader = self.options.rank, self.built.judge.reader_version
            journal = ServedJournal(self.folder, rank=rank, reader=reader)
            self._journal = self._stack.enter_context(journal)
            self._served = journal.servers()
            self._write_facts(journal)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def judge_batch(self, items: Mapping[str, AnyItem]) -> dict[str, Judgement]:
        """Return a judgement for each item by its id, from the journal where it has one.

        Raises:
            ConfigError: the judge finds that its options cannot work.
            RunStoppedError: the journal cannot be written.
        """
        visible = {item_id: self.built.judge.visible(item) for item_id, item in items.items()}
        return self.judge_items(self._journal, visible, self.unsuited(visible))

    def _refusal(self) -> str | None:
        judge = self.built.judge
        if not (judge.learns_from_set or judge.fits_on_videos):
            return None
        return (
            f"judge {self.built.name} learns from a whole gold set before it judges, and here rows "
            "come one after another; give a judge whose verdict depends on the row alone"
        )

    def _fit(self) -> None:
        """There is nothing to learn from; a judge that needs it is refused."""

    def _early_replies(
        self, journal: Journal, keys: Mapping[str, str]
    ) -> AbstractContextManager[EarlyReplies | None]:
        if self.options.journal is None:
            return nullcontext()
        return super()._early_replies(journal, keys)

    def _ask(self, items: Sequence[AnyItem], *, done: int) -> Iterator[Judgement]:
        return self._checked(items)

    @property
    def _videos_place(self) -> str:
        return "in the folder of videos (links that lead out of it do not count)"


class _OpenSet(GoldSet):
    """Items that are not known yet, with as many references as they will have."""

    def __post_init__(self) -> None:
        """There is no item to check."""

    @cached_property
    def max_references(self) -> int:
        return sys.maxsize


class _NoJournal(Journal):
    """Journal of a run that is not asked to keep one."""

    def __init__(self) -> None:
        self.records = {}

    def keep(self, key: str, judgement: Judgement) -> None:
        """Leave out what would be kept."""

    def append(self, key: str, judgement: Judgement) -> None:
        """Leave out what would be added."""

    def write_run(self, facts: Mapping[str, Json]) -> None:
        """Leave out what would be written."""
