"""Slots: the places that a reply marks as its verdict, as tags, JSON, brackets or a box."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from videojudge_bench.replies._grammar import SLOT, pattern

_MOST_SLOTS = 6000


@dataclass(frozen=True)
class Slot:
    """The content of a slot; `is_asked` where its form has no other use than to hold a verdict."""

    content: str
    name: str
    is_asked: bool


def with_slots(text: str, tags: str, others: str, keys: str) -> tuple[str, dict[str, Slot], str]:
    """Return a text with a character in the place of each slot, the slots, and a tag left open.

    `tags` is the pattern of names that hold nothing but a verdict, `others` of those that may
    hold something else, `keys` of fields of JSON, in which `_` stands between words.
    """
    slots: dict[str, Slot] = {}

    def put(slot_of: Callable[[re.Match[str]], Slot | None], found: re.Match[str]) -> str:
        slot = slot_of(found)
        if slot is None or len(slots) == _MOST_SLOTS:
            return found[0]
        slots[mark := chr(0xE000 + len(slots))] = slot
        return mark

    names = f"{tags}|{others}"
    pair = re.compile(
        rf"<\s?(?P<name>{names})(?P<attributes>\s[^<>\n]{{0,80}})?\s?>"
        rf"(?P<content>(?:(?!<\s?\\?/?\s?(?:{names})\b).){{0,4000}}?)<\s?\\?/\s?(?P=name)\s?>",
        re.IGNORECASE | re.DOTALL,
    )
    text = pattern("JSON").sub(partial(put, lambda found: _json_slot(found[0], keys)), text)
    for _ in range(2):  # inner ones first
        text = pattern("BRACKETS").sub(partial(put, _form_slot), text)
    for _ in range(3):
        text = pair.sub(partial(put, lambda found: _tag_slot(found, tags)), text)
    last = re.split(SLOT, text)[-1]
    opened = re.search(rf"<\s?({tags})\s?>", last, re.IGNORECASE)
    return text, slots, opened[1].lower() if opened else ""


def _form_slot(found: re.Match[str]) -> Slot:
    content = "tie" if found[0] == "[[C]]" else found[found.lastgroup or 0]  # as MT-bench has it
    is_result = found.lastgroup == "result"
    return Slot(content, "[RESULT]" if is_result else found[0][:2], is_result)


def _tag_slot(found: re.Match[str], tags: str) -> Slot:
    limits = re.findall(r"\d+", found["attributes"] or "")
    content = found["content"] + "".join(f" (out of {n})" for n in limits if n not in "01")
    aspect = pattern("ASPECT").search(found["attributes"] or "")
    content += f" for {aspect[0]}" if aspect else ""
    name = found["name"].lower()
    return Slot(content, f"<{name}>", re.fullmatch(tags, name) is not None)


def _json_slot(text: str, keys: str) -> Slot | None:
    """Return the verdict at the top of a JSON object or a Python dictionary, None if it is none."""
    text = re.sub(r",(?=\s*[}\]])", "", text)
    with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        is_python = text.startswith("{'")
        value = ast.literal_eval(text) if is_python else json.loads(text, object_pairs_hook=_unique)
        if isinstance(value, dict):
            content = _json_content(value, re.compile(keys))
            return Slot(content, "JSON", is_asked=bool(content))
    return None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key comes twice")
    return dict(pairs)


def _json_content(value: dict[str, object], keys: re.Pattern[str]) -> str:
    """Return the one verdict; several are joined by `or`."""
    found: dict[str, None] = {}
    limit = ""
    for key, inner in value.items():
        name = re.sub(r"(?<=[a-z])(?=[A-Z])|[\s-]+", "_", str(key).strip()).lower()
        if pattern("JSON_LIMIT").fullmatch(name):
            limit = "".join(f" (out of {n})" for n in re.findall(r"\d+", str(inner))[-1:])
        elif keys.fullmatch(name) and isinstance(inner, dict):
            inner_keys = re.compile(rf"{keys.pattern}|value|number|label")
            found[_json_content(inner, inner_keys)] = None
        elif keys.fullmatch(name):
            found[str(inner)] = None
    numbers = [content for content in found if re.search(r"\d", content)]
    return " or ".join(numbers or found) + limit * bool(found)
