"""Training rows: what they ask, what they teach, which are drawn, and the files that hold them."""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from bootstrap_cases import aside, kept, rows_in

from videojudge_bench.items import Item
from videojudge_bench.prompts import PROMPTS_FOLDER, load_prompt
from videojudge_bench.replies.reply_format import parse_preference, parse_rating
from videojudge_bench.scale import RatingScale
from videojudge_bench.training.bootstrap.contracts import Outcome
from videojudge_bench.training.bootstrap.export import write_rows
from videojudge_bench.training.bootstrap.rows import (
    GOLD_FEEDBACK,
    KINDS,
    RowOptions,
    rows_of,
)
from videojudge_bench.training.training_row import TrainingRow
from videojudge_bench.verdicts import Preference, Rating

MANY = [kept(number, video=number // 2) for number in range(400)]


def made(kind: str, outcomes: list[Outcome], **options: Any) -> list[TrainingRow]:
    settings = RowOptions(kinds=(kind,), **options)  # type: ignore[arg-type]
    return [row for outcome in outcomes for row in rows_of(outcome, settings)]


# Pointwise.


def test_a_seed_gives_five_rated_rows_with_what_is_known_of_each() -> None:
    rows = made("pointwise", [kept(1, rounds=2)])
    assert [row.verdict for row in rows] == ["1", "2", "3", "4", "5"]
    last = [(r.text, r.evaluator, r.truth, r.rounds) for row in rows for r in row.responses]
    assert last == [
        *((f"Draft {t}.1 of 1.", float(t), t, 2) for t in range(1, 5)),
        ("Gold 1 runs home.", None, 5, 0),
    ]


def test_the_judge_is_asked_as_it_will_be_and_taught_what_it_can_say() -> None:
    (_, row, *_, gold) = made("pointwise", [kept(1)])
    item = Item("x", "v1", "What happens in film 1?", "Draft 2.0 of 1.", video=Path("v1.mp4"))
    prompt = load_prompt(PROMPTS_FOLDER / "rate.jinja").render(item, RatingScale())
    assert (row.system, row.user) == (prompt.system, prompt.shared + prompt.response)
    assert row.reply == "<thinking>Feedback 2.</thinking>\n<score>2</score>"
    assert gold.reply == f"<thinking>{GOLD_FEEDBACK}</thinking>\n<score>5</score>"
    assert "Gold 1 runs home" not in row.user


def test_without_feedback_the_verdict_comes_at_once() -> None:
    (row, *_) = made("pointwise", [kept(1)], feedback=False)
    assert row.reply == "<score>1</score>"
    assert "<thinking>" not in row.user


def test_a_seed_that_was_kept_aside_gives_no_rows() -> None:
    for kind in KINDS:
        assert made(kind, [aside(1)]) == []


@pytest.mark.parametrize("kind", ["pointwise", "rubric"])
def test_what_is_taught_reads_as_the_rating(kind: str) -> None:
    rows = made(kind, MANY)
    assert {parse_rating(row.reply) for row in rows} == {Rating(float(v)) for v in range(1, 6)}
    assert all(parse_rating(row.reply) == Rating(float(str(row.verdict))) for row in rows)


# Pairs.


def test_half_of_the_pairs_of_every_seed_are_drawn() -> None:
    rows = made("pairwise", MANY)
    assert set(Counter(row.seed_id for row in rows).values()) == {5}
    drawn = Counter(tuple(sorted(r.rating for r in row.responses)) for row in rows)
    assert set(drawn) == set(combinations(range(1, 6), 2))
    # 400 draws of 5 out of 10: a pair is in half of them, give or take 4 standard deviations.
    assert all(abs(count - 200) < 40 for count in drawn.values())
    assert made("pairwise", MANY[:3], seed=1) != made("pairwise", MANY[:3])


def test_the_higher_rating_wins_and_stands_first_half_of_the_time() -> None:
    rows = made("pairwise", MANY)
    for row in rows:
        first, second = row.responses
        assert row.verdict == ("A" if first.rating > second.rating else "B")
        assert parse_preference(row.reply) == Preference(float(row.verdict == "A"))
        assert row.user.index(first.text) < row.user.index(second.text)
    wins = sum(row.verdict == "A" for row in rows)
    assert abs(wins - len(rows) / 2) < 4 * (len(rows) / 4) ** 0.5


# Rubrics.


def test_a_tenth_of_the_rows_come_with_a_rubric_of_their_instruction() -> None:
    rows = made("rubric", MANY)
    assert abs(len(rows) - 200) < 4 * (2000 * 0.1 * 0.9) ** 0.5
    row = next(row for row in rows if row.verdict == "3")
    number = str(row.seed_id).removeprefix("seed")
    assert row.reply.startswith(
        f'<rubric>1: as in "Draft 1.0 of {number}.". Feedback 1.\n2: as in "Draft 2.0'
    )
    assert row.reply.endswith("<thinking>Feedback 3.</thinking>\n<score>3</score>")
    assert "<rubric>" in row.user


# Parts.


def test_all_rows_of_a_video_are_in_one_part() -> None:
    rows = made("pointwise", MANY, validation=0.25)
    parts = {(row.video_id, row.part) for row in rows}
    assert len(parts) == 200
    share = sum(part == "validation" for _, part in parts) / 200
    assert abs(share - 0.25) < 4 * (0.25 * 0.75 / 200) ** 0.5


# Files.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    counts = write_rows([*MANY[:40], aside(1)], tmp_path, RowOptions(kinds=KINDS, validation=0.2))
    assert sum(counts[name] for name in counts if name.startswith("pointwise")) == 200
    return tmp_path


def test_the_files_hold_the_rows_in_the_order_of_the_seeds(folder: Path) -> None:
    options = RowOptions(kinds=KINDS, validation=0.2)
    rows = [row for outcome in MANY[:40] for row in rows_of(outcome, options)]
    for kind in KINDS:
        for part in ("train", "validation"):
            mine = [row for row in rows if (row.kind, row.part) == (kind, part)]
            expected = [row.model_dump(mode="json", exclude={"criteria"}) for row in mine]
            assert expected
            assert rows_in(folder, kind, part) == expected


def test_parquet_holds_what_json_lines_hold(folder: Path) -> None:
    import pyarrow.parquet as pq

    for path in (folder / "data").glob("*.parquet"):
        kind, part = path.stem.split("_")
        assert pq.read_table(path).to_pylist() == rows_in(folder, kind, part)


def test_datasets_reads_the_chat_files(folder: Path, tmp_path: Path) -> None:
    import datasets

    name = folder / "data" / "chat_pairwise_train.jsonl"
    read = datasets.load_dataset(
        "json", data_files=str(name), split="train", cache_dir=str(tmp_path / "cache")
    )
    rows = rows_in(folder, "pairwise", "train")
    assert read["id"][:] == [row["id"] for row in rows]
    first = read[0]
    assert [message["role"] for message in first["messages"]] == ["system", "user", "assistant"]
    # One place for the video, and one video: ms-swift and LLaMA-Factory count them.
    assert first["messages"][1]["content"].count("<video>") == len(first["videos"]) == 1
    assert first["messages"][2]["content"] == rows[0]["reply"]


def test_llama_factory_is_told_how_to_read_each_chat_file(folder: Path) -> None:
    info = json.loads((folder / "data" / "dataset_info.json").read_text(encoding="utf-8"))
    assert {entry["file_name"] for entry in info.values()} == {
        path.name for path in (folder / "data").glob("chat_*.jsonl")
    }


def test_an_export_replaces_the_one_before_as_a_whole(folder: Path) -> None:
    write_rows(MANY[:1], folder, RowOptions(validation=0.0))
    assert sorted(path.name for path in (folder / "data").iterdir()) == [
        "chat_pointwise_train.jsonl",
        "dataset_info.json",
        "pointwise_train.jsonl",
        "pointwise_train.parquet",
    ]
    assert [path.name for path in folder.iterdir()] == ["data"]


def test_an_export_goes_on_after_one_that_was_killed_at_its_end(folder: Path) -> None:
    old = folder / "data.old"
    old.mkdir()
    (old / "pointwise_train.jsonl").touch()
    write_rows([kept(1)], folder, RowOptions())
    assert not old.exists()
    assert (folder / "data").is_dir()


def test_an_export_that_breaks_leaves_the_one_before(folder: Path) -> None:
    before = sorted(path.read_bytes() for path in (folder / "data").iterdir())

    def broken() -> Any:
        yield MANY[0]
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        write_rows(broken(), folder, RowOptions())
    assert sorted(path.read_bytes() for path in (folder / "data").iterdir()) == before
