"""Several processes train what one does: copies of the model, and a model dealt out by FSDP2."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file
from sft_cases import recipe_for, sample_rows, tiny_model

from videojudge_bench.training.sft.recipe import configurations
from videojudge_bench.training.sft.run import train

BIN = Path(sys.executable).parent
STEPS = 4

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


def launched(
    command: Sequence[str], here: Path, output: str, variables: Mapping[str, str] | None = None
) -> str:
    """Train in `output` by a launcher; what it printed."""
    ended = subprocess.run(
        [*command, "--recipe", "recipe.yaml", "--output", output],
        cwd=here,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **(variables or {})},
        capture_output=True,
        text=True,
        timeout=1200,
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
    module = ("-m", "videojudge_bench.cli", "train")
    said = launched([str(BIN / "torchrun"), "--nproc-per-node", "2", *module], here, "two")
    assert said.count("rows in 5 bundles") == 1  # one of them speaks
    assert_as_one(here, "two")


# accelerate deals models out on accelerators only, and silently makes copies on a CPU. Told that it
# may, it does here what it does on GPUs.
ON_A_CPU = """
import sys
from accelerate import state
from accelerate.utils import DistributedType

made = state.AcceleratorState.__init__

def dealt_out(self, *arguments, fsdp_plugin=None, **named):
    made(self, *arguments, fsdp_plugin=fsdp_plugin, **named)
    plugin = fsdp_plugin or self.__dict__.get("fsdp_plugin")
    if plugin is not None:
        self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, plugin

state.AcceleratorState.__init__ = dealt_out

from videojudge_bench.cli.main import main
from videojudge_bench.training.sft.trainer import JudgeTrainer

saved = JudgeTrainer._save_checkpoint

def seen(self, *arguments):
    saved(self, *arguments)
    parts = [type(p).__name__ for p in self.model.parameters()]
    if self.args.should_save:
        print("dealt out:", parts.count("DTensor"), "of", len(parts))

JudgeTrainer._save_checkpoint = seen
sys.exit(main(sys.argv[1:]))
"""


def fsdp_variables() -> dict[str, str]:
    """What `accelerate launch --config_file fsdp2.yaml` puts into the environment."""
    (path,) = [path for path in configurations() if path.name == "fsdp2.yaml"]
    options = yaml.safe_load(path.read_text(encoding="utf-8"))["fsdp_config"]
    found = {name.upper(): str(value) for name, value in options.items()}
    return {
        "ACCELERATE_USE_FSDP": "true",
        **{n: v.replace("True", "true") for n, v in found.items()},
    }


def test_a_model_dealt_out_by_fsdp2_has_the_losses_of_one(here: Path) -> None:
    (here / "child.py").write_text(ON_A_CPU, encoding="utf-8")
    launch = [str(BIN / "torchrun"), "--nproc-per-node", "2", "child.py", "train"]
    said = launched(launch, here, "dealt", fsdp_variables())
    assert re.search(r"dealt out: (\d+) of \1\n", said), said
    assert_as_one(here, "dealt")
    checkpoint = here / "dealt" / "train" / f"checkpoint-{STEPS}"
    assert (checkpoint / "complete.json").is_file()
    journals = {path.name for path in (here / "dealt" / "train" / "evaluations").iterdir()}
    assert journals == {f"step-{n:06}{rank}" for n in (2, STEPS) for rank in ("", "-1")}
    # Stopped, it goes on with the weights and the optimiser of its checkpoint.
    for name in ("done.json", f"checkpoint-{STEPS}"):
        path = here / "dealt" / "train" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(here / "dealt" / "model")
    launched(launch, here, "dealt", fsdp_variables())
    assert_as_one(here, "dealt")
