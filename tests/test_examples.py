"""The scripts in examples/: what they plan without a GPU, and the rows that they write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
VIDEOS = ROOT / "tasks" / "sample" / "videos"
ASKED = {"instruction": "What happens?", "references": ["A pig flies."]}
PROMPTS = [{"video_id": "mdn_pig", **ASKED}, {"video_id": "elf", "video": "mdn_elf.webm", **ASKED}]


def run(*words: object, **variables: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [*map(str, words)], env={**os.environ, "PATH": path, **variables}, cwd=ROOT,
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in PROMPTS), "utf-8")
    return file


def facts_of(done: subprocess.CompletedProcess[str]) -> Mapping[str, str]:
    assert done.returncode == 0, done.stderr
    lines = [line.strip().split("  ") for line in done.stdout.splitlines() if "  " in line.strip()]
    return {line[0]: line[-1].strip() for line in lines}


def test_the_plan_of_trl(prompts: Path) -> None:
    """60 frames of 151,200 pixels: 11,571 squares of 28 pixels, 5,785 tokens of a video.

    1,000 epochs of 2 prompts with 8 answers: 2,000 groups, 16,000 calls; 16,000 x 400 + 2,000 x
    5,785 tokens shared, 16,000 x 6,185 apart, and 2 x 7e9 operations a token at 0.17 x 989e12 a
    second.
    """
    facts = facts_of(
        run("python", EXAMPLES / "grpo_trl.py", prompts, "--dry-run", "--epochs", 1000)
    )
    assert facts == {
        "rows": "2",
        "rollouts": "16,000: 8 answers to each, 1000 epochs",
        "judge calls": "16,000",
        "vision tokens of a rollout, as images": "3,085",
        "vision tokens of a group for the judge": "5,785",
        "judge tokens, a group sharing its prefix": "17,970,000",
        "judge hours of one h100, about": "0.416; 2.29 without",
    }
    words = ("--dry-run", "--generations", 4, "--against", "group")
    assert facts_of(run("python", EXAMPLES / "grpo_trl.py", prompts, *words))["judge calls"] == "24"


@pytest.mark.parametrize(
    ("script", "command"),
    [("grpo_verl.sh", "actor_rollout_ref.rollout.n=4"), ("grpo_swift.sh", "videojudge")],
)
def test_the_plans_of_verl_and_ms_swift(script: str, command: str, prompts: Path) -> None:
    words = (EXAMPLES / script, prompts, VIDEOS, prompts.parent / "out", "--dry-run")
    done = run(*words, GENERATIONS="4", EPOCHS="3")
    assert facts_of(done)["judge calls"] == "24"
    assert command in done.stdout.splitlines()
    assert not (prompts.parent / "out").exists()
    assert run(EXAMPLES / script, prompts).returncode == 2


def test_rows_for_verl_and_ms_swift(prompts: Path, tmp_path: Path) -> None:
    import datasets

    for verb, kind in (("verl", "parquet"), ("swift", "json")):
        file = tmp_path / f"rows.{kind}"
        assert run("python", EXAMPLES / "prompts.py", verb, prompts, VIDEOS, file).returncode == 0
        read = datasets.load_dataset(
            kind, data_files=str(file), split="train", cache_dir=str(tmp_path / "cache")
        )
        row = read[1]
        if verb == "verl":
            assert row["prompt"] == [{"role": "user", "content": "<video>What happens?"}]
            assert row["videos"][0]["video"] == (VIDEOS / "mdn_elf.webm").as_uri()
            info = row["extra_info"]
            assert (info["question"], info["video_id"]) == ("What happens?", "elf")
            assert info["references"] == ["A pig flies."]
        else:
            assert row["messages"] == [{"role": "user", "content": "<video>What happens?"}]
            assert row["videos"] == [str(VIDEOS / "mdn_elf.webm")]
            assert row["references"] == ["A pig flies."]


def test_prompts_without_videos_are_said(prompts: Path, tmp_path: Path) -> None:
    (tmp_path / "mdn_elf.webm").write_bytes(b"a video")
    done = run("python", EXAMPLES / "prompts.py", "swift", prompts, tmp_path, tmp_path / "o.jsonl")
    assert done.returncode == 0
    assert f"1 of 2 prompts have no video in {tmp_path}" in done.stderr
    prompts.write_text('{"video_id": "x", "instruction": "?", "reference": "a"}\n', "utf-8")
    done = run("python", EXAMPLES / "grpo_trl.py", prompts, "--dry-run")
    assert done.returncode == 2
    assert "Did you mean 'references'" in done.stderr


@pytest.mark.parametrize(
    "name", ["score_answers", pytest.param("trust_a_judge", marks=pytest.mark.slow)]
)
def test_a_notebook_runs_from_top_to_bottom(name: str) -> None:
    cells = json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] for cell in cells[2:] if cell["cell_type"] == "code")
    done = run(sys.executable, "-c", "\n".join(code))
    assert done.returncode == 0, done.stderr
