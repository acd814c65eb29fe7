"""The Python interface of notebooks: runs, comparisons, answers and judges as tables and plots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from boards import board_set, noise, perfect, stored
from registered import registered

import videojudge_bench as vb
from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.leaderboard.stored import write_run


@pytest.fixture(autouse=True)
def gold_set() -> Iterator[GoldSet]:
    with registered(board_set()) as gold_set:
        yield gold_set


@pytest.fixture
def folders(gold_set: GoldSet, tmp_path: Path) -> tuple[Path, Path]:
    runs = (stored(gold_set, rate) for rate in (perfect, noise))
    first, second = (write_run(run, tmp_path / "runs") for run in runs)
    return first, second


def test_a_run_is_a_table_of_its_items(gold_set: GoldSet, folders: tuple[Path, Path]) -> None:
    run = vb.load_run(str(folders[0]))
    table = run.to_df()
    assert table["id"].tolist() == list(gold_set.by_id)
    assert {"video_id", "instruction", "response", "gold", "score", "unparsed", "reply"} <= {
        *table.columns
    }
    assert table["score"].tolist() == table["gold"].tolist()  # the perfect judge
    assert len(repr(run)) < 100


def test_numbers_of_a_stored_run_are_not_computed_again(
    gold_set: GoldSet, folders: tuple[Path, Path]
) -> None:
    run = vb.load_run(folders[0])
    assert run.kept is not None
    assert run.numbers is run.kept.numbers
    html = run._repr_html_()
    assert html.startswith("<table><caption>perfect on videojudge_tinyboard, 0 references")
    assert len(html) < 10_000


def test_a_run_and_a_comparison_are_plotted(folders: tuple[Path, Path], tmp_path: Path) -> None:
    plot = vb.load_run(folders[1]).plot()
    assert plot.title == "Scores against gold"
    plot.save(tmp_path / "plot.svg")
    assert ElementTree.parse(tmp_path / "plot.svg").getroot().tag.endswith("svg")
    assert "<figure><svg" in plot._repr_html_()
    with pytest.raises(UnknownNameError, match="unknown plot 'calibratoin'"):
        vb.load_run(folders[1]).plot("calibratoin")
    assert vb.compare(*folders).plot("calibration").title == "Calibration"


def test_a_comparison_of_folders(folders: tuple[Path, Path]) -> None:
    found = vb.compare(*folders, statistic="mae")
    assert repr(found).startswith(
        "<RunComparison: perfect minus noise on videojudge_tinyboard: mae"
    )
    table = found.to_df()
    assert list(table.columns) == ["id", "distance_a", "distance_b"]
    assert (table["distance_a"] == 0).all()
    assert "mae of noise" in found._repr_html_()


def test_text_of_a_judge_or_a_set_is_no_markup(gold_set: GoldSet, tmp_path: Path) -> None:
    run = stored(gold_set, perfect, name="<script>alert(1)</script>")
    loaded = vb.load_run(write_run(run, tmp_path))
    assert "<script>" not in loaded._repr_html_()


def answers(**columns: object) -> pd.DataFrame:
    rows = [
        {"video_id": 7, "instruction": "What?", "response": text, "references": ["a red cat"]}
        for text in ("a red cat", "a dog")
    ]
    return pd.DataFrame(rows).assign(**columns)


def test_answers_of_a_data_frame(tmp_path: Path) -> None:
    frame = answers(system=["x", "y"], description=[None, float("nan")])
    judged = vb.judge_answers(frame, "rouge_l", run=vb.RunOptions(journal=str(tmp_path)))
    table = judged.to_df()
    assert table["video_id"].tolist() == ["7", "7"]
    assert table["score"][0] == 1.0 > table["score"][1]
    assert repr(judged) == "<Judged: rouge_l on answers; 2 of 2 with a verdict>"
    assert judged._repr_html_().startswith("<table><caption>rouge_l on answers")
    assert judged.plot().title == "mean score"


@pytest.mark.parametrize(
    ("frame", "missing"),
    [
        (answers().rename(columns={"response": "text"}), "response missing, got instruction"),
        (answers().drop(columns=["video_id", "instruction"]), "instruction, video_id missing"),
        (pd.DataFrame(), "instruction, response, video_id missing, got no column"),
        (answers(response_a="x"), "response_b missing"),
    ],
)
def test_a_data_frame_without_columns(frame: pd.DataFrame, missing: str) -> None:
    with pytest.raises(ConfigError, match=missing):
        vb.judge_answers(frame, "rouge_l")


def test_judges_are_listed() -> None:
    listed = {judge.name: judge for judge in vb.list_judges()}
    assert listed["rouge_l"].requires == ("references",)
    assert (listed["random"].scale, listed["rouge_l"].scale) == ("1-5", "")
    assert all(judge.summary for judge in listed.values())
