"""Every option of every judge and engine, and whether it is in the identity.

An option that can change a verdict changes key and signature, another neither.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from identity_bench import SERVED, SMALL, Bench, Input
from identity_inputs import CRITERIA, KIND, RUBRIC

from videojudge_bench import registry
from videojudge_bench._util.options import Scalar
from videojudge_bench.analysis.jury_model import Member, SavedJury, fit_model
from videojudge_bench.judges.compact_encoder import packaged_weights

Value = Scalar | Callable[[Bench], Scalar]


@dataclass(frozen=True)
class Option:
    """Another value of an option than its default.

    Attributes:
        value: the value, or a function that makes it from the bench.
        counts: whether it can change a verdict.
        beside: options that it needs.
    """

    value: Value
    counts: bool = True
    beside: Mapping[str, Value] = field(default_factory=dict)


def _scores(bench: Bench) -> Scalar:
    return str(bench.write("scores.csv", "id,score,other\nv0/a,3,4\n"))


def _other_scores(bench: Bench) -> Scalar:
    return str(bench.write("others.csv", "id,score,other\nv0/a,2,4\n"))


def _replies(reply: str) -> Callable[[Bench], Scalar]:
    def write(bench: Bench) -> Scalar:
        row = f'{{"id": "*", "reply": "<score>{reply}</score>"}}\n'
        return str(bench.write(f"{reply}.jsonl", row))

    return write


def _rule(bench: Bench) -> Scalar:
    """A rule that was fitted for the members of the jury below."""
    members = [
        Member(name=name, judge=registry.build(name, {}).signature(), references=0)
        for name in ("longest", "random")
    ]
    model = fit_model(np.array([[1.0, 2.0], [2.0, 1.0]]), None, "mean")
    path = bench.folder / "jury.json"
    SavedJury(members=members, model=model, fitted_on={"set": "vatex"}).write(path)
    return str(path)


def _text(name: str, text: str) -> Callable[[Bench], Scalar]:
    return lambda bench: str(bench.write(name, text))


def _copy(name: str, source: Callable[[Bench], Path]) -> Callable[[Bench], Scalar]:
    def copy(bench: Bench) -> Scalar:
        target = bench.folder / name
        found = source(bench)
        if found.is_dir():
            shutil.copytree(found, target, dirs_exist_ok=True)
        else:
            shutil.copy(found, target)
        return str(target)

    return copy


def _adapter(bench: Bench) -> Scalar:
    bench.write("lora/adapter_config.json", "{}")
    bench.write("lora/adapter_model.bin", "weights")
    return f"{bench.folder}/lora"


def _thinks(bench: Bench) -> Scalar:
    model = Path(str(_copy("thinks", lambda b: b.tiny)(bench)))
    template = model / "chat_template.jinja"
    template.write_text(template.read_text("utf-8") + "{# enable_thinking #}", encoding="utf-8")
    return str(model)


_MODEL = _copy("model", lambda b: b.tiny)
_ENCODER = _copy("encoder", lambda b: b.encoder)
_RUBRIC = _text("rubrics.jsonl", RUBRIC)

_CRITERIA = _text("criteria.yaml", CRITERIA)

PROMPTED: Mapping[str, Option] = {
    "engine": Option(lambda b: f"{b.folder}/engine.py:Other"),
    "score": Option("expected"),
    "feedback": Option(False),
    "rubric": Option("write"),
    "swap_rubrics": Option(True, beside={"rubric": _RUBRIC}),
    "video": Option("none"),
    "samples": Option(3, beside={"temperature": 0.5}),
    "temperature": Option(0.5),
    "max_tokens": Option(7),
    "seed": Option(1),
    "prompt": Option(_text("kind.jinja", KIND)),
    "pair_prompt": Option(_text("kind.jinja", KIND)),
    "pairs": Option("rate"),
    "lost_mass": Option(0.5, beside={"score": "expected"}),
    "structured": Option("regex", beside={"engine": "openai", **SERVED}),
    "criteria": Option(_CRITERIA),
    "overall": Option("model", beside={"criteria": _CRITERIA}),
    "concurrency": Option(3, counts=False),
}
TRANSFORMERS: Mapping[str, Option] = {
    "pretrained": Option(_copy("other", lambda b: b.tiny)),
    "revision": Option("v2", counts=False),  # of a folder; on the hub its commit counts
    "device": Option("cpu", counts=False),
    "dtype": Option("bfloat16"),
    "attn_implementation": Option("eager"),
    "adapter": Option(_adapter),
    "quantization": Option("8bit"),
    "share_prefix": Option(False, counts=False),
    "verify_prefix": Option(1, counts=False),
    "thinking": Option(True, beside={"pretrained": _thinks}),
    "mrope": Option("transformers5"),
    "max_frames": Option(3),
    "fps": Option(2.0),
    "min_pixels": Option(2000),
    "max_pixels": Option(7000),
    "total_pixels": Option(100_000),
    "batch_tokens": Option(99, counts=False),
    "keep_frames": Option(False, counts=False),
}
OPENAI: Mapping[str, Option] = {
    "base_url": Option("http://127.0.0.1:10/v1", counts=False),
    "model": Option("n"),
    "api_key": Option("secret", counts=False),
    "timeout_seconds": Option(3.0, counts=False),
    "retries": Option(1, counts=False),
    "max_concurrency": Option(2, counts=False),
    "max_requests": Option(9, counts=False),
    "max_cost": Option(9.0, counts=False, beside={"price_in": 1.0, "price_out": 1.0}),
    "price_in": Option(1.0, counts=False),
    "price_out": Option(1.0, counts=False),
    "pretrained": Option(_MODEL),
    "revision": Option("v2", counts=False, beside={"pretrained": _MODEL}),  # as for transformers
    "trust_server": Option(True, counts=False, beside={"pretrained": _MODEL}),
    "send": Option("video"),
    "max_frames": Option(3),
    "fps": Option(2.0),
    "min_pixels": Option(2000),
    "max_pixels": Option(7000),
    "total_pixels": Option(20_000_000),
    "factor": Option(32),
    "jpeg_quality": Option(80),
    "logprobs": Option(False, counts=False),
    "prefill": Option(True),
    "thinking": Option(True),
    "replicas": Option(2, counts=False),
}
SCRIPTED: Mapping[str, Option] = {"replies": Option(_replies("2"))}
ENGINES = {"transformers": TRANSFORMERS, "openai": OPENAI, "scripted": SCRIPTED}

JUDGES: Mapping[str, Mapping[str, Option]] = {
    "random": {"seed": Option(1)},
    "constant": {"level": Option(2.0)},
    **{name: {} for name in ("longest", "bleu1", "bleu4", "rouge_l", "cider", "chrf")},
    "minilm": {
        "model": Option(_copy("other encoder", lambda b: b.encoder)),
        "revision": Option("v2", counts=False),  # of a folder; on the hub its commit counts
        "against": Option("question"),
        "batch_size": Option(3, counts=False),
        "device": Option("cpu:0", counts=False),
    },
    "compact": {
        "weights": Option(_copy("other.safetensors", lambda _: packaged_weights())),
        "dtype": Option("bfloat16"),
        "batch_size": Option(3, counts=False),
    },
    "precomputed": {
        "scores": Option(_other_scores),
        "column": Option("other"),
        "on_scale": Option(True),
        "overlap": Option("vatex"),
    },
    "jury": {
        "members": Option("[random;longest]"),
        "combine": Option("median"),
        "min_members": Option(2),
        "file": Option(_rule),
        "seed": Option(1, beside={"combine": "trees"}),
    },
    "scripted": SCRIPTED,
    "videojudge": {"preset": Option("r-3b")},
    "qwen2_5_vl": {"size": Option("3b", counts=False)},  # the model that it means counts
    "qwen3_vl": {"size": Option("2b", counts=False)},
    "text_llm": {"video": Option("none")},
    "openai": {"score": Option("expected")},
    "remote": dict.fromkeys(
        ("url", "token", "rows", "concurrency", "patience"), Option(1, counts=False)
    ),
}
"""Options that a judge has beside those of `PromptedJudge` and of its engine."""

_STARTS: Mapping[str, Mapping[str, Value]] = {
    "videojudge_bench.prompted:PromptedJudge": {"engine": lambda b: b.echo},
    "minilm": {"model": _ENCODER},
    "precomputed": {"scores": _scores},
    "jury": {"members": "[longest;random]"},
    "scripted": {"replies": _replies("3")},
    **{name: {"pretrained": _MODEL, **SMALL} for name in ("videojudge", "qwen2_5_vl", "qwen3_vl")},
    "text_llm": {"engine": "openai", **SERVED},
    "openai": SERVED,
}
_ASKED = {"transformers": "videojudge", "openai": "openai", "scripted": "scripted"}
"""The judge with which an engine's options are tried."""


