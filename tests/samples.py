"""How the samples follow from the two passes over them; `python tests/samples.py` writes them anew.

`results/samples/passes.jsonl` keeps every response, question and pair that was written, with what
the first pass meant and what the second pass said, which did not see the first. A response stays
when the two ratings differ by less than 2, a question when the second pass found the same option
and had no doubt, a pair when both passes prefer the same response.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import combinations, groupby
from pathlib import Path

from videojudge_bench._util.hashing import unit_interval

ROOT = Path(__file__).parents[1]
PASSES = ROOT / "results" / "samples" / "passes.jsonl"
SAMPLE = ROOT / "tasks" / "sample"
SHARE_OF_PAIRS = 0.3
"""Of all pairs that two passes order alike; the paper takes half of its own."""

Row = dict[str, object]


def passes(name: str) -> list[Row]:
    """Return what both passes said of a set, in the order of the file."""
    rows = map(json.loads, PASSES.read_text(encoding="utf-8").splitlines())
    return [row for row in rows if row["set"] == name]


def rated(name: str) -> list[Row]:
    """Return the rows of a rated sample."""
    return [
        {**_of(row), "response": row["response"], "ratings": [row["first"], row["second"]]}
        for row in passes(name)
        if abs(_number(row, "first") - _number(row, "second")) < 2
    ]


def pairwise() -> list[Row]:
    """Return pairs of responses that both passes rate in the same order."""
    return [
        {
            **_of(a),
            "response_a": a["response"],
            "response_b": b["response"],
            "preferences": [_higher(a, b, "first"), _higher(a, b, "second")],
        }
        for a, b in _pairs([*passes("llava"), *passes("vcg")])
        if _higher(a, b, "first") == _higher(a, b, "second") != "tie"
        and unit_interval("pairwise", str(a["response"]), str(b["response"])) < SHARE_OF_PAIRS
    ]


def pairwise_h() -> list[Row]:
    """Return the pairs written for ratings 2 and 3 on whose better response both passes agree."""
    return [
        {
            **_of(row),
            "response_a": row["response_a"],
            "response_b": row["response_b"],
            "preferences": [row["first"], row["second"]],
            "labels": {"pipeline": row["first"]},
        }
        for row in passes("pairwise_h")
        if row["first"] == row["second"]
    ]


def longvideobench(questions: Sequence[Row]) -> list[Row]:
    """Return the questions on whose answer both passes agree without doubt."""
    agreed = {
        row["id"]
        for row in passes("longvideobench")
        if row["first"] == row["second"] and row["sure"]
    }
    return [question for question in questions if question["id"] in agreed]


def files() -> dict[str, str]:
    """Return the text of every sample that is written in our schema, by file name."""
    made = {
        "llava.jsonl": rated("llava"),
        "vcg.jsonl": rated("vcg"),
        "pairwise.jsonl": pairwise(),
        "pairwise_h.jsonl": pairwise_h(),
    }
    return {name: "".join(_line(row) for row in rows) for name, rows in made.items()}


def _pairs(rows: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    for _, group in groupby(rows, key=lambda row: (row["video_id"], row["instruction"])):
        yield from combinations(list(group), 2)


def _higher(a: Row, b: Row, which: str) -> str:
    one, two = _number(a, which), _number(b, which)
    return "tie" if one == two else "a" if one > two else "b"


def _number(row: Row, key: str) -> int:
    value = row[key]
    assert isinstance(value, int)
    return value


def _of(row: Row) -> Row:
    return {"video_id": row["video_id"], "instruction": row["instruction"]}


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for file_name, text in files().items():
        (SAMPLE / file_name).write_text(text, encoding="utf-8")
