"""Measures of judges in the small world, and the page about a finished loop."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Union

from videojudge_bench import goldsets, registry
from videojudge_bench._util import charts
from videojudge_bench._util.charts import Bar
from videojudge_bench._util.files import write_whole
from videojudge_bench._util.hashing import Json
from videojudge_bench._util.markdown import table
from videojudge_bench._util.options import Scalar
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Item, RatingGold
from videojudge_bench.metrics import Measurement, by_label
from videojudge_bench.metrics.bootstrap import Resampling
from videojudge_bench.metrics.card import Metric
from videojudge_bench.metrics.paired import difference_interval
from videojudge_bench.run.runner import Run, RunOptions
from videojudge_bench.training.experiments.experiment import cell
from videojudge_bench.training.small_world.loop import GOLD_SET, LoopFolder, judges_of, own_home
from videojudge_bench.training.small_world.world import BEST, KINDS
from videojudge_bench.verdicts import Judgement, Rating, Unparsed

KIND = "kind"
ALL = "all"

_ENOUGH = 10  # responses needed to fit four words and a constant
Judgements = Mapping[str, Judgement]


Number = Sequence[Union[float, None]]  # value, low and high; None where they are undefined
ByKind = Mapping[str, Number]
"""Numbers of all items and by kind of question, or by the rating that is deserved."""


def rounded(tables: Mapping[str, ByKind]) -> dict[str, dict[str, list[Json]]]:
    """Return numbers to four decimals, as files have them."""
    return {
        name: {
            key: [None if part is None else round(part, 4) for part in number]
            for key, number in row.items()
        }
        for name, row in tables.items()
    }


def judged(gold_set: GoldSet, options: Mapping[str, Scalar], journal: Path) -> dict[str, Judgement]:
    """Return a judge's verdicts on a set, from the journal if they are there."""
    own = {name: value for name, value in options.items() if name != "judge"}
    built = registry.build(str(options["judge"]), own)
    try:
        return Run(built, gold_set, RunOptions(journal=journal)).judge(list(gold_set.by_id))
    finally:
        built.judge.close()


def numbers(
    gold_set: GoldSet, judgements: Judgements, key: str, *, resamples: int = 2_000
) -> dict[str, Number]:
    """Return a metric, or `coverage`, of all items and by kind of question."""
    drawn = 1 if key == "coverage" else resamples
    measurement = Measurement(gold_set)
    kinds = by_label(measurement, judgements, KIND, resamples=drawn)
    cards = {ALL: measurement.card(judgements, resamples=drawn), **kinds}
    if key == "coverage":
        return {kind: (card.coverage, None, None) for kind, card in cards.items()}
    return {kind: _number_of(card.metrics[key]) for kind, card in cards.items()}


def errors_by_rating(
    gold_set: GoldSet, judgements: Judgements, *, resamples: int = 2_000
) -> dict[str, Number]:
    """Return by deserved rating the mean of verdict minus rating, in points of the scale.

    A judge in doubt stays near the middle, so all of them are above at 1 and below at 5.
    """
    by_rating: dict[str, Number] = {}
    for rating in gold_set.info.scale.values:
        of_it = {i: j for i, j in judgements.items() if _deserved(gold_set, i) == rating}
        card = Measurement(gold_set).card(of_it, resamples=resamples)
        by_rating[f"{rating:g}"] = _number_of(card.metrics["bias"])
    return by_rating


def points_of_words(
    gold_set: GoldSet, judgements: Judgements
) -> dict[str, tuple[float, ...] | None]:
    """Return by kind of question by how many points each right word raises the verdict.

    Least squares of the ratings on which of a response's four words are right, first to last. A
    judge that checks all of them gives about 1 to each, and 0 to one that it does not check. A
    question's right answer is its response that deserves a 5. None with fewer than ten ratings.
    """
    import numpy as np

    asked = {i: example.item for i, example in gold_set.by_id.items()
             if isinstance(example.item, Item)}  # fmt: skip
    right = {
        (item.video_id, item.instruction): item.response.split()
        for item_id, item in asked.items()
        if _deserved(gold_set, item_id) == BEST
    }
    by_kind: dict[str, tuple[float, ...] | None] = {}
    for kind in KINDS:
        rows, values = [], []
        for item_id, judgement in judgements.items():
            item, verdict = asked[item_id], judgement.verdict
            if gold_set.by_id[item_id].labels.get(KIND) == kind and isinstance(verdict, Rating):
                words = zip(
                    right[item.video_id, item.instruction], item.response.split(), strict=True
                )
                rows.append([1.0, *(float(a == b) for a, b in words)])
                values.append(verdict.value)
        if len(rows) < _ENOUGH:
            by_kind[kind] = None
            continue
        fitted = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0]
        by_kind[kind] = tuple(float(points) for points in fitted[1:])
    return by_kind


