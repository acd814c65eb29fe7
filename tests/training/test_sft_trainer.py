"""Training itself: what it leaves, how it goes on, what moves and what does not."""

from __future__ import annotations

import json
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.stats import spearmanr
from sft_cases import a_row, recipe_for, sample_rows, tiny_model, written_rows

from videojudge_bench.errors import ConfigError, RunStoppedError
from videojudge_bench.run.journal import read_journal
from videojudge_bench.training.sft.model import parts_of
from videojudge_bench.training.sft.rows import read_rows
from videojudge_bench.training.sft.run import train
from videojudge_bench.verdicts import Rating

STEPS = 4


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def rows_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl", feedback=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, model: Path, rows_file: Path) -> Path:
    """The folder of a training that nothing stopped."""
    output = tmp_path_factory.mktemp("whole") / "run"
    train(recipe_for(model, rows_file), output)
    return output


def log_of(output: Path, stage: str = "train") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / stage / "log.jsonl").read_text().splitlines()]


def losses(output: Path) -> dict[int, float]:
    return {entry["step"]: entry["loss"] for entry in log_of(output) if "loss" in entry}


def evaluations(output: Path, name: str) -> dict[int, float]:
    return {e["step"]: e[f"eval_{name}"] for e in log_of(output) if f"eval_{name}" in e}


def moved(before: Path, after: Path) -> set[str]:
    """The parts of which any weight has changed."""
    one = load_file(before / "model.safetensors")
    other = load_file(after / "model.safetensors")
    assert one.keys() == other.keys()
    return {parts_of(name) for name in one if not torch.equal(one[name], other[name])}


# A whole run.


def test_a_training_leaves_a_model_its_log_and_its_checkpoints(whole: Path, model: Path) -> None:
    assert sorted(losses(whole)) == [1, 2, 3, 4]
    found = losses(whole)
    assert found[STEPS] < found[1]
    assert set(evaluations(whole, "loss")) == {2, 4}
    assert set(evaluations(whole, "token_accuracy")) == {2, 4}
    assert set(evaluations(whole, "coverage")) == {2, 4}  # the judge was asked
    done = json.loads((whole / "train" / "done.json").read_text())
    assert done["best"] == "checkpoint-4"
    assert moved(model, whole / "model") == {"vision", "projector", "language"}
    verdicts = list((whole / "train" / "evaluations").rglob("*.jsonl"))
    assert len(verdicts) == 2


def test_a_training_that_is_through_does_nothing(whole: Path, model: Path, rows_file: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (whole / "model").iterdir()}
    said: list[str] = []
    train(recipe_for(model, rows_file), whole, say=said.append)
    assert said == ["train: done already"]
    assert {path: path.stat().st_mtime_ns for path in (whole / "model").iterdir()} == before


def test_other_options_on_one_folder_are_told_all_at_once(
    whole: Path, model: Path, rows_file: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        train(recipe_for(model, rows_file, "training.steps=9", "seed=3"), whole)
    told = str(caught.value)
    assert "was begun with other values; give those, or another folder, 2 problems:" in told
    assert "seed was 0 and is 3" in told
    assert "stages.0.training.steps was 4 and is 9" in told
    train(recipe_for(model, rows_file, "training.log_every=5"), whole)  # of no importance


# Going on.

CHILD = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import torch
torch.set_num_threads(1)
from sft_cases import recipe_for
from videojudge_bench.training.sft import trainer
from videojudge_bench.training.sft.rows import read_rows
from videojudge_bench.training.sft.run import train

def killed(self, *arguments, **named):
    if self.state.global_step == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, *arguments, **named)

