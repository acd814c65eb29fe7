"""Section `judges`: those that can run here, and why the others cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from videojudge_bench import registry
from videojudge_bench._util.options import Scalar, without_secrets
from videojudge_bench.doctor.findings import Finding, Section, gigabytes
from videojudge_bench.doctor.host import Host
from videojudge_bench.doctor.machine import free_memory_bytes, hub_folder
from videojudge_bench.errors import ConfigError, VideoJudgeError
from videojudge_bench.judge import Judge
from videojudge_bench.judges.qwen_vl import WEIGHTS, QwenVL
from videojudge_bench.judges.videojudge import PRESETS, VideoJudge
from videojudge_bench.prompted import PromptedJudge

BYTES_A_WEIGHT = 2  # bfloat16

_A_SERVER = "or let a server run the model: judge=openai,base_url=…,model=…"
_EXPLAIN = "Its options: videojudge judges"


AskedJudge = tuple[str, Mapping[str, Scalar]]
"""Name and options of a judge that the user asks about."""


def judges(host: Host) -> Section:
    """Return which judges can run here."""
    return Section("judges", "Judges", [_judge(name, host) for name in registry.names()])


def asked_judges(asked: Sequence[AskedJudge]) -> Section:
    """Return whether judges can be made with a user's options, and their weights fit."""
    return Section("asked_judges", "Judges asked about", [_asked(judge) for judge in asked])


def _judge(name: str, host: Host) -> Finding:
    try:
        cls = registry.judge_class(name)
    except ConfigError as error:
        return Finding(name, "note", str(error))
    if issubclass(cls, VideoJudge):
        return _trained(name, host)
    if issubclass(cls, QwenVL):
        return _qwen(name, cls, host)
    needed = [o for o, p in registry.options_of(cls).items() if p.default is p.empty]
    if needed or issubclass(cls, PromptedJudge):
        options = ", ".join(f"{option}=…" for option in needed)
        fix = _how(name, cls)
        return Finding(name, "note", f"it needs {options or 'a language model'}", fix)
    if name not in host.judges:
        return Finding(name, "note", f"it could not be tried ({host.died})", "Fix that first")
    ready = (
        f"ready, on items with {' and '.join(sorted(cls.requires))}" if cls.requires else "ready"
    )
    problem = host.judges[name]
    return Finding(name, "note", problem) if problem else Finding(name, "ok", ready)


def _how(name: str, cls: type[Judge]) -> str:
    engine = registry.engine_name(cls)
    if engine == "openai":
        return "Look at a server with: videojudge doctor --server URL"
    if engine and "engine" in registry.options_of(cls):  # any engine serves
        return "Give engine=transformers,pretrained=… or engine=openai,base_url=…,model=…"
    return f"{_EXPLAIN} {name}"


def _trained(name: str, host: Host) -> Finding:
    """VideoJudge: all presets need the user's weights, `pretrained`."""
    weights = {preset: WEIGHTS[p.base] * BYTES_A_WEIGHT for preset, p in PRESETS.items()}
    _, text, _ = _room(weights, host)
    fix = "Give pretrained=<folder or hub id>; the untrained models are qwen2_5_vl"
    return Finding(name, "note", f"no pretrained was given; {text}", fix)


def _qwen(name: str, cls: type[QwenVL], host: Host) -> Finding:
    weights = {s: WEIGHTS[model.rpartition("/")[2]] * BYTES_A_WEIGHT
               for s, model in cls.sizes.items()}  # fmt: skip
    fits, text, fix = _room(weights, host)
    kept = [size for size in fits if _is_kept(cls.sizes[size])]
    if fits and not kept:
        text += "; its weights are not here yet, the first run gets them from the hub"
    values = {"fits": " ".join(fits), "kept": " ".join(kept)}
    return Finding(name, "note" if fix else "ok", text, fix, values)


def _room(weights: Mapping[str, int], host: Host) -> tuple[list[str], str, str]:
    """Return the sizes that fit, a sentence about them, and advice where none does."""
    if host.torch is None:
        return [], f"torch does not run ({host.died})", "Fix torch first"
    gpus = [gpu.free_bytes for gpu in host.gpus]
    shared = host.torch.mps and not gpus
    free = max(gpus, default=0) or free_memory_bytes()
    fits = [size for size, needed in weights.items() if needed < free]
    where = "of the GPU" if gpus else "of memory"
    words = [f"{size} needs {gigabytes(needed)}" for size, needed in weights.items()]
    text = f"{', '.join(words)}, and {gigabytes(free)} {where} are free"
    if not fits:
        return fits, text, f"Make room, give quantization=4bit, {_A_SERVER}"
    if not gpus and not shared:
        text += "; there is no GPU, and on the CPU an item takes minutes"
        return fits, text, f"Take a machine with a GPU, {_A_SERVER}"
    return fits, text, ""


def _is_kept(model: str) -> bool:
    folder = hub_folder() / f"models--{model.replace('/', '--')}" / "snapshots"
    return any(folder.glob("*/*.safetensors"))


def _asked(asked: AskedJudge) -> Finding:
    name, options = asked
    label = ",".join([name, *(f"{k}={v}" for k, v in without_secrets(options).items())])
    try:
        registry.build(name, options).judge.close()
    except VideoJudgeError as error:
        return Finding(label, "broken", str(error), f"{_EXPLAIN} {name}")
    return Finding(label, "ok", "it can be made with these options, and its weights fit")
