"""Who is ranked against whom, and why some are not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from boards import (
    Rate,
    board_set,
    constant,
    nearly_perfect,
    noise,
    often_unparsed,
    other_noise,
    perfect,
    stored,
)
from registered import registered

from videojudge_bench import metrics
from videojudge_bench.errors import DataError
from videojudge_bench.goldsets.base import GoldKind, GoldSet
from videojudge_bench.items import RatingGold
from videojudge_bench.leaderboard import rows
from videojudge_bench.leaderboard.comparing import read_tests
from videojudge_bench.leaderboard.stored import StoredRun

PERMUTATIONS = 500


@pytest.fixture
def gold_set() -> Iterator[GoldSet]:
    with registered(board_set()) as gold_set:
        yield gold_set


def board_of(*runs: StoredRun, published: list[rows.Row] | None = None) -> dict[str, rows.Row]:
    board = rows.build(runs, published=published or [], permutations=PERMUTATIONS)
    return {row.judge: row for row in board.rows}


def test_a_row_has_the_documented_keys(gold_set: GoldSet) -> None:
    row = board_of(stored(gold_set, perfect, references=1))["perfect"]
    written = row.to_json()
    assert written["judge"] == "perfect"
    assert written["gold_set"] == "tinyboard"
    assert (written["gold_kind"], written["data"], written["part"]) == ("human", "full", "all")
    assert (written["n"], written["coverage"]) == (120, 1.0)
    assert (written["rank"], written["unranked"]) == (1, "")
    assert (written["published"], written["verified"], written["overlap"]) == (False, True, [])
    signature = str(written["signature"])
    assert signature.startswith("set:tinyboard|v:1|data:full|part:all|items:")
    assert signature.endswith("||judge:perfect")
    json.dumps(written, allow_nan=False)


def test_every_metric_of_a_row_has_value_low_and_high(gold_set: GoldSet) -> None:
    written = board_of(stored(gold_set, noise))["noise"].to_json()
    numbers = stored(gold_set, noise).numbers
    nested = written["metrics"]
    assert isinstance(nested, dict)
    assert nested["spearman"] == {
        "value": numbers["spearman"],
        "low": numbers["spearman_low"],
        "high": numbers["spearman_high"],
    }
    assert {tuple(entry) for entry in nested.values()} == {("value", "low", "high")}
    assert set(nested) >= set(metrics.metric_keys(gold_set.info))
    assert not [key for key in nested if key.endswith(("_low", "_high"))]


def test_a_clearly_better_judge_has_a_better_rank(gold_set: GoldSet) -> None:
    board = board_of(stored(gold_set, noise), stored(gold_set, perfect))
    assert (board["perfect"].rank, board["noise"].rank) == (1, 2)


def test_judges_that_cannot_be_told_apart_share_a_rank(gold_set: GoldSet) -> None:
    board = board_of(*(stored(gold_set, rate) for rate in (noise, perfect, other_noise)))
    assert [board[name].rank for name in ("perfect", "noise", "other_noise")] == [1, 2, 2]


def test_judges_that_differ_in_one_video_share_a_rank(gold_set: GoldSet) -> None:
    """Swapping that video's scores only turns the sign of the difference: p = 1, exactly."""
    board = rows.build(
        [stored(gold_set, perfect), stored(gold_set, nearly_perfect)], permutations=PERMUTATIONS
    )
    assert [row.rank for row in board.rows] == [1, 1]
    assert [test.p_value for test in board.tests] == [1.0]


def test_ranks_are_given_among_equal_measurements_only(gold_set: GoldSet) -> None:
    board = rows.build(
        [
            stored(gold_set, perfect, references=1),
            stored(gold_set, noise, references=1),
            stored(gold_set, noise, references=0, name="blind"),
            stored(gold_set, perfect, part="test", name="on the test part"),
        ],
        permutations=PERMUTATIONS,
    )
    ranks = {row.judge: row.rank for row in board.rows}
    assert ranks == {"perfect": 1, "noise": 2, "blind": 1, "on the test part": 1}
    assert [(test.a, test.b, test.references) for test in board.tests] == [("perfect", "noise", 1)]


def test_the_same_judge_may_stand_there_with_and_without_references(gold_set: GoldSet) -> None:
    board = rows.build(
        [stored(gold_set, rate, references=n) for n in (0, 1) for rate in (perfect, noise)],
        permutations=PERMUTATIONS,
    )
    assert [(r.judge, r.references, r.rank) for r in board.rows] == [
        ("perfect", 0, 1),
        ("noise", 0, 2),
        ("perfect", 1, 1),
        ("noise", 1, 2),
    ]


@pytest.mark.parametrize(
    ("rate", "reason"),
    [(constant, "undefined (constant judge)"), (often_unparsed, "coverage below 0.95")],
)
def test_a_judge_that_cannot_be_ranked_is_there_with_the_reason(
    gold_set: GoldSet, rate: Rate, reason: str
) -> None:
    board = board_of(stored(gold_set, rate), stored(gold_set, perfect))
    row = board[rate.__name__]
    assert row.rank is None
    assert row.unranked == reason
    assert board["perfect"].rank == 1


