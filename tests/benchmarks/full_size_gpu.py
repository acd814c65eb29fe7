"""Prints what training costs at full size on one GPU: trees against rows apart, 3B and 7B.

Weights are random and of the real shapes (Qwen2.5-VL-3B in float32, computed in bfloat16, all of
it trained; 7B in bfloat16 with LoRA of rank 64), gradients are checkpointed, attention is sdpa.
Five responses about a video of 60 frames of 504 x 280, 5,400 video tokens. Needs a GPU with 80 GB
and prints {} where there is none.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, Qwen2_5_VLConfig

from videojudge_bench.judges.engines._prompt_inputs import Inputs
from videojudge_bench.judges.engines._windows import attend_in_windows_at_once
from videojudge_bench.judges.engines.prefix_tree import VisionBlock
from videojudge_bench.training.sft.dataset import collate
from videojudge_bench.training.sft.encode import Encoded
from videojudge_bench.training.sft.loss import score_batch
from videojudge_bench.training.sft.packing import pack
from videojudge_bench.training.training_row import TrainingRow

VIDEO, START, END, EOS = 151656, 151652, 151653, 151645
GRID = (30, 20, 36)  # of patches: time, height, width
SHARED, OWN, REPLY, RESPONSES = 300, 100, 60, 5
TEXT: Mapping[str, Mapping[str, int]] = {
    "3b": {
        "hidden_size": 2048,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "intermediate_size": 11008,
        "vocab_size": 151936,
    },
    "7b": {
        "hidden_size": 3584,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "intermediate_size": 18944,
        "vocab_size": 152064,
    },
}
LORA = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
Batch = dict[str, Any]


def _config(size: str) -> Any:
    """The configuration of the released models."""
    tied = size == "3b"
    text = {
        **TEXT[size],
        "model_type": "qwen2_5_vl_text",
        "rope_theta": 1_000_000.0,
        "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
        "max_position_embeddings": 128_000,
        "tie_word_embeddings": tied,
    }
    vision = {
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "out_hidden_size": TEXT[size]["hidden_size"],
        "fullatt_block_indexes": [7, 15, 23, 31],
        "tokens_per_second": 2,
    }
    return Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        video_token_id=VIDEO,
        vision_start_token_id=START,
        vision_end_token_id=END,
        tie_word_embeddings=tied,
    )


def _rows() -> tuple[Inputs, list[Encoded]]:
    """One video and five responses to one instruction, in random tokens."""
    draws = torch.Generator().manual_seed(0)

    def words(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(0, 150_000, (count,), generator=draws).tolist())

    time_, height, width = GRID
    seen = time_ * height * width // 4
    before = words(40)
    media = {
        "pixel_values_videos": torch.randn(time_ * height * width, 1176, generator=draws),
        "video_grid_thw": torch.tensor([list(GRID)]),
    }
    block = VisionBlock(len(before) + 1, time_, height // 2, width // 2, 2.0)
    types = (*[0] * (len(before) + 1), *[2] * seen)
    video = Inputs((((*before, START, *[VIDEO] * seen, END)),), media, (block,), types, seen)
    shared, rows = words(SHARED), []
    for number in range(RESPONSES):
        row = TrainingRow.model_validate(
            {"id": str(number), "kind": "pointwise", "video_id": "v", "user": "u", "reply": "r"}
        )
        reply = (*words(REPLY - 1), EOS)
        rows.append(Encoded(row, "", shared + words(OWN), reply, (1.0,) * REPLY, ()))
    return video, rows


def _batch(video: Inputs, rows: list[Encoded]) -> Batch:
    packed = pack(rows, video, scheme="qwen", tokens_per_second=2)
    types = torch.zeros_like(packed.tokens)
    types[: len(video.media_types)] = torch.tensor(video.media_types)
    features = {
        "input_ids": packed.tokens,
        "position_ids": packed.positions,
        "until": packed.until,
        "labels": packed.labels,
        "weights": packed.weights,
        "mm_token_type_ids": types,
        **video.media,
    }
    return {name: value.cuda() for name, value in collate([features]).items()}


def _seconds(model: Any, batch: Batch, *, tree: bool, autocast: bool) -> float:
    """Of one pass forward and backward; the second of two."""
    for _ in range(2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16, enabled=autocast):
            scored = score_batch(model, batch, tree=tree)
        loss: Any = scored.loss / scored.tokens
        loss.backward()
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _measured(model: Any, *, autocast: bool) -> dict[str, float]:
    video, rows = _rows()
    tree, apart = _batch(video, rows), _batch(video, rows[:1])
    torch.cuda.reset_peak_memory_stats()
    of_tree = _seconds(model, tree, tree=True, autocast=autocast)
    peak = torch.cuda.max_memory_allocated() / 1e9
    of_one = _seconds(model, apart, tree=False, autocast=autocast)
    return {
        "tree_tokens": tree["input_ids"].shape[1],
        "tokens_apart": RESPONSES * apart["input_ids"].shape[1],
        "tree_seconds": round(of_tree, 3),
        "seconds_apart_a_response": round(of_one, 3),
        "times_faster": round(RESPONSES * of_one / of_tree, 2),
        "peak_gb_without_adam": round(peak, 1),
    }


def _model(size: str, dtype: torch.dtype) -> Any:
    auto: Any = AutoModelForImageTextToText
    torch.set_default_dtype(dtype)
    with torch.device("cuda"):
        model = auto.from_config(_config(size), attn_implementation="sdpa")
    torch.set_default_dtype(torch.float32)
    attend_in_windows_at_once(model)
    model.config.use_cache = False
    model.train()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


def _full() -> dict[str, float]:
    model = _model("3b", torch.float32)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-7, fused=True)
    found = _measured(model, autocast=True)
    optimiser.step()
    found["held_gb_with_adam"] = round(torch.cuda.memory_allocated() / 1e9, 1)
    weight = model.model.language_model.layers[0].mlp.up_proj.weight.detach().to(torch.bfloat16)
    step = 2e-7 * torch.sign(torch.randn_like(weight))
    # What the paper's learning rate would do to weights that are kept in bfloat16.
    found["share_unchanged_in_bf16"] = round(float((weight - step == weight).float().mean()), 4)
    return found


def _adapters() -> dict[str, float]:
    from peft import LoraConfig, get_peft_model

    model = _model("7b", torch.bfloat16)
    layers = [
        name
        for name, _ in model.named_modules()
        if name.split(".")[-1] in LORA and "visual" not in name
    ]
    config = LoraConfig(r=64, lora_alpha=128, target_modules=layers, task_type="CAUSAL_LM")
    adapted: Any = get_peft_model(model, config)
    adapted.enable_input_require_grads()
    return _measured(adapted, autocast=True)


def main() -> None:
    """Measure and print."""
    found: dict[str, Any] = {}
    if torch.cuda.is_available():
        found = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__}
        found["3b, all weights"] = _full()
        torch.cuda.empty_cache()
        found["7b, LoRA"] = _adapters()
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
