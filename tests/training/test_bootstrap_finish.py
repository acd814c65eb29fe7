"""What is made of a run: parts of small sets, paths of videos, and a report that costs little."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from bootstrap_cases import kept, rows_in

from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.training.bootstrap import run as finishing
from videojudge_bench.training.bootstrap.contracts import Outcome
from videojudge_bench.training.bootstrap.options import load_options
from videojudge_bench.training.bootstrap.rows import RowOptions
from videojudge_bench.training.bootstrap.run import finish
from videojudge_bench.training.bootstrap.run_folder import RunFolder
from videojudge_bench.training.bootstrap.seed_sources import SeedLine, read_source

HEAVY = ("torch", "transformers", "sklearn", "matplotlib", "pycocoevalcap")


def folder_of(path: Path, outcomes: Sequence[Outcome]) -> RunFolder:
    """A folder of a run that is through."""
    folder = RunFolder(path)
    with folder.locked():
        folder.record("rules", {})
        folder.write_seeds([outcome.seed for outcome in outcomes], {})
        (shard,) = folder.shards()
        folder.write_outcomes(shard, outcomes)
    return folder


def videos_of(folder: Path, part: str) -> set[str]:
    return {row["video_id"] for row in rows_in(folder, "pointwise", part)}


@pytest.mark.parametrize("seed", range(5))
def test_seven_videos_have_one_for_validation(seed: int, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, [kept(n, video=n // 2) for n in range(14)])
    finish(folder, RowOptions(seed=seed))
    train, validation = videos_of(tmp_path, "train"), videos_of(tmp_path, "validation")
    assert len(validation) >= 1
    assert not train & validation
    assert len(train | validation) == 7


@pytest.mark.parametrize(("videos", "share"), [(1, 0.05), (7, 0.0)])
def test_nothing_is_held_out_where_nothing_can_or_should_be(
    videos: int, share: float, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, [kept(n) for n in range(videos)])
    finish(folder, RowOptions(validation=share))
    assert len(videos_of(tmp_path, "train")) == videos
    assert not (tmp_path / "data" / "pointwise_validation.jsonl").exists()


def test_a_share_that_holds_videos_is_left_as_it_is(tmp_path: Path) -> None:
    outcomes = [kept(n) for n in range(100)]
    options = RowOptions(validation=0.2)
    finish(folder_of(tmp_path, outcomes), options)
    expected = {o.seed.video_id for o in outcomes if options.part(o.seed) == "validation"}
    assert videos_of(tmp_path, "validation") == expected


def test_paths_are_relative_and_the_card_says_who_is_told_of_the_folder(tmp_path: Path) -> None:
    finish(folder_of(tmp_path, [kept(1)]), RowOptions())
    chat = (tmp_path / "data" / "chat_pointwise_train.jsonl").read_text(encoding="utf-8")
    assert json.loads(chat.splitlines()[0])["videos"] == ["v1.mp4"]
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    for said in ("`ROOT_IMAGE_DIR=VIDEOS`", "`media_dir: VIDEOS`", "export.videos=VIDEOS"):
        assert said in card


def test_an_option_writes_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    finish(folder_of(tmp_path / "run", [kept(1)]), RowOptions(videos="clips"))
    data = tmp_path / "run" / "data"
    chat = (data / "chat_pointwise_train.jsonl").read_text(encoding="utf-8")
    assert json.loads(chat.splitlines()[0])["videos"] == [str(tmp_path / "clips" / "v1.mp4")]
    card = (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    assert "paths of videos are absolute" in card
    assert "ROOT_IMAGE_DIR" not in card
    assert load_options("embedded", ["export.videos=clips"]).export.videos == "clips"


def test_a_small_run_loads_no_library_for_its_report(tmp_path: Path) -> None:
    folder_of(tmp_path, [kept(n) for n in range(8)])
    program = (
        "import sys; from pathlib import Path\n"
        "from videojudge_bench.training.bootstrap.run import finish\n"
        "from videojudge_bench.training.bootstrap.rows import RowOptions\n"
        "from videojudge_bench.training.bootstrap.run_folder import RunFolder\n"
        f"finish(RunFolder(Path({str(tmp_path)!r})), RowOptions())\n"
        f"print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "`--override report=full` adds them" in report
    assert "## Similarity" not in report
    assert "plots/" not in report
    assert not (tmp_path / "plots").exists()


@pytest.mark.parametrize(
    ("kind", "full_from", "is_full"),
    [("auto", 9, False), ("auto", 8, True), ("full", 9, True), ("brief", 8, False)],
)
def test_the_whole_report_is_for_large_runs_or_on_request(
    kind: str, full_from: int, is_full: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "FULL_FROM", full_from)
    options = load_options("embedded", [f"report={kind}"])
    finish(folder_of(tmp_path, [kept(n) for n in range(8)]), RowOptions(), options.report)
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert ("## Similarity to the gold answer" in report) is is_full
    assert ("## What the text alone gives away" in report) is is_full
    assert (tmp_path / "plots" / "confusion.svg").exists() is is_full


def test_none_is_no_number(tmp_path: Path) -> None:
    options = load_options("embedded", ["seeds.n=none", "max_requests=none", "max_cost=none"])
    assert (options.seeds.n, options.max_requests, options.max_cost) == (None, None, None)
    same = load_options("embedded", ["seeds.n=null"])
    assert options.identity() == same.identity()
    with pytest.raises(ConfigError, match=r"seeds\.n: Input should be a valid integer"):
        load_options("embedded", ["seeds.n=many"])


def test_fields_of_a_seeds_file_are_named_all_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"video": "a.mp4", "instruction": "Who?", "answer": "Me.", "text": "It."}\n')
    with pytest.raises(DataError) as caught:
        list(read_source("jsonl", path))
    assert str(caught.value).startswith(
        f"{path}, line 1: expected the fields video_id, instruction, gold, and where known "
        "description, references, video, source, labels; missing: video_id, gold; unknown: "
        "answer, text"
    )


def test_fields_of_a_seeds_file_are_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "bootstrap.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    told = {cells[1].strip(" `"): cells[3].strip() for cells in rows if len(cells) == 5}
    fields = SeedLine.model_fields
    assert {name: told[name] == "needed" for name in fields} == {
        name: field.is_required() for name, field in fields.items()
    }
