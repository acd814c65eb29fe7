"""Every input of a run but the options of judges, and what must change with it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from identity_bench import (
    DESCRIBED,
    FITTED,
    METRIC,
    SERVED,
    SERVES,
    SHUFFLED,
    TEXT,
    Bench,
    Input,
    adapted,
    checkpoint,
    embedding,
    judged_by,
    own_files,
)

from videojudge_bench.items import RatingGold, Subtitle
from videojudge_bench.prompts import PROMPTS_FOLDER
from videojudge_bench.scale import RatingScale

RATE = (PROMPTS_FOLDER / "rate.jinja").read_text("utf-8")
KIND = RATE.replace("You are strict", "You are kind")
RUBRIC = json.dumps({"video_id": "v0", "instruction": "do", "rubric": "5: a cat"}) + "\n"
CRITERIA = '- {name: right, question: "Is it right?"}\n'
HIGH = 10


def _touch(bench: Bench) -> None:
    os.utime(bench.folder / "videos/v0.mp4", (1, 1))


def _move_videos(bench: Bench) -> None:
    (bench.folder / "videos").rename(bench.folder / "elsewhere")
    (bench.folder / "elsewhere/v0.mp4").rename(bench.folder / "elsewhere/v0.webm")
    bench.change_run(videos=bench.folder / "elsewhere")


def _move_code(bench: Bench) -> None:
    moved = bench.folder / "moved"
    moved.mkdir()
    for name in ("judge.py", "engine.py", "own.jinja"):
        shutil.move(bench.folder / name, moved / name)
    bench.judge, bench.options = f"{moved}/judge.py:Sees", {"engine": f"{moved}/engine.py:Echo"}


def _move_option(option: str) -> Input:
    def move(bench: Bench) -> None:
        moved = Path(shutil.move(str(bench.options[option]), bench.folder / "another name"))
        bench.options[option] = str(moved)

    start = own_files(**{option: {"rubric": RUBRIC, "criteria": CRITERIA}.get(option, RATE)})
    return Input(f"path of {option}", move, key=False, signature=False, start=start)


def _edit_option(option: str, text: str, edited: str) -> Input:
    def edit(bench: Bench) -> None:
        bench.write(f"{option}.own", edited)

    start = own_files(**{option: text})
    return Input(f"content of {option}", edit, key=True, signature=True, start=start)


def _file(name: str, *, heeded: bool = True) -> Input:
    def edit(bench: Bench) -> None:
        path = bench.folder / "model" / name
        path.write_bytes((path.read_bytes() if path.exists() else b"{}") + b"\n")

    return Input(f"model/{name}", edit, key=heeded, signature=heeded, start=checkpoint)


def _weights(bench: Bench) -> None:
    path = next((bench.folder / "model").glob("*.safetensors"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _rename_model(bench: Bench) -> None:
    (bench.folder / "model").rename(bench.folder / "other")
    bench.options["pretrained"] = f"{bench.folder}/other"


def _move_model(bench: Bench) -> None:
    (bench.folder / "deeper").mkdir()
    moved = (bench.folder / "model").rename(bench.folder / "deeper/model")
    bench.options["pretrained"] = str(moved)


def _of_items() -> Sequence[Input]:
    """The item: content as the judge sees it counts for the key, all of it for the signature."""
    other = (Subtitle(0.0, 1.0, "woof"),)
    return [
        Input("response", lambda b: b.change_item(response="a dog"), True, True),
        Input("instruction", lambda b: b.change_item(instruction="look"), True, True),
        Input("id", lambda b: b.change_item(id="v0/other"), True, True),
        Input("video id", lambda b: b.change_item(video_id="v1"), True, True),
        Input("references", lambda b: b.change_item(references=("dog", "a cat")), True, True),
        Input("a reference that is not shown",
              lambda b: b.change_item(references=("cat", "a dog")), False, True),
        Input("references shown", lambda b: b.change_run(references=2), True, True),
        Input("subtitles", lambda b: b.change_item(subtitles=other), True, True),
        Input("description, shown", lambda b: b.change_item(description="It eats."),
              True, True, DESCRIBED),
        Input("description, not shown", lambda b: b.change_item(description="It eats."),
              False, True, SERVES),
        Input("file of descriptions, shown", lambda b: b.describe("It eats."),
              True, True, DESCRIBED),
        Input("file of descriptions, not shown", lambda b: b.describe("It eats."),
              False, True, SERVES),
    ]  # fmt: skip


def _of_sets() -> Sequence[Input]:
    """The set: gold and the other items are a judge's business only where it learns from them."""
    gold = RatingGold((4.0,))
    system: dict[str, object] = {"system": "gpt"}
    return [
        Input("gold", lambda b: b.change_example(gold=gold), False, True),
        Input("gold, for a judge that learns from the set",
              lambda b: b.change_example(gold=gold), True, True, FITTED),
        Input("unit", lambda b: b.change_example(unit="other"), False, True),
        Input("system", lambda b: b.change_example(**system), False, True),
        Input("labels", lambda b: b.change_example(labels={"kind": "x"}), False, False),
        Input("another item", lambda b: b.examples.pop(), False, False),
        Input("another item, for a judge that learns from the set",
              lambda b: b.examples.pop(), True, False, FITTED),
        Input("order of items", lambda b: b.examples.append(b.examples.pop(1)), False, False),
        Input("version of the set", lambda b: _info(b, version="2"), False, True),
        Input("scale that the judge is told", lambda b: _info(b, scale=RatingScale(1, HIGH)),
              True, False),
        Input("scale, for a judge with its own", lambda b: _info(b, scale=RatingScale(1, HIGH)),
              False, False, METRIC),
    ]  # fmt: skip


