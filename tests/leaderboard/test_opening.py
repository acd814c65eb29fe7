"""A run is opened where it lies: a journal, a kept run, a folder of results; or it is refused."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from boards import board_set, noise, perfect, stored
from registered import registered

from videojudge_bench import registry
from videojudge_bench.errors import ConfigError, DataError, UnknownNameError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.leaderboard.opening import open_run, open_runs
from videojudge_bench.leaderboard.stored import write_run
from videojudge_bench.run.runner import Run, RunOptions


@pytest.fixture(autouse=True)
def gold_set() -> Iterator[GoldSet]:
    with registered(board_set()) as gold_set:
        yield gold_set


def journal(gold_set: GoldSet, folder: Path, *, limit: int | None = None) -> Path:
    """Return the folder of one run of the judge `random`."""
    run = Run(registry.build("random", {}), gold_set, RunOptions(journal=folder))
    run.judge([example.item.id for example in gold_set.examples[:limit]])
    return run.folder


def test_a_journal_and_a_kept_run_are_the_same_run(gold_set: GoldSet, tmp_path: Path) -> None:
    folder = journal(gold_set, tmp_path / "journal")
    one = open_run(folder)
    assert one.title == "random on videojudge_tinyboard, 0 references"
    assert len(one.judgements) == 120
    assert dict(one.signature.judge) == {"judge": "random", "seed": 0}
    kept = write_run(stored(gold_set, perfect), tmp_path / "results" / "runs")
    write_run(stored(gold_set, noise), tmp_path / "results" / "runs")
    assert open_run(kept).title.startswith("perfect on")
    assert [run.name for run in open_runs(tmp_path / "results")] == ["noise", "perfect"]
    assert open_runs(tmp_path / "results")[0].signature.measurement == one.signature.measurement


def test_a_half_finished_run_is_another_measurement(gold_set: GoldSet, tmp_path: Path) -> None:
    half = open_run(journal(gold_set, tmp_path / "half", limit=60))
    whole = open_run(journal(gold_set, tmp_path / "whole"))
    assert len(half.judgements) == 60
    assert half.signature.measurement["items"] != whole.signature.measurement["items"]


def test_one_of_several_runs_must_be_named(gold_set: GoldSet, tmp_path: Path) -> None:
    for rate in (perfect, noise):
        write_run(stored(gold_set, rate), tmp_path / "runs")
    with pytest.raises(ConfigError) as error:
        open_run(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: expected one run, got 2: noise on videojudge_tinyboard, 0 references; "
        "perfect on videojudge_tinyboard, 0 references. Give the folder of one"
    )


def test_a_folder_that_holds_no_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{tmp_path} holds no run: neither a journal"):
        open_runs(tmp_path)
    with pytest.raises(ConfigError, match=f"no folder {tmp_path / 'nowhere'}"):
        open_runs(tmp_path / "nowhere")


def test_a_run_that_has_just_begun(
    gold_set: GoldSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = journal(gold_set, tmp_path / "both")
    (folder / "judgements-0.jsonl").write_text("", encoding="utf-8")
    message = "the run of random on videojudge_tinyboard has no judgement yet; it has just begun"
    with pytest.raises(DataError, match=message):
        open_runs(folder)
    journal(board_set(), tmp_path / "both")  # the same journal, judged now
    other = Run(
        registry.build("random", {"seed": 1}), gold_set, RunOptions(journal=tmp_path / "both")
    )
    other.judge([gold_set.examples[0].item.id])
    (other.folder / "judgements-0.jsonl").write_text("", encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        assert len(open_runs(tmp_path / "both")) == 1
    assert f"left out: {tmp_path / 'both'}: {message}" in caplog.text


def test_a_run_on_a_set_that_is_not_here(tmp_path: Path) -> None:
    with registered(board_set(name="elsewhere", videos=3)) as elsewhere:
        kept = write_run(stored(elsewhere, perfect), tmp_path / "runs")
    with pytest.raises(UnknownNameError, match="unknown gold set 'elsewhere'"):
        open_runs(kept)


def test_a_run_on_another_version_of_the_set(tmp_path: Path) -> None:
    with registered(board_set(name="grown", videos=4)) as grown:
        kept = write_run(stored(grown, perfect), tmp_path / "runs")
    with registered(board_set(name="grown", videos=3)), pytest.raises(DataError) as error:
        open_runs(kept)
    assert "3 of 12 judgements are about items that videojudge_grown does not have, such as" in str(
        error.value
    )
