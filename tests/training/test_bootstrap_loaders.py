"""Exported rows in the trainers that read them, each in an environment of its own.

An environment sees the project's packages through a `.pth` file, so that only the trainer itself is
downloaded: `pip install --no-deps`.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bootstrap_cases import kept
from test_bootstrap_finish import folder_of

from videojudge_bench.answers.selection import select
from videojudge_bench.judges.tiny_qwen import build
from videojudge_bench.training.bootstrap.rows import RowOptions
from videojudge_bench.training.bootstrap.run import finish
from videojudge_bench.training.bootstrap.run_folder import RunFolder
from videojudge_bench.training.preference_rows import (
    SUFFIXES,
    Format,
    PairOptions,
    rated_questions,
    write_pairs,
)

pytestmark = pytest.mark.slow

VIDEOS = Path(__file__).parents[2] / "tasks" / "sample" / "videos"
FILES = ("mdn_pig.webm", "mdn_elf.webm")
CHOSEN, REJECTED = "Gold 0 runs home.", "Draft 1.0 of 0."
REPLY = "<thinking>Feedback 1.</thinking>\n<score>1</score>"

SWIFT = """
import json, sys
from swift import get_processor, get_template
from swift.dataset import load_dataset
data, model = sys.argv[1:]
rows, _ = load_dataset(data, split_dataset_ratio=0.0, load_from_cache_file=False)
processor = get_processor(model, model_type="qwen2_5_vl")
template = get_template(processor, template_type="qwen2_5_vl")
template.set_mode("train")
row = template.encode(dict(rows[0]))
learnt = processor.tokenizer.decode([token for token in row["labels"] if token >= 0])
patches = list(row["pixel_values_videos"].shape)
print("FOUND", json.dumps({"rows": len(rows), "learnt": learnt, "patches": patches}))
"""
LLAMA_FACTORY = """
import json, sys
from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import DataArguments, ModelArguments, TrainingArguments
from transformers import AutoProcessor
data, model, videos = sys.argv[1:]
processor = AutoProcessor.from_pretrained(model)
for name, value in {
    "image_max_pixels": 12544, "image_min_pixels": 3136, "video_max_pixels": 3136,
    "video_min_pixels": 3136, "video_fps": 1.0, "video_maxlen": 4, "image_do_pan_and_scan": False,
    "use_audio_in_video": False, "audio_sampling_rate": 16000, "crop_to_patches": False,
}.items():
    setattr(processor, name, getattr(processor, name, value))
options = DataArguments(
    template="qwen2_vl", dataset="videojudge_pointwise_train", dataset_dir=data,
    media_dir=videos or None, cutoff_len=4096, overwrite_cache=True,
)
template = get_template_and_fix_tokenizer(processor.tokenizer, options)
rows = get_dataset(
    template, ModelArguments(model_name_or_path=model), options,
    TrainingArguments(output_dir=data + "/out", use_cpu=True),
    stage="sft", tokenizer=processor.tokenizer, processor=processor,
)["train_dataset"]
labels = [token for token in rows[0]["labels"] if token >= 0]
learnt = processor.tokenizer.decode(labels)
print("FOUND", json.dumps({"rows": len(rows), "learnt": learnt, "videos": rows[0]["videos"]}))
"""
TRL = """
import json, sys
from pathlib import Path
import av
from transformers import AutoProcessor
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling
data, model, videos = sys.argv[1:]
processor = AutoProcessor.from_pretrained(model)
row = json.loads(Path(data).read_text().splitlines()[0])
with av.open(str(Path(videos) / row["videos"][0])) as file:
    frames = [frame.to_image().resize((56, 56)) for _, frame in zip(range(2), file.decode(video=0))]
