"""Answers for tests: files of them, made by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

Row = Mapping[str, object]

ASKED = {"video_id": "kitchen", "instruction": "What does the woman cook?"}
GOOD: Row = {**ASKED, "response": "She fries two eggs in a pan.", "system": "x"}
BAD: Row = {**ASKED, "response": "She bakes a loaf of bread.", "system": "y"}
PAIR: Row = {**ASKED, "response_a": "She fries two eggs.", "response_b": "She bakes bread."}


def answers_of(videos: int, *, systems: Sequence[str] = ("x", "y")) -> list[Row]:
    """One answer a system and video; system number s has s words more than the first."""
    return [
        {
            "video_id": f"v{video:02}",
            "instruction": "Describe the video.",
            "response": " ".join(["word"] * (1 + video % 3 + number)),
            "system": system,
        }
        for video in range(videos)
        for number, system in enumerate(systems)
    ]


def write(path: Path, rows: Sequence[Row]) -> Path:
    """Write rows as JSON Lines and return the file."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, object]]:
    """Return the objects of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
