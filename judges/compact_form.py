"""How `compact` turns encoded texts into a score: one formula for several references, one for one.

With several references, of a response x and references R:

    closeness = mean of the two largest cosines of x with R
    support   = mean over the tokens of x, by their weight, of the largest cosine with any token of
                any reference (the precision of BERTScore, Zhang et al. 2020,
                https://arxiv.org/abs/1904.09675, against all references at once)

From each a quarter of what the references have of it among themselves is taken, the mean over all
of them: a reference's largest cosine with another one, and its support by all others. Where they
disagree, less agreement can be asked of a response. With one reference there is nothing to take.
Nothing depends on other items of a set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LEAVE_ONE_OUT = 0.25
"""Share of the references' agreement among themselves that is taken off."""

NEAREST = 2
"""References whose cosines count, the nearest ones."""

WORST = -1.0
"""Closeness and support of a response without a word: the least that there can be."""


@dataclass(frozen=True, slots=True)
class EncodedText:
    """A text as the encoder sees it.

    Attributes:
        vector: mean of the token states, of length 1; shape (hidden size,).
        tokens: each token's state, of length 1; shape (tokens, hidden size).
        weights: how much each token counts, 0 or more; shape (tokens,).
    """

    vector: Floats
    tokens: Floats
    weights: Floats


@dataclass(frozen=True, slots=True)
class Form:
    """How closeness and support are mixed.

    Attributes:
        closeness_of_one: share of closeness, 0 to 1, where there is one reference.
        closeness_of_many: the same where there are several.
    """

    closeness_of_one: float
    closeness_of_many: float


class References:
    """The references of one group, compared with each other once."""

    def __init__(self, texts: Sequence[EncodedText], form: Form) -> None:
        self._many = len(texts) > 1
        self._share = form.closeness_of_many if self._many else form.closeness_of_one
        self._vectors = np.stack([text.vector for text in texts])
        self._tokens = np.concatenate([text.tokens for text in texts])
        self._agreement = self._mixed(*_among(texts)) if self._many else 0.0

    def score(self, response: EncodedText | None) -> float:
        """Return the score of a response, higher is better; None is one without a word."""
        taken = LEAVE_ONE_OUT * self._agreement
        if response is None:
            return WORST - taken
        cosines = np.sort(self._vectors @ response.vector)[-NEAREST:]
        support = _support(response, response.tokens @ self._tokens.T)
        return self._mixed(float(cosines.mean()), support) - taken

    def _mixed(self, closeness: float, support: float) -> float:
        return self._share * closeness + (1 - self._share) * support


def _among(texts: Sequence[EncodedText]) -> tuple[float, float]:
    """Closeness to the nearest other reference, and support by all others, averaged."""
    vectors = np.stack([text.vector for text in texts])
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    tokens = np.concatenate([text.tokens for text in texts])
    owner = np.repeat(np.arange(len(texts)), [len(text.tokens) for text in texts])
    supports = [
        _support(text, text.tokens @ tokens[owner != number].T) for number, text in enumerate(texts)
    ]
    return float(cosines.max(axis=1).mean()), float(np.mean(supports))


def _support(text: EncodedText, cosines: Floats) -> float:
    """Weighted mean over a text's tokens (rows) of the best cosine in each row."""
    best = cosines.max(axis=1)
    if not text.weights.any():  # nothing but words that say nothing: all alike
        return float(best.mean())
    return float(best @ text.weights / text.weights.sum())
