"""The text of a reply: without its reasoning and its markup, in slots and in sentences."""

from __future__ import annotations

import ast
import html
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from videojudge_bench.replies._grammar import SLOT, pattern, source

_PLAIN = str.maketrans(
    dict.fromkeys("‐‑‒–−", "-") | dict.fromkeys("“”„«»「」『』", '"')
    | dict.fromkeys("→➡⇒➜➔", "->") | dict.fromkeys("⭐🌟✭✮", "★")
    | dict.fromkeys("❌❎✘✖🚫👎☐", "✗")
    | {"—": " - ", "。": ". ", "、": ",", "≫": ">>", "≻": ">", "≈": "=", "⁄": "/", "∕": "/"}
    | dict(zip("‘’【】《》✩◁▷", "''[]()☆<>", strict=True))
)  # fmt: skip
_MARKUP = {"CROSSED_OUT": "✗", "FENCE": "", "BOLD_LINE": r"# \2", "QUOTED_LINE": r'"\1"'}.items()
_MOST_CHARACTERS = 20_000  # that are read, at the beginning and the end
_MOST_SLOTS = 6000


def _plain(reply: str) -> str:
    """Return a reply in plain characters, with one form of every family's reasoning marks."""
    text = pattern("LINE_END").sub("\n", reply)
    if not text.isascii():
        text = pattern("SMALL_NUMBER").sub("½", pattern("INVISIBLE").sub("", text))
        text = unicodedata.normalize("NFKC", text.translate(_PLAIN))
        text = pattern("OTHER_DIGIT").sub(lambda digit: f"{unicodedata.numeric(digit[0]):g}", text)
        text = pattern("PICTOGRAM").sub(" ", text)
    text = pattern("OPENS_REASONING").sub("<think>", html.unescape(text))
    text = pattern("CLOSES_REASONING").sub("</think>", text)
    return pattern("OPENS_ANSWER").sub("", text)


def _last_message(text: str) -> tuple[str, str]:
    """Return a text up to the token that ends the model's turn; of Harmony's channels the final."""
    channels = [text]
    if pattern("CHANNEL").match(text):
        channels = pattern("FINAL_CHANNEL").split(text)[1:]
    if len(channels) != 1:
        return "", "several final messages" if channels else "reply ends inside the analysis"
    return pattern("END_OF_TURN").split(channels[0], maxsplit=1)[0], ""


def without_reasoning(reply: str) -> tuple[str, str]:
    """Return what stands outside of reasoning, and "" or why there is nothing.

    A closing mark without an opening one means that the prompt opened the block.
    """
    text, problem = _last_message(_plain(reply))
    kept: list[str] = []
    position, open_tag = 0, ""
    for tag in pattern("REASONING").finditer(text):
        before = text[max(0, tag.start() - 300) : tag.start()].rpartition("\n")[2]
        if not open_tag and before[:1].isalpha() and any(before.count(q) % 2 for q in '"`'):
            continue  # quoted
        if not open_tag and tag[1] and pattern("REPORTS").search(before):
            problem = problem or f"{tag[0]} stands in a sentence"
        if tag[1]:
            kept = kept if open_tag else []
            position, open_tag = tag.end(), ""
        elif not open_tag:
            kept.append(text[position : tag.start()])
            position, open_tag = tag.end(), tag[2].lower()
    if open_tag:
        return "", f"reply ends inside <{open_tag}>"
    visible = "\n".join([*kept, text[position:]])
    if len(visible) > _MOST_CHARACTERS:
        visible = f"{visible[: _MOST_CHARACTERS // 2]}\n\n{visible[-_MOST_CHARACTERS // 2 :]}"
    is_empty = not visible.strip() and text.strip() != ""
    return visible, problem or "nothing after the reasoning" * is_empty


def without_markup(text: str) -> str:
    """Return a text without markup; lines in bold become headings, what is struck out a cross."""
    for name, plain in _MARKUP:
        text = pattern(name).sub(plain, text)
    text = pattern("CODE").sub(lambda code: f'"{code[2]}"' if code[2] else code[1] or "", text)
    for name, plain in (*[("EMPHASIS", r"\2")] * 2, ("TAG_OF_MARKUP", ""), ("LATEX_TEXT", r"\1")):
        text = pattern(name).sub(plain, text)
    return text


class Slot(NamedTuple):
    """The content of a slot; `is_asked` where its form has no other use than to hold a verdict."""

    content: str
    name: str
    is_asked: bool


def with_slots(text: str, kind: str) -> tuple[str, dict[str, Slot], str]:
    """Return a text with a character in the place of each slot, the slots, and a tag left open."""
    tags, keys = source(f"{kind}_TAGS"), source(f"{kind}_KEYS")
    pair = re.compile(source("PAIR").replace("@", tags), re.IGNORECASE)
    slots: dict[str, Slot] = {}

    def put(slot_of: Callable[[re.Match[str]], Slot | None], match: re.Match[str]) -> str:
        slot = slot_of(match)
        if slot is None or len(slots) == _MOST_SLOTS:
            return match[0]
        slots[mark := chr(0xE000 + len(slots))] = slot
        return mark

    text = pattern("JSON").sub(partial(put, lambda match: _json_slot(match[0], keys)), text)
    for _ in range(2):  # inner ones first
        text = pattern("BRACKETS").sub(partial(put, _form_slot), text)
    for _ in range(3):
        text = pair.sub(partial(put, lambda match: _tag_slot(match, tags)), text)
    opened = re.search(rf"<\s?({tags})\s?>", re.split(SLOT, text)[-1], re.IGNORECASE)
    return text, slots, opened[1].lower() if opened else ""


