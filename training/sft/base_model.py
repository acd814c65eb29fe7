"""Facts about the base model, before its weights are loaded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from videojudge_bench.errors import ConfigError
from videojudge_bench.judges.engines._checkpoint import Checkpoint
from videojudge_bench.judges.engines._mrope import Scheme, chosen_scheme
from videojudge_bench.judges.engines._prompt_inputs import PromptReader
from videojudge_bench.training.sft.options import FrameOptions, ModelOptions

if TYPE_CHECKING:
    from videojudge_bench.judges.engines._model_types import VisionConfig
    from videojudge_bench.video import FramePolicy

TRAINED_KINDS = ("qwen2_5_vl", "qwen3_vl")


@dataclass(frozen=True)
class BaseModel:
    """A model to train, by its files alone."""

    options: ModelOptions
    frames: FrameOptions

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """Its files."""
        return Checkpoint(
            self.options.pretrained,
            revision=self.options.revision,
            dtype=self.options.dtype,
            attention=self.options.attention,
            quantization=self.options.quantization,
        )

    def check(self) -> None:
        """Raise ConfigError unless it is there, of a known architecture, and takes videos."""
        kind, name = self.checkpoint.kind, self.options.pretrained
        if kind not in TRAINED_KINDS:
            sight = "a model of text, which sees no videos" if kind == "text" else "not known here"
            raise ConfigError(
                f"model.pretrained={name}: expected a Qwen2.5-VL or a Qwen3-VL, got a "
                f"{self.checkpoint.model_type}, {sight}"
            )
        if not self.checkpoint.sees or not hasattr(self.checkpoint.config, "vision_config"):
            raise ConfigError(
                f"model.pretrained={name}: expected a video processor and a vision tower, got a "
                "folder without one of them; give the whole model, processor files included"
            )

    @cached_property
    def reader(self) -> PromptReader:
        """Makes its inputs, as for a judge."""
        return PromptReader(self.checkpoint, fps=self.frames.fps)

    @cached_property
    def policy(self) -> FramePolicy:
        """Selection of frames."""
        return self.frames.policy(self.side)

    @property
    def vision(self) -> VisionConfig:
        """The configuration of its vision tower."""
        return self.checkpoint.config.vision_config

    @property
    def side(self) -> int:
        """Pixels along the side of what becomes one token."""
        return int(self.vision.patch_size * self.vision.spatial_merge_size)

    @property
    def patches_per_token(self) -> int:
        """Patches of the vision tower that become one token."""
        return int(self.vision.spatial_merge_size**2)

    @cached_property
    def scheme(self) -> Scheme:
        """The M-RoPE scheme that it is trained with."""
        scheme = chosen_scheme(self.options.mrope, self.checkpoint)
        assert scheme is not None, "a model that can be trained has one"
        return scheme

    @property
    def tokens_per_second(self) -> float:
        """Positions per second of video."""
        return float(getattr(self.vision, "tokens_per_second", 1))

    @property
    def context(self) -> int:
        """Number of tokens."""
        return int(self.checkpoint.text_config.max_position_embeddings)
