"""The leaderboard by groups of items: question types, topics, durations, systems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from videojudge_bench import metrics
from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import UnknownNameError
from videojudge_bench.goldsets.labels import groups_of, label_names
from videojudge_bench.leaderboard.opening import OpenRun
from videojudge_bench.leaderboard.tables import columns_of, title_of
from videojudge_bench.metrics import Metric, ScoreCard
from videojudge_bench.metrics.card import TOO_FEW_VIDEOS

SYSTEM = "system"


@dataclass(frozen=True)
class GroupRow:
    """The numbers of one run on one group of items."""

    run: OpenRun
    label: str
    value: str
    n_videos: int
    card: ScoreCard

    def to_json(self) -> dict[str, Json]:
        """Return the row as a flat object; the numbers come last."""
        return {
            "gold_set": self.run.info.name,
            "data": self.run.info.data,
            "judge": self.run.name,
            "references": self.run.record.references,
            "part": self.run.record.part,
            "label": self.label,
            "value": self.value,
            "n_videos": self.n_videos,
            **self.card.numbers(),
        }

    def cells(self, columns: Sequence[str]) -> list[str]:
        """Return the row as text: group, judge, references, items, videos, then the metrics."""
        counts = (self.run.record.references, self.card.n, self.n_videos)
        metrics = self.card.metrics
        cells = [cell_of(metrics[key]) for key in columns if key in metrics]
        covered = "undefined" if self.card.coverage is None else f"{self.card.coverage:.3f}"
        return [self.value, self.run.name, *map(str, counts), *cells, covered]


def with_label(runs: Sequence[OpenRun], label: str) -> list[OpenRun]:
    """Return the runs on sets that have a label; raises UnknownNameError if no set has it."""
    names = {id(run.gold_set): label_names(run.gold_set) for run in runs}
    kept = [run for run in runs if label in names[id(run.gold_set)]]
    if not kept:
        known = {name for labels in names.values() for name in labels}
        tasks = ", ".join(sorted({run.info.task for run in runs}))
        raise UnknownNameError(f"label of {tasks}", label, known)
    return kept


def group_rows(runs: Iterable[OpenRun], label: str, *, resamples: int = 10_000) -> list[GroupRow]:
    """Return a row for each run and group, in the order of the groups, then of the runs.

    Raises as `goldsets.labels.groups_of`.
    """
    rows: list[GroupRow] = []
    order: dict[str, int] = {}
    for run in runs:
        groups = groups_of(run.gold_set, label)
        order = {value: place for place, value in enumerate(groups)}
        cards = metrics.by_label(run.measurement, run.judgements, label, resamples=resamples)
        for value, card in cards.items():
            asked = groups[value] & run.judgements.keys()
            videos = len({run.gold_set.by_id[i].item.video_id for i in asked})
            rows.append(GroupRow(run, label, value, videos, card))
    return sorted(rows, key=lambda row: order[row.value])


def text_tables(
    runs: Sequence[OpenRun], rows: Sequence[GroupRow], resamples: int
) -> Iterator[tuple[str, tuple[str, ...], list[list[str]]]]:
    """Yield title, head and cells of a table of groups, and of one of the answering systems.

    Args:
        runs: on one form of one set.
        rows: as `group_rows` returns them for these runs.
        resamples: of videos, for the intervals of the systems.
    """
    info, label = runs[0].info, rows[0].label
    columns = [key for key in columns_of(info) if key in rows[0].card.metrics]
    head = (label, "judge", "refs", "n", "videos", *columns, "coverage")
    yield f"{title_of(info)}; by {label}", head, [row.cells(columns) for row in rows]
    if label != SYSTEM or not info.systems:
        return
    lines = [
        [
            run.name,
            str(run.record.references),
            means.system,
            str(means.n),
            cell_of(means.gold),
            cell_of(means.judge),
            str(means.gold_rank),
            str(means.judge_rank),
        ]
        for run in runs
        for means in metrics.by_system(
            run.gold_set, run.judgements, part=run.record.part, resamples=resamples
        )
    ]
    head = ("judge", "refs", "system", "n", "mean gold", "mean of judge", "gold rank", "judge rank")
    yield "The answering systems, best gold first", head, lines


def cell_of(metric: Metric) -> str:
    """Return a metric as text, three places and its interval, with `*` for too few videos."""
    if metric.value is None:
        return "undefined"
    return f"{metric} *" if metric.no_interval == TOO_FEW_VIDEOS else str(metric)


FEW = f"* {TOO_FEW_VIDEOS}: no interval"
