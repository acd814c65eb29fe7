from __future__ import annotations

import gzip
import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from videojudge_bench import goldsets
from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.errors import DataError, NoDataError
from videojudge_bench.goldsets import jsonl, nextqa
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Example, Item, OptionGold

# Any id will do whose hash lies in the wanted half.
GOLD = next(str(n) for n in range(99) if unit_interval("nextqa", str(n)) < 0.5)
SEED = next(str(n) for n in range(99) if unit_interval("nextqa", str(n)) >= 0.5)


@pytest.fixture(scope="module")
def gold_set() -> GoldSet:
    return goldsets.load("nextqa")


@pytest.fixture(scope="module")
def file_rows() -> list[dict[str, Any]]:
    path = jsonl.packaged_file(nextqa.INFO, "nextqa_val.jsonl.gz")
    assert path.read_bytes()[3:8] == bytes(5)  # neither name nor time in the header (RFC 1952)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def a_row(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "video_id": GOLD,
        "frame_count": 369,
        "width": 640,
        "height": 480,
        "qid": "6",
        "type": "CH",
        "question": "how does the dog jump",
        "choices": ["high", "low", "fast", "slowly", "twice"],
        "answer_index": 2,
        "gold_answer": "fast",
    }
    return {**row, **changes}


def load_rows(folder: Path, *rows: dict[str, Any]) -> GoldSet:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return nextqa.load(path)


def item_of(example: Example) -> Item:
    assert isinstance(example.item, Item)
    return example.item


def is_correct(example: Example) -> bool:
    assert isinstance(example.gold, OptionGold)
    return example.gold.correct


def test_every_option_of_the_gold_half_is_an_example(
    gold_set: GoldSet, file_rows: list[dict[str, Any]]
) -> None:
    found = {
        (example.unit, example.labels["option"]): (
            item_of(example).instruction.removesuffix("?"),
            item_of(example).response,
            is_correct(example),
            example.labels["type"],
            item_of(example).references,
        )
        for example in gold_set.examples
    }
    assert found == {
        (f"{row['video_id']}/{row['qid']}", str(index)): (
            row["question"].removesuffix("?"),
            text,
            index == row["answer_index"],
            row["type"],
            (),
        )
        for row in file_rows
        if unit_interval("nextqa", row["video_id"]) < 0.5
        for index, text in enumerate(row["choices"])
    }
    assert len(gold_set.examples) == len(found)


def test_what_is_said_of_the_set() -> None:
    info = goldsets.info("nextqa")
    assert (info.task, info.kind, info.shape, info.licence, info.recipe) == (
        "videojudge_nextqa",
        "options",
        "options",
        "MIT",
        None,
    )


def test_the_two_halves_share_no_video_and_lose_none(
    gold_set: GoldSet, file_rows: list[dict[str, Any]]
) -> None:
    seeds = nextqa.seed_rows()
    gold_videos = {example.item.video_id for example in gold_set.examples}
    seed_videos = {seed.video_id for seed in seeds}
    assert not gold_videos & seed_videos
    assert gold_videos | seed_videos == {row["video_id"] for row in file_rows}
    questions = Counter(example.unit for example in gold_set.examples)
    assert set(questions.values()) == {5}
    assert len(questions) + len(seeds) == len(file_rows) == 4_996


def test_a_seed_carries_its_question_and_answer(file_rows: list[dict[str, Any]]) -> None:
    first = next(row for row in file_rows if unit_interval("nextqa", row["video_id"]) >= 0.5)
    seed = nextqa.seed_rows()[0]
    assert (seed.video_id, seed.qid, seed.type) == (first["video_id"], first["qid"], first["type"])
    assert seed.instruction == first["question"] + "?"
    assert seed.gold_answer == first["choices"][first["answer_index"]]


def test_each_question_has_one_correct_option_and_a_question_mark(gold_set: GoldSet) -> None:
    correct = Counter(example.unit for example in gold_set.examples if is_correct(example))
    assert set(correct.values()) == {1}
    assert len(correct) * 5 == len(gold_set.examples)
    assert all(re.search(r"[^?]\?$", item_of(e).instruction) for e in gold_set.examples)


