"""What is embedded of the items: their order, their texts, and how long ones are cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from measured_runs import board_set
from pages import Parsed, judged, plain, with_replies
from registered import registered

from videojudge_bench.items import Example, RatingGold
from videojudge_bench.leaderboard.opening import OpenRun, open_run
from videojudge_bench.report import making
from videojudge_bench.report.items import Far, cut, disagreements_of, payload, worst_first
from videojudge_bench.report.page import render


def payload_of(runs: list[OpenRun], far: list[Far], order: list[str]) -> Any:
    return plain(payload(runs, far, order))


def opened(folder: Path) -> OpenRun:
    return open_run(folder)


def rated(example: Example) -> str:
    """Give gold, but to the first video: nothing to its best response, 1 too many to the middle."""
    assert isinstance(example.gold, RatingGold)
    wrong = {"video00/5": "no idea", "video00/3": f"<score>{example.gold.mean + 1:.0f}</score>"}
    return wrong.get(example.item.id, f"<score>{example.gold.mean:.0f}</score>")


def test_the_worst_come_first_and_those_without_a_verdict_last(tmp_path: Path) -> None:
    with registered(board_set(2)) as gold_set:
        run = opened(with_replies(gold_set, tmp_path, rated))
    far = disagreements_of([run])
    order = worst_first([run], far)
    assert order == ["video00/3", "video00/1", "video01/1", "video01/3", "video01/5", "video00/5"]
    found = payload_of([run], far, order)
    (first, *_, last) = found["items"]
    gold = gold_set.by_id["video00/3"].gold
    assert isinstance(gold, RatingGold)
    assert first == [
        "video00/3",
        0,
        ["half of it"],
        f"{gold.mean:.0f}",
        "",
        0,
        [f"{gold.mean + 1:.0f}", 1.0, rated(gold_set.by_id["video00/3"]), "", {}],
    ]
    assert last[6][0] == "unparsed"
    assert last[6][2] == "no idea"
    assert last[6][3] != ""
    assert found["groups"] == [
        ["video00", "What happens?", [], ""],
        ["video01", "What happens?", [], ""],
    ]


def test_references_are_shown_as_the_run_showed_them(tmp_path: Path) -> None:
    with registered(board_set(1)) as gold_set:
        run = opened(judged(gold_set, tmp_path, "rouge_l", {}, references=1))
    found = payload_of([run], disagreements_of([run]), list(run.judgements))
    assert found["groups"] == [["video00", "What happens?", ["all of it"], ""]]


def test_an_item_that_one_of_two_runs_lacks(tmp_path: Path) -> None:
    with registered(board_set(2)) as gold_set:
        a = opened(judged(gold_set, tmp_path, "random", {}))
        b = opened(judged(gold_set, tmp_path, "random", {"seed": 1}, limit=1))
    far = disagreements_of([a, b])
    items = payload_of([a, b], far, worst_first([a, b], far))["items"]
    assert sum(item[7] is None for item in items) == 5


def test_a_long_text_is_cut_and_said_to_be() -> None:
    assert cut("short", 5) == "short"
    assert cut("longer", 5) == "longe\n… [cut: 6 characters, the first 5 are shown]"


def test_a_reply_of_ten_megabytes(tmp_path: Path) -> None:
    with registered(board_set(1)) as gold_set:
        journal = with_replies(gold_set, tmp_path, lambda _: "<score>3</score>")
        file = journal / "judgements-0.jsonl"
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("<score>", "x" * 10_000_000 + "<score>", 1), encoding="utf-8")
        page = render(making.runs_page([opened(journal)], worst=0, resamples=5))
    assert len(page) < 200_000
    longest = max((item[6][2] for item in Parsed(page).data["items"]), key=len)
    assert longest.endswith("x\n… [cut: 10,000,016 characters, the first 4,000 are shown]")


def test_many_long_replies_are_cut_shorter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videojudge_bench.report.items.ALL_CHARACTERS", 30_000)
    with registered(board_set(5)) as gold_set:
        run = opened(with_replies(gold_set, tmp_path, lambda _: "y" * 9_000))
        found = payload_of([run], disagreements_of([run]), list(run.judgements))
    # Fifteen replies of 4,000 and short responses make 60,000 characters and a few: twice as many.
    notes = {item[6][2].rpartition("first ")[2] for item in found["items"]}
    assert len(notes) == 1
    assert 1_950 < int(notes.pop().partition(" ")[0].replace(",", "")) <= 2_000