*asked, said = row["messages"]
asked = [{**m, "content": m["content"].removeprefix("<video>\\n")} for m in asked]
collate = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
seen = collate([{"prompt": asked, "completion": [said], "images": frames}])
labels = seen["labels"][0]
unseen = collate([{"prompt": asked, "completion": [said], "images": [], "videos": row["videos"]}])
print("FOUND", json.dumps({
    "learnt": processor.tokenizer.decode(labels[labels >= 0]),
    "frames": len(seen["image_grid_thw"]),
    "video_keys": [key for key in unseen if "pixel" in key or "video" in key],
}))
"""

SWIFT_PAIRS = """
import json, sys
from swift import get_processor, get_template
from swift.dataset import load_dataset
data, model = sys.argv[1:]
rows, _ = load_dataset(data, split_dataset_ratio=0.0, load_from_cache_file=False)
processor = get_processor(model, model_type="qwen2_5_vl")
template = get_template(processor, template_type="qwen2_5_vl")
template.set_mode("rlhf")
row = template.encode(dict(rows[0]))
learnt = {
    side: processor.tokenizer.decode([t for t in row[side + "_labels"] if t >= 0])
    for side in ("chosen", "rejected")
}
patches = {key: list(value.shape) for key, value in row.items() if "pixel_values" in key}
print("FOUND", json.dumps({
    "rows": len(rows), **learnt, "margin": row["margin"], "patches": patches,
}))
"""
LLAMA_FACTORY_PAIRS = (
    LLAMA_FACTORY.replace("videojudge_pointwise_train", "pairs")
    .replace('stage="sft"', 'stage="rm"')
    .partition("labels = ")[0]
    + """
learnt = {
    side: processor.tokenizer.decode([t for t in rows[0][side + "_labels"] if t >= 0])
    for side in ("chosen", "rejected")
}
print("FOUND", json.dumps({"rows": len(rows), **learnt, "videos": rows[0]["videos"]}))
"""
)
TRL_PAIRS = """
import json, sys
import datasets
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import DPOConfig, DPOTrainer
data, model = sys.argv[1:]
rows = datasets.load_dataset("parquet", data_files=data, split="train")
processor = AutoProcessor.from_pretrained(model, max_pixels=4 * 28 * 28)
trainer = DPOTrainer(
    AutoModelForImageTextToText.from_pretrained(model, dtype="float32"),
    ref_model=AutoModelForImageTextToText.from_pretrained(model, dtype="float32"),
    args=DPOConfig(
        "run", use_cpu=True, bf16=False, max_steps=2, per_device_train_batch_size=2,
        logging_steps=1, report_to=[], save_strategy="no", learning_rate=1e-2, max_length=None,
    ),
    train_dataset=rows, processing_class=processor,
)
trainer.train()
batch = trainer.data_collator([rows[0]])
learnt = [processor.tokenizer.decode(i[m.bool()]) for i, m in
          zip(batch["input_ids"], batch["completion_mask"], strict=True)]
