"""Verdicts for rows, shared by the server and the reward functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from videojudge_bench._util.hashing import Json
from videojudge_bench.answers.reading import AnswerRow, Answers, Unit, units_of
from videojudge_bench.answers.verdict_lines import line_of
from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.items import Item
from videojudge_bench.judge import Ability
from videojudge_bench.registry import BuiltJudge
from videojudge_bench.run.live import LiveRun
from videojudge_bench.serving.queue import AnyItem, Batch, JudgeQueue, RowQueue
from videojudge_bench.serving.videos import VideoFolder
from videojudge_bench.verdicts import Judgement, Unparsed
from videojudge_bench.version import __version__

Line = dict[str, Json]

_PROBE = Item("", "", "", "", description="a description", video=Path("a file"))


@dataclass(frozen=True)
class Limits:
    """Limits of a server; each is said in the error of what exceeds it.

    Attributes:
        body_bytes: of a request.
        rows: of a request.
        row_characters: of all texts of a row together; a longer row is answered `unparsed`.
        waiting_rows: of all requests.
        batch_rows: that are judged together.
        linger_seconds: a batch begins when so long no further row has come.

    Raises:
        ConfigError: a limit is below 1, or a request could never find room.
    """

    body_bytes: int = 16 << 20
    rows: int = 1024
    row_characters: int = 1 << 20
    waiting_rows: int = 8192
    batch_rows: int = 256
    linger_seconds: float = 0.005

    def __post_init__(self) -> None:
        least = min(self.body_bytes, self.rows, self.row_characters, self.batch_rows)
        if least < 1 or self.waiting_rows < self.rows:
            raise ConfigError(
                "expected limits from 1 up, and room for as many waiting rows as a request may "
                f"have, got {self}"
            )


class JudgeService:
    """A judge that answers rows of many callers. Use it as a context manager.

    Raises:
        ConfigError: the judge cannot judge single rows, or there is no such folder.
        JournalBusyError: on entering, when another process writes the same journal.
    """

    def __init__(
        self,
        built: BuiltJudge,
        *,
        videos: Path | None = None,
        journal: Path | None = None,
        limits: Limits | None = None,
        on_batch: Callable[[Batch], None] = lambda _: None,
        rank: int = 0,
        queue: RowQueue | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.run = LiveRun(built, journal, rank=rank)
        self.queue = queue or JudgeQueue(
            self.run.judge_batch,
            room=self.limits.waiting_rows,
            batch_rows=self.limits.batch_rows,
            linger_seconds=self.limits.linger_seconds,
            on_batch=on_batch,
        )
        self._videos = VideoFolder(videos)
        self._stack = ExitStack()

    def __enter__(self) -> JudgeService:
        with ExitStack() as undo:
            undo.callback(self.run.built.judge.close)
            undo.enter_context(self.run)
            undo.enter_context(self.queue)
            self._stack = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def about(self) -> Line:
        """Return what a client needs to know of the judge and of the limits."""
        judge, identity = self.run.built.judge, self.run.identity
        scale = self.run.scale
        return {
            "judge": self.run.built.name,
            "identity": identity.hash,
            "settings": dict(identity.settings),
            "source": identity.source,
            "files": [list(file) for file in identity.files],
            "reader": identity.reader_version,
            "requires": sorted(judge.requires),
            "abilities": sorted(judge.abilities),
            "scale": None if scale is None else [scale.low, scale.high],
            "takes_scale": judge.takes_scale,
            "shows_video": judge.visible(_PROBE).video is not None,
            "max_rows": self.limits.rows,
            "max_body_bytes": self.limits.body_bytes,
            "videojudge_bench": __version__,
        }

    def score(self, rows: Sequence[AnswerRow]) -> Answering:
        """Begin to rate single answers.

        Raises:
            ConfigError: the judge cannot.
            DataError: a row that is a pair, or names a video by a URL.
            QueueFullError: no room.
        """
        return self._begin("rate", rows, lambda unit: unit)

    def prefer(self, rows: Sequence[AnswerRow], *, both_orders: bool = True) -> Answering:
        """Begin to compare pairs of answers, in both orders or in a, b alone; raises as `score`."""
        return self._begin("prefer", rows, (lambda unit: unit) if both_orders else _in_one_order)

    def _begin(
        self, ability: Ability, rows: Sequence[AnswerRow], form: Callable[[Unit], Unit]
    ) -> Answering:
        built = self.run.built
        if ability not in built.judge.abilities:
            raise ConfigError(f"judge {built.name} cannot {ability}")
        self._check(rows, pairs=ability == "prefer")
        units = (
            [form(u) for u in units_of(Answers("rows", tuple(rows), None), None)] if rows else []
        )
        units = [self._limited(unit, row) for unit, row in zip(units, rows, strict=True)]
        items: list[AnyItem] = []
        for unit, row in zip(units, rows, strict=True):
            asked = {example.item.id: example.item for example in unit.examples}
            video = self._videos.find(row.video_id, row.video) if unit.item_ids else None
            items += [replace(asked[item_id], video=video) for item_id in unit.item_ids]
        return Answering(units, self.queue.submit(items), self._without_paths)

    def _check(self, rows: Sequence[AnswerRow], *, pairs: bool) -> None:
        for number, row in enumerate(rows):
            if row.is_pair != pairs:
                expected = ("response", "response_a and response_b")[pairs]
                problem = f"expected {expected}; pairs go to /v1/prefer, answers to /v1/score"
            elif row.video is not None and "://" in row.video:
                problem = (
                    "expected the path of a file in the folder of videos, got a URL; put the file "
                    "into the folder"
                )
            else:
                continue
            raise DataError(problem, path="request", field=f"rows[{number}]")

    def _limited(self, unit: Unit, row: AnswerRow) -> Unit:
        texts = (row.instruction, row.description or "", *row.texts, *row.references)
        size = sum(map(len, texts)) + sum(len(subtitle.text) for subtitle in row.subtitles)
        most = self.limits.row_characters
        if size <= most:
            return unit
        return replace(unit, refused=f"row too long: {size} characters; up to {most} are judged")

    def _without_paths(self, judgement: Judgement) -> Judgement:
        if not isinstance(judgement.verdict, Unparsed):
            return judgement
        reason = self._videos.without_paths(judgement.verdict.reason)
        return replace(judgement, verdict=Unparsed(reason))


@dataclass(frozen=True)
class Answering:
    """Rows that are being judged; cancel `future` when the client has gone."""

    units: Sequence[Unit]
    future: Future[list[Judgement]]
    for_client: Callable[[Judgement], Judgement]

    def lines(self) -> list[Line]:
        """Wait, and return the line of each row, as `videojudge judge` writes it.

        `failed` is true where the judge broke on the row or the row lacks what it requires: asked
        again, it is judged again.

        Raises:
            VideoJudgeError: nothing could be judged.
        """
        judgements = map(self.for_client, self.future.result())
        return [
            self._line(unit, dict(zip(unit.item_ids, judgements, strict=False)))
            for unit in self.units
        ]

    def _line(self, unit: Unit, judgements: Mapping[str, Judgement]) -> Line:
        line = line_of(unit, judgements)
        assert line is not None  # every item has its judgement
        if any(judgement.failed for judgement in judgements.values()):
            line["failed"] = True
        return line


def _in_one_order(unit: Unit) -> Unit:
    first = unit.examples[0]
    only = replace(first, item=replace(first.item, id=unit.id))
    return replace(unit, examples=(only,), identical=False)
