"""A language model for an engine: the contract of checkpoints, and a model that is in memory."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Literal, Union, cast

from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError
from videojudge_bench.judges.engines._model_types import (
    Config,
    Model,
    Processor,
    TextConfig,
    Tokenizer,
)

Kind = Literal["qwen2_5_vl", "qwen3_vl", "text", "other"]
"""The two families of video models whose prefix can be shared, models of text, and the rest."""

THINKING = "enable_thinking"
"""What chat templates call the choice whether to think before the reply."""

_SAMPLES = 64


class ModelSource(ABC):
    """A language model, and what is known of it before its weights are there."""

    pretrained: str
    mixed: bool = False

    @property
    @abstractmethod
    def config(self) -> Config:
        """The model's configuration."""

    @property
    @abstractmethod
    def processor(self) -> Processor:
        """Its processor, or its tokenizer for a model of text."""

    @property
    @abstractmethod
    def dtype_name(self) -> str:
        """The dtype of its weights, as torch calls it."""

    @abstractmethod
    def settings(self) -> Mapping[str, Scalar]:
        """Return what names the model's content and its arithmetic; never a path."""

    @abstractmethod
    def load(self) -> Model:
        """Return the model on its device, ready to decode."""

    @property
    def recorded_scheme(self) -> str | None:
        """The M-RoPE scheme that it was trained with, where it says so."""
        return None

    @property
    def model_type(self) -> str:
        """Its architecture, as transformers calls it."""
        # Of the class: in 4.57, some of Qwen's configurations answer with their text part.
        return str(type(self.config).model_type)

    @cached_property
    def kind(self) -> Kind:
        """Kind of model."""
        from transformers.models.auto import modeling_auto as auto

        if self.model_type in ("qwen2_5_vl", "qwen3_vl"):
            return cast("Kind", self.model_type)
        if self.model_type in auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
            return "other"
        if self.model_type in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
            return "text"
        raise ConfigError(
            f"pretrained={self.pretrained}: a model of type {self.model_type!r} writes no text "
            "that could be a verdict; give a causal language model or one that answers about "
            "images and videos"
        )

    @property
    def tokenizer(self) -> Tokenizer:
        return cast("Tokenizer", getattr(self.processor, "tokenizer", self.processor))

    @property
    def chat_template(self) -> str:
        """Its chat template, in Jinja; several together where it has several."""
        template = getattr(self.processor, "chat_template", None) or self.tokenizer.chat_template
        if not template:
            raise ConfigError(
                f"pretrained={self.pretrained} has no chat template, so nobody knows how it is to "
                "be asked; give an instruction-tuned model, or add chat_template.jinja to it"
            )
        return str(template)

    @property
    def sees(self) -> bool:
        """True if the model takes videos."""
        return getattr(self.processor, "video_processor", None) is not None

    @property
    def text_config(self) -> TextConfig:
        return self.config.get_text_config()

    @property
    def frame_factor(self) -> int:
        """Pixels along the side of what becomes one token; frames have multiples of it."""
        if self.kind not in ("qwen2_5_vl", "qwen3_vl"):
            return 28
        vision = self.config.vision_config
        return int(vision.patch_size * vision.spatial_merge_size)


class LoadedModel(ModelSource):
    """A model that is in memory already; an engine decodes with its weights as they are then.

    Args:
        model: of transformers, on its device.
        processor: its processor, or the tokenizer of a model of text.
        mixed: whether it works in bfloat16 whatever its weights are, as in training.
    """

    def __init__(
        self, model: Model, processor: Union[Processor, Tokenizer], *, mixed: bool = False
    ) -> None:
        self._model, self._processor, self.mixed = model, processor, mixed
        self.pretrained = f"a loaded {self.model_type}"

    @property
    def config(self) -> Config:
        return self._model.config

    @property
    def processor(self) -> Processor:
        return cast("Processor", self._processor)

    @property
    def dtype_name(self) -> str:
        return str(self._model.dtype).removeprefix("torch.")

    def settings(self) -> Mapping[str, Scalar]:
        """Return what names the model, with a hash of samples of the weights as they are now."""
        digest = hashlib.sha256()
        for name, weight in self._model.named_parameters():
            # Of weights that are dealt out over processes, this one's share.
            own = getattr(weight, "to_local", lambda weight=weight: weight)().detach().flatten()
            samples = own[:: max(1, len(own) // _SAMPLES)].float().cpu()
            digest.update(name.encode() + samples.numpy().tobytes())
        return {
            "model": f"{self.model_type}@sha256:{digest.hexdigest()[:12]}",
            "dtype": self.dtype_name,
            **({"autocast": "bfloat16"} if self.mixed else {}),
            "attention": self.config._attn_implementation,
        }

    def load(self) -> Model:
        return self._model
