"""Values of foreign rows as texts and numbers."""

from __future__ import annotations

import math


class BadRowError(Exception):
    """A row that cannot become an example: the field, the problem and the value."""

    def __init__(self, field: str, problem: str, value: object = None) -> None:
        super().__init__(field, problem)
        self.field, self.problem = field, problem
        self.got = "" if value is None else shortened(repr(value), 80)


def shortened(text: str, most: int) -> str:
    """Return a text of at most this many characters, its end replaced by `…` where needed."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def text_of(field: str, value: object) -> str | None:
    """Return a value as a text, a whole number without a point; None where there is none.

    Raises BadRowError for a list, an object or a truth value.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(int(value)) if value == value // 1 else str(value)
    kind = "a list" if isinstance(value, list) else f"a value of type {type(value).__name__}"
    raise BadRowError(field, f"expected a text, got {kind}; take a part of it ([0], .name)", value)


def members_of(value: object) -> list[object]:
    """Return a value, or the members of a list and of the lists in it."""
    if not isinstance(value, list):
        return [value]
    return [member for each in value for member in members_of(each)]


def texts_of(field: str, value: object) -> list[str]:
    """Return the texts of a value or list, without empty ones at the end; raises BadRowError."""
    texts = [text_of(field, member) for member in members_of(value)]
    while texts and not texts[-1]:
        texts.pop()
    return [text or "" for text in texts]


def number_of(field: str, value: object) -> float | None:
    """Return a number, a truth value or a text of a number as a number; None where none is given.

    Raises BadRowError for anything else.
    """
    if isinstance(value, bool):
        return float(value)
    text = text_of(field, value)
    if text is None or not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        raise BadRowError(field, "expected a number", value) from None
    return None if math.isnan(number) else number
