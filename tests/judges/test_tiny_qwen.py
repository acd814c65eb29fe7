"""The tiny model is a complete Qwen: it loads, sees, writes, and is the same on every build."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.judges import _tiny_qwen_format as form
from videojudge_bench.judges.tiny_qwen import (
    DEFAULT_SIZE,
    FAMILIES,
    RECORD,
    SPECIAL_TOKENS,
    Family,
    TinySize,
    build,
    main,
)

FRAME_SIDES: dict[Family, int] = {"qwen2_5_vl": 56, "qwen3_vl": 64}  # 2 x 2 tokens
FRAMES = 4
QUESTION = "Rate 1-5."
TEXTS = ("a cat sleeps on a sofa", "a dog runs after the cat", "the cat is asleep")
VIDEO = "<|vision_start|><|video_pad|><|vision_end|>"
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"

Frames = NDArray[np.uint8]
Loaded = tuple[Any, Any]
Messages = list[dict[str, Any]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Family, Path]:
    root = tmp_path_factory.mktemp("tiny")
    return {family: build(root / family, family=family) for family in FAMILIES}


@pytest.fixture(scope="module")
def loaded(folders: dict[Family, Path]) -> dict[Family, Loaded]:
    """Processor and model of each family, as anyone loads them."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processors: Any = AutoProcessor
    models: Any = AutoModelForImageTextToText
    return {
        family: (processors.from_pretrained(folder), models.from_pretrained(folder).eval())
        for family, folder in folders.items()
    }


@pytest.mark.parametrize(
    ("family", "model", "processor", "count"),
    [
        ("qwen2_5_vl", "Qwen2_5_VLForConditionalGeneration", "Qwen2_5_VLProcessor", 413_920),
        ("qwen3_vl", "Qwen3VLForConditionalGeneration", "Qwen3VLProcessor", 454_432),
    ],
)
def test_it_loads_by_its_folder_alone(
    loaded: dict[Family, Loaded], family: Family, model: str, processor: str, count: int
) -> None:
    found = loaded[family]
    assert (type(found[1]).__name__, type(found[0]).__name__) == (model, processor)
    assert sum(parameter.numel() for parameter in found[1].parameters()) == count
    assert {parameter.dtype for parameter in found[1].parameters()} == {torch.float32}


@pytest.mark.parametrize("family", FAMILIES)
def test_it_loads_its_own_weights(
    folders: dict[Family, Path], loaded: dict[Family, Loaded], family: Family
) -> None:
    from safetensors.torch import load_file

    written = load_file(folders[family] / "model.safetensors")
    state = loaded[family][1].state_dict()
    assert len(written) == len(state)
    by_sum = sorted(float(tensor.double().sum()) for tensor in state.values())
    assert by_sum == sorted(float(tensor.double().sum()) for tensor in written.values())


