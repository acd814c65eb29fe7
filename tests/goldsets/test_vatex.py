from __future__ import annotations

import csv
import gzip
import json
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from videojudge_bench import goldsets
from videojudge_bench.errors import DataError, NoDataError
from videojudge_bench.goldsets import jsonl, vatex
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Item, RatingGold

PUBLISHED = Path(__file__).parents[2] / "results" / "published" / "vatex_nv_embed_gas.csv"


@pytest.fixture(scope="module")
def gold_set() -> GoldSet:
    return goldsets.load("vatex")


def a_row(texts: list[str] | None = None, video: str = "x_y", start: int = 3) -> dict[str, Any]:
    texts = texts if texts is not None else [f"text {index}" for index in range(6)]
    return {
        "video_id": f"{video}_{start:06d}_000013",
        "youtube_id": video,
        "start_s": start,
        "end_s": 13,
        "references": [f"reference {n}" for n in range(9)],
        "candidates": [
            {"candidate_index": index, "text": text, "ratings": [1 + index % 5, 5, 3]}
            for index, text in enumerate(texts)
        ],
    }


def load_rows(folder: Path, *rows: dict[str, Any]) -> GoldSet:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return vatex.load(path)


def test_every_text_and_rating_of_the_file_is_an_example(gold_set: GoldSet) -> None:
    found = {}
    for example in gold_set.examples:
        item, gold = example.item, example.gold
        assert isinstance(item, Item)
        assert isinstance(gold, RatingGold)
        assert item.instruction == vatex.INSTRUCTION
        assert example.unit == item.video_id
        key = (item.video_id, example.labels["candidate"])
        found[key] = (item.response, list(gold.ratings), list(item.references))
    path = jsonl.packaged_file(vatex.INFO, "vatex_eval.jsonl.gz")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    assert found == {
        (row["video_id"], str(candidate["candidate_index"])): (
            candidate["text"],
            candidate["ratings"],
            row["references"],
        )
        for row in rows
        for candidate in row["candidates"]
    }
    assert len(gold_set.examples) == len(found) == 18_000
    # The file as it travels has neither name nor time in its header (RFC 1952).
    assert path.read_bytes()[3:8] == bytes(5)


def test_what_is_said_of_the_set() -> None:
    info = goldsets.info("vatex")
    assert (info.task, info.kind, info.shape, info.recipe) == (
        "videojudge_vatex",
        "human",
        "ratings",
        "emscore",
    )
    assert (str(info.scale), info.has_dev) == ("1-5", True)


def test_neither_ids_nor_order_tell_the_candidate_index(gold_set: GoldSet) -> None:
    by_video: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for example in gold_set.examples:
        index = int(example.labels["candidate"])
        by_video[example.item.video_id].append((example.item.id, index))
    places, indices = [], []
    for candidates in by_video.values():
        assert candidates == sorted(candidates)
        for place, (_, index) in enumerate(candidates):
            places.append(place)
            indices.append(index)
    # Under independence the correlation's standard error is 1/sqrt(18,000) = 0.0075.
    assert abs(stats.spearmanr(places, indices).statistic) < 0.03
    # ... and candidate 0, which a judge could learn to favour, is in each of the six places about
    # 500 times (standard error 20).
    firsts = np.bincount([p for p, index in zip(places, indices, strict=True) if index == 0])
    assert firsts.min() > 420
    assert firsts.max() < 580


