"""Engines with tiny models, and groups by our own prompts: what the tests of the engine share."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from videojudge_bench import tasks
from videojudge_bench.engine import (
    Continuation,
    EngineError,
    Prefix,
    PromptGroup,
    Reply,
    complete_all,
)
from videojudge_bench.items import Item, Pair
from videojudge_bench.judges.engines._mrope import Scheme
from videojudge_bench.judges.engines._prompt_inputs import Inputs, PromptReader
from videojudge_bench.judges.engines.transformers_engine import LoadedModel, TransformersEngine
from videojudge_bench.judges.tiny_qwen import FAMILIES, build
from videojudge_bench.prompts import PROMPTS_FOLDER, load_prompt
from videojudge_bench.scale import RatingScale
from videojudge_bench.video import FrameBatch, FramePolicy, load_frames

VIDEOS = Path(tasks.__file__).parent / "sample" / "videos"
ANSWERS = ("A pig eats.", "A pig sleeps in the mud while it rains.", "10", "A dog.")
RUBRIC = "\n\nRubric:\n- 5: names the animal and what it does\n- 1: names another animal"


class Engine(TransformersEngine):
    """Decodes in this process, and each video once for all tests."""

    def load_frames(self, path: Path) -> FrameBatch:
        return decoded(path, self._policy)


@cache
def decoded(path: Path, policy: FramePolicy) -> FrameBatch:
    return load_frames(path, policy, timeout_seconds=None)


@pytest.fixture(scope="module", name="models")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each family, and of a text model with the same tokenizer."""
    root = tmp_path_factory.mktemp("models")
    made: dict[str, Path] = {family: build(root / family, family=family) for family in FAMILIES}
    made["text"] = text_model(root / "text", made["qwen2_5_vl"])
    return made


def text_model(folder: Path, tokenizer_from: Path, **changes: object) -> Path:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(tokenizer_from / name, folder / name)
    ids = json.loads((tokenizer_from / "config.json").read_text())["text_config"]
    options: dict[str, Any] = {
        "vocab_size": ids["vocab_size"],
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "initializer_range": 0.125,
        "eos_token_id": ids["eos_token_id"],
        "pad_token_id": ids["pad_token_id"],
        "max_position_embeddings": 4096,
        **changes,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: Any = Qwen3ForCausalLM(Qwen3Config(**options))
    model.save_pretrained(folder)
    return folder


@pytest.fixture(name="make")
def engine_maker(models: dict[str, Path]) -> Iterator[Any]:
    """A maker of engines that are closed at the end."""
    made: list[Engine] = []

    def maker(model: str | Path | LoadedModel = "qwen2_5_vl", **options: Any) -> Engine:
        given: dict[str, Any] = {"pretrained": model}
        if not isinstance(model, LoadedModel):
            folder = models[model] if isinstance(model, str) else model
            given = {"pretrained": str(folder), "device": "cpu"}
        small = {"max_frames": 5, "min_pixels": 0, "max_pixels": 96 * 96, "keep_frames": False}
        engine = Engine(**{**given, **small, **options})
        made.append(engine)
        return engine

    yield maker
    for engine in made:
        engine.close()


def group(kind: str = "rate", video: str | None = "mdn_pig.webm", **options: Any) -> PromptGroup:
    """Return a group by our own prompts: pointwise, pairwise, or pointwise with a rubric."""
    path = None if video is None else VIDEOS / video
    shared = {"video_id": str(video), "instruction": "What does the animal do?", "video": path}
    parts: list[Item | Pair] = [
        Item(f"{video}/{n}", response=text, **shared)  # type: ignore[arg-type]
        if kind != "prefer"
        else Pair(f"{video}/{n}", first=text, second=ANSWERS[n - 1], **shared)  # type: ignore[arg-type]
        for n, text in enumerate(ANSWERS)
    ]
    template = load_prompt(PROMPTS_FOLDER / f"{kind.removesuffix('+rubric')}.jinja")
    prompts = [template.render(part, RatingScale(1, 5)) for part in parts]
    more = RUBRIC if kind.endswith("rubric") else ""
    return PromptGroup(
        Prefix(prompts[0].system, prompts[0].shared + more, path),
        tuple(Continuation(p.id, q.response) for p, q in zip(parts, prompts, strict=True)),
        **options,
    )


def ask(engine: TransformersEngine, asked: PromptGroup) -> list[Reply]:
    found = list(asyncio.run(complete_all(engine, asked)))
    assert all(isinstance(reply, Reply) for reply in found), found
    return [reply for reply in found if isinstance(reply, Reply)]


def reasons(engine: TransformersEngine, asked: PromptGroup) -> set[str]:
    found = asyncio.run(complete_all(engine, asked))
    assert all(isinstance(reply, EngineError) for reply in found), found
    return {reply.reason for reply in found if isinstance(reply, EngineError)}


def texts(replies: list[Reply]) -> list[str]:
    return [reply.text for reply in replies]


def read(engine: Engine, asked: PromptGroup) -> Inputs:
    """Return what the model gets for a group."""
    checkpoint = engine.source
    frames = engine.load_frames(asked.prefix.video) if asked.prefix.video else None
    reader = PromptReader(checkpoint, fps=engine._policy.fps, thinking=engine._thinking)
    return reader.read(asked, frames)


def own_scheme() -> Scheme:
    """Whose positions the installed transformers gives a model."""
    import transformers

    return "transformers4" if transformers.__version__.startswith("4.") else "transformers5"
