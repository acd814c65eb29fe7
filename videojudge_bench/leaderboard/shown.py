"""Gold, verdicts and responses as short text, the same in the terminal and in reports."""

from __future__ import annotations

from videojudge_bench.items import Gold, Item, NoGold, OptionGold, Pair, RatingGold
from videojudge_bench.verdicts import Rating, Unparsed, Verdict

RESPONSE_CHARACTERS = 70


def gold_text(gold: Gold) -> str:
    """Return the mean rating, `correct` or `wrong`, the better of a pair; "" without gold."""
    if isinstance(gold, RatingGold):
        return number_text(gold.mean)
    if isinstance(gold, OptionGold):
        return "correct" if gold.correct else "wrong"
    return "" if isinstance(gold, NoGold) else preference_text(gold.p_first)


def verdict_text(verdict: Verdict) -> str:
    """Return the rating, the preferred response with its probability, or `unparsed`."""
    if isinstance(verdict, Unparsed):
        return "unparsed"
    if isinstance(verdict, Rating):
        return number_text(verdict.value)
    return preference_text(verdict.p_first)


def response_text(item: Item | Pair) -> str:
    """Return the response, or both of a pair, in one line of about 70 characters."""
    if isinstance(item, Item):
        return one_line(item.response, RESPONSE_CHARACTERS)
    most = RESPONSE_CHARACTERS // 2
    return f"{one_line(item.first, most)} ⟷ {one_line(item.second, most)}"


def number_text(value: float) -> str:
    """Return a number with up to three significant decimals, without zeros at the end."""
    return f"{value:.3f}".rstrip("0").rstrip(".") if abs(value) < 1000 else f"{value:.4g}"


def preference_text(p_first: float) -> str:
    """Return `first`, `second` or `tie`, with the probability of the first where it is one."""
    choice = "tie" if p_first == 0.5 else "first" if p_first > 0.5 else "second"
    return choice if p_first in (0.0, 0.5, 1.0) else f"{choice} ({p_first:.2f})"


def one_line(text: str, most: int) -> str:
    """Return the text on one line, cut with an ellipsis after so many characters."""
    # Only the beginning is processed: a text may have millions of characters.
    line = " ".join(text[: 4 * most + 100].split())
    is_cut = len(line) > most or len(text) > 4 * most + 100
    return line[: most - 1].rstrip() + "…" if is_cut else line
