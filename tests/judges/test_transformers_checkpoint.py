"""What the engine says of its model, and which models and options it refuses."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_cases import (  # noqa: F401 - fixtures
    ask,
    engine_maker,
    group,
    text_model,
    tiny_models,
)

from videojudge_bench.engine import Sampling, complete_all
from videojudge_bench.errors import ConfigError, MissingPackageError, UnknownNameError
from videojudge_bench.judges.engines._checkpoint import Checkpoint
from videojudge_bench.judges.engines.transformers_engine import LoadedModel

# What it says of itself.


def test_settings_name_the_content_and_no_path(
    make: Any, models: dict[str, Path], tmp_path: Path
) -> None:
    found = make(max_frames=7).settings()
    assert found["model"].startswith("qwen2_5_vl@sha256:")
    assert (found["dtype"], found["attention"], found["frames"]) == ("float32", "sdpa", 7)
    assert found["mrope"] == "qwen"
    assert make("qwen3_vl").settings()["factor"] == 32
    assert not any(str(models["text"].parent) in str(value) for value in found.values())
    copied = shutil.copytree(models["qwen2_5_vl"], tmp_path / "elsewhere" / "qwen2_5_vl")
    assert make(copied, max_frames=7, share_prefix=False).settings() == found
    weights = copied / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    assert make(copied, max_frames=7).settings()["model"] != found["model"]


def test_a_text_model_takes_no_videos(make: Any) -> None:
    engine = make("text")
    assert engine.capabilities == {"logprobs"}
    assert not {"frames", "mrope"} & set(engine.settings())
    assert make().capabilities == {"logprobs", "video"}


def test_an_adapter_changes_the_numbers(make: Any, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    base = make()
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        peft.get_peft_model(base.source.load(), config).save_pretrained(tmp_path / "lora")
    asked = group(reply_start="<score>", choices=("1", "5"))
    adapter = str(tmp_path / "lora")
    shared, alone = (
        make(adapter=adapter, verify_prefix=1),
        make(adapter=adapter, share_prefix=False),
    )
    found = ask(shared, asked)[0].probabilities
    assert found == pytest.approx(ask(alone, asked)[0].probabilities, rel=1e-4)
    assert found != pytest.approx(ask(base, asked)[0].probabilities, rel=1e-2)
    assert shared.settings()["adapter"].startswith("lora@sha256:")


# A model that is in memory.


def loaded(make: Any, name: str, **options: Any) -> LoadedModel:
    source = make(name).source
    return LoadedModel(source.load(), source.processor, **options)


@pytest.mark.parametrize("name", ["qwen2_5_vl", "text"])
def test_a_loaded_model_replies_as_one_by_its_name(make: Any, name: str) -> None:
    asked = group(
        video=None if name == "text" else "mdn_pig.webm", reply_start="<score>", choices=("1", "5")
    )
    by_name, live = make(name), make(loaded(make, name))
    assert live.capabilities == by_name.capabilities
    one, other = ask(by_name, asked), ask(live, asked)
    assert [r.probabilities for r in one] == [r.probabilities for r in other]
    assert {**by_name.settings(), "model": ""} == {**live.settings(), "model": ""}


def test_a_loaded_model_is_signed_by_its_weights_as_they_are_now(make: Any) -> None:
    source = make("text").source
    model: Any = source.load()
    engine = make(LoadedModel(model, source.processor))
    before = engine.settings()["model"]
    assert before.startswith("qwen3@sha256:")
    assert make(loaded(make, "text")).settings()["model"] == before
    with torch.no_grad():
        model.model.norm.weight += 1
    assert engine.settings()["model"] != before


def test_a_loaded_model_works_in_bfloat16_when_told(make: Any) -> None:
    asked = group(video=None, reply_start="<score>", choices=("1", "5"))
    full, mixed = make(loaded(make, "text")), make(loaded(make, "text", mixed=True))
    one, other = (ask(engine, asked)[0].probabilities for engine in (full, mixed))
    assert one != pytest.approx(other, rel=1e-5)
    assert one == pytest.approx(other, rel=0.2)
    assert (full.settings()["dtype"], mixed.settings()["autocast"]) == ("float32", "bfloat16")


def test_options_that_cannot_change_a_loaded_model_are_refused(make: Any) -> None:
    live = loaded(make, "text")
    for option in ({"revision": "main"}, {"dtype": "bfloat16"}, {"attn_implementation": "eager"}):
        with pytest.raises(ConfigError, match="pretrained is a loaded model, which revision, dev"):
            make(live, **option)


# M-RoPE schemes.


def noted(make: Any, folder: Path, scheme: str | None, family: str = "qwen2_5_vl") -> Path:
    note = {"overlap": [], "judge": {}, **({"mrope": scheme} if scheme else {})}
    shutil.copytree(make(family).source.folder, folder)
    (folder / "videojudge.json").write_text(json.dumps(note), encoding="utf-8")
    return folder


def test_the_scheme_that_a_checkpoint_records_wins(
    make: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = noted(make, tmp_path / "own", "transformers4")
    assert make(folder).settings()["mrope"] == "transformers4"
    assert make(folder, mrope="transformers4").settings()["mrope"] == "transformers4"
    assert str(folder) not in caplog.text
    assert make(folder, mrope="qwen").settings()["mrope"] == "qwen"
    assert (
        f"pretrained={folder} was trained with mrope=transformers4, and mrope=qwen" in caplog.text
    )


def test_a_model_that_records_no_scheme_is_warned_about_once(
    make: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = noted(make, tmp_path / "none", None)
    for _ in range(2):
        assert make(folder).settings()["mrope"] == "qwen"
    assert make(folder, mrope="transformers5").settings()["mrope"] == "transformers5"
    (said,) = [record.message for record in caplog.records if str(folder) in record.message]
    assert "mrope=qwen is used" in said
    assert "give mrope=transformers4 or mrope=transformers5" in said


def test_of_qwen3_vl_no_scheme_is_warned_about(
    make: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = noted(make, tmp_path / "qwen3", None, "qwen3_vl")
    for options in ({}, {"mrope": "transformers4"}):
        make(folder, **options)
    assert str(folder) not in caplog.text


def test_a_recorded_scheme_that_is_not_known_is_refused(make: Any, tmp_path: Path) -> None:
    folder = noted(make, tmp_path / "new", "transformers9")
    with pytest.raises(UnknownNameError, match=r"unknown mrope 'transformers9'.* records it\."):
        make(folder)


# Bad input.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"verify_prefix": -1}, "verify_prefix=-1: expected a number from 0 up"),
        ({"batch_tokens": 0}, "batch_tokens=0: expected a number from 1 up"),
        ({"thinking": True}, r"thinking=True: the model's chat template has no such choice"),
        ({"adapter": "/no/adapter"}, None),
    ],
)
def test_options_that_cannot_work(make: Any, options: dict[str, Any], message: str | None) -> None:
    if message is None:
        with pytest.raises(ConfigError, match="adapter=/no/adapter cannot be loaded"):
            asyncio.run(complete_all(make(**options), group()))
        return
    with pytest.raises(ConfigError, match=message):
        make(**options)


def test_unknown_names(make: Any) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown mrope 'transformers'\. .*transformers4"):
        make(mrope="transformers")
    with pytest.raises(UnknownNameError, match=r"unknown dtype 'bf16'\. .*Known: auto, bfloat16"):
        make(dtype="bf16")
    with pytest.raises(UnknownNameError, match="unknown quantization '3bit'"):
        make(quantization="3bit")


def test_a_device_that_is_not_there(make: Any) -> None:
    with pytest.raises(ConfigError, match="device=nowhere cannot be used here"):
        Checkpoint("x", device="nowhere").torch_device()


def test_quantisation_without_its_package(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingPackageError, match=r"quantization=4bit needs .* pip install bits"):
        make(quantization="4bit")


def test_a_folder_that_is_no_model(make: Any, models: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder; give the folder"):
        make(tmp_path / "nothing")
    with pytest.raises(ConfigError, match=r"has no config\.json, so it is no model"):
        make(tmp_path)
    shutil.copy(models["text"] / "config.json", tmp_path)
    with pytest.raises(ConfigError, match=r"has a config\.json but no weights"):
        make(tmp_path)


def test_a_model_too_large_is_refused_before_loading(
    make: Any, models: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(models["text"], tmp_path / "huge")
    table = {"w": {"dtype": "F32", "shape": [10**6, 10**9], "data_offsets": [0, 0]}}
    header = json.dumps(table).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0")
    with pytest.raises(
        ConfigError, match=r"does not fit: its weights take 4000000\.0 GB as float32"
    ):
        make(folder, dtype="float32")


def test_a_model_without_a_chat_template(
    make: Any, models: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(models["text"], tmp_path / "base")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ConfigError, match="has no chat template, so nobody"):
        make(folder).capabilities  # noqa: B018


def test_a_model_that_does_not_see_its_whole_prompt_cannot_share_it(
    make: Any, models: dict[str, Path], tmp_path: Path
) -> None:
    folder = text_model(
        tmp_path / "window",
        models["qwen2_5_vl"],
        use_sliding_window=True,
        sliding_window=16,
        max_window_layers=1,
    )
    with pytest.raises(ConfigError, match=r"share_prefix=true: the prefix of a qwen3 cannot be"):
        make(folder)
    asked = group(video=None, sampling=Sampling(max_tokens=3))
    assert len(ask(make(folder, share_prefix=False), asked)) == 4


def test_an_adapter_of_the_hub_carries_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"

    def cached(name: str, file: str) -> str:
        return f"/cache/models--{name.replace('/', '--')}/snapshots/{commit}/{file}"

    monkeypatch.setattr("transformers.utils.hub.cached_file", cached)
    assert Checkpoint("x", adapter="org/lora").adapter_identity() == f"org/lora@{commit}"


def test_an_adapter_that_cannot_be_had_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, file: str) -> str:
        raise OSError(f"{name} has no {file}")

    monkeypatch.setattr("transformers.utils.hub.cached_file", missing)
    with pytest.raises(ConfigError, match="adapter=org/lora cannot be loaded: org/lora has no"):
        Checkpoint("x", adapter="org/lora").adapter_identity()
