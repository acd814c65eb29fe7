"""Scores of VATEX-EVAL by encoders tuned on the references of the other half of its videos.

Two folds by a hash of the video's id. An encoder is tuned on the references of the one and judges
the videos of the other; its score and that of the encoder it began with count equally. The folds'
scores come from different encoders, so each becomes a rank among the dev videos of its fold: the
share of their items that score lower. No rating is seen, and none is needed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from videojudge_bench.judges.compact_encoder import CompactEncoder, Weights
from videojudge_bench.judges.compact_form import References
from videojudge_bench.training.compact.captions import FOLDS, fold_of, vatex_groups
from videojudge_bench.training.compact.tune import Progress, TuneOptions, tune
from videojudge_bench.training.compact.weights import weights_hash

from videojudge_bench.files import write_whole
from videojudge_bench.goldsets import vatex
from videojudge_bench.items import Item, part_of

REFERENCES = (1, 9)
"""How many references are shown: a column of scores each."""

CHUNK_ITEMS = 600

Scores = NDArray[np.float64]
"""Of items, shape (items, columns)."""

Told = Callable[[str], None]


def items_of(fold: int) -> list[Item]:
    """Return the items of VATEX-EVAL whose videos are in a fold."""
    items = (example.item for example in vatex.load().examples if isinstance(example.item, Item))
    return [item for item in items if fold_of(item.video_id) == fold]


def crossfit(start: Weights, folder: Path, options: TuneOptions, told: Told) -> Path:
    """Tune on each fold, judge the other, and return the table of scores.

    Args:
        start: the encoder to begin with, of which no text of VATEX may have been seen.
        folder: for checkpoints and scores; the same call goes on where an earlier one stopped.
        options: how to tune.
        told: is called with what is being done.
    """
    rows: list[tuple[str, list[float]]] = []
    for fold in range(FOLDS):
        items, kept = items_of(fold), folder / f"fold{fold}"
        network = tune(start, vatex_groups(fold), (), kept, options, told=lambda p: told(_line(p)))
        by_encoder = [
            scores(weights, items, kept / f"{name}-{weights_hash(weights)[:12]}.npy", told)
            for name, weights in (("start", start), ("tuned", replace(start, network=network)))
        ]
        columns = ranks_on_dev(by_encoder, items).round(6).tolist()
        rows += list(zip((item.id for item in items), columns, strict=True))
    path = folder / "scores.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", *(f"compact_{count}ref" for count in REFERENCES)])
        writer.writerows([item_id, *values] for item_id, values in sorted(rows))
    return path


def scores(weights: Weights, items: Sequence[Item], path: Path, told: Told) -> Scores:
    """Return the scores of `compact` with these weights, a column for each number of references.

    Args:
        weights: of the encoder.
        items: to judge; those of one video follow each other.
        path: where the scores of these weights are kept; read where they are there.
        told: is called with what is being done.
    """
    if path.exists():
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)
    encoder = CompactEncoder(weights, bfloat16=True)
    found: list[list[float]] = []
    for start in range(0, len(items), CHUNK_ITEMS):
        chunk = items[start : start + CHUNK_ITEMS]
        texts = encoder.encode(text for item in chunk for text in (item.response, *item.references))
        for item in chunk:
            known = [text for each in item.references if (text := texts[each]) is not None]
            shown = [References(known[:count], weights.form) for count in REFERENCES]
            found.append([references.score(texts[item.response]) for references in shown])
        told(f"{path.stem}: {len(found)} of {len(items)} items")
    content = io.BytesIO()
    np.save(content, np.array(found), allow_pickle=False)
    write_whole(path, content.getvalue())
    return np.array(found)


def ranks_on_dev(by_encoder: Sequence[Scores], items: Sequence[Item]) -> Scores:
    """Return each item's rank among the dev items, 0 to 1, by the mean of standardised scores."""
    dev = np.array([part_of(item.video_id) == "dev" for item in items])
    total = sum((each - each[dev].mean(axis=0)) / each[dev].std(axis=0) for each in by_encoder)
    ranked = [np.searchsorted(np.sort(column[dev]), column) for column in np.asarray(total).T]
    found: Scores = np.stack(ranked, axis=1) / dev.sum()
    return found


def _line(progress: Progress) -> str:
    return f"step {progress.step} of {progress.steps}: loss {progress.pairs:.3f}"
