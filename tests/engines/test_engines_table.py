"""The table of what was measured on real servers."""

from __future__ import annotations

from engines_table import BEGIN, END, table_of, with_table

ROW = {
    "model": "qwen3_vl",
    "engines": ["in process", "vLLM 1"],
    "gold_set": "vcg",
    "asked": "score=expected",
    "prompts": 4,
    "token_counts_equal": 4,
    "prompts_equal": 4,
    "replies_equal": 2,
    "near_ties": 2,
    "largest_difference": 0.0031,
}


def test_a_row_says_what_was_equal() -> None:
    counted = {**ROW, "prompts_equal": 0, "near_ties": 0, "largest_difference": None, "asked": ""}
    *_, one, other = table_of({"parity": [ROW, counted]}).splitlines()
    assert one == (
        "| Qwen3-VL | in process and vLLM 1 | vcg | `score=expected` | 4 of 4 "
        "| 2 of 4, 2 near-ties | 0.0031 |"
    )
    assert other == (
        "| Qwen3-VL | in process and vLLM 1 | vcg | defaults | 4 of 4 by number of tokens | 2 of 4 "
        "| no scores |"
    )
    page = f"a\n{BEGIN}\nold\n{END}\nb"
    assert with_table(page, {"parity": []}).startswith(f"a\n{BEGIN}\n| model |")