def differences(
    gold_set: GoldSet, a: Judgements, b: Judgements, key: str, *, resamples: int = 2_000
) -> dict[str, Number]:
    """Return a statistic of `a` minus that of `b`, paired by video, of all items and by kind.

    On the items on which both have a verdict, so that it need not be the difference of `numbers`.
    """
    both = [
        i for i in a if i in b and not any(isinstance(of[i].verdict, Unparsed) for of in (a, b))
    ]
    measurement = Measurement(gold_set)
    by_kind: dict[str, Number] = dict.fromkeys((ALL, *KINDS), (None, None, None))
    for kind in by_kind:
        ids = [i for i in both if kind in (ALL, gold_set.by_id[i].labels.get(KIND))]
        one, other = ({i: of[i] for i in ids} for of in (a, b))
        cards = [measurement.card(j, resamples=1) for j in (one, other) if ids]
        values = [v for card in cards if (v := card.metrics[key].value) is not None]
        if len(values) == 2:
            interval = difference_interval(
                gold_set, one, other, statistic=key, resampling=Resampling(resamples)
            )
            low, high = interval or (None, None)
            by_kind[kind] = (values[0] - values[1], low, high)
    return by_kind


def _number_of(metric: Metric) -> Number:
    return (metric.value, metric.low, metric.high)


def _deserved(gold_set: GoldSet, item_id: str) -> float:
    gold = gold_set.by_id[item_id].gold
    assert isinstance(gold, RatingGold), "what is deserved is a rating here"
    return gold.mean


_WHAT = (
    "Their colours, shapes and counts go together as in no video of the training. A working scale "
    "model, and no claim about real video. Intervals are 95 %, by resampling videos."
)
_TITLES = {
    "spearman": "Spearman with the rating that is deserved",
    "mae": "Mean absolute error, in points of the scale",
    "acc_eq": "Pairwise accuracy inside a question, with ties",
    "coverage": "Share of the responses that got a verdict",
    "differences": "Does it look? Spearman of the trained judge less another's, where both gave a "
    "verdict",
}
_LESS = ("blind", "shuffled")
_PLACES = ("first", "second", "third", "fourth")
_PICTURES = ("![Spearman](spearman.svg)", "", "![Confusion](confusion.svg)")


def summarise(loop: LoopFolder, output: Path) -> Path:
    """Write `README.md`, `numbers.json` and plots of a finished loop; return the first."""
    with own_home(loop):
        gold_set = goldsets.load(GOLD_SET)
        verdicts = {
            name: judged(gold_set, options, loop.journal)
            for name, options in judges_of(loop).items()
        }
        trained = verdicts["trained"]
        tables: dict[str, Mapping[str, ByKind]] = {
            key: {name: numbers(gold_set, j, key) for name, j in verdicts.items()}
            for key in ("spearman", "mae", "acc_eq", "coverage")
        }
        tables["differences"] = {
            f"trained less {name}": differences(gold_set, trained, verdicts[name], "spearman")
            for name in _LESS
        }
        words = points_of_words(gold_set, trained)
        confusion = Measurement(gold_set).card(trained, resamples=1).confusion or ()
    output.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Json] = {
        "items": len(gold_set.examples),
        **{key: rounded(of_judges) for key, of_judges in tables.items()},
        "points_of_words": {
            kind: None if points is None else [round(p, 3) for p in points]
            for kind, points in words.items()
        },
        "confusion": [list(row) for row in confusion],
    }
    write_whole(output / "numbers.json", json.dumps(figures, indent=1) + "\n")
    _draw(output, tables["spearman"], confusion)
    page = output / "README.md"
    lines = [*_lines(len(gold_set.examples), tables), *_words(words), *_PICTURES]
    write_whole(page, "\n".join(lines) + "\n")
    return page


def _draw(
    output: Path, judges: Mapping[str, ByKind], confusion: tuple[tuple[int, ...], ...]
) -> None:
    bars = [
        Bar(f"{name}, {kind}", row[kind][0] or 0.0, row[kind][1], row[kind][2], "judge")
        for kind in (ALL, *KINDS)
        for name, row in judges.items()
    ]
    levels = [str(level) for level in range(1, len(confusion) + 1)]
    drawings = {
        "spearman": charts.intervals(bars, "Spearman with the truth, held-out videos"),
        "confusion": charts.heat(confusion, levels, levels, labels=("deserved", "said")),
    }
    for name, chart in drawings.items():
        write_whole(output / f"{name}.svg", charts.document(chart))


def _lines(items: int, tables: Mapping[str, Mapping[str, ByKind]]) -> Iterator[str]:
    yield "# A judge of the small world"
    yield from ("", f"{items:,} responses to questions about held-out videos. {_WHAT}", "")
    kinds = (ALL, *KINDS)
    for key, judges in tables.items():
        rows = [[name, *(cell(row[kind]) for kind in kinds)] for name, row in judges.items()]
        yield from (f"## {_TITLES[key]}", "", *table(("", *kinds), rows), "")


def _words(words: Mapping[str, tuple[float, ...] | None]) -> Iterator[str]:
    yield from (
        "## Does it check every word? Points by which each right word raises the verdict",
        "",
        "About 1 where a word is checked as it should be, and 0 where it is not (least squares).",
        "",
    )
    unknown = ["unknown"] * len(_PLACES)
    rows = [
        [kind, *(unknown if points is None else [f"{p:.2f}" for p in points])]
        for kind, points in words.items()
    ]
    yield from (*table(("", *_PLACES), rows), "")
