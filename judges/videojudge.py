"""VideoJudge-3B, VideoJudge-7B and VideoJudgeR-3B: judges trained by the paper's recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.judges.engines._hub_format import TRAINED_FILE, asked_as_trained
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.prompted.config import NO_RUBRIC, RATE, WRITE


@dataclass(frozen=True)
class Preset:
    """Settings that a trained judge expects."""

    base: str
    rubric: str = NO_RUBRIC
    max_tokens: int = 1024


PRESETS: Mapping[str, Preset] = {
    "3b": Preset("Qwen2.5-VL-3B-Instruct"),
    "7b": Preset("Qwen2.5-VL-7B-Instruct"),
    "r-3b": Preset("Qwen2.5-VL-3B-Instruct", rubric=WRITE, max_tokens=2048),
}


class VideoJudge(PromptedJudge):
    """A model trained to judge: rates, prefers, or writes its own rubric first.

    Args:
        preset: 3b, 7b or r-3b: whether a rubric is written and how long replies get. The frames
            are the paper's: one per second, at most 180. What a folder of `videojudge train`
            records of its training (prompts, frames, score) precedes the preset.
        pretrained: folder or hub id of the weights. No public address of the paper's weights was
            found, so none is built in; `videojudge train` makes such weights.
        rubric: as `PromptedJudge`; None is as it was trained, or the preset's.
        max_tokens: as `PromptedJudge`; None is as it was trained, or the preset's.
        engine: `transformers`; or `openai` with base_url=…, for a server that serves the weights.
            The judge is asked the same there: `pretrained` is then read for how, not for weights.
        options: those of `PromptedJudge` and of the engine.

    Raises:
        UnknownNameError: no such preset.
        ConfigError: no `pretrained`, an unknown option, or options that cannot work.
    """

    requires = frozenset({"video"})
    unsigned = PromptedJudge.unsigned | {"engine"}

    def __init__(
        self,
        *,
        preset: str = "7b",
        pretrained: str | None = None,
        rubric: str | None = None,
        max_tokens: int | None = None,
        engine: str = "transformers",
        **options: Scalar,
    ) -> None:
        preset = str(preset).lower()
        if preset not in PRESETS:
            raise UnknownNameError("preset", preset, PRESETS)
        chosen = PRESETS[preset]
        if pretrained is None:
            raise ConfigError(
                f"judge videojudge, preset {preset}: give pretrained=<folder or hub id>. It is a "
                f"{chosen.base} trained to judge; no public address of the paper's own weights "
                "was found. The untrained model is judge=qwen2_5_vl"
            )
        trained = asked_as_trained(Path(pretrained).expanduser())
        if options.get("pairs") == RATE:
            trained.pop("pair_prompt", None)
        own = {"rubric": chosen.rubric, "max_tokens": chosen.max_tokens, **trained, **options}
        given = {"rubric": rubric, "max_tokens": max_tokens}
        own |= {name: value for name, value in given.items() if value is not None}
        try:
            super().__init__(engine=engine, pretrained=pretrained, **own)  # type: ignore[arg-type]
        except ConfigError as error:
            noted = trained.keys() - options.keys()
            if not any(f"unknown option {name!r}" in str(error) for name in noted):
                raise
            raise ConfigError(
                f"{Path(pretrained) / TRAINED_FILE} is of another version of videojudge-bench, "
                f"which has options that this one does not know: {error}"
            ) from error

    def settings(self) -> Mapping[str, Scalar]:
        """Return what `PromptedJudge` does, and `feedback` and `score`, which a folder may set."""
        config = self.config
        return {**super().settings(), "feedback": config.feedback, "score": config.score}
