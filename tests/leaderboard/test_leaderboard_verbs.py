"""`videojudge leaderboard` and `videojudge leaderboard add`, from a journal to the tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from boards import board_set
from registered import registered

from videojudge_bench import registry
from videojudge_bench.cli.main import main
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.leaderboard.stored import RUN_FILE
from videojudge_bench.run.runner import Run, RunOptions


@pytest.fixture(autouse=True)
def gold_set() -> Iterator[GoldSet]:
    with registered(board_set()) as gold_set:
        yield gold_set


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


def journal(gold_set: GoldSet, folder: Path, *, seed: int = 0, limit: int | None = None) -> Path:
    """Run the judge `random` and return the folder with its journal."""
    run = Run(registry.build("random", {"seed": seed}), gold_set, RunOptions(journal=folder))
    run.judge([example.item.id for example in gold_set.examples[:limit]])
    return folder


def add(run: Path, results: Path, *more: str) -> int:
    return main(["leaderboard", "add", str(run), "--results", str(results), *more])


def kept(results: Path, name: str = "random") -> dict[str, object]:
    path = results / "runs" / "tinyboard" / f"{name}-0ref" / RUN_FILE
    found: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_from_a_journal_to_the_tables(
    gold_set: GoldSet, tmp_path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(journal(gold_set, tmp_path / "journal"), results) == 0
    assert f"wrote {results / 'runs' / 'tinyboard' / 'random-0ref'}" in capsys.readouterr().out
    assert main(["leaderboard", "--results", str(results)]) == 0
    printed = capsys.readouterr().out
    assert "videojudge_tinyboard" in printed
    (row,) = json.loads((results / "leaderboard.json").read_text(encoding="utf-8"))
    assert (row["judge"], row["rank"], row["verified"]) == ("random", 1, True)
    assert row["metrics"]["spearman"]["value"] == kept(results)["numbers"]["spearman"]  # type: ignore[index]
    for name in ("leaderboard.md", "leaderboard.csv", "comparisons.json", "index.html"):
        assert f"wrote {results / name}" in printed


def test_a_run_with_another_signature_is_refused(
    gold_set: GoldSet, tmp_path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(journal(gold_set, tmp_path / "one"), results)
    before = kept(results)
    capsys.readouterr()
    other = journal(gold_set, tmp_path / "two", seed=1)
    assert add(other, results) == 2
    error = capsys.readouterr().err
    assert "holds a run with another signature" in error
    assert "--name" in error
    assert "--overwrite" in error
    assert kept(results) == before
    assert add(other, results, "--name", "random, seed 1") == 0
    assert kept(results, "random-seed-1")["judge"] == {"judge": "random", "seed": 1}
    assert add(other, results, "--overwrite") == 0
    assert kept(results)["judge"] == {"judge": "random", "seed": 1}


def test_a_run_that_went_on_replaces_its_beginning(
    gold_set: GoldSet, tmp_path: Path, results: Path
) -> None:
    folder = tmp_path / "journal"
    assert add(journal(gold_set, folder, limit=60), results) == 0
    assert add(journal(gold_set, folder), results) == 0
    assert kept(results)["numbers"]["n"] == 120  # type: ignore[index]


def test_a_part_does_not_replace_the_whole(
    gold_set: GoldSet, tmp_path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(journal(gold_set, tmp_path / "whole"), results)
    capsys.readouterr()
    assert add(journal(gold_set, tmp_path / "part", limit=60), results) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert kept(results)["numbers"]["n"] == 120  # type: ignore[index]


def test_a_name_needs_one_run(
    gold_set: GoldSet, tmp_path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = journal(gold_set, journal(gold_set, tmp_path / "both"), seed=1)
    assert add(folder, results, "--name", "mine") == 2
    error = capsys.readouterr().err
    assert "--name needs a folder with one run" in error
    assert "random on tinyboard, random on tinyboard" in error


def test_a_damaged_run_is_named(
    gold_set: GoldSet, tmp_path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(journal(gold_set, tmp_path / "journal"), results)
    path = results / "runs" / "tinyboard" / "random-0ref" / RUN_FILE
    path.write_text("{", encoding="utf-8")
    capsys.readouterr()
    assert main(["leaderboard", "--results", str(results)]) == 2
    assert f"videojudge: error: {path}: not a JSON object" in capsys.readouterr().err


def test_numbers_that_do_not_follow_from_the_verdicts_are_refused(
    gold_set: GoldSet, tmp_path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(journal(gold_set, tmp_path / "journal"), results)
    path = results / "runs" / "tinyboard" / "random-0ref" / RUN_FILE
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["numbers"]["spearman"] = 0.99
    path.write_text(json.dumps(facts), encoding="utf-8")
    capsys.readouterr()
    assert main(["leaderboard", "--results", str(results)]) == 2
    assert "field 'spearman': random says 0.99, and its verdicts give" in capsys.readouterr().err
    assert not (results / "leaderboard.json").exists()