def test_weights_have_the_names_of_the_hub(folders: dict[Family, Path]) -> None:
    from safetensors import safe_open

    starts = {}
    for family, folder in folders.items():
        with safe_open(folder / "model.safetensors", "pt") as file:
            starts[family] = {".".join(name.split(".")[:2]) for name in file.keys()}  # noqa: SIM118
    assert starts["qwen3_vl"] == {"lm_head.weight", "model.language_model", "model.visual"}
    assert starts["qwen2_5_vl"] == {
        *("lm_head.weight", "model.embed_tokens", "model.layers", "model.norm"),
        *("visual.blocks", "visual.merger", "visual.patch_embed"),
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_a_video_gives_logits(loaded: dict[Family, Loaded], family: Family) -> None:
    inputs = _inputs(loaded[family], family, _frames(family, seed=0))
    ids = inputs["input_ids"][0].tolist()
    # Two frames are one in time, and a frame is 2 x 2 tokens.
    assert ids.count(_id(loaded[family], "<|video_pad|>")) == FRAMES // 2 * 2 * 2
    logits = _logits(loaded[family], inputs)
    assert logits.shape == (1, len(ids), DEFAULT_SIZE.vocabulary)
    assert bool(torch.isfinite(logits).all())


@pytest.mark.parametrize("family", FAMILIES)
def test_what_the_video_shows_matters(loaded: dict[Family, Loaded], family: Family) -> None:
    last = [
        _logits(loaded[family], _inputs(loaded[family], family, frames))[0, -1]
        for frames in (_frames(family, seed=0), _frames(family, seed=0), _frames(family, seed=1))
    ]
    assert torch.equal(last[0], last[1])
    assert float((last[0] - last[2]).abs().max()) > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_an_image_gives_logits(loaded: dict[Family, Loaded], family: Family) -> None:
    processor, _ = loaded[family]
    image = _frames(family, seed=0)[0]
    inputs = processor(text=[f"{IMAGE}{QUESTION}"], images=[image], return_tensors="pt")
    ids = inputs["input_ids"][0].tolist()
    assert ids.count(_id(loaded[family], "<|image_pad|>")) == 2 * 2
    assert _logits(loaded[family], inputs).shape == (1, len(ids), DEFAULT_SIZE.vocabulary)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_writes_the_same_every_time(loaded: dict[Family, Loaded], family: Family) -> None:
    inputs = _inputs(loaded[family], family, _frames(family, seed=0))
    written = [loaded[family][1].generate(**inputs, max_new_tokens=6) for _ in range(2)]
    assert torch.equal(written[0], written[1])
    new = written[0][0, inputs["input_ids"].shape[1] :]
    assert 1 <= len(new) <= 6


@pytest.mark.parametrize("family", FAMILIES)
def test_two_builds_are_the_same_bytes(
    folders: dict[Family, Path], tmp_path: Path, family: Family
) -> None:
    torch.manual_seed(7)  # must not matter
    again = _contents(build(tmp_path / "again", family=family))
    assert again == _contents(folders[family])
    assert {"model.safetensors", "tokenizer.json", "config.json", "chat_template.jinja"} < set(
        again
    )


def test_another_seed_gives_other_weights_alone(
    folders: dict[Family, Path], tmp_path: Path
) -> None:
    first, other = _contents(folders["qwen2_5_vl"]), _contents(build(tmp_path / "other", seed=1))
    assert {name for name in first if first[name] != other[name]} == {"model.safetensors", RECORD}


def test_torchs_random_state_is_left_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    build(tmp_path / "model", texts=TEXTS)
    assert torch.equal(torch.get_rng_state(), before)


def test_special_tokens_are_single_and_last(loaded: dict[Family, Loaded]) -> None:
    tokenizer = loaded["qwen2_5_vl"][0].tokenizer
    ids = [tokenizer(f"a{text}b", add_special_tokens=False).input_ids for text in SPECIAL_TOKENS]
    first = DEFAULT_SIZE.vocabulary - len(SPECIAL_TOKENS)
    assert [number[1:-1] for number in ids] == [[first + i] for i in range(len(SPECIAL_TOKENS))]
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    assert set(tokenizer.all_special_tokens) == set(SPECIAL_TOKENS)


def test_digits_are_single_tokens(loaded: dict[Family, Loaded]) -> None:
    tokenizer = loaded["qwen2_5_vl"][0].tokenizer
    assert tokenizer.tokenize("2024") == ["2", "0", "2", "4"]
    assert tokenizer.tokenize("<score>5</score>").count("5") == 1


@pytest.mark.parametrize("text", ["a cat, 2 dogs.\n\n<score>4</score>", "naïve 日本 🙂", "  x\t "])
def test_any_text_survives_the_tokenizer(loaded: dict[Family, Loaded], text: str) -> None:
    tokenizer = loaded["qwen2_5_vl"][0].tokenizer
    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_words_of_the_texts_are_single_tokens(loaded: dict[Family, Loaded]) -> None:
    tokenizer = loaded["qwen2_5_vl"][0].tokenizer
    assert tokenizer.tokenize("The answer is about the video") == [
        *("The", "Ġanswer", "Ġis", "Ġabout", "Ġthe", "Ġvideo")
    ]


def test_the_chat_template_is_qwens(loaded: dict[Family, Loaded]) -> None:
    messages: Messages = [
        {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": QUESTION}]}
    ]
    asked = f"<|im_start|>user\n{VIDEO}{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
    system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    assert _rendered(loaded["qwen2_5_vl"], messages) == system + asked
    assert _rendered(loaded["qwen3_vl"], messages) == asked


@pytest.mark.parametrize("family", FAMILIES)
def test_the_chat_template_keeps_system_and_turns(
    loaded: dict[Family, Loaded], family: Family
) -> None:
    messages: Messages = [
        {"role": "system", "content": [{"type": "text", "text": "Be strict."}]},
        {"role": "user", "content": [{"type": "text", "text": "Look: "}, {"image": "a.png"}]},
        {"role": "assistant", "content": "<score>4</score>"},
    ]
    assert _rendered(loaded[family], messages, prompt=False) == (
        "<|im_start|>system\nBe strict.<|im_end|>\n"
        f"<|im_start|>user\nLook: {IMAGE}<|im_end|>\n"
        "<|im_start|>assistant\n<score>4</score><|im_end|>\n"
    )


def test_a_folder_of_the_same_arguments_is_kept(tmp_path: Path) -> None:
    folder = build(tmp_path / "model", texts=TEXTS)
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert build(folder, texts=list(TEXTS)) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times


def test_builders_of_one_folder_do_not_disturb_each_other(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: build(folder, texts=TEXTS), range(4)))
    assert made == [folder] * 4
    assert list(tmp_path.glob("model")) == list(tmp_path.glob("*model*")) == [folder]
    assert set(json.loads((folder / RECORD).read_text(encoding="utf-8"))["files"]) | {RECORD} == {
        path.name for path in folder.iterdir()
    }


def test_a_folder_of_other_arguments_is_refused(tmp_path: Path) -> None:
    folder = build(tmp_path / "model", texts=TEXTS)
    message = (
        f"{folder} holds a tiny model with another seed and another size: "
        "remove it, or give another folder"
    )
    with pytest.raises(ConfigError, match="another seed") as caught:
        build(folder, seed=1, size=TinySize(layers=1), texts=TEXTS)
    assert str(caught.value) == message


def test_a_folder_that_lacks_a_file_is_refused(tmp_path: Path) -> None:
    folder = build(tmp_path / "model", texts=TEXTS)
    (folder / "merges.txt").unlink()
    with pytest.raises(ConfigError, match=r"holds a tiny model that lacks merges\.txt: remove it"):
        build(folder, texts=TEXTS)


@pytest.mark.parametrize("name", ["notes.txt", RECORD])
def test_what_is_not_a_tiny_model_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="holds something else than a tiny model: remove it"):
        build(tmp_path, texts=TEXTS)
    with pytest.raises(ConfigError, match="holds something else than a tiny model: remove it"):
        build(tmp_path / name, texts=TEXTS)
    assert (tmp_path / name).read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_are_the_models(tmp_path: Path, family: Family) -> None:
    from transformers import AutoConfig

    size = TinySize(
        *(300, 3, 96, 4, 4, 256),
        vision_layers=3,
        vision_hidden=64,
        vision_heads=4,
        vision_feed_forward=128,
        window_pixels=56,
        rope_theta=1_000.0,
    )
    folder = build(tmp_path / "model", family=family, size=size, texts=TEXTS)
    config = AutoConfig.from_pretrained(folder)
    text, vision = config.text_config, config.vision_config
    assert (text.num_hidden_layers, text.hidden_size, text.num_key_value_heads) == (3, 96, 4)
    assert (vision.depth, vision.hidden_size, vision.num_heads) == (3, 64, 4)
    assert len(SPECIAL_TOKENS) + 256 < text.vocab_size <= 300
    rope = getattr(text, "rope_parameters", None) or {"rope_theta": text.rope_theta}
    assert rope["rope_theta"] == 1_000.0


