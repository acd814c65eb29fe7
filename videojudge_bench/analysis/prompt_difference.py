"""Comparison of one prompt, and of one reply, between two engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import Explanation, WrittenToken
from videojudge_bench.run._recording_engine import Record

NEAR_TIE = 0.01
"""Two tokens whose log-probabilities are no further apart are a near-tie: rounding decides."""

_CONTEXT_TOKENS, _CONTEXT_CHARACTERS = 6, 40
# Byte-level vocabularies write a space and a line feed so.
_VISIBLE = str.maketrans({"Ġ": " ", "Ċ": "\n", "▁": " "})
_BROKEN = "\ufffd"  # in a token that holds a part of a character


@dataclass(frozen=True)
class PromptParity:
    """One prompt and its reply from two judges.

    Attributes:
        id: of the item, with `#first` or `#second` where the sides of a pair are rated, and `~n`
            for further samples.
        tokens: of both prompts; 0 where an engine does not count them.
        is_known: both engines return their prompts token by token.
        difference: the first place where the prompts differ; empty where none is known.
        replies_equal: the two replies are the same.
        margin: in log-probability, between the best two tokens where the replies diverge; None
            where they do not, or where neither engine returns log-probabilities.
    """

    id: str
    tokens: tuple[int, int]
    is_known: bool
    difference: str
    replies_equal: bool
    margin: float | None = None

    @property
    def is_near_tie(self) -> bool:
        """True if the replies part at two tokens that are equally likely."""
        return self.margin is not None and self.margin <= NEAR_TIE


def compare_prompts(prompt_id: str, a: Record, b: Record) -> PromptParity:
    """Return how a prompt and its reply differ between two engines."""
    counts = (a.reply.usage.input_tokens, b.reply.usage.input_tokens)
    difference, known = _difference(a.explanation, b.explanation)
    if not difference and not known and all(counts) and counts[0] != counts[1]:
        difference = f"A has {counts[0]} tokens, B has {counts[1]}"
    equal = _replies_equal(a, b)
    margin = None if equal else _margin(a, b)
    return PromptParity(prompt_id, counts, known, difference, equal, margin)


def _replies_equal(a: Record, b: Record) -> bool:
    one, other = a.reply.text, b.reply.text
    if a.is_verdict_first and b.is_verdict_first:  # engines stop at different places behind it
        return bool(one and other) and (one.startswith(other) or other.startswith(one))
    return one == other and a.reply.finished == b.reply.finished


def _margin(a: Record, b: Record) -> float | None:
    """Return the largest known margin of the two engines where their replies part."""
    if a.is_verdict_first and b.is_verdict_first:
        return None  # scores are compared there, which say more
    margins = [
        _margin_along(a.reply.written, b.reply.text),
        _margin_along(b.reply.written, a.reply.text),
    ]
    known = [margin for margin in margins if margin is not None]
    return max(known, default=None)


def _margin_along(written: Sequence[WrittenToken], other: str) -> float | None:
    """Return the margin of the first token that another reply does not have; None: not known.

    Where the other reply goes on with neither of the two best tokens, it is no tie: infinite.
    """
    rest = other
    for token in written:
        if _BROKEN in token.text:
            return None
        if token.text and rest.startswith(token.text):
            rest = rest[len(token.text) :]
            continue
        goes_on = rest.startswith(token.other) if token.other else not rest
        return abs(token.margin) if goes_on else float("inf")
    return None


def _difference(a: Explanation | None, b: Explanation | None) -> tuple[str, bool]:
    """Return the first difference of two prompts, and whether all of both is known."""
    if a is None or b is None:
        return "", False
    known = bool(a.token_ids and b.token_ids)
    difference = _video_difference(a.video, b.video)
    if known:
        difference = difference or _token_difference(a, b) or _position_difference(a, b)
    elif a.form == b.form:
        difference = difference or _text_difference(a.text, b.text)
    return difference, known


def _video_difference(a: Mapping[str, Scalar], b: Mapping[str, Scalar]) -> str:
    if bool(a) != bool(b):
        return f"{'A' if a else 'B'} alone is shown the video"
    for name in (name for name in a if name in b):
        if a[name] != b[name]:
            return f"video, {name}: {a[name]} in A, {b[name]} in B"
    return ""


def _token_difference(a: Explanation, b: Explanation) -> str:
    place = _first_difference(a.token_ids, b.token_ids)
    if place is None:
        return ""
    return (
        f"token {place + 1} (A has {len(a.token_ids)}, B has {len(b.token_ids)}): "
        f"{_around(a.tokens, place)!r} in A, {_around(b.tokens, place)!r} in B"
    )


def _position_difference(a: Explanation, b: Explanation) -> str:
    if not a.positions or not b.positions:
        return ""
    one, other = (list(zip(*side.positions, strict=True)) for side in (a, b))
    place = _first_difference(one, other)
    if place is None:
        return ""
    return (
        f"position of token {place + 1} ({_around(a.tokens, place)!r}): {one[place]} in A, "
        f"{other[place]} in B"
    )


def _text_difference(a: str, b: str) -> str:
    place = _first_difference(a, b)
    if place is None:
        return ""
    start = max(0, place - _CONTEXT_CHARACTERS)
    excerpts = [text[start : place + _CONTEXT_CHARACTERS] for text in (a, b)]
    return f"character {place + 1}: {excerpts[0]!r} in A, {excerpts[1]!r} in B"


def _first_difference(a: Sequence[object], b: Sequence[object]) -> int | None:
    for place, (one, other) in enumerate(zip(a, b, strict=False)):
        if one != other:
            return place
    return None if len(a) == len(b) else min(len(a), len(b))


def _around(tokens: Sequence[str], place: int) -> str:
    """Return tokens around a place as text; a run of one token (a video) is written once."""
    start = max(0, place - _CONTEXT_TOKENS)
    runs = groupby(tokens[start : place + _CONTEXT_TOKENS])
    counted = ((token, len(list(run))) for token, run in runs)
    return "".join(t + (f" x {n} " if n > 2 else t * (n - 1)) for t, n in counted).translate(
        _VISIBLE
    )
