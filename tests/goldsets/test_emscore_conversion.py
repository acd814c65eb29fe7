from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench.errors import DataError
from videojudge_bench.goldsets import emscore_pickles as emscore

PROTOCOLS = [2, 3, 4, 5]

Parts = dict[str, Any]


def two_videos() -> Parts:
    videos = ["-a_b_000001_000011", "c_000250_000260"]
    return {
        "video_ids": [video for video in videos for _ in range(6)],
        "candidates_list": [f"text {n}" for n in range(12)],
        "gts_list": [[f"{video} {n}" for n in range(10)] for video in videos for _ in range(6)],
        # 36 numbers: the first rater's 12, then the second's, then the third's.
        "human_scores": [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2] + [3] * 12 + [5] * 11 + [4],
    }


def written(folder: Path, parts: Parts, protocol: int = 4) -> Path:
    for name, value in parts.items():
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(value, protocol))
    return folder


def converted(folder: Path, parts: Parts, protocol: int = 4) -> list[Any]:
    return [json.loads(line) for line in emscore.json_lines(written(folder, parts, protocol))]


def test_six_entries_become_one_row(tmp_path: Path) -> None:
    rows = converted(tmp_path, two_videos())
    assert [row["video_id"] for row in rows] == ["-a_b_000001_000011", "c_000250_000260"]
    assert rows[1] == {
        "video_id": "c_000250_000260",
        "youtube_id": "c",
        "start_s": 250,
        "end_s": 260,
        # Nine of the ten that the pickle has.
        "references": [f"c_000250_000260 {n}" for n in range(9)],
        # Candidates 6 to 11: the first rater's are 2, 3, 4, 5, 1, 2; the third's last is 4.
        "candidates": [
            {"candidate_index": 0, "text": "text 6", "ratings": [2, 3, 5]},
            {"candidate_index": 1, "text": "text 7", "ratings": [3, 3, 5]},
            {"candidate_index": 2, "text": "text 8", "ratings": [4, 3, 5]},
            {"candidate_index": 3, "text": "text 9", "ratings": [5, 3, 5]},
            {"candidate_index": 4, "text": "text 10", "ratings": [1, 3, 5]},
            {"candidate_index": 5, "text": "text 11", "ratings": [2, 3, 4]},
        ],
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("scores", [np.int64, np.float32, object], ids=str)
@pytest.mark.parametrize("texts", [str, object], ids=str)
def test_arrays_and_lists_of_every_kind_give_the_same_rows(
    tmp_path: Path, *, texts: type, scores: Any, protocol: int
) -> None:
    parts = two_videos()
    expected = converted(tmp_path, parts)
    arrays = {
        "video_ids": np.array(parts["video_ids"], dtype=texts),
        "candidates_list": np.array(parts["candidates_list"], dtype=texts),
        "gts_list": np.array(parts["gts_list"], dtype=texts),
        "human_scores": np.array(parts["human_scores"], dtype=scores),
    }
    assert converted(tmp_path, arrays, protocol) == expected
    arrays["gts_list"] = np.empty(12, dtype=object)
    arrays["gts_list"][:] = [np.array(texts) for texts in parts["gts_list"]]
    arrays["human_scores"] = arrays["human_scores"].reshape(3, 12)
    assert converted(tmp_path, arrays, protocol) == expected
    nested = [parts["human_scores"][n : n + 12] for n in (0, 12, 24)]
    assert converted(tmp_path, {**parts, "human_scores": nested}, protocol) == expected


@given(st.lists(st.integers(1, 5), min_size=36, max_size=36))
def test_ratings_are_split_as_the_authors_do(
    tmp_path_factory: pytest.TempPathFactory, scores: list[int]
) -> None:
    rows = converted(tmp_path_factory.mktemp("pickles"), {**two_videos(), "human_scores": scores})
    found = [candidate["ratings"] for row in rows for candidate in row["candidates"]]
    # The line of EMScore's demo: all_human_scores.reshape(3, -1), axes (1, 0).
    assert found == np.transpose(np.array(scores).reshape(3, -1), (1, 0)).tolist()


def _at(name: str, index: int, to: object) -> Callable[[Parts], None]:
    def change(parts: Parts) -> None:
        parts[name][index] = to

    return change


def _cut(name: str, count: int) -> Callable[[Parts], None]:
    def change(parts: Parts) -> None:
        parts[name] = parts[name][:-count]

    return change


def _put(name: str, value: object) -> Callable[[Parts], None]:
    def change(parts: Parts) -> None:
        parts[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "file", "text"),
    [
        (
            _at("human_scores", 7, 6),
            "human_scores",
            ", field '[7]': expected a whole number on the scale 1-5, found int 6",
        ),
        (_at("human_scores", 7, 3.5), "human_scores", "scale 1-5, found float 3.5"),
        (_at("human_scores", 7, float("nan")), "human_scores", "scale 1-5, found float nan"),
        (_at("human_scores", 7, 10**5000), "human_scores", "scale 1-5, found int"),
        (_at("human_scores", 7, True), "human_scores", "expected a rating, found bool True"),
        (_at("human_scores", 7, "5"), "human_scores", "expected a rating, found str '5'"),
        (_at("human_scores", 7, [[5]]), "human_scores", "expected a rating, found list"),
        (_cut("human_scores", 1), "human_scores", "35 ratings cannot be 3 per candidate"),
        (
            _cut("human_scores", 3),
            "human_scores",
            "entries for 11 candidates, but video_ids.pkl has 12; the four files must come from",
        ),
        (_put("human_scores", {}), "human_scores", "expected a list, found dict"),
        (_cut("candidates_list", 6), "candidates_list", "entries for 6 candidates, but video_ids"),
        (_at("candidates_list", 2, ""), "candidates_list", ", field '[2]': expected text, found"),
        (_at("candidates_list", 2, None), "candidates_list", "expected text, found NoneType"),
        (
            _at("candidates_list", 2, b"x" * 99),
            "candidates_list",
            "expected text, found bytes",
        ),
        (_put("candidates_list", "x" * 99), "candidates_list", f"found str '{'x' * 37}'..."),
        (
            _at("gts_list", 3, ["r"] * 8),
            "gts_list",
            ", field '[3]': 8 references; at least 9 are needed",
        ),
        (
            _at("gts_list", 3, "a reference"),
            "gts_list",
            ", field '[3]': expected a list, found str",
        ),
        (
            _at("gts_list", 3, ["r"] * 8 + [4]),
            "gts_list",
            ", field '[3][8]': expected text, found int 4",
        ),
        (
            _at("gts_list", 3, ["r"] * 9),
            "gts_list",
            "entries 0 to 5 belong to one video and differ; all candidates of a video must have",
        ),
        (
            _at("video_ids", 5, "c_000250_000260"),
            "video_ids",
            "['-a_b_000001_000011', 'c_000250_000260'] in entries 0 to 5",
        ),
        (
            _put("video_ids", ["c_000250_000260"] * 12),
            "video_ids",
            ", field '[6]': video 'c_000250_000260' must have exactly 6 consecutive entries",
        ),
        (
            _put("video_ids", ["c_250_260"] * 12),
            "video_ids",
            "video id 'c_250_260'; it must be <youtube id>_<start>_<end>, six digits each",
        ),
    ],
)
def test_entries_that_are_not_what_they_should_be(
    tmp_path: Path, change: Callable[[Parts], None], file: str, text: str
) -> None:
    parts = two_videos()
    change(parts)
    with pytest.raises(DataError, match=re.escape(text)) as caught:
        converted(tmp_path, parts)
    assert caught.value.path == tmp_path / f"{file}.pkl"


def test_a_last_video_with_fewer_candidates_is_refused(tmp_path: Path) -> None:
    parts = {name: value[:7] for name, value in two_videos().items()}
    parts["human_scores"] = [3] * 21
    with pytest.raises(
        DataError, match=r"exactly 6 consecutive entries, found .* in entries 6 to 6"
    ):
        converted(tmp_path, parts)


def test_half_a_character_is_refused(tmp_path: Path) -> None:
    parts = two_videos()
    parts["candidates_list"][4] = "a \ud83d dog"
    with pytest.raises(DataError, match=re.escape("field '[4]': half a character (a lone")):
        converted(tmp_path, parts)


def test_a_missing_pickle_is_named(tmp_path: Path) -> None:
    folder = written(tmp_path, two_videos())
    (folder / "gts_list.pkl").unlink()
    with pytest.raises(DataError, match=re.escape("gts_list.pkl: cannot be read (No such file")):
        list(emscore.json_lines(folder))