original = getattr(trainer.JudgeTrainer, {method!r})
setattr(trainer.JudgeTrainer, {method!r}, killed)
train(recipe_for(Path({model!r}), Path({rows!r})), Path({output!r}))
"""


@dataclass(frozen=True)
class Kill:
    """Where a training is killed, and what checkpoints that leaves."""

    method: str
    step: int
    left: frozenset[str]


KILLS = (
    # In the forward pass of the fourth step: the checkpoint of the second is whole.
    Kill("compute_loss", 3, frozenset({"checkpoint-2"})),
    # The weights of the fourth step are written, the optimiser is not.
    Kill("_save_optimizer_and_scheduler", 4, frozenset({"checkpoint-2", "checkpoint-4"})),
)


@pytest.mark.parametrize("kill", KILLS, ids=["between checkpoints", "in a checkpoint"])
def test_after_kill_9_the_same_command_ends_with_the_same_losses(
    tmp_path: Path, whole: Path, model: Path, rows_file: Path, kill: Kill
) -> None:
    output = tmp_path / "run"
    script = CHILD.format(
        tests=str(Path(__file__).parent),
        model=str(model),
        rows=str(rows_file),
        output=str(output),
        method=kill.method,
        step=kill.step,
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True, text=True, check=False, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert {path.name for path in (output / "train").glob("checkpoint-*")} == kill.left
    assert not (output / "train" / "checkpoint-4" / "complete.json").exists()
    train(recipe_for(model, rows_file), output)
    assert losses(output) == pytest.approx(losses(whole), abs=1e-5)
    assert evaluations(output, "loss") == pytest.approx(evaluations(whole, "loss"), abs=1e-5)
    one, other = (load_file(run / "model" / "model.safetensors") for run in (output, whole))
    assert all(torch.allclose(one[name], other[name], atol=1e-5) for name in other)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """What a full disk does to a large file: the system refuses to write on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_stops_the_run_and_leaves_the_checkpoint_before(
    tmp_path: Path, whole: Path, model: Path, rows_file: Path
) -> None:
    output = tmp_path / "run"
    shutil.copytree(whole, output, ignore=shutil.ignore_patterns("done.json", "model"))
    shutil.rmtree(output / "train" / "checkpoint-4")
    kept = {p.name: p.read_bytes() for p in (output / "train" / "checkpoint-2").iterdir()}
    with files_of_at_most(500_000), pytest.raises(RunStoppedError) as caught:
        train(recipe_for(model, rows_file), output)
    assert str(caught.value) == (
        "the disk is full. Complete checkpoints are kept: make room, and the same command "
        "resumes from the last of them"
    )
    found = {p.name: p.read_bytes() for p in (output / "train" / "checkpoint-2").iterdir()}
    assert found == kept
    train(recipe_for(model, rows_file), output)
    assert losses(output) == pytest.approx(losses(whole), abs=1e-5)


def test_other_rows_on_one_folder_are_refused(
    tmp_path: Path, whole: Path, model: Path, rows_file: Path
) -> None:
    output = tmp_path / "run"
    shutil.copytree(whole, output, ignore=shutil.ignore_patterns("done.json", "model"))
    before = rows_file.read_text(encoding="utf-8")
    try:
        rows_file.write_text("\n".join(before.splitlines()[1:]) + "\n", encoding="utf-8")
        with pytest.raises(ConfigError, match="stage train was begun with other rows than data"):
            train(recipe_for(model, rows_file), output)
    finally:
        rows_file.write_text(before, encoding="utf-8")


# What is trained, and for how long.


def test_frozen_parts_do_not_move(tmp_path: Path, model: Path, rows_file: Path) -> None:
    changes = ("evaluation.videos=0", "training.steps=2")
    train(recipe_for(model, rows_file, "model.train=[projector]", *changes), tmp_path / "one")
    assert moved(model, tmp_path / "one" / "model") == {"projector"}
    train(
        recipe_for(model, rows_file, "model.train=[language]", *changes, "data.packing=none"),
        tmp_path / "two",
    )
    assert moved(model, tmp_path / "two" / "model") == {"language"}


def test_a_stage_stops_above_its_metric_and_the_next_goes_on_with_its_weights(
    tmp_path: Path, model: Path, rows_file: Path, whole: Path
) -> None:
    recipe = tmp_path / "staged.yaml"
    recipe.write_text(
        "model: {pretrained: x}\ndata: {rows: []}\ntraining: {learning_rate: 1.0e-3}\n"
        "stages:\n- {name: one}\n- {name: two}\n",
        encoding="utf-8",
    )
    from videojudge_bench.training.sft.recipe import load_recipe

    alone = recipe_for(model, rows_file)
    sections: dict[str, Any] = alone.to_json()
    stage = sections["stages"][0]
    kept = {name: sections[name] for name in ("model", "frames", "judge", "seed")}
    evaluation = {**stage["evaluation"], "metric": "token_accuracy"}
    first = {**stage, "name": "one", "evaluation": {**evaluation, "stop_above": -1.0}}
    slow = {**stage["training"], "learning_rate": 1e-30, "steps": 2}
    second = {**stage, "name": "two", "training": slow, "evaluation": evaluation}
    recipe.write_text(json.dumps({**kept, "stages": [first, second]}), encoding="utf-8")
    output = tmp_path / "run"
    train(load_recipe(str(recipe)), output)
    done = {n: json.loads((output / n / "done.json").read_text()) for n in ("one", "two")}
    assert (done["one"]["steps"], done["two"]["steps"]) == (2, 2)
    assert (output / "one" / "checkpoint-2" / "complete.json").is_file()
    # The second stage begins where the first ended, and hardly moves.
    first_loss = [e["eval_loss"] for e in log_of(output, "one") if "eval_loss" in e][-1]
    later = [e["eval_loss"] for e in log_of(output, "two") if "eval_loss" in e]
    assert later == pytest.approx([first_loss], abs=1e-5)
    assert evaluations(whole, "loss")[2] == pytest.approx(first_loss, abs=1e-5)


