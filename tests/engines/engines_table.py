"""The table of docs/servers.md that says what was measured on real servers.

    python tests/engines/engines_table.py

writes it anew from results/benchmarks/engines.json.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "results" / "benchmarks" / "engines.json"
PAGE = ROOT / "docs" / "servers.md"

BEGIN, END = "<!-- engines.json -->", "<!-- /engines.json -->"
_BETWEEN = re.compile(f"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", re.DOTALL)
_MODELS = {"qwen2_5_vl": "Qwen2.5-VL", "qwen3_vl": "Qwen3-VL"}
_HEAD = (
    *("model", "engines", "items", "options", "equal prompts", "equal replies"),
    "scores apart, at most",
)


def table_of(figures: dict[str, Any]) -> str:
    """Return the comparisons in Markdown, a line each."""
    lines = [_line(_HEAD), "|---" * len(_HEAD) + "|"]
    lines += [_line(_cells(row)) for row in figures["parity"]]
    return "\n".join(lines) + "\n"


def with_table(page: str, figures: dict[str, Any]) -> str:
    """Return the page with the table between its marks."""
    return _BETWEEN.sub(lambda _: table_of(figures), page)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    count, ties = row["prompts"], row["near_ties"]
    prompts = f"{row['prompts_equal']} of {count}"
    if not row["prompts_equal"]:
        prompts = f"{row['token_counts_equal']} of {count} by number of tokens"
    replies = f"{row['replies_equal']} of {count}"
    apart = row["largest_difference"]
    return (
        _MODELS[row["model"]],
        " and ".join(row["engines"]),
        row["gold_set"],
        f"`{row['asked']}`" if row["asked"] else "defaults",
        prompts,
        f"{replies}, {ties} near-tie{'s' * (ties > 1)}" if ties else replies,
        "no scores" if apart is None else f"{apart:g}",
    )


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_table(text, json.loads(FIGURES.read_text(encoding="utf-8"))), "utf-8")