def test_neither_ids_nor_order_tell_the_option(gold_set: GoldSet) -> None:
    by_unit: dict[str, list[Example]] = defaultdict(list)
    for example in gold_set.examples:
        by_unit[example.unit].append(example)
    places, indices, correct_places = [], [], Counter[int]()
    for examples in by_unit.values():
        assert [e.item.id for e in examples] == sorted(e.item.id for e in examples)
        for place, example in enumerate(examples):
            places.append(place)
            indices.append(int(example.labels["option"]))
            correct_places[place] += is_correct(example)
    # Standard error under independence: 1/sqrt(13,020) = 0.009.
    assert abs(stats.spearmanr(places, indices).statistic) < 0.035
    # 2,604 correct options over five places: 521 each, standard error 20.
    assert min(correct_places.values()) > 440
    assert max(correct_places.values()) < 600


@given(st.permutations(["high", "low", "fast", "slowly", "twice"]))
def test_the_order_of_options_in_the_file_changes_no_item(
    tmp_path_factory: pytest.TempPathFactory, choices: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("nextqa")
    usual = load_rows(folder, a_row())
    permuted = load_rows(folder, a_row(choices=choices, answer_index=choices.index("fast")))
    assert [(e.item, e.gold) for e in usual.examples] == [
        (e.item, e.gold) for e in permuted.examples
    ]
    assert usual.content_hash == permuted.content_hash


def test_a_question_mark_is_added_only_where_there_is_none(tmp_path: Path) -> None:
    rows = [a_row(), a_row(qid="7", question="how many?")]
    found = {item_of(e).instruction for e in load_rows(tmp_path, *rows).examples}
    assert found == {"how does the dog jump?", "how many?"}


def test_an_option_that_occurs_twice_keeps_two_ids(tmp_path: Path) -> None:
    examples = load_rows(tmp_path, a_row(choices=["red", "x", "fast", "red", "red"])).examples
    assert len({example.item.id for example in examples}) == 5
    assert sorted(item_of(e).response for e in examples) == ["fast", "red", "red", "red", "x"]


def test_equal_questions_of_one_video_stay_apart(tmp_path: Path) -> None:
    examples = load_rows(tmp_path, a_row(), a_row(qid="7")).examples
    assert len({example.item.id for example in examples}) == 10
    assert Counter(e.unit for e in examples) == {f"{GOLD}/6": 5, f"{GOLD}/7": 5}
    assert len({item_of(e).group for e in examples}) == 1


def test_questions_of_the_other_half_are_checked_and_left_out(tmp_path: Path) -> None:
    examples = load_rows(tmp_path, a_row(video_id=SEED), a_row()).examples
    assert {e.item.video_id for e in examples} == {GOLD}
    with pytest.raises(DataError, match="line 1, field 'frame_count'"):
        load_rows(tmp_path, a_row(video_id=SEED, frame_count=0), a_row())


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"choices": ["a", "b", "c", "fast"]}, "choices", "at least 5 items after validation"),
        ({"choices": ["fast"] * 6}, "choices", "at most 5 items after validation"),
        ({"choices": ["a", "", "fast", "c", "d"]}, "choices[1]", "at least 1 character"),
        ({"answer_index": 5}, "answer_index", "Input should be less than 5; found 5"),
        ({"answer_index": -1}, "answer_index", "greater than or equal to 0; found -1"),
        ({"answer_index": 1}, None, "gold_answer must be the text of the option at answer_index"),
        (
            {"choices": ["fast", "low", "fast", "x", "y"]},
            None,
            "gold_answer is also the text of another option; only one is correct",
        ),
        ({"type": "XX"}, "type", "Input should be 'CW', 'CH', 'TN'"),
        ({"qid": 6}, "qid", "Input should be a valid string; found 6"),
        ({"extra": 1}, "extra", "the field is unknown"),
    ],
)
def test_a_row_that_is_not_what_it_should_be(
    tmp_path: Path, changes: dict[str, Any], field: str | None, text: str
) -> None:
    with pytest.raises(DataError, match=re.escape(text)) as caught:
        load_rows(tmp_path, a_row(qid="1"), a_row(**changes))
    assert (caught.value.line, caught.value.field) == (2, field)


def test_a_question_may_occur_once(tmp_path: Path) -> None:
    text = f"line 2, field 'qid': duplicate of line 1 ('{GOLD}', '6'); no two lines may have the"
    with pytest.raises(DataError, match=re.escape(text)):
        load_rows(tmp_path, a_row(), a_row(question="another"))


def test_a_broken_installation_says_how_to_get_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nextqa, "_FILE", "gone.jsonl.gz")
    for read in (nextqa.load, nextqa.seed_rows):
        with pytest.raises(NoDataError, match="gold set 'nextqa' has no data here: the questions"):
            read()