def _info(bench: Bench, **changes: object) -> None:
    bench.info = replace(bench.info, **changes)  # type: ignore[arg-type]


def _of_videos() -> Sequence[Input]:
    """Videos: their content, for a judge that is shown it. A signature names no file of a video."""
    return [
        Input("video", lambda b: b.add("videos/v0.mp4", "!"), True, False),
        Input("video of another item", lambda b: b.add("videos/v1.mp4", "!"), False, False),
        Input("video of another item, for a judge that is shown others",
              lambda b: b.add("videos/v1.mp4", "!"), True, False, SHUFFLED),
        Input("path of the video", _move_videos, False, False),
        Input("time of the video", _touch, False, False),
        Input("no video", lambda b: b.change_run(videos=None), True, False),
        Input("video, for a judge of text", lambda b: b.add("videos/v0.mp4", "!"),
              False, False, TEXT),
        Input("no video, for a judge of text", lambda b: b.change_run(videos=None),
              False, False, TEXT),
        Input("no video, for a metric", lambda b: b.change_run(videos=None), False, False, METRIC),
    ]  # fmt: skip


def _of_code() -> Sequence[Input]:
    """A user's code and prompts, by content."""
    return [
        Input("source of the judge, file.py:Class", lambda b: b.add("judge.py", "#\n"), True, True),
        Input("source of the engine", lambda b: b.add("engine.py", "#\n"), True, True),
        Input("folder of judge and engine", _move_code, False, False),
        Input("source of the judge, module:Class", lambda b: b.add("own_module.py", "#\n"),
              True, True, _by_module),
        Input("another class of the file", lambda b: setattr(b, "judge", _counts(b)), True, True),
        Input("prompt beside the class", lambda b: b.write("own.jinja", KIND), True, True),
        _edit_option("prompt", RATE, KIND),
        _edit_option("rubric", RUBRIC, RUBRIC.replace("a cat", "a dog")),
        _edit_option("criteria", CRITERIA, CRITERIA.replace("Is it", "Is all")),
        *map(_move_option, ("prompt", "rubric", "criteria")),
    ]  # fmt: skip


def _counts(bench: Bench) -> str:
    bench.options = {}
    return f"{bench.folder}/judge.py:Counts"


def _by_module(bench: Bench) -> None:
    bench.write("own_module.py", (bench.folder / "judge.py").read_text("utf-8"))
    bench.judge, bench.options = "own_module:Counts", {}


def _of_checkpoints() -> Sequence[Input]:
    """A model's folder: whatever makes prompts, pixels and numbers."""
    return [
        Input("weights", _weights, True, True, checkpoint),
        *map(_file, ("config.json", "generation_config.json", "tokenizer.json")),
        *map(_file, ("tokenizer_config.json", "chat_template.jinja", "preprocessor_config.json")),
        *map(_file, ("video_preprocessor_config.json", "special_tokens_map.json", "vocab.json")),
        _file("README.md", heeded=False),
        _file("training_args.bin.txt", heeded=False),
        Input("the note of a training", _note, True, True, checkpoint),
        Input("name of the model's folder", _rename_model, True, True, checkpoint),
        Input("where the model's folder is", _move_model, False, False, checkpoint),
        Input("weights of the adapter", lambda b: b.add("lora/adapter_model.bin", "!"),
              True, True, adapted),
        Input("configuration of the adapter", lambda b: b.add("lora/adapter_config.json", "\n"),
              True, True, adapted),
        Input("tokenizer of an encoder", lambda b: b.add("encoder/tokenizer.json", "\n"),
              True, False, embedding),
        Input("weights of an encoder", lambda b: _flip(b.folder / "encoder/model.safetensors"),
              True, True, embedding),
    ]  # fmt: skip


def _note(bench: Bench) -> None:
    bench.write("model/videojudge.json", json.dumps({"overlap": [], "judge": {"samples": 1}}))


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _of_runs() -> Sequence[Input]:
    """Where and how a run works."""
    key = {"api_key": "secret", "base_url": "http://127.0.0.1:10/v1"}
    return [
        Input("folder of the journal", lambda b: b.change_run(journal=b.folder / "j"),
              False, False),
        Input("rank", lambda b: b.change_run(rank=3), False, False),
        Input("scope of the journal", lambda b: b.change_run(scope="answers.jsonl"), False, False),
        Input("address and key of a server", lambda b: b.options.update(key),
              False, False, SERVES),
        Input("name of a served model", judged_by("openai", **{**SERVED, "model": "n"}),
              True, True, SERVES),
        Input("engine", lambda b: b.options.update(engine="openai", **SERVED), True, True),
        Input("judge", judged_by("rouge_l"), True, True, METRIC),
        Input("version of the reader of replies", lambda b: setattr(b, "reader", 99), False, True),
    ]  # fmt: skip


INPUTS = (
    *_of_items(),
    *_of_sets(),
    *_of_videos(),
    *_of_code(),
    *_of_checkpoints(),
    *_of_runs(),
)
