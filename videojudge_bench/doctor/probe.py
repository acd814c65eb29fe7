"""Process with the heavy imports, so that a crash of torch does not stop the doctor.

It writes one line of JSON per thing that it has tried, so that lines before a crash count: `torch`,
then `plugin` (of lmms-eval), then `judges` once per judge that needs no options.
"""

from __future__ import annotations

import json
import os

from videojudge_bench import registry
from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import ConfigError, VideoJudgeError
from videojudge_bench.prompted import PromptedJudge


def main() -> None:
    """Try everything, one after another."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # lmms-eval prints; that must not get among the lines

    def say(name: str, value: Json) -> None:
        lines.write(json.dumps({name: value}) + "\n")
        lines.flush()

    say("torch", _torch())
    say("plugin", _plugin())
    for name in registry.names():
        if needs_nothing(name):
            say("judges", {name: _problem_of(name)})


def needs_nothing(name: str) -> bool:
    """Return whether a judge can be made without options, and runs without a language model."""
    try:
        registry.check_options(name, ())
        return not issubclass(registry.judge_class(name), PromptedJudge)
    except ConfigError:
        return False


def _torch() -> Json:
    import torch

    gpus: list[Json] = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        gpus.append({"name": name, "free_bytes": free, "total_bytes": total})
    return {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "gpus": gpus,
        "mps": torch.backends.mps.is_available(),
    }


def _plugin() -> Json:
    from lmms_eval.models import list_available_models
    from lmms_eval.tasks import TaskManager

    from videojudge_bench.harness.plugin import is_hooked

    return {"model": "videojudge" in list_available_models(), "tasks": is_hooked(TaskManager)}


def _problem_of(name: str) -> str:
    try:
        registry.build(name, {}).judge.close()
    except VideoJudgeError as error:
        return str(error)
    return ""
