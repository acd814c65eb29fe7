"""Scores of VATEX-EVAL by encoders tuned on the references of the other half of its videos.

Two folds by a hash of the video's id. An encoder is tuned on the references of one fold and judges
the videos of the other. Its score, that of the untuned encoder and that of a larger one, if given,
count equally. The folds' scores come from different encoders, so each becomes a rank among the dev
videos of its fold: the share of their items that score lower. No human rating is used.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from videojudge_bench._util.files import write_whole
from videojudge_bench._util.tabular import csv_text
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets import vatex
from videojudge_bench.items import Item, part_of
from videojudge_bench.judges.compact_encoder import (
    MAX_TOKENS,
    CompactEncoder,
    Form,
    References,
    TextEncoder,
    Weights,
    read_tokenizer,
)
from videojudge_bench.judges.minilm import load_minilm
from videojudge_bench.training.compact.captions import FOLDS, fold_of, vatex_groups
from videojudge_bench.training.compact.tune import TuneOptions, tune
from videojudge_bench.training.compact.weights import weights_hash

REFERENCES = (1, 9)  # numbers of references to score against: a column of scores each
CHUNK_ITEMS = 600

LEAST_SHARED = 0.9
"""Minimum share of another encoder's vocabulary that the packaged one must know."""

Scores = NDArray[np.float64]  # of items, shape (items, columns)
Say = Callable[[str], None]


def items_of(fold: int) -> list[Item]:
    """Return the items of VATEX-EVAL whose videos are in a fold."""
    items = (example.item for example in vatex.load().examples if isinstance(example.item, Item))
    return [item for item in items if fold_of(item.video_id) == fold]


@dataclass(frozen=True)
class Scorer:
    """An encoder, made when needed, and the name of its scores' file, which tells the weights."""

    name: str
    encoder: Callable[[], TextEncoder]


def crossfit(
    start: Weights, folder: Path, options: TuneOptions, say: Say, beside: Scorer | None = None
) -> Path:
    """Tune on each fold, judge the other, and return the table of scores; the same call resumes.

    Neither `start` nor `beside`, a larger encoder that judges both folds, may have been trained on
    texts of VATEX.
    """
    rows: list[tuple[str, list[float]]] = []
    for fold in range(FOLDS):
        items, kept = items_of(fold), folder / f"fold{fold}"
        network = tune(start, vatex_groups(fold), (), kept, options, on_step=lambda p: say(str(p)))
        tuned = replace(start, network=network)
        encoders = [_compact("start", start), _compact("tuned", tuned)]
        by_encoder = [
            scores(each.encoder, start.form, items, kept / f"{each.name}.npy", say)
            for each in (*encoders, *([beside] if beside else []))
        ]
        columns = ranks_on_dev(by_encoder, items).round(6).tolist()
        rows += list(zip((item.id for item in items), columns, strict=True))
    path = folder / "scores.csv"
    head = ["id", *(f"compact_{count}ref" for count in REFERENCES)]
    write_whole(path, csv_text(head, ([item_id, *values] for item_id, values in sorted(rows))))
    return path


def scorer_beside(model: str, start: Weights) -> Scorer:
    """Return a sentence encoder of transformers, with token weights taken from `start` by spelling.

    Tokens that `start` does not know weigh nothing.

    Args:
        model: a folder or a name on the Hugging Face hub, as for judge `minilm`: token states are
            averaged, and the tokenizer marks both ends of a text.
        start: packaged weights.

    Raises:
        ConfigError: there are no such weights, or the vocabularies share too little.
    """
    try:
        tokenizer, network = load_minilm(model)
    except ConfigError as error:
        raise ConfigError(
            f"{model}: no sentence encoder can be read there; give a folder that transformers "
            "reads, or a name on the hub, such as sentence-transformers/all-mpnet-base-v2"
        ) from error
    own, known = tokenizer.get_vocab(), read_tokenizer().get_vocab()
    shared = own.keys() & known.keys()
    if len(shared) < LEAST_SHARED * len(own):
        raise ConfigError(
            f"{model}: {len(shared):,} of the {len(own):,} entries of its vocabulary are known to "
            "the packaged encoder, which is too few to say how much each counts; it has to be an "
            "encoder with BERT's vocabulary, such as all-mpnet-base-v2"
        )
    counts = np.zeros(len(own), dtype=np.float32)
    of_start = start.token_weights.float().numpy()
    for token in shared:
        counts[own[token]] = of_start[known[token]]
    backend = tokenizer.backend_tokenizer
    backend.no_padding()
    backend.enable_truncation(MAX_TOKENS)
    # What pools is not used, and is made up at random where a checkpoint has none.
    used = {n: p.detach() for n, p in network.named_parameters() if not n.startswith("pooler.")}
    digest = weights_hash(replace(start, config={}, network=used))
    return Scorer(
        f"beside-{digest[:12]}", lambda: TextEncoder(backend, network, counts, bfloat16=True)
    )


def _compact(name: str, weights: Weights) -> Scorer:
    return Scorer(
        f"{name}-{weights_hash(weights)[:12]}", lambda: CompactEncoder(weights, bfloat16=True)
    )


def scores(
    make: Callable[[], TextEncoder], form: Form, items: Sequence[Item], path: Path, say: Say
) -> Scores:
    """Return the scores of an encoder, a column for each number of references.

    They are read from `path` if it exists, else written to it. Items of a video follow each other.
    """
    if path.exists():
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)
    encoder = make()
    rows: list[list[float]] = []
    for start in range(0, len(items), CHUNK_ITEMS):
        chunk = items[start : start + CHUNK_ITEMS]
        texts = encoder.encode(text for item in chunk for text in (item.response, *item.references))
        for item in chunk:
            known = [text for each in item.references if (text := texts[each]) is not None]
            by_count = [References(known[:count], form) for count in REFERENCES]
            rows.append([references.score(texts[item.response]) for references in by_count])
        say(f"{path.stem}: {len(rows)} of {len(items)} items")
    content = io.BytesIO()
    np.save(content, np.array(rows), allow_pickle=False)
    write_whole(path, content.getvalue())
    return np.array(rows)


def ranks_on_dev(by_encoder: Sequence[Scores], items: Sequence[Item]) -> Scores:
    """Return each item's rank among the dev items, 0 to 1, by the mean of standardised scores."""
    dev = np.array([part_of(item.video_id) == "dev" for item in items])
    total = sum((each - each[dev].mean(axis=0)) / each[dev].std(axis=0) for each in by_encoder)
    ranked = [np.searchsorted(np.sort(column[dev]), column) for column in np.asarray(total).T]
    ranks: Scores = np.stack(ranked, axis=1) / dev.sum()
    return ranks