def test_a_partial_run_is_not_ranked(gold_set: GoldSet) -> None:
    board = board_of(stored(gold_set, perfect, limit=90), stored(gold_set, noise))
    assert (board["perfect"].rank, board["perfect"].unranked) == (None, "90 of 120 items")
    assert board["noise"].rank == 1


@pytest.mark.parametrize(
    ("judge", "gold", "same"),
    [
        ("org/Writer-7B@abc+rater", "writer-7b", True),
        ("rater", "writer+Rater", True),
        ("rater", "writer", False),
        ("rater", "", False),
        ("", "", False),
    ],
)
def test_a_judge_whose_data_a_maker_of_the_set_made_is_marked_and_not_ranked(
    monkeypatch: pytest.MonkeyPatch, gold_set: GoldSet, judge: str, gold: str, same: bool
) -> None:
    run = stored(gold_set, perfect, options={"made_by": judge})
    examples = tuple(replace(e, labels={"made_by": gold}) for e in gold_set.examples)
    made = replace(gold_set, examples=examples)
    monkeypatch.setattr(rows, "gold_set_of", lambda _: made)
    row = board_of(run)["perfect"]
    assert row.to_json()["same_recipe"] is same
    assert (row.rank, row.unranked) == (
        (None, "trained on data of a model that made this set") if same else (1, "")
    )


def test_a_judge_that_was_trained_on_the_set_is_not_ranked(gold_set: GoldSet) -> None:
    options = {"overlap": "tinyboard"}
    board = board_of(stored(gold_set, perfect, options=options), stored(gold_set, noise))
    row = board["perfect"]
    assert (row.rank, row.unranked) == (None, "trained on this set")
    assert row.to_json()["overlap"] == ["tinyboard"]
    assert board["noise"].rank == 1


def test_a_judge_without_a_rank_stands_below_those_with_one(gold_set: GoldSet) -> None:
    trained = stored(gold_set, perfect, options={"overlap": "tinyboard"})
    board = rows.build(
        [trained, stored(gold_set, noise), stored(gold_set, noise, references=1, name="shown")],
        permutations=PERMUTATIONS,
    )
    assert [row.judge for row in board.rows] == ["noise", "perfect", "shown"]


def test_a_judge_that_was_trained_on_another_set_is_ranked(gold_set: GoldSet) -> None:
    board = board_of(stored(gold_set, perfect, options={"overlap": "nextqa"}))
    assert board["perfect"].rank == 1
    assert board["perfect"].overlap == ("nextqa",)


def test_labels_of_a_model_rank_nobody() -> None:
    with registered(board_set(kind="model")) as gold_set:
        row = board_of(stored(gold_set, perfect))["perfect"]
    assert (row.rank, row.unranked) == (None, "labels of a model")


def test_fewer_than_twenty_videos_rank_nobody() -> None:
    with registered(board_set(videos=19)) as gold_set:
        row = board_of(stored(gold_set, noise))["noise"]
    assert (row.rank, row.unranked) == (None, "fewer than 20 videos")


def test_published_figures_stand_beside_and_are_never_ranked(
    gold_set: GoldSet, tmp_path: Path
) -> None:
    path = tmp_path / "figures.json"
    entry = {
        "gold_set": "tinyboard",
        "judge": "GAS",
        "references": 1,
        "metrics": {"spearman": 0.999},
        "source": "a paper",
    }
    path.write_text(json.dumps([entry]), encoding="utf-8")
    board = board_of(stored(gold_set, noise), published=rows.read_published(path))
    written = board["GAS"].to_json()
    assert (written["rank"], written["published"], written["verified"]) == (None, True, False)
    assert written["source"] == "a paper"
    assert board["noise"].rank == 1


