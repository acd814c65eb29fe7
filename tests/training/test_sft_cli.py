"""`videojudge train`: what it prints before a training, and how it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from filelock import FileLock
from PIL import Image
from sft_cases import VIDEOS, sample_rows, tiny_model

from videojudge_bench.cli.main import main
from videojudge_bench.training.bootstrap.options import recipes as bootstrap_recipes
from videojudge_bench.training.sft.recipe import recipes


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def rows_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl")


@pytest.fixture
def command(model: Path, rows_file: Path, tmp_path: Path) -> list[str]:
    changes = (
        *(f"model.pretrained={model}", f"data.rows=[{rows_file}]", f"data.videos={VIDEOS}"),
        *("evaluation.metric=token_accuracy", "judge.max_tokens=4", "training.steps=1"),
        *("frames.max_frames=2", "evaluation.videos=1"),
    )
    given = [word for change in changes for word in ("--override", change)]
    return ["train", "--recipe", "smoke_cpu", "-o", str(tmp_path / "run"), *given]


def test_recipes_and_configurations_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    by_verb = {row["for"]: [r["recipe"] for r in rows if r["for"] == row["for"]] for row in rows}
    assert by_verb["train"] == recipes()
    assert by_verb["bootstrap"] == bootstrap_recipes()
    assert [Path(path).name for path in by_verb["accelerate"]] == [
        "fsdp2.yaml", "one_gpu.yaml", "several_gpus.yaml", "zero3.yaml",
    ]  # fmt: skip
    assert all(Path(path).is_file() for path in by_verb["accelerate"])


def test_a_dry_run_prints_tokens_memory_hours_and_money(
    command: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    more = ["--dry-run", "--gpu", "rtx4090", "--gpus", "2", "--price", "1.5"]
    assert main([*command, *more]) == 0
    printed = capsys.readouterr().out
    for word in ("stage", "rows", "left out", "tokens", "fewer by trees", "GPU hours"):
        assert word in printed
    (cells,) = re.findall(r"train +75 +0 +1 +([\d,]+) +([\d.]+) x", printed)
    assert float(cells[1]) > 1.5
    assert "on 2 x rtx4090; " in printed
    assert "and there are 23.5: it fits" in printed
    assert "0.00 at 1.5 for a GPU and hour" in printed
    assert "17% of the GPU's stated bf16 throughput is assumed" in printed
    assert not (tmp_path / "run").exists()


def test_inspect_shows_what_is_learnt_and_the_frames(
    command: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([*command, "--inspect", "2"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("rows, ") == 2
    assert "stage train: 75 rows" in printed
    learnt = re.findall(r"«(.*?)»", printed, flags=re.DOTALL)
    assert len(learnt) == 30
    for reply in learnt:
        assert re.fullmatch(
            r"<thinking>\s*So it is\.\s*</thinking>\s*<score>⟦\d⟧</score><\|im_end\|>", reply
        )
    assert re.search(r"\d+ of \d+ tokens are learnt", printed)
    assert re.search(r"2 frames of \d+ x \d+, \d+ tokens in 1 block\(s\) of 1 x \d+ x \d+", printed)
    pictures = sorted((tmp_path / "run" / "inspect" / "train").glob("*.png"))
    assert [path.name for path in pictures] == ["0.png", "1.png"]
    with Image.open(pictures[0]) as picture:
        assert picture.width > picture.height  # frames side by side


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "parameter --recipe requires an argument"),
        (["--recipe", "smoke_cpu"], "--output is missing: the folder that the run goes to"),
        (["--recipe", "smoke", "-o", "x"], "unknown recipe 'smoke'. Did you mean 'smoke_cpu'?"),
        (
            ["--recipe", "smoke_cpu", "-o", "x", "--inspect", "0"],
            "--inspect: expected 1 or more, got 0",
        ),
        (["--recipe", "smoke_cpu", "--dry-run", "--gpus", "0"], "--gpus: expected 1 or more"),
        (["--recipe", "smoke_cpu", "--dry-run", "--price", "-1"], "--price: expected 0 or more"),
        (["--recipe", "smoke_cpu", "--dry-run", "--gpu", "h10"], "Did you mean 'h100'"),
        (["--recipe", "smoke_cpu", "-o", "x", "--override", "seeds=1"], "Did you mean 'seed'?"),
    ],
)
def test_wrong_use_ends_with_2_and_no_traceback(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["train", *words]) == 2
    told = capsys.readouterr().err
    assert text in told
    assert "Traceback" not in told


def test_a_training_by_the_command_ends_with_0_and_a_model(
    command: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "train: 75 rows in 5 bundles" in printed
    assert f"wrote {tmp_path / 'run' / 'model'}" in printed
    note = json.loads((tmp_path / "run" / "model" / "videojudge.json").read_text())
    assert note["recipe"]["recipe"] == "smoke_cpu"
    with FileLock(tmp_path / "run" / ".lock"):
        assert main(command) == 2  # another run has the folder
    assert "another run is writing" in capsys.readouterr().err
