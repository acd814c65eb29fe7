"""Several processes train what one does: copies of the model, and a model dealt out by FSDP2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file
from sft_cases import recipe_for, sample_rows, tiny_model
from videojudge_bench.training.sft.cli import configurations
from videojudge_bench.training.sft.run import train

BIN = Path(sys.executable).parent
STEPS = 4
TRAIN = ("-m", "videojudge_bench.cli", "train")

pytestmark = pytest.mark.slow  # every process imports torch and transformers


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, rows, a recipe for them, and what one process makes of them."""
    folder = tmp_path_factory.mktemp("processes")
    model = tiny_model(folder / "tiny")
    rows = sample_rows(folder / "rows.jsonl", feedback=False)
    # Five trees in batches of two: the epoch's end comes in the middle.
    recipe = recipe_for(model, rows, f"training.steps={STEPS}")
    options = recipe.to_json()
    options.pop("recipe")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(options), encoding="utf-8")
    train(recipe, folder / "one")
    return folder


def launched(command: Sequence[str], here: Path, output: str) -> str:
    """Train in `output` by a launcher; what it printed."""
    ended = subprocess.run(
        [*command, *TRAIN, "--recipe", "recipe.yaml", "--output", output],
        cwd=here,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def log_of(output: Path, name: str) -> dict[int, float]:
    lines = (output / "train" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    return {entry["step"]: entry[name] for entry in entries if name in entry}


def assert_as_one(here: Path, output: str) -> None:
    """The same losses and the same model as one process with the same batch."""
    one, other = here / "one", here / output
    for name in ("loss", "eval_loss", "eval_token_accuracy", "eval_coverage"):
        assert log_of(other, name) == pytest.approx(log_of(one, name), abs=1e-4)
        assert log_of(other, name)
    weights, found = (load_file(run / "model" / "model.safetensors") for run in (one, other))
    assert found.keys() == weights.keys()
    assert max(float((found[n] - weights[n]).abs().max()) for n in weights) < 1e-3
    done = [json.loads((run / "train" / "done.json").read_text()) for run in (one, other)]
    assert done[0]["best"] == done[1]["best"]


def test_two_processes_have_the_losses_of_one(here: Path) -> None:
    said = launched([str(BIN / "torchrun"), "--nproc-per-node", "2"], here, "two")
    assert said.count("rows in 5 bundles") == 1  # one of them speaks
    assert_as_one(here, "two")


def test_a_model_dealt_out_by_fsdp2_has_the_losses_of_one(here: Path) -> None:
    (path,) = [path for path in configurations() if path.name == "fsdp2.yaml"]
    command = [str(BIN / "accelerate"), "launch", "--config_file", str(path)]
    launched([*command, "--num_processes", "2", "--cpu"], here, "dealt")
    assert_as_one(here, "dealt")
    checkpoint = here / "dealt" / "train" / f"checkpoint-{STEPS}"
    assert (checkpoint / "complete.json").is_file()
    assert (checkpoint / "optimizer.bin").exists() or (checkpoint / "optimizer.pt").exists()
    journals = {path.name for path in (here / "dealt" / "train" / "evaluations").iterdir()}
    assert journals == {f"step-{n:06}{rank}" for n in (2, STEPS) for rank in ("", "-1")}
