"""Makes `mrope_golden.json`: positions by vLLM and by the first published code.

    python mrope_golden.py vllm                     in an environment with vLLM
    python mrope_golden.py published WHEEL          with torch and transformers-4.49.0-*.whl

Each fills in its column and leaves the other as it is. A case is a row of text and videos; the
positions are those of all its tokens. Seconds are float32 numbers, as processors give them.
"""

from __future__ import annotations

import ast
import importlib
import json
import random
import sys
import textwrap
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

import torch

FILE = Path(__file__).with_suffix(".json")
TEXT, VIDEO, START, IMAGE = 7, 2, 1, 3
MERGE, TOKENS_PER_SECOND, CASES = 2, 2, 48
SOURCE = "transformers/models/qwen2_5_vl/modeling_qwen2_5_vl.py"

SECONDS = (0.5, 1.0, 2.0, 4.0, 20 / 3, 2 / 3, 1.998, 0.7, 1.4, 0.1, 1 / 30)


def cases() -> list[dict[str, Any]]:
    """Return rows of one to three videos with text around them, one of them without text behind."""
    draw, made = random.Random(0), []
    for number in range(CASES):
        seconds = [draw.choice(SECONDS) for _ in range(1 + number % 3)]
        seconds = [s if number % 4 else draw.uniform(0.05, 9) for s in seconds]
        videos = [
            {
                "text_before": draw.randint(1, 5),
                "time": draw.randint(1, 9),
                "height": draw.randint(1, 3),
                "width": draw.randint(1, 3),
                "step_seconds": float(torch.tensor(s, dtype=torch.float32)),
            }
            for s in seconds
        ]
        made.append({"videos": videos, "text_behind": draw.randint(0, 5)})
    return made


def tokens_of(case: dict[str, Any]) -> tuple[list[int], list[int]]:
    """Return the tokens of a row, and where each of its videos begins."""
    tokens: list[int] = []
    starts: list[int] = []
    for video in case["videos"]:
        tokens += [TEXT] * (video["text_before"] - 1) + [START]
        starts.append(len(tokens))
        tokens += [VIDEO] * (video["time"] * video["height"] * video["width"])
    return tokens + [TEXT] * case["text_behind"], starts


def grid_of(video: dict[str, Any]) -> torch.Tensor:
    """Return steps and patches of a video."""
    return torch.tensor([video["time"], MERGE * video["height"], MERGE * video["width"]])


def config() -> SimpleNamespace:
    """Return what both read of a model's configuration."""
    vision = SimpleNamespace(spatial_merge_size=MERGE, tokens_per_second=TOKENS_PER_SECOND)
    tokens = {"image_token_id": IMAGE, "video_token_id": VIDEO, "vision_start_token_id": START}
    return SimpleNamespace(vision_config=vision, **tokens)


def by_vllm(case: dict[str, Any]) -> tuple[list[list[int]], int]:
    """Return positions by vLLM's Qwen2.5-VL, and the one of the token that follows the row."""
    models = importlib.import_module("vllm.model_executor.models.qwen2_5_vl")
    model_class = models.Qwen2_5_VLForConditionalGeneration
    tokens, starts = tokens_of(case)
    features = [
        SimpleNamespace(
            modality="video",
            mm_position=SimpleNamespace(offset=start),
            data={
                "video_grid_thw": SimpleNamespace(data=grid_of(video)),
                "second_per_grid_ts": SimpleNamespace(data=torch.tensor(video["step_seconds"])),
            },
        )
        for start, video in zip(starts, case["videos"], strict=True)
    ]
    model = SimpleNamespace(config=config())
    model.iter_mm_grid_thw = model_class.iter_mm_grid_thw.__get__(model)
    ids, delta = model_class.get_mrope_input_positions(model, tokens, features)
    return ids.tolist(), delta + len(tokens)


def published(wheel: Path) -> Any:
    """Return `get_rope_index` of the first release with the model, without the rest of it."""
    source = zipfile.ZipFile(wheel).read(SOURCE).decode()
    (found,) = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
        and node.name == "get_rope_index"
        and "second_per_grid_ts" in ast.unparse(node.args)
    )
    names: dict[str, Any] = {"torch": torch, "Optional": Optional, "Tuple": tuple}
    exec(compile(textwrap.dedent(ast.unparse(found)), SOURCE, "exec"), names)
    return names["get_rope_index"]


def by_published(case: dict[str, Any], get_rope_index: Any) -> tuple[list[list[int]], int]:
    """Return positions by the first published code, and the one that follows the row."""
    tokens, _ = tokens_of(case)
    ids, delta = get_rope_index(
        SimpleNamespace(config=config()),
        torch.tensor([tokens]),
        video_grid_thw=torch.stack([grid_of(video) for video in case["videos"]]),
        second_per_grid_ts=torch.tensor([video["step_seconds"] for video in case["videos"]]),
    )
    return ids[:, 0].tolist(), int(delta) + len(tokens)


def main() -> None:
    """Fill in a column of the file."""
    column = sys.argv[1]
    known = json.loads(FILE.read_text())["cases"] if FILE.exists() else [{}] * CASES
    rope = published(Path(sys.argv[2])) if column == "published" else None
    made = []
    for case, before in zip(cases(), known, strict=True):
        ids, following = by_vllm(case) if rope is None else by_published(case, rope)
        columns = {name: before[name] for name in ("vllm", "published") if name in before}
        made.append({**case, **columns, column: {"ids": ids, "following": following}})
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in made)
    note = "by vLLM 0.32.0 and transformers 4.49.0; see mrope_golden.py"
    FILE.write_text(f'{{"made": {json.dumps(note)}, "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
