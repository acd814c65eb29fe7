"""Probabilities of choices and the next token from a model's logits."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from videojudge_bench.criteria import Criterion
from videojudge_bench.engine import Sampling
from videojudge_bench.errors import ConfigError
from videojudge_bench.judges.engines import _verdict_place
from videojudge_bench.judges.engines._model_types import Tokenizer
from videojudge_bench.judges.engines._text_tokens import (
    Way,
    reply_text,
    shared_token,
    tokens_of,
    ways_of,
)


class Choices:
    """In which tokens each choice can be written.

    A choice can be written as it is, in one or several tokens, and with a blank before it where
    both together are one token. The probability of several tokens is the product along them. Where
    one choice begins another (`1` and `10`), that of the longer one is taken off the shorter.

    What stands before a choice can share a token with it: Qwen writes `<answer>A` as `<`, `answer`,
    `>A`. Then the text of that token (`>`) is the `rest`, which is left to the model: all ways to
    write it with each choice count, given that what is written begins with it.

    Raises:
        ConfigError: a choice has no tokens, or two have the same.
    """

    def __init__(self, tokenizer: Tokenizer, texts: Sequence[str], rest: str = "") -> None:
        self.rest = rest
        self._rest = tokens_of(tokenizer, rest)
        self._begins = _beginnings(tokenizer, self._rest)
        self.ways: dict[str, tuple[Way, ...]] = {}
        owner: dict[Way, str] = {}
        for text in texts:
            self.ways[text] = ways_of(tokenizer, text, rest)
            for way in self.ways[text]:
                if owner.setdefault(way, text) != text:
                    raise ConfigError(f"choices {owner[way]!r} and {text!r} are the same tokens")
        beginnings = {way[:n] for way in owner for n in range(len(way))}
        self.contexts: tuple[Way, ...] = tuple(sorted(beginnings - {()}))

    def probabilities(self, following: Mapping[Way, Tensor]) -> dict[str, float]:
        """Return the probability of each choice, not renormalised.

        Args:
            following: the logits, (vocabulary,), where the choices are wanted, before `rest`,
                under `()`, and after each of `contexts`.
        """
        known = {way: torch.softmax(logits.double(), -1) for way, logits in following.items()}
        alone = {way: _along(known, way) for text_ways in self.ways.values() for way in text_ways}
        given = self._given(known)
        return {
            text: sum(_not_longer(alone, way) for way in ways) / given
            for text, ways in self.ways.items()
        }

    def likeliest(self, logits: Tensor) -> int:
        """Return the likeliest token of those that begin with `rest`."""
        if not self._rest:
            return int(logits.argmax())
        begins = torch.tensor(self._begins[0], device=logits.device)
        return int(begins[logits[begins].argmax()])

    def _given(self, known: Mapping[Way, Tensor]) -> float:
        """Return the probability that what is written begins with `rest`."""
        if not self._rest:
            return 1.0
        total, along = 0.0, 1.0
        for n, token in enumerate(self._rest):
            behind = known[self._rest[:n]]
            total += along * float(behind[list(self._begins[n])].sum())
            along *= float(behind[token])
        return total or 1.0


def verdict_place(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    written: Sequence[int],
    dropped: Collection[int],
    slot: Criterion | None = None,
) -> tuple[int, str] | None:
    """Return where in a reply its text verdict begins: behind its tag and the blanks after that.

    With a `slot`, it is the verdict in that, of which `texts` are the choices.

    Returns:
        How many tokens stand before, and the text between them and the verdict (`rest` of
        `Choices`). None: the reply states no verdict in a tag.
    """

    def text_up_to(count: int) -> str:
        return reply_text(tokenizer, written[:count], dropped)

    reply = text_up_to(len(written))
    place = _verdict_place.verdict_place(reply, texts, slot)
    if place is None:
        return None
    end = len(reply[:place].rstrip())
    every = range(len(written) + 1)
    count = bisect_left(every, end, key=lambda n: len(text_up_to(n)))
    text = text_up_to(count)
    if text[end:].strip():  # the token that ends the tag has taken the verdict in
        return count - 1, text[len(text_up_to(count - 1)) : end]
    while count < len(written) and tokenizer.decode([written[count]]).isspace():
        count += 1
    rest = shared_token(tokenizer, texts, written[count - 1])
    return count - bool(rest), rest


def _beginnings(tokenizer: Tokenizer, rest: Way) -> tuple[tuple[int, ...], ...]:
    """For each token of the rest, all tokens that begin with it and what comes after it."""
    if not rest:
        return ()
    names = tokenizer.convert_ids_to_tokens(list(rest))
    vocabulary = tokenizer.get_vocab().items()
    return tuple(
        tuple(token for name, token in vocabulary if name.startswith("".join(names[n:])))
        for n in range(len(names))
    )


def _along(known: Mapping[Way, Tensor], way: Way) -> float:
    product = 1.0
    for n, token in enumerate(way):
        product *= float(known[way[:n]][token])
    return product


def _not_longer(alone: Mapping[Way, float], way: Way) -> float:
    """Probability of a way less that of the longer ways that begin with it."""
    longer = [other for other in alone if len(other) > len(way) and other[: len(way)] == way]
    nearest = [
        other
        for other in longer
        if not any(len(mid) < len(other) and other[: len(mid)] == mid for mid in longer)
    ]
    return max(0.0, alone[way] - sum(alone[other] for other in nearest))


class Sampler:
    """Picks the tokens of one reply.

    Above temperature 0 it adds Gumbel noise and takes the highest, which is sampling; the noise
    follows from the seed and the item's id, so a reply depends neither on what is judged beside it
    nor on the order of work.

    Attributes:
        alternatives: of each token: the best other one, and how much log-probability the token has
            more than that.
    """

    def __init__(
        self, sampling: Sampling, item_id: str, *, keep_alternatives: bool = False
    ) -> None:
        self._temperature = sampling.temperature
        self._keeps = keep_alternatives
        self.alternatives: list[tuple[int, float]] = []
        digest = hashlib.sha256(f"{sampling.seed}\x1f{item_id}".encode()).digest()
        self._noise = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))

    def scores(self, logits: Tensor) -> Tensor:
        """Return numbers, (vocabulary,), whose highest is the token to take; call once each."""
        scores = logits
        if self._temperature > 0:
            draw = torch.rand(logits.shape, generator=self._noise, dtype=torch.float64)
            gumbel = -torch.log(-torch.log(draw.clamp_min(1e-300)))
            scores = logits.double() / self._temperature + gumbel.to(logits.device)
        if self._keeps:
            best = logits.topk(2)
            taken = int(scores.argmax())
            other = next(n for n in best.indices.tolist() if n != taken)
            self.alternatives.append((other, float(logits[taken] - logits[other])))
        return scores

    def pick(self, logits: Tensor) -> int:
        return int(self.scores(logits).argmax())