def test_the_best_weights_are_kept_and_exported_whichever_step_they_are_of(
    tmp_path: Path, model: Path, rows_file: Path
) -> None:
    # A rate that first helps and then destroys; the best evaluation is at no step of `save_every`.
    changes = (
        *("training.learning_rate=0.3", "training.schedule=constant_with_warmup"),
        *("training.warmup=0.0", "training.max_grad_norm=1.0", "training.steps=3"),
        *("training.save_every=3", "evaluation.every=1"),
    )
    output = tmp_path / "run"
    train(recipe_for(model, rows_file, *changes), output)
    found = evaluations(output, "loss")
    best = min(found, key=lambda step: found[step])
    assert best != 3, "the only step that is saved in any case"
    done = json.loads((output / "train" / "done.json").read_text())
    assert done["best"] == f"checkpoint-{best}"
    assert (output / "train" / done["best"] / "complete.json").is_file()
    one = load_file(output / "train" / done["best"] / "model.safetensors")
    other = load_file(output / "model" / "model.safetensors")
    assert {tuple(t.shape) for t in one.values()} == {tuple(t.shape) for t in other.values()}
    assert sum(float(t.double().sum()) for t in one.values()) == pytest.approx(
        sum(float(t.double().sum()) for t in other.values())
    )


def sure_of_a_score(model: Path, folder: Path) -> Path:
    """The model, but at every place one of the digits 1 to 5 is far likelier than all else."""
    shutil.copytree(model, folder)
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    weights = load_file(folder / "model.safetensors")
    head = torch.zeros_like(weights["lm_head.weight"])
    rows = torch.randn(5, head.shape[1], generator=torch.Generator().manual_seed(0))
    for digit, row in zip("12345", rows, strict=True):
        head[vocabulary[digit]] = 5 * row
    save_file({**weights, "lm_head.weight": head}, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_the_real_judge_is_measured_while_training(
    tmp_path: Path, model: Path, rows_file: Path
) -> None:
    changes = (
        *("training.steps=1", "training.learning_rate=1e-30", "evaluation.every=1"),
        *("evaluation.metric=spearman", "evaluation.videos=2"),
    )
    output = tmp_path / "run"
    train(recipe_for(sure_of_a_score(model, tmp_path / "sure"), rows_file, *changes), output)
    (journal,) = {p.parent for p in (output / "train" / "evaluations").rglob("*.jsonl")}
    rated = {
        judgement.item_id: judgement.verdict.value
        for judgement in read_journal(journal).values()
        if isinstance(judgement.verdict, Rating)
    }
    assert len(rated) >= 20  # of 30
    assert evaluations(output, "coverage") == {1: pytest.approx(len(rated) / 30)}
    gold = {
        row.id: row.responses[0].rating
        for row in read_rows([str(rows_file)], ["pointwise"], "validation")
    }
    expected = spearmanr([gold[item] for item in rated], list(rated.values())).statistic
    assert evaluations(output, "spearman") == {1: pytest.approx(expected)}
    assert f"spearman {expected:.3f}" in (output / "model" / "README.md").read_text("utf-8")


def test_the_worst_instruction_can_be_what_is_measured(tmp_path: Path, model: Path) -> None:
    asked = ("What does it do?", "How does it end?")
    file = sample_rows(tmp_path / "rows.jsonl", feedback=False, instructions=asked)
    changes = (
        *("training.steps=1", "training.learning_rate=1e-30", "evaluation.every=1"),
        *("evaluation.metric=worst_spearman", "evaluation.videos=2"),
    )
    output = tmp_path / "run"
    train(recipe_for(sure_of_a_score(model, tmp_path / "sure"), file, *changes), output)
    (journal,) = {p.parent for p in (output / "train" / "evaluations").rglob("*.jsonl")}
    rows = {row.id: row for row in read_rows([str(file)], ["pointwise"], "validation")}
    pairs: dict[str, list[tuple[float, float]]] = {instruction: [] for instruction in asked}
    for judgement in read_journal(journal).values():
        if isinstance(judgement.verdict, Rating):
            row = rows[judgement.item_id]
            pairs[str(row.instruction)].append((row.responses[0].rating, judgement.verdict.value))
    one, other = (spearmanr(*zip(*found, strict=True)).statistic for found in pairs.values())
    assert one != pytest.approx(other)
    assert evaluations(output, "worst_spearman") == {1: pytest.approx(min(one, other))}
    assert evaluations(output, "spearman").keys() == {1}


def test_instructions_that_are_asked_once_have_no_worst_one(
    tmp_path: Path, model: Path, rows_file: Path
) -> None:
    recipe = recipe_for(model, rows_file, "evaluation.metric=worst_spearman", "evaluation.videos=2")
    with pytest.raises(ConfigError, match=r"of \d+ here, \d+ are asked of one. Give spearman"):
        train(recipe, tmp_path / "run")


def test_adapters_are_trained_in_the_language_model_alone_and_exported_merged(
    tmp_path: Path, model: Path, rows_file: Path
) -> None:
    pytest.importorskip("peft")
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    output = tmp_path / "run"
    changes = ("model.lora={rank: 4, alpha: 8}", "training.steps=2", "training.learning_rate=1e-2")
    train(recipe_for(model, rows_file, *changes), output)
    assert set(evaluations(output, "coverage")) == {2}  # the judge works through the adapters
    (checkpoint,) = (output / "train").glob("checkpoint-*")
    adapters = load_file(checkpoint / "adapter_model.safetensors")
    assert adapters
    assert {parts_of(name) for name in adapters} == {"language"}
    assert any(bool(t.any()) for name, t in adapters.items() if "lora_B" in name)
    auto: Any = AutoModelForImageTextToText
    adapted = PeftModel.from_pretrained(auto.from_pretrained(model), checkpoint).eval()
    merged = auto.from_pretrained(output / "model").eval()
    ids = torch.arange(10, 30)[None]
    with torch.no_grad():
        expected, found = adapted(input_ids=ids).logits, merged(input_ids=ids).logits
        base = auto.from_pretrained(model)(input_ids=ids).logits
    assert float((expected - found).abs().max()) < 1e-4
    assert float((expected - base).abs().max()) > 1e-2
    assert moved(model, output / "model") == {"language"}


def test_adapters_for_layers_that_are_not_there_are_refused(
    tmp_path: Path, model: Path, rows_file: Path
) -> None:
    changes = ("model.lora={targets: [q_proj, w_proj]}",)
    with pytest.raises(ConfigError, match=r"model\.lora\.targets: .* has no layer 'w_proj'"):
        train(recipe_for(model, rows_file, *changes), tmp_path / "run")


def test_processes_of_their_own_make_rows_ready(
    tmp_path: Path, model: Path, rows_file: Path, whole: Path
) -> None:
    changes = ("training.workers=1", "evaluation.videos=0", "training.steps=2")
    output = tmp_path / "run"
    train(recipe_for(model, rows_file, *changes), output)
    assert losses(output)[1] == pytest.approx(losses(whole)[1], abs=1e-5)


def test_unbalanced_rows_and_rows_left_out_are_told(
    tmp_path: Path, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [a_row(n, kind="own", verdict="1") for n in range(5)]
    rows += [a_row(5, kind="own", verdict="2"), a_row(6, kind="own", video_id="gone")]
    path = written_rows(tmp_path / "rows.jsonl", rows)
    said: list[str] = []
    changes = ("data.kinds=[own]", "evaluation.videos=0", "training.steps=1", "training.batch=1")
    with caplog.at_level(logging.WARNING):
        train(recipe_for(model, path, *changes), tmp_path / "run", say=said.append)
    assert "stage train: the verdicts are unbalanced (1: 5, 2: 2)" in caplog.text
    (listed,) = (tmp_path / "run" / "train" / "dropped.jsonl").read_text().splitlines()
    assert json.loads(listed)["row"] == "r6"
    assert any("1 rows are left out, see " in line for line in said)
