"""Qwen's untrained models of video as judges: the baselines of the VideoJudge paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import UnknownNameError
from videojudge_bench.prompted import PromptedJudge

WEIGHTS: Mapping[str, int] = {
    "Qwen2.5-VL-3B-Instruct": 3_754_622_976,
    "Qwen2.5-VL-7B-Instruct": 8_292_166_656,
    "Qwen2.5-VL-32B-Instruct": 33_448_292_352,
    "Qwen2.5-VL-72B-Instruct": 73_406_351_360,
    "Qwen3-VL-2B-Instruct": 2_127_532_032,
    "Qwen3-VL-4B-Instruct": 4_437_815_808,
    "Qwen3-VL-8B-Instruct": 8_767_123_696,
    "Qwen3-VL-32B-Instruct": 33_357_390_064,
}
"""How many weights a model has, the encoder of vision included: whether it fits is known before it
is fetched."""


class QwenVL(PromptedJudge):
    """Shows the video's frames and the response to a model of Qwen, and reads its verdict.

    A family is a subclass with `sizes`.

    Args:
        size: which of the family's models on the Hugging Face hub; see `sizes`.
        pretrained: a folder, or another model of the family on the hub, in place of `size`.
        engine: `transformers`; or `openai` with base_url=…, for a server that serves the model.
        options: those of `PromptedJudge` and of the engine: score, feedback, video, max_frames,
            dtype, adapter, share_prefix and more.
    """

    requires = frozenset({"video"})
    # The settings say which model `size` means.
    unsigned = PromptedJudge.unsigned | {"size", "engine"}
    sizes: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        *,
        size: str,
        pretrained: str | None = None,
        engine: str = "transformers",
        **options: Scalar,
    ) -> None:
        size = str(size).lower()
        if size not in self.sizes:
            raise UnknownNameError("size", size, self.sizes)
        model = pretrained or self.sizes[size]
        super().__init__(engine=engine, pretrained=model, **options)  # type: ignore[arg-type]


class Qwen2_5VL(QwenVL):  # noqa: N801 - the model's own name
    """Qwen2.5-VL: 3b, 7b, 32b, 72b."""

    sizes: ClassVar[Mapping[str, str]] = {
        size.lower(): f"Qwen/Qwen2.5-VL-{size}-Instruct" for size in ("3B", "7B", "32B", "72B")
    }

    def __init__(
        self, *, size: str = "7b", pretrained: str | None = None, **options: Scalar
    ) -> None:
        super().__init__(size=size, pretrained=pretrained, **options)  # type: ignore[arg-type]


class Qwen3VL(QwenVL):
    """Qwen3-VL, the dense models: 2b, 4b, 8b, 32b."""

    sizes: ClassVar[Mapping[str, str]] = {
        size.lower(): f"Qwen/Qwen3-VL-{size}-Instruct" for size in ("2B", "4B", "8B", "32B")
    }

    def __init__(
        self, *, size: str = "8b", pretrained: str | None = None, **options: Scalar
    ) -> None:
        super().__init__(size=size, pretrained=pretrained, **options)  # type: ignore[arg-type]
