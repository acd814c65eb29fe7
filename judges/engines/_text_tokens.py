"""Tokens of choices, and of texts that merge with them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from videojudge_bench.errors import ConfigError
from videojudge_bench.judges.engines._model_types import Tokenizer

Way = tuple[int, ...]
"""The tokens in which a choice can be written."""


def tokens_of(tokenizer: Tokenizer, text: str) -> Way:
    """Return the tokens of a text that stands alone."""
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def reply_text(tokenizer: Tokenizer, tokens: Sequence[int], dropped: Collection[int]) -> str:
    """Return the text of a reply; special tokens that are not `dropped` stay in it."""
    return tokenizer.decode([token for token in tokens if token not in dropped])


def shared_token(tokenizer: Tokenizer, texts: Sequence[str], last: int) -> str:
    """Return the text of the token `last` if a text behind it would merge with it, else ""."""
    before = str(tokenizer.decode([last]))
    if tokens_of(tokenizer, before) != (last,):
        return ""
    merged = any(tokens_of(tokenizer, before + text)[0] != last for text in texts)
    return before if merged else ""


def ways_of(tokenizer: Tokenizer, text: str, rest: str) -> tuple[Way, ...]:
    """Return the tokens in which a choice can be written, in each way that counts."""
    plain, spaced = tokens_of(tokenizer, text), tokens_of(tokenizer, f" {text}")
    if not plain:
        raise ConfigError(f"choice {text!r} has no tokens; choices are texts such as '1' or 'A'")
    before = tokens_of(tokenizer, rest)
    ways = [tokens_of(tokenizer, rest + text), (*before, *plain)]
    if len(spaced) == 1 and tokenizer.decode(list(spaced)).strip() == text:
        ways.append((*before, *spaced))
    return tuple(dict.fromkeys(ways))