@given(st.permutations(range(6)))
def test_the_order_of_candidates_in_the_file_changes_no_item(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("vatex")
    usual = load_rows(folder, a_row())
    permuted = load_rows(folder, a_row([f"text {index}" for index in order]))
    assert [e.item for e in usual.examples] == [e.item for e in permuted.examples]


def test_a_text_that_occurs_twice_keeps_two_ids_and_both_ratings(tmp_path: Path) -> None:
    row = a_row(["same", "b", "c", "same", "d", "same"])
    examples = load_rows(tmp_path, row).examples
    assert len({example.item.id for example in examples}) == 6
    golds = [e.gold for e in examples if isinstance(e.item, Item) and e.item.response == "same"]
    # a_row gives candidate i the first rating 1 + i % 5: candidates 0, 3 and 5 have 1, 4 and 1.
    assert sorted(gold.ratings[0] for gold in golds if isinstance(gold, RatingGold)) == [1, 1, 4]


def test_the_same_text_in_two_videos_has_two_ids(tmp_path: Path) -> None:
    examples = load_rows(tmp_path, a_row(), a_row(video="other")).examples
    assert len({example.item.id for example in examples}) == 12


def _set(*path: str | int, to: object) -> Callable[[dict[str, Any]], None]:
    def change(row: dict[str, Any]) -> None:
        target: Any = row
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "field", "text"),
    [
        (
            _set("candidates", 2, "ratings", 1, to=6),
            "candidates[2].ratings[1]",
            "Input should be less than or equal to 5; found 6",
        ),
        (
            _set("candidates", 0, "ratings", 0, to=0),
            "candidates[0].ratings[0]",
            "Input should be greater than or equal to 1; found 0",
        ),
        (
            _set("candidates", 0, "ratings", 0, to=4.5),
            "candidates[0].ratings[0]",
            "Input should be a valid integer",
        ),
        (
            _set("candidates", 0, "ratings", 0, to=True),
            "candidates[0].ratings[0]",
            "Input should be a valid integer; found True",
        ),
        (
            _set("candidates", 5, "ratings", to=[5, 4]),
            "candidates[5].ratings",
            "at least 3 items after validation, not 2; found [5, 4]",
        ),
        (
            _set("candidates", 5, "ratings", to=[5, 4, 3, 2]),
            "candidates[5].ratings",
            "at most 3 items after validation, not",
        ),
        (_set("references", to=["r"] * 8), "references", "at least 9 items after validation"),
        (_set("references", to=["r"] * 10), "references", "at most 9 items after validation"),
        (_set("references", 3, to=""), "references[3]", "at least 1 character"),
        (_set("candidates", to=a_row()["candidates"][:5]), "candidates", "at least 6 items"),
        (_set("candidates", to=a_row()["candidates"] * 2), "candidates", "at most 6 items"),
        (
            _set("candidates", 1, "candidate_index", to=0),
            None,
            "candidate_index must count from 0 to 5, got [0, 0, 2, 3, 4, 5]",
        ),
        (
            _set("video_id", to="x_y_000004_000013"),
            None,
            "video_id must be 'x_y_000003_000013', made of youtube_id, start_s and end_s",
        ),
        (_set("candidates", 0, "text", to=None), "candidates[0].text", "valid string; found None"),
        (_set("candidates", 0, "score", to=1), "candidates[0].score", "the field is unknown"),
        (lambda row: row.pop("end_s"), "end_s", "the field is missing"),
    ],
)
def test_a_row_that_is_not_what_it_should_be(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], field: str | None, text: str
) -> None:
    row = a_row(video="second")
    good = a_row()
    broken = a_row()
    change(broken)
    with pytest.raises(DataError, match=re.escape(text)) as caught:
        load_rows(tmp_path, row, broken)
    assert (caught.value.line, caught.value.field) == (2, field)
    assert len(load_rows(tmp_path, row, good).examples) == 12


def test_a_video_may_occur_once(tmp_path: Path) -> None:
    text = "line 2, field 'video_id': duplicate of line 1 ('x_y_000003_000013')"
    with pytest.raises(DataError, match=re.escape(text)):
        load_rows(tmp_path, a_row(), a_row())


def test_a_broken_installation_says_how_to_get_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vatex, "_FILE", "gone.jsonl.gz")
    text = "gold set 'vatex' has no data here: the texts and ratings travel with the package"
    with pytest.raises(NoDataError, match=text):
        vatex.load()


@pytest.mark.parametrize(
    # The summary that was published with the scores, in its four decimals.
    ("column", "tau_b", "rho"),
    [("gas_1ref", 0.3223, 0.4151), ("gas_9ref", 0.4239, 0.5390)],
)
def test_published_scores_joined_by_our_ids_give_the_published_correlations(
    gold_set: GoldSet, column: str, tau_b: float, rho: float
) -> None:
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        scores = {row["id"]: float(row[column]) for row in csv.DictReader(file)}
    assert scores.keys() == gold_set.by_id.keys()
    judged = [scores[example.item.id] for example in gold_set.examples]
    golds = [example.gold for example in gold_set.examples]
    raters = np.array([gold.ratings for gold in golds if isinstance(gold, RatingGold)]).T
    assert np.mean([stats.kendalltau(judged, r).statistic for r in raters]) == pytest.approx(
        tau_b, abs=5e-5
    )
    assert np.mean([stats.spearmanr(judged, r).statistic for r in raters]) == pytest.approx(
        rho, abs=5e-5
    )