print("FOUND", json.dumps({
    "rows": len(rows), "learnt": learnt, "frames": len(batch["image_grid_thw"]),
    "losses": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
}))
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Two videos with five rows each, paths relative to the folder of videos."""
    outcomes = []
    for number, file in enumerate(FILES):
        outcome = kept(number)
        outcomes.append(replace(outcome, seed=replace(outcome.seed, video=file)))
    folder = folder_of(tmp_path_factory.mktemp("export"), outcomes)
    finish(folder, RowOptions(validation=0.0))
    return folder


def _pairs(export: RunFolder, form: Format, folder: Path) -> Path:
    """Write the gold answer against the worst response, of each of both seeds."""
    path = folder / f"pairs{SUFFIXES[form]}"
    selection = select(rated_questions(export.path))
    assert write_pairs(selection.pairs, PairOptions(path, form, VIDEOS, frames=2)) == {}
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("tiny") / "model")


def _environment(folder: Path, *packages: str) -> Run:
    """Return what runs a program in a new environment."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    (own,) = (folder / "lib").glob("python*/site-packages")
    (own / "project.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    (own / "torchaudio.py").write_text("")  # LLaMA-Factory imports it, for sound alone
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--no-deps", *packages],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{', '.join(packages)} cannot be installed: {done.stderr[-300:]}"

    def run(
        program: str, *arguments: str | Path, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        own = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "DISABLE_VERSION_CHECK": "1"}
        return subprocess.run(
            [str(python), "-c", program, *map(str, arguments)],
            env={**os.environ, **own, "HF_HOME": str(folder / "hf"), **variables},
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def _found(done: subprocess.CompletedProcess[str]) -> Mapping[str, Any]:
    lines = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    assert lines, done.stderr[-2_000:]
    found: Mapping[str, Any] = json.loads(lines[-1].removeprefix("FOUND "))
    return found


def test_datasets_reads_the_folder_by_its_card(export: RunFolder, tmp_path: Path) -> None:
    import datasets

    cache = str(tmp_path / "cache")
    read = datasets.load_dataset(str(export.path), "pointwise", split="train", cache_dir=cache)
    assert len(read) == 10
    assert read[0]["reply"] == REPLY
    chat = export.path / "data" / "chat_pointwise_train.jsonl"
    lines = datasets.load_dataset("json", data_files=str(chat), split="train", cache_dir=cache)
    assert lines[0]["videos"] == [FILES[0]]


def test_ms_swift_reads_rows_and_videos(export: RunFolder, model: Path, tmp_path: Path) -> None:
    own = ("modelscope", "modelscope-hub", "cryptography", "json_repair", "dacite", "cffi")
    run = _environment(tmp_path / "swift", "ms-swift==4.6.0", *own)
    chat = export.path / "data" / "chat_pointwise_train.jsonl"
    small = {"FPS_MAX_FRAMES": "4", "VIDEO_MAX_PIXELS": "3136"}
    found = _found(run(SWIFT, chat, model, ROOT_IMAGE_DIR=str(VIDEOS), **small))
    assert found["rows"] == 10
    assert found["learnt"].startswith(REPLY)
    assert found["patches"][0] > 0
    pairs = _found(run(SWIFT_PAIRS, _pairs(export, "swift", tmp_path), model, **small))
    assert (pairs["rows"], pairs["margin"]) == (2, 4)
    assert pairs["chosen"].startswith(CHOSEN)
    assert pairs["rejected"].startswith(REJECTED)
    assert pairs["patches"]
    lost = run(SWIFT, chat, model, **small)
    assert f"No such file or directory: '{FILES[0]}'" in lost.stderr


def test_llama_factory_reads_rows_and_videos(
    export: RunFolder, model: Path, tmp_path: Path
) -> None:
    own = ("omegaconf", "antlr4-python3-runtime==4.9.3")
    run = _environment(tmp_path / "llama", "llamafactory==0.9.5", *own)
    found = _found(run(LLAMA_FACTORY, export.path / "data", model, VIDEOS))
    assert found["rows"] == 10
    assert found["learnt"].startswith(REPLY)
    assert found["videos"] == [str(VIDEOS / FILES[0])]
    folder = _pairs(export, "llamafactory", tmp_path).parent
    pairs = _found(run(LLAMA_FACTORY_PAIRS, folder, model, ""))
    assert pairs["rows"] == 2
    assert pairs["chosen"].startswith(CHOSEN)
    assert pairs["rejected"].startswith(REJECTED)
    assert pairs["videos"] == [str(VIDEOS / FILES[0])]
    lost = run(LLAMA_FACTORY, export.path / "data", model, "")
    assert f"No such file or directory: '{FILES[0]}'" in lost.stderr


def test_trl_takes_frames_as_images_and_no_videos(
    export: RunFolder, model: Path, tmp_path: Path
) -> None:
    run = _environment(tmp_path / "trl", "trl==1.16.0")
    chat = export.path / "data" / "chat_pointwise_train.jsonl"
    found = _found(run(TRL, chat, model, VIDEOS))
    assert found["learnt"].startswith(REPLY)
    assert found["frames"] == 2
    assert found["video_keys"] == []


def test_trl_takes_two_steps_of_dpo(export: RunFolder, model: Path, tmp_path: Path) -> None:
    run = _environment(tmp_path / "trl", "trl==1.16.0")
    found = _found(run(TRL_PAIRS, _pairs(export, "trl", tmp_path), model))
    assert (found["rows"], found["frames"], len(found["losses"])) == (2, 2 * 2, 2)
    chosen, rejected = found["learnt"]
    assert chosen.startswith(CHOSEN)
    assert rejected.startswith(REJECTED)
    # Before the first step both are as likely as under the reference model: log 2.
    assert found["losses"][0] == pytest.approx(math.log(2), abs=1e-3)
    assert found["losses"][1] < found["losses"][0]
