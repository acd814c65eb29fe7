"""What a training will need, against figures worked out by hand for the tiny Qwen2.5-VL.

Its language model has 2 layers of width 64, 4 heads of 16 and 2 of keys and values, feed-forward
layers of width 128. A layer: queries 64 x 64 + 64, keys and values 2 x (64 x 32 + 32), output
64 x 64, feed-forward 3 x 64 x 128, norms 2 x 64: 37,120. Two of them and a norm: 74,304.
Its tower: patches 3 x 2 x 14 x 14 x 32 = 37,632, and 2 layers of 2 norms of 32, 32 x 96 + 96,
32 x 32 + 32, 2 x (32 x 64 + 64) + 64 x 32 + 32 = 10,592: 58,816. Its projector: 32 +
128 x 128 + 128 + 128 x 64 + 64 = 24,800.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sft_cases import base_of, tiny_model

from videojudge_bench.errors import UnknownNameError
from videojudge_bench.judges.engines._checkpoint import Checkpoint
from videojudge_bench.training.sft.base_model import BaseModel
from videojudge_bench.training.sft.estimate import (
    EFFICIENCY,
    GPUS,
    Gpu,
    adapter_weights,
    estimate,
    estimate_rows,
    state_bytes,
    weights_by_part,
)
from videojudge_bench.training.sft.options import (
    DataOptions,
    LoraOptions,
    TrainingOptions,
)
from videojudge_bench.training.sft.plan import Bundle, Plan
from videojudge_bench.training.sft.recipe import Stage, load_recipe
from videojudge_bench.video.decoding import Size

LANGUAGE, VISION, PROJECTOR = 74_304, 58_816, 24_800
# 4 frames are 2 steps of 2 x 2 tokens, each of 4 patches.
BUNDLE = Bundle(Path("v.mp4"), (), tokens=100, video_tokens=20, size=Size(4, 56, 56))
PATCHES = 32
PLAN = Plan((BUNDLE, BUNDLE), ())


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def embeddings(model: Path) -> int:
    vocabulary = json.loads((model / "config.json").read_text())["text_config"]["vocab_size"]
    return int(2 * 64 * vocabulary)


def stage(packing: str = "none", mixed: str = "no", **training: Any) -> Stage:
    return Stage(
        data=DataOptions(rows=(), packing=packing),  # type: ignore[arg-type]
        training=TrainingOptions(learning_rate=1e-4, batch=4, mixed_precision=mixed, **training),  # type: ignore[arg-type]
    )


def operations(base: BaseModel, of: Stage) -> float:
    """Of one bundle, from the hours of ten steps of four."""
    gpu = Gpu(memory_gb=1, bf16_tflops=1e-6)
    found = estimate(PLAN, base, of, gpu)
    return found.hours * 3600 * (gpu.bf16_tflops * 1e12 * EFFICIENCY) / 40


def test_weights_are_counted_by_part(model: Path, embeddings: int) -> None:
    assert weights_by_part(base_of(model)) == {
        "language": LANGUAGE,
        "vision": VISION,
        "projector": PROJECTOR,
        "embeddings": embeddings,
    }


def test_operations_by_hand(model: Path) -> None:
    ten: dict[str, Any] = {"steps": 10}
    # 6 a weight and token; attention 4 x 100^2 / 2 x 64 x 2 forward, three times that in all;
    # the tower 6 a weight and patch, the projector a fourth of that.
    language, attention = 6 * LANGUAGE * 100, 3 * 4 * 100**2 / 2 * 64 * 2
    tower = (VISION + PROJECTOR / 4) * PATCHES
    found = operations(base_of(model), stage(**ten))
    assert found == pytest.approx(language + attention + 6 * tower)
    tree = operations(base_of(model), stage("tree", **ten))
    assert tree == pytest.approx(language + 2 * attention + 6 * tower)
    again = operations(base_of(model, gradient_checkpointing=True), stage(**ten))
    assert again == pytest.approx(8 / 6 * (language + attention + 6 * tower))
    # Adapters: no gradients of the language model's weights, and none at all of the tower's.
    lora = operations(base_of(model, lora={"rank": 4}), stage(**ten))
    assert lora == pytest.approx(4 / 6 * (language + attention) + 2 * tower)


def test_steps_and_tokens_by_hand(model: Path) -> None:
    found = estimate(PLAN, base_of(model), stage(steps=10), GPUS["h100"])
    assert (found.steps, found.tokens) == (10, 10 * 4 * 100)
    assert estimate(PLAN, base_of(model), stage(epochs=8), GPUS["h100"]).steps == 8 * 2 // 4


@pytest.mark.parametrize(
    ("options", "mixed", "bytes_each"),
    [
        ({}, "no", 4 + 4 + 8),
        ({}, "bf16", 4 + 4 + 8 + 2),  # and the copies that are worked with
        ({"dtype": "bfloat16"}, "bf16", 2 + 2 + 4),
    ],
)
def test_the_state_by_hand(
    model: Path, embeddings: int, options: dict[str, Any], mixed: str, bytes_each: int
) -> None:
    everything = LANGUAGE + VISION + PROJECTOR + embeddings
    assert state_bytes(base_of(model, **options), stage(mixed=mixed)) == bytes_each * everything


def test_the_state_of_parts_and_of_adapters_by_hand(model: Path, embeddings: int) -> None:
    everything = LANGUAGE + VISION + PROJECTOR + embeddings
    frozen = base_of(model, train=("projector",))
    assert state_bytes(frozen, stage()) == 4 * everything + 12 * PROJECTOR
    # Rank 4: queries and output 4 x 128, keys and values 4 x 96, the three others 4 x 192.
    adapters = 2 * (2 * 512 + 2 * 384 + 3 * 768)
    lora = {"rank": 4}
    found = state_bytes(base_of(model, lora=lora, dtype="bfloat16"), stage(mixed="bf16"))
    assert found == 2 * everything + 16 * adapters
    assert adapter_weights(base_of(model), LoraOptions(rank=4)) == adapters


def test_adapters_are_counted_as_peft_makes_them(model: Path) -> None:
    pytest.importorskip("peft")
    from videojudge_bench.training.sft.model import load_model

    for targets in (("q_proj", "v_proj"), LoraOptions().targets):
        base = base_of(model, lora={"rank": 3, "targets": targets})
        weights = load_model(base).named_parameters()
        trained = [p.numel() for _, p in weights if p.requires_grad]
        assert base.options.lora is not None
        assert adapter_weights(base, base.options.lora) == sum(trained)


def test_activations_by_hand(model: Path) -> None:
    # Kept: 2 x 64 a token and 2 x 32 a patch; without checkpointing two layers at work of
    # 8 x 64 + 3 x 128 a token; 4 bytes each, 2 in bfloat16.
    kept, layer = 2 * 64 * 100 + 2 * 32 * PATCHES, (8 * 64 + 3 * 128) * 100
    base = base_of(model)

    def found(of: Stage, on: BaseModel = base) -> float:
        return estimate(PLAN, on, of, GPUS["h100"]).activations_gb * 1e9

    assert found(stage()) == pytest.approx(4 * (kept + 2 * layer))
    assert found(stage(mixed="bf16")) == pytest.approx(2 * (kept + 2 * layer))
    assert found(stage("tree")) == pytest.approx(4 * (kept + 2 * layer) + 3 * 100**2)
    assert found(stage(micro_batch=2)) == pytest.approx(8 * (kept + 2 * layer))
    again = base_of(model, gradient_checkpointing=True)
    assert found(stage(), again) == pytest.approx(4 * (kept + layer))


def test_the_weights_are_counted_once_however_many_bundles_there_are(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Checkpoint] = []
    weights = Checkpoint.weights

    def counted(of: Checkpoint) -> dict[str, int]:
        calls.append(of)
        return weights(of)

    monkeypatch.setattr(Checkpoint, "weights", counted)
    found = []
    for bundles in (1, 5):
        calls.clear()
        estimate(Plan((BUNDLE,) * bundles, ()), base_of(model), stage(steps=10), GPUS["h100"])
        found.append(len(calls))
    assert found[0] == found[1]


def test_an_unknown_gpu_is_told_what_was_meant() -> None:
    recipe = load_recipe("smoke_cpu", ["model.pretrained=none", "data.rows=[none]"])
    with pytest.raises(UnknownNameError, match=r"unknown GPU 'h10'\. Did you mean 'h100'"):
        estimate_rows(recipe, "h10", 1, None)
