"""Special tokens of a model in texts that are not the chat template's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable


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
