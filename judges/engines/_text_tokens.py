"""Tokens of texts: special ones made inert, those that choices are written in, those that merge."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from videojudge_bench.errors import ConfigError

if TYPE_CHECKING:
    from videojudge_bench.judges.engines._model_types import Tokenizer

Way = tuple[int, ...]
"""The tokens in which a choice can be written."""


def inert_with(tokens: Iterable[str]) -> Callable[[str], str]:
    """Return a function that breaks up special tokens in a text.

    `<|im_end|>` becomes `< |im_end|>`, so that no response can end the prompt and speak for the
    judge.

    Args:
        tokens: the model's special tokens.
    """
    longest_first = sorted(set(tokens), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
    return lambda text: pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)


def tokens_of(tokenizer: Tokenizer, text: str) -> Way:
    """Return the tokens of a text that stands alone."""
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def shared_token(tokenizer: Tokenizer, texts: Sequence[str], last: int) -> str:
    """Return the text of a token, if one of the texts right behind it would take it into its own.

    Args:
        tokenizer: of the model.
        texts: what may follow.
        last: the token.

    Returns:
        "" where they leave it alone.
    """
    before = str(tokenizer.decode([last]))
    if tokens_of(tokenizer, before) != (last,):
        return ""
    merged = any(tokens_of(tokenizer, before + text)[0] != last for text in texts)
    return before if merged else ""


def ways_of(tokenizer: Tokenizer, text: str, rest: str) -> tuple[Way, ...]:
    """Return the tokens in which a choice can be written, in each way that counts.

    Args:
        tokenizer: of the model.
        text: the choice.
        rest: text before it that is still to be written.

    Raises:
        ConfigError: the choice has no tokens.
    """
    plain, spaced = tokens_of(tokenizer, text), tokens_of(tokenizer, f" {text}")
    if not plain:
        raise ConfigError(f"choice {text!r} has no tokens; choices are texts such as '1' or 'A'")
    before = tokens_of(tokenizer, rest)
    found = [tokens_of(tokenizer, rest + text), (*before, *plain)]
    if len(spaced) == 1 and tokenizer.decode(list(spaced)).strip() == text:
        found.append((*before, *spaced))
    return tuple(dict.fromkeys(found))