@pytest.mark.parametrize(
    ("family", "hidden", "shares"),
    [
        ("qwen2_5_vl", 512, [16, 24, 24]),
        ("qwen3_vl", 512, [24, 20, 20]),
        ("qwen2_5_vl", 96, [4, 4, 4]),
        ("qwen3_vl", 96, [6, 3, 3]),
        ("qwen2_5_vl", 64, [2, 3, 3]),
    ],
)
def test_rotary_frequencies_are_shared_as_in_qwen(
    family: Family, hidden: int, shares: list[int]
) -> None:
    ids = {text: number for number, text in enumerate(SPECIAL_TOKENS)}
    config: Any = form.model_config(family, TinySize(hidden=hidden), 2_000, ids)
    assert config["text_config"]["rope_scaling"]["mrope_section"] == shares


def test_wrong_sizes_are_said_all_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        TinySize(vocabulary=100, hidden=60, kv_heads=3, vision_hidden=30, max_pixels=1_000)
    assert str(caught.value) == (
        "TinySize, 5 problems:\n"
        "  - vocabulary=100: must be 270 or more, for the 256 bytes and the 14 special tokens\n"
        "  - hidden=60: must be a multiple of 8 x heads, 32\n"
        "  - kv_heads=3: must divide heads=4\n"
        "  - vision_hidden=30: must be a multiple of 4 x vision_heads, 8\n"
        "  - max_pixels=1000: must be 4096 or more, what a processor enlarges a frame to"
    )
    with pytest.raises(ConfigError, match="TinySize: layers=0: must be above 0"):
        TinySize(layers=0)


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    family: Any = "qwen25_vl"
    with pytest.raises(UnknownNameError, match=r"unknown family 'qwen25_vl'\. Did you mean"):
        build(tmp_path / "model", family=family)
    with pytest.raises(ConfigError, match="seed=-1: must be 0 or more"):
        build(tmp_path / "model", seed=-1)
    assert not list(tmp_path.glob("*model*"))