def known_options(judge: str) -> set[str]:
    """Return the options of a judge that the tables above have."""
    inherited = {**PROMPTED, **ENGINES.get(registry.engine_name(registry.judge_class(judge)), {})}
    return {*JUDGES.get(judge, {}), *(inherited if judge != "scripted" else ())}


def _input(judge: str, name: str, option: Option) -> Input:
    def start(bench: Bench) -> None:
        bench.judge, bench.options = judge, {}
        given = {**_STARTS.get(judge, {}), **option.beside}
        bench.options = {n: v(bench) if callable(v) else v for n, v in given.items()}

    def change(bench: Bench) -> None:
        bench.options[name] = option.value(bench) if callable(option.value) else option.value

    return Input(f"{judge},{name}", change, option.counts, option.counts, start)


def _inputs() -> Iterator[Input]:
    for name, option in PROMPTED.items():
        yield _input("videojudge_bench.prompted:PromptedJudge", name, option)
    for engine, options in ENGINES.items():
        for name, option in options.items():
            yield _input(_ASKED[engine], name, option)
    for judge, options in JUDGES.items():
        # The only option of the one is its engine's; tests/serving/ tries the other's on a server.
        if judge not in ("scripted", "remote"):
            for name, option in options.items():
                yield _input(judge, name, option)


OPTIONS = tuple(_inputs())