def _form_slot(match: re.Match[str]) -> Slot:
    content = "tie" if match[0] == "[[C]]" else match[match.lastgroup or 0]  # as MT-bench has it
    is_result = match.lastgroup == "result"
    return Slot(content, "[RESULT]" if is_result else match[0][:2], is_result)


def _tag_slot(match: re.Match[str], tags: str) -> Slot:
    attributes, name = match["attributes"] or "", match["name"].lower()
    notes = [f" (out of {n})" for n in re.findall(r"\d+", attributes) if n not in "01"]
    notes += [f" for {aspect[0]}" for aspect in pattern("ASPECT").finditer(attributes)]
    return Slot("".join([match["content"], *notes]), f"<{name}>", bool(re.fullmatch(tags, name)))


def _json_slot(text: str, keys: str) -> Slot | None:
    """Return the verdict at the top of a JSON object or a Python dictionary, None if it is none."""
    text = re.sub(r",(?=\s*[}\]])", "", text)
    with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        is_python = text.startswith("{'")
        value = ast.literal_eval(text) if is_python else json.loads(text, object_pairs_hook=_unique)
        if isinstance(value, dict):
            content = _json_content(value, keys)
            return Slot(content, "JSON", is_asked=bool(content))
    return None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key comes twice")
    return dict(pairs)


def _json_content(value: dict[str, object], keys: str) -> str:
    """Return the one verdict; several are joined by `or`."""
    contents: dict[str, None] = {}
    limit = ""
    for key, inner in value.items():
        name = re.sub(r"(?<=[a-z])(?=[A-Z])|[\s-]+", "_", str(key).strip()).lower()
        if pattern("JSON_LIMIT").fullmatch(name):
            limit = "".join(f" (out of {n})" for n in re.findall(r"\d+", str(inner))[-1:])
        elif re.fullmatch(keys, name):
            keys_within = f"{keys}|value|number|label"
            content = _json_content(inner, keys_within) if isinstance(inner, dict) else str(inner)
            contents[content] = None
    numbers = [content for content in contents if re.search(r"\d", content)]
    return " or ".join(numbers or contents) + limit * bool(contents)


class Sentence(NamedTuple):
    """A sentence below a heading and in a section; `doubt` says why it is not the judge's own."""

    text: str
    is_line: bool
    is_alone: bool
    heading: str
    section: str
    doubt: str


def sentences(text: str) -> Iterator[Sentence]:
    """Yield the sentences of a text in order; lines of lists and tables are sentences, too."""
    lines = [_unquoted(line.strip(), text) for line in text.strip().split("\n")]
    heading = section = reported = ""
    number, is_new = -9, False
    for n, line in enumerate(lines):
        if not line:
            reported = reported * is_new
            continue
        item = pattern("LIST_ITEM").match(line)
        number = int(item[1]) if item and item[1] else number
        body = _row(line) if line[0] == "|" else line[item.end() if item else 0 :]
        body = re.sub(r"^#{1,6}(?:\s+|(?=[A-Za-z]{2}))", "", body)
        pieces = [piece for piece in pattern("SENTENCE_END").split(body) if piece]
        is_line = len(pieces) == 1 and not item
        is_title = n < len(lines) - 1 and pattern("OF_RESPONSE").fullmatch(body)
        is_next_item = body.strip(".") == str(number + 1)
        is_alone = n in (0, len(lines) - 1) and is_line and not (is_title or is_next_item)
        is_quoted = pattern("RESPONSE_BEHIND").match(body)
        goes_on = pattern("GOES_ON").match("".join(lines[n + 1 : n + 2]))
        for piece in pieces:
            short = " ".join(piece[:501].split())
            doubt = reported or "its sentence goes on" * bool(goes_on and piece is pieces[-1])
            doubt = doubt or "the line is a response" * bool(is_quoted and piece is not pieces[0])
            yield Sentence(short, is_line, is_alone, heading, section, doubt)
        is_item = item and len(body.split()) <= 4 and body[-1:].isalpha() and ":" not in body
        is_heading = is_item or pattern("HEADING").match(line)
        has_value = pattern("VALUES").search(body)
        heading = body.strip("[]<>: ") if is_heading and not has_value else ""
        section = heading or section
        is_plain = pattern("PLAIN_HEADING").fullmatch(line)
        is_new = bool(not is_plain and pattern("REPORTS_BELOW").search(line))
        is_new |= bool(pattern("REPORTS").search(heading))
        is_new |= bool(pattern("OF_RESPONSE").fullmatch(body.strip(": ")))
        reported = f"stands below {line[-40:]!r}" if is_new else reported


def _unquoted(line: str, text: str) -> str:
    """Return a line without the slots between quotation marks, unless one is the whole text."""
    if re.fullmatch(rf"\W*{SLOT}\W*", text):
        return line
    parts = line.split('"')
    parts[1:-1:2] = [re.sub(SLOT, "", part) for part in parts[1:-1:2]]
    return re.sub(rf"'{SLOT}'", "''", '"'.join(parts))


def _row(line: str) -> str:
    """Return a row of a table as `label: value` where it has these, and no other value."""
    cells = [cell for cell in (cell.strip(" :-*") for cell in line.split("|")) if cell]
    if len(cells) < 2 or any(pattern("VALUES").search(cell) for cell in cells[2:]):
        return line
    return f"{cells[0]}: {cells[1]}"
