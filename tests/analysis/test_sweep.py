"""A sweep: its grid, its numbers against the leaderboard's, resume, and what is refused first."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from measured_runs import board_set
from registered import registered

from videojudge_bench._util.tabular import write_rows
from videojudge_bench.analysis import sweep
from videojudge_bench.analysis.sweep import SweepPlan, SweepRow
from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Item
from videojudge_bench.judge import Judge
from videojudge_bench.leaderboard.importing import find_runs, to_stored
from videojudge_bench.run.runner import RunOptions
from videojudge_bench.verdicts import Rating

RESAMPLES = 100


class Fussy(Judge):
    """Fails on every item at one level, and closes once."""

    closed: list[int] = []  # noqa: RUF012 - what the tests look at

    def __init__(self, *, level: int = 1) -> None:
        if level > 5:
            raise ConfigError(f"level={level}: at most 5")
        self.level = level

    def rate(self, item: Item) -> Rating:
        if self.level == 2:
            raise RuntimeError("two is too much")
        return Rating(self.level)

    def close(self) -> None:
        Fussy.closed.append(self.level)


FUSSY = f"{__name__}:Fussy"


@pytest.fixture
def board() -> Iterator[GoldSet]:
    with registered(board_set(videos=30)) as gold_set:
        yield gold_set


def swept(plan: SweepPlan) -> list[SweepRow]:
    return sweep.run_sweep(sweep.prepare(plan), resamples=RESAMPLES, on_row=lambda _: None)


def test_the_grid_is_every_combination_on_every_set(
    board: GoldSet, pair_set: GoldSet, journal_root: Path
) -> None:
    with registered(pair_set):
        plan = SweepPlan(
            "random",
            [board.info.name, pair_set.info.name],
            {"seed": [1, 2], "references": [0, 1]},
            run=RunOptions(journal=journal_root),
        )
        cells = sweep.prepare(plan)
    assert [(c.run.gold_set.info.name, *c.settings.values()) for c in cells] == [
        (name, seed, shown)
        for name in ("tinyboard", "tinypairs")
        for seed in (1, 2)
        for shown in (0, 1)
    ]
    assert [cell.run.view.references for cell in cells] == [0, 1, 0, 1, 0, 0, 0, 0]
    assert len({id(cell.run.built) for cell in cells}) == 2  # one judge for each seed


@pytest.mark.parametrize("shape", ["ratings", "options", "pairs"])
def test_numbers_are_those_of_the_leaderboard(
    option_set: GoldSet, pair_set: GoldSet, journal_root: Path, shape: str
) -> None:
    gold_set = {"ratings": board_set(videos=30), "options": option_set, "pairs": pair_set}[shape]
    with registered(gold_set):
        rows = swept(
            SweepPlan(
                "random",
                [gold_set.info.name],
                {"seed": [1, 2, 3]},
                run=RunOptions(journal=journal_root),
            )
        )
        stored = [to_stored(run, resamples=RESAMPLES) for run in find_runs(journal_root)]
    theirs = {run.signature.judge["seed"]: run for run in stored}
    assert len(rows) == len(theirs) == 3
    for row in rows:
        run = theirs[row.cell.settings["seed"]]
        assert row.numbers == run.numbers
        assert row.to_json()["signature"] == str(run.signature)


def test_a_scripted_judge_and_one_off_the_scale(
    rated_set: GoldSet, replies_file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text('{"id": "*", "reply": "<score>3</score>"}\n', encoding="utf-8")
    run = RunOptions(journal=tmp_path / "journals")
    with registered(rated_set):
        files = [str(replies_file), str(other)]
        scripted = swept(SweepPlan("scripted", ["tinyrated"], {"replies": files}, run=run))
        longest = swept(SweepPlan("longest", ["tinyrated"], {"references": [0, 1]}, run=run))
    first, second = (row.numbers for row in scripted)
    # Gold 4.5 1.5 4 2 5 1 3.5 1.5; one item at 4 and seven at 2.
    assert first["bias"] == pytest.approx((18 - 23) / 8)
    assert second["spearman"] == "undefined (constant judge)"
    assert {row.numbers["rmse"] for row in longest} == {"undefined (not on the rating scale)"}
    assert {row.numbers["acc_eq"] for row in longest} == {1.0}


def test_a_limit_takes_the_first_items(board: GoldSet, journal_root: Path) -> None:
    plan = SweepPlan(
        "random", ["tinyboard"], {"seed": [1]}, run=RunOptions(journal=journal_root), limit=7
    )
    (row,) = swept(plan)
    assert row.numbers["n"] == 7
    (run,) = find_runs(journal_root)
    assert set(run.judgements) == {e.item.id for e in board.examples[:7]}


def test_what_is_in_the_journal_is_not_asked_again(board: GoldSet, journal_root: Path) -> None:
    run = RunOptions(journal=journal_root)
    half = SweepPlan("random", ["tinyboard"], {"seed": [1]}, run=run, limit=10)
    swept(half)
    whole = sweep.prepare(SweepPlan("random", ["tinyboard"], {"seed": [1, 2]}, run=run))
    assert [cell.waiting() for cell in whole] == [80, 90]


def test_a_run_that_fails_does_not_sink_the_others(board: GoldSet, journal_root: Path) -> None:
    Fussy.closed.clear()
    plan = SweepPlan(
        FUSSY, ["tinyboard"], {"level": [1, 2, 3]}, run=RunOptions(journal=journal_root)
    )
    told: list[SweepRow] = []
    rows = sweep.run_sweep(sweep.prepare(plan), resamples=RESAMPLES, on_row=told.append)
    assert [row.failed for row in rows] == [False, True, False]
    assert "failed on all 90 items" in rows[1].problem
    assert "two is too much" in rows[1].problem
    assert told == rows
    assert Fussy.closed == [1, 2, 3]


def test_a_set_that_does_not_suit_is_no_failure(option_set: GoldSet, journal_root: Path) -> None:
    with registered(option_set):
        plan = SweepPlan(
            "rouge_l",
            ["tinyoptions"],
            {"references": [1, 2]},
            run=RunOptions(journal=journal_root),
        )
        rows = swept(plan)
        assert [cell.waiting() for cell in sweep.prepare(plan)] == [0, 0]
    assert not any(row.failed for row in rows)
    assert {row.problem for row in rows} == {
        "not applicable: judge rouge_l requires references; videojudge_tinyoptions has none"
    }


def test_files_hold_every_number(board: GoldSet, journal_root: Path, tmp_path: Path) -> None:
    plan = SweepPlan(FUSSY, ["tinyboard"], {"level": [2, 3]}, run=RunOptions(journal=journal_root))
    rows = swept(plan)
    write_rows([row.to_json() for row in rows], tmp_path / "s.json")
    write_rows([row.to_json() for row in rows], tmp_path / "s.csv")
    objects = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    with (tmp_path / "s.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [o["level"] for o in objects] == [2, 3]
    assert [line["level"] for line in lines] == ["2", "3"]
    assert objects[1]["rmse"] == rows[1].numbers["rmse"]
    assert float(lines[1]["rmse"]) == rows[1].numbers["rmse"]
    assert lines[0]["rmse"] == ""
    assert "two is too much" in lines[0]["problem"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed"], "'seed' is not option=value,value"),
        (["seed=1,,2"], "is not option=value,value"),
        (["seed=1,2,1"], "has a value twice"),
        (["seed=1", "seed=2"], "--vary seed is given twice"),
    ],
)
def test_a_malformed_vary_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        sweep.read_vary(words)


def test_values_are_what_lmms_eval_makes_of_them() -> None:
    assert sweep.read_vary(["temperature=0,0.7", "lower=true, false", "references=1,all"]) == {
        "temperature": [0, 0.7],
        "lower": [True, False],
        "references": [1, "all"],
    }


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (SweepPlan("random", ["tinyboard"], {"sead": [1]}), "Did you mean 'seed'"),
        (SweepPlan("random", ["tinyboard"], {"seed": [1]}, {"limits": 3}), "unknown option"),
        (SweepPlan("random", ["tinyboard"], {"refferences": [1]}), "Did you mean 'references'"),
        (SweepPlan("random", ["tinyboard"], {"references": [-1]}), "allowed are 0, 1, 2"),
        (SweepPlan("random", ["tinyboard"], {"seed": ["x"]}), "seed='x': expected a whole number"),
        (SweepPlan(FUSSY, ["tinyboard"], {"level": [1, 9]}), "level=9: at most 5"),
        (SweepPlan("random", ["tinyboard"], {"seed": [1]}, {"seed": 2}), "seed: given both"),
        (SweepPlan("random", ["tinyboard"], {}), "nothing varies"),
        (SweepPlan("random", ["tinyboard"], {"seed": [1]}, limit=0), "at least 1 item"),
        (SweepPlan("random", ["tinyboard"] * 2, {"seed": [1]}), "named twice"),
        (SweepPlan("random", ["tinyboard"], {"seed": [1]}, {"references": 1}), "--references N"),
        (
            SweepPlan("random", ["tinyboard"], {"references": [1]}, run=RunOptions(references=0)),
            "references: given both",
        ),
    ],
)
@pytest.mark.usefixtures("board")
def test_what_cannot_work_is_refused_before_the_first_run(
    plan: SweepPlan, message: str, cache_home: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        sweep.prepare(plan)
    assert not cache_home.exists()


def test_names_are_checked_too(board: GoldSet) -> None:
    for plan in (
        SweepPlan("randon", [board.info.name], {"seed": [1]}),
        SweepPlan("random", ["tinybord"], {"seed": [1]}),
    ):
        with pytest.raises(UnknownNameError, match="Did you mean"):
            sweep.prepare(plan)
