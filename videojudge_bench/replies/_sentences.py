"""Sentences and lines of a reply, with what stands above them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from videojudge_bench.replies._grammar import SLOT, pattern

VALUES = re.compile(rf"\d|{SLOT}|★")
_MOST_CHARACTERS = 500
_END = re.compile(
    rf"(?<=[.!?])(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bvs\.)[\"')\]]*\s+|(?<={SLOT})\s*(?=[A-Z\"]|{SLOT})"
    rf"|(?<=[.!?])(?={SLOT})"
    r"|(?<=\d)\s+(?=(?:The|This|It|Explanation|Reason|Reasoning|Rationale|Feedback)\b)"
)


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
        pieces = [piece for piece in _END.split(body) if piece]
        is_line = len(pieces) == 1 and not item
        is_title = n < len(lines) - 1 and pattern("OF_RESPONSE").fullmatch(body)
        is_next_item = body.strip(".") == str(number + 1)
        is_alone = n in (0, len(lines) - 1) and is_line and not (is_title or is_next_item)
        goes_on = pattern("GOES_ON").match("".join(lines[n + 1 : n + 2]))
        for piece in pieces:
            short = " ".join(piece[: _MOST_CHARACTERS + 1].split())
            doubt = reported or "its sentence goes on" * bool(goes_on and piece is pieces[-1])
            yield Sentence(short, is_line, is_alone, heading, section, doubt)
        is_item = item and len(body.split()) <= 4 and body[-1:].isalpha() and ":" not in body
        is_heading = (is_item or pattern("HEADING").match(line)) and not VALUES.search(body)
        heading = body.strip("[]<>: ") if is_heading else ""
        section = heading or section
        is_plain = pattern("PLAIN_HEADING").fullmatch(line)
        is_new = not is_plain and pattern("REPORTS_BELOW").search(line) is not None
        is_new = is_new or pattern("REPORTS").search(heading) is not None
        is_new = is_new or pattern("OF_RESPONSE").fullmatch(body.strip(": ")) is not None
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
    if len(cells) < 2 or any(VALUES.search(cell) for cell in cells[2:]):
        return line
    return f"{cells[0]}: {cells[1]}"