def test_figures_of_other_sets_do_not_appear(gold_set: GoldSet, tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    entry = {"gold_set": "vatex", "judge": "GAS", "references": 1, "metrics": {}, "source": "a"}
    path.write_text(json.dumps([entry]), encoding="utf-8")
    assert set(board_of(stored(gold_set, noise), published=rows.read_published(path))) == {"noise"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", ": not a JSON object (Invalid JSON: EOF"),
        ("[1]", ", field '[0]': Input should be an object; found 1"),
        ('[{"gold_set": "tinyboard"}]', ", field '[0].judge': the field is missing"),
        ("3", ": Input should be a valid array; found 3"),
    ],
)
def test_published_figures_that_cannot_be_read_are_refused(
    tmp_path: Path, text: str, problem: str
) -> None:
    path = tmp_path / "figures.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        rows.read_published(path)
    assert str(caught.value).startswith(f"{path}{problem}")


def test_there_need_be_no_published_figures_and_no_tests(tmp_path: Path) -> None:
    assert rows.read_published(tmp_path / "figures.json") == []
    assert read_tests(tmp_path / "comparisons.json") == []


def test_people_have_rows_without_a_rank() -> None:
    rated = board_set()
    two = [
        replace(
            e,
            gold=RatingGold((*e.gold.ratings, max(1, e.gold.ratings[0] - 1))),
            labels={"candidate": e.item.id[-1]},
        )
        for e in rated.examples
        if isinstance(e.gold, RatingGold)
    ]
    cases: list[tuple[Literal["emscore"] | None, GoldKind, set[str]]] = [
        ("emscore", "human", {"human_rater", "human_mean"}),
        ("emscore", "model", set()),  # labels of a model are not what people reach
        (None, "human", {"human_rater", "human_mean"}),
    ]
    for recipe, kind, expected in cases:
        info = replace(rated.info, recipe=recipe, kind=kind)
        with registered(GoldSet(info, tuple(two))) as gold_set:
            board = board_of(stored(gold_set, noise))
        assert set(board) == {"noise", *expected}
        for name in expected:
            assert (board[name].role, board[name].rank) == ("human", None)
            more = "" if recipe else "; against single raters"
            assert board[name].unranked == f"people, not a judge{more}"


def test_judges_stand_before_people_before_papers_and_the_best_first(
    gold_set: GoldSet, tmp_path: Path
) -> None:
    path = tmp_path / "figures.json"
    shared = {"gold_set": "tinyboard", "references": 0, "source": "a paper"}
    entries = [
        {**shared, "judge": "worse", "metrics": {"spearman": 0.1}},
        {**shared, "judge": "better", "metrics": {"spearman": 0.9}},
    ]
    path.write_text(json.dumps(entries), encoding="utf-8")
    board = rows.build(
        [stored(gold_set, constant), stored(gold_set, noise), stored(gold_set, perfect)],
        published=rows.read_published(path),
        permutations=PERMUTATIONS,
    )
    assert [row.judge for row in board.rows] == ["perfect", "noise", "constant", "better", "worse"]


def test_tests_are_corrected_for_their_number(gold_set: GoldSet) -> None:
    runs = [stored(gold_set, rate) for rate in (perfect, nearly_perfect, noise)]
    tests = rows.build(runs, permutations=PERMUTATIONS).tests
    assert len(tests) == 3
    # Holm: the smallest p times 3, the next times 2, never below the one before.
    by_p = sorted(tests, key=lambda test: test.p_value)
    expected: list[float] = []
    for test, factor in zip(by_p, (3, 2, 1), strict=True):
        expected.append(max([min(1.0, factor * test.p_value), *expected]))
    assert [test.p_holm for test in by_p] == pytest.approx(expected)
    assert {test.n for test in tests} == {120}


@pytest.mark.parametrize(
    "change",
    [
        {"permutations": 2 * PERMUTATIONS},
        {"seed": 1},
        {"statistic": "kendall_tau_b"},
        {"measurement": "set:tinyboard|metrics:0"},
        {"verdicts": ("0", "1")},
        {"on_scale": (False, True)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_known_tests_that_were_made_in_another_way_are_made_again(
    gold_set: GoldSet, change: dict[str, object]
) -> None:
    runs = [stored(gold_set, perfect), stored(gold_set, noise)]
    (made,) = rows.build(runs, permutations=PERMUTATIONS).tests
    known = replace(made, p_value=0.75, **change)  # type: ignore[arg-type]
    assert rows.build(runs, known_tests=[known], permutations=PERMUTATIONS).tests == (made,)


def test_known_tests_are_used_again_for_the_same_verdicts_only(gold_set: GoldSet) -> None:
    runs = [stored(gold_set, perfect), stored(gold_set, noise)]
    (made,) = rows.build(runs, permutations=PERMUTATIONS).tests
    known = replace(made, p_value=0.75, p_holm=0.75)  # not what the verdicts give
    (again,) = rows.build(runs, known_tests=[known], permutations=PERMUTATIONS).tests
    assert again.p_value == 0.75
    (more,) = rows.build(runs, known_tests=[known], permutations=2 * PERMUTATIONS).tests
    assert more.p_value != 0.75
    assert more.permutations == 2 * PERMUTATIONS
    changed = [runs[0], stored(gold_set, nearly_perfect, name="noise")]
    (other,) = rows.build(changed, known_tests=[known], permutations=PERMUTATIONS).tests
    assert other.p_value != 0.75


def test_tests_survive_their_file(gold_set: GoldSet, tmp_path: Path) -> None:
    runs = [stored(gold_set, perfect), stored(gold_set, noise)]
    tests = rows.build(runs, permutations=PERMUTATIONS).tests
    path = tmp_path / "comparisons.json"
    path.write_text(json.dumps([test.to_json() for test in tests]), encoding="utf-8")
    assert read_tests(path) == list(tests)


@pytest.mark.parametrize("text", ["{", "[1]", '[{"gold_set": "tinyboard"}]'])
def test_tests_that_cannot_be_read_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "comparisons.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"comparisons\.json"):
        read_tests(path)
