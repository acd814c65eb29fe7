"""Tests of what a text classifier finds."""

from __future__ import annotations

import numpy as np

from videojudge_bench.training.bootstrap.text_only import FOLDS, Row, text_only_accuracy

WORDS = [f"word{number}" for number in range(60)]


def rows_of(videos: int, *, planted: bool) -> list[Row]:
    """Five texts a video, of random words; with `planted` one word says the rating."""
    rng = np.random.default_rng(0)
    rows: list[Row] = []
    for video in range(videos):
        for rating in range(1, 6):
            text = [str(word) for word in rng.choice(WORDS, size=12)]
            rows.append(
                (" ".join([*text, f"mark{rating}"] if planted else text), rating, f"{video}")
            )
    return rows


def test_what_the_text_says_is_found() -> None:
    found = text_only_accuracy(rows_of(100, planted=True))
    assert found is not None
    assert (found.rows, found.chance) == (500, 0.2)
    assert found.accuracy > 0.95
    assert found.low <= found.accuracy <= found.high


def test_length_alone_is_found() -> None:
    rows = [
        (" ".join(["word"] * (10 * rating)), rating, f"{v}") for v in range(40) for rating in (1, 2)
    ]
    found = text_only_accuracy(rows)
    assert found is not None
    assert (found.accuracy, found.chance) == (1.0, 0.5)


def test_nothing_is_found_where_there_is_nothing() -> None:
    found = text_only_accuracy(rows_of(200, planted=False))
    assert found is not None
    assert found.low < 0.2 < found.high


def test_a_video_is_never_on_both_sides() -> None:
    # Each video has words of its own, and one rating: seen again they would tell it.
    rng = np.random.default_rng(1)
    rows = [
        (f"only{video} here{video} now{number}", rating, f"{video}")
        for video, rating in enumerate(rng.integers(1, 6, size=100).tolist())
        for number in range(4)
    ]
    found = text_only_accuracy(rows)
    assert found is not None
    assert found.accuracy < 0.4


def test_of_many_rows_whole_videos_are_taken() -> None:
    rows = rows_of(60, planted=True)
    found = text_only_accuracy(rows, most=203)
    assert found is not None
    assert found.rows == 200
    assert found == text_only_accuracy(rows, most=200)


def test_too_little_to_tell_is_told() -> None:
    assert text_only_accuracy(rows_of(FOLDS - 1, planted=True)) is None
    assert text_only_accuracy([("a text", 3, f"{video}") for video in range(20)]) is None
    assert text_only_accuracy([]) is None
