"""`videojudge calibrate` and `videojudge sweep`: what they print, write and answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from measured_runs import board_set
from registered import registered

from videojudge_bench.cli.main import main
from videojudge_bench.goldsets.base import GoldSet


@pytest.fixture
def board() -> Iterator[GoldSet]:
    with registered(board_set(videos=100)) as gold_set:
        yield gold_set


@pytest.mark.usefixtures("board")
def test_sweep_then_calibrate(
    tmp_path: Path, journal_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "sweep.csv"
    arguments = [
        "sweep", "--judge", "rouge_l", "--gold-set", "tinyboard", "--vary", "references=1",
        "--journal", str(journal_root), "--output", str(table),
    ]  # fmt: skip
    assert main([*arguments, "--dry-run"]) == 0
    assert "1 runs, 300 judge calls" in capsys.readouterr().out
    assert not journal_root.exists()
    assert main([*arguments]) == 0
    printed = capsys.readouterr().out
    assert "rouge_l on videojudge_tinyboard" in printed
    assert "spearman" in printed
    assert f"wrote {table}" in printed
    assert main([*arguments, "--dry-run"]) == 0
    assert "1 runs, 0 judge calls" in capsys.readouterr().out

    made = tmp_path / "map.json"
    assert main(["calibrate", str(journal_root), "--output", str(made)]) == 0
    printed = capsys.readouterr().out
    assert "rouge_l on videojudge_tinyboard, 1 reference\n" in printed.replace("  ", "")
    assert printed.count("undefined (not on the rating scale)") == 4
    assert "Rank statistics (tau, rho, pairwise accuracies) stay those of the raw" in printed
    kept = json.loads(made.read_text(encoding="utf-8"))
    assert kept["method"] == "isotonic"
    assert kept["knots"] == sorted(kept["knots"])


@pytest.mark.usefixtures("board")
def test_a_sweep_says_its_limit_and_what_failed(
    journal_root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "analysis")  # where test_sweep is
    status = main(
        [
            "sweep", "--judge", "random", "--gold-set", "tinyboard", "--vary", "seed=1,2",
            "--limit", "6", "--journal", str(journal_root),
        ]
    )  # fmt: skip
    assert status == 0
    printed = capsys.readouterr().out
    assert "the first 6 items of each set" in printed
    assert printed.count("(interval undefined (fewer than 20 videos))") == 2


@pytest.mark.usefixtures("board")
def test_a_failed_run_is_said_and_is_status_1(
    journal_root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "analysis")  # where test_sweep is
    status = main(
        [
            "sweep", "--judge", "test_sweep:Fussy", "--gold-set", "tinyboard",
            "--vary", "level=2,3", "--journal", str(journal_root),
        ]
    )  # fmt: skip
    printed = capsys.readouterr()
    assert status == 1
    assert "videojudge: videojudge_tinyboard, level=2: judge test_sweep:Fussy failed" in printed.err
    assert "failed: judge test_sweep:Fussy failed on all 300 items" in printed.out


@pytest.mark.usefixtures("board")
def test_calibrate_wants_one_run(journal_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--gold-set", "tinyboard", "--vary", "seed=1,2", "--journal", str(journal_root)]
    assert main(["sweep", "--judge", "random", *arguments]) == 0
    capsys.readouterr()
    assert main(["calibrate", str(journal_root)]) == 2
    error = capsys.readouterr().err
    name = "random on videojudge_tinyboard, 0 references"
    assert f"expected one run, got 2: {name}; {name}. Give the folder of one" in error
    one = next(path for path in (journal_root / "tinyboard").iterdir())
    assert main(["calibrate", str(one), "--output", str(journal_root / "no" / "map.json")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    assert main(["calibrate", str(one), "--method", "affine"]) == 0
    assert "clipped to 1-5" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["calibrate", "sweep"])
def test_help_shows_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert f"\n  videojudge {verb} " in capsys.readouterr().out