def test_the_command_makes_the_same(
    folders: dict[Family, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    assert main([str(folder), "--family", "qwen3_vl"]) == 0
    assert capsys.readouterr().out == f"{folder}\n"
    assert _contents(folder) == _contents(folders["qwen3_vl"])
    assert main([str(folder), "--seed", "3", "--family", "qwen3_vl"]) == 2
    assert "tiny_qwen: error: " in (said := capsys.readouterr().err)
    assert "another seed: remove it, or give another folder" in said


def test_the_command_takes_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "model"
    sizes = ["--hidden", "96", "--heads", "2", "--kv-heads", "1", "--weight-std", "0.0625"]
    assert main([str(folder), *sizes]) == 0
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    changed = {"hidden": 96, "heads": 2, "kv_heads": 1, "weight_std": 0.0625}
    assert record["size"] == {**asdict(DEFAULT_SIZE), **changed}
    capsys.readouterr()
    assert main([str(tmp_path / "other"), "--hidden", "100"]) == 2
    assert "hidden=100: must be a multiple of 8 x heads" in capsys.readouterr().err


def test_importing_it_loads_no_library_of_models() -> None:
    code = "import sys, videojudge_bench.judges.tiny_qwen; print(*sorted(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "videojudge_bench.judges.tiny_qwen" in (loaded := set(ended.stdout.split()))
    assert not loaded & {"torch", "transformers", "tokenizers", "safetensors"}


def _frames(family: Family, *, seed: int) -> Frames:
    side = FRAME_SIDES[family]
    draw = np.random.default_rng(seed)
    return draw.integers(0, 256, (FRAMES, side, side, 3), dtype=np.uint8)


def _inputs(loaded: Loaded, family: Family, frames: Frames) -> Any:
    """Return what the processor makes of a question about a video of two frames a second."""
    from transformers.video_utils import VideoMetadata

    processor, _ = loaded
    assert frames.shape[1] == FRAME_SIDES[family]
    return processor(
        text=[_rendered(loaded, [{"role": "user", "content": [{"type": "video"}]}])],
        videos=[frames],
        video_metadata=[
            VideoMetadata(total_num_frames=FRAMES, fps=2.0, frames_indices=list(range(FRAMES)))
        ],
        do_sample_frames=False,
        return_tensors="pt",
    )


def _logits(loaded: Loaded, inputs: Any) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = loaded[1](**inputs).logits
    return logits


def _rendered(loaded: Loaded, messages: Messages, *, prompt: bool = True) -> str:
    text: str = loaded[0].apply_chat_template(
        messages, tokenize=False, add_generation_prompt=prompt
    )
    return text


def _id(loaded: Loaded, token: str) -> int:
    number: int = loaded[0].tokenizer.convert_tokens_to_ids(token)
    return number


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
