"""A rated set made for tests, and runs on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench._util.options import Scalar
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.items import Example, Item, RatingGold
from videojudge_bench.leaderboard.importing import FoundRun
from videojudge_bench.metrics import Measurement, ScoreCard
from videojudge_bench.verdicts import Judgement, Verdict

RESPONSES = {5: "all of it", 3: "half of it", 1: "nothing at all"}


def board_set(videos: int) -> GoldSet:
    """Return a set of videos with three responses each, rated about 5, 3 and 1 by one person."""
    examples = []
    for number in range(videos):
        video = f"video{number:02}"
        for level, response in RESPONSES.items():
            item = Item(f"{video}/{level}", video, "What happens?", response, ("all of it",))
            rating = level - (unit_interval(item.id) < 0.3) if level > 1 else 1
            examples.append(Example(item, RatingGold((float(rating),)), unit=video))
    info = GoldSetInfo(
        name="tinyboard",
        title="made for tests",
        kind="human",
        shape="ratings",
        licence="CC0-1.0",
        source="tests/measured_runs.py",
        how_to_get="it is made by the tests",
    )
    return GoldSet(info, tuple(examples))


def score(
    gold_set: GoldSet,
    judgements: Mapping[str, Judgement],
    *,
    on_scale: bool,
    part: str = "all",
    resamples: int = 10_000,
    seed: int = 0,
) -> ScoreCard:
    """Return the numbers of a judge."""
    measurement = Measurement(gold_set, on_scale, part)
    return measurement.card(judgements, resamples=resamples, seed=seed)


def found(
    gold_set: GoldSet,
    rate: Callable[[Example], Verdict],
    options: Mapping[str, Scalar] | None = None,
) -> FoundRun:
    """Return a run, on all items, of a judge that is named after its function."""
    name = rate.__name__
    return FoundRun(
        name=name,
        gold_set=gold_set.info.name,
        data=gold_set.info.data,
        references=0,
        part="all",
        on_scale=True,
        judge={"judge": name, **(options or {})},
        judgements={e.item.id: Judgement(e.item.id, rate(e)) for e in gold_set.examples},
    )
