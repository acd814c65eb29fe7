"""Items of one run, or of two, as compact JSON, worst disagreements first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from videojudge_bench._util.hashing import Json
from videojudge_bench.items import Example, Item
from videojudge_bench.leaderboard.comparing import both_disagreements
from videojudge_bench.leaderboard.opening import OpenRun
from videojudge_bench.leaderboard.shown import gold_text, verdict_text
from videojudge_bench.metrics.disagreement import disagreements
from videojudge_bench.verdicts import Judgement, Unparsed

MOST_CHARACTERS = 4_000
LEAST_CHARACTERS = 400
ALL_CHARACTERS = 20_000_000
"""Of all replies and responses of a page together, so that it opens at once."""

Far = Mapping[str, float]


def disagreements_of(runs: Sequence[OpenRun]) -> list[Far]:
    """Return how far each run is from gold, by item id; of two runs in the same measure."""
    if len(runs) == 2:
        return list(both_disagreements(runs[0], runs[1]))
    run = runs[0]
    return [disagreements(run.gold_set, run.judgements, on_scale=run.record.on_scale)]


def worst_first(runs: Sequence[OpenRun], far: Sequence[Far]) -> list[str]:
    """Return the ids of all items that were asked, those farthest from gold first.

    Of two runs the farther one counts. Items without a verdict come last.
    """
    asked = {item_id for run in runs for item_id in run.judgements}
    worst = {i: max((d[i] for d in far if i in d), default=-1.0) for i in asked}
    return sorted(asked, key=lambda item_id: (-worst[item_id], item_id))


def cut(text: str, most: int) -> str:
    """Return a text, or its beginning and a note of how long it is."""
    if len(text) <= most:
        return text
    return f"{text[:most]}\n… [cut: {len(text):,} characters, the first {most:,} are shown]"


def payload(runs: Sequence[OpenRun], far: Sequence[Far], order: Sequence[str]) -> dict[str, Json]:
    """Return the data of the items on the page.

    `groups`: [video id, instruction, references, description] of each group; `items`: [id, group,
    response or both of a pair, gold, labels, unit, then per run null or [verdict, disagreement or
    null, reply, reason or "", probabilities]].
    """
    by_id = runs[0].gold_set.by_id
    most = _most_characters(runs, order)
    groups: dict[tuple[str, str], int] = {}
    group_cells: list[Json] = []
    items: list[Json] = []
    units: dict[str, int] = {}
    for item_id in order:
        example = by_id[item_id]
        if example.item.group not in groups:
            groups[example.item.group] = len(groups)
            group_cells.append(_group(example, runs[0].record.references, most))
        system = {"system": example.system} if example.system else {}
        labels = [*system.items(), *example.labels.items()]
        items.append(
            [
                item_id,
                groups[example.item.group],
                [cut(text, most) for text in _responses(example)],
                gold_text(example.gold),
                ", ".join(f"{name}: {value}" for name, value in labels),
                units.setdefault(example.unit, len(units)),
                *(
                    _cell(run.judgements.get(item_id), distances.get(item_id), most)
                    for run, distances in zip(runs, far, strict=True)
                ),
            ]
        )
    return {"groups": group_cells, "items": items}


def _responses(example: Example) -> list[str]:
    item = example.item
    return [item.response] if isinstance(item, Item) else [item.first, item.second]


def _group(example: Example, references: int, most: int) -> Json:
    item = example.item
    texts: list[Json] = [cut(text, most) for text in item.references[:references]]
    return [item.video_id, cut(item.instruction, most), texts, cut(item.description or "", most)]


def _cell(judgement: Judgement | None, far: float | None, most: int) -> Json:
    if judgement is None:
        return None
    verdict = judgement.verdict
    reason = cut(verdict.reason, most) if isinstance(verdict, Unparsed) else ""
    return [
        verdict_text(verdict),
        None if far is None else round(far, 4),
        cut(judgement.reply, most),
        reason,
        {name: round(p, 4) for name, p in judgement.probabilities.items()},
    ]


def _most_characters(runs: Sequence[OpenRun], order: Sequence[str]) -> int:
    """Return the length at which texts are cut, which many long texts lower."""
    by_id = runs[0].gold_set.by_id
    total = sum(
        min(len(text), MOST_CHARACTERS)
        for item_id in order
        for text in (
            *_responses(by_id[item_id]),
            *(r.judgements[item_id].reply for r in runs if item_id in r.judgements),
        )
    )
    if total <= ALL_CHARACTERS:
        return MOST_CHARACTERS
    return max(LEAST_CHARACTERS, MOST_CHARACTERS * ALL_CHARACTERS // total)
