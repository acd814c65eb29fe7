"""Types of transformers' objects, as far as they are used: its own differ from version to version.

Importing this module loads neither torch nor transformers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypedDict, Union

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Encoding(TypedDict, total=False):
    input_ids: list[int]
    offset_mapping: list[tuple[int, int]]


class Tokenizer(Protocol):
    eos_token_id: int | None
    pad_token_id: int | None
    all_special_tokens: list[str]
    chat_template: object

    def __call__(
        self, text: str, *, add_special_tokens: bool, return_offsets_mapping: bool = False
    ) -> Encoding: ...
    def decode(self, tokens: Sequence[int]) -> str: ...
    def convert_ids_to_tokens(self, tokens: list[int]) -> list[str]: ...
    def get_vocab(self) -> Mapping[str, int]: ...


class VideoProcessor(Protocol):
    """The part of a processor that turns frames into patches."""

    temporal_patch_size: int
    cap_pixels_per_frame: bool
    image_mean: Sequence[float]
    image_std: Sequence[float]


class Processor(Protocol):
    """A processor of texts and videos; that of a model of text is its tokenizer alone."""

    tokenizer: Tokenizer
    video_processor: VideoProcessor

    def __call__(
        self, *, text: list[str], videos: list[Tensor], return_tensors: str, **options: object
    ) -> Mapping[str, Tensor]: ...
    def apply_chat_template(
        self,
        messages: Sequence[Mapping[str, object]],
        *,
        tokenize: bool,
        add_generation_prompt: bool,
        **options: object,
    ) -> str: ...


class VisionConfig(Protocol):
    depth: int
    hidden_size: int
    patch_size: int
    spatial_merge_size: int
    temporal_patch_size: int
    _attn_implementation: str


class TextConfig(Protocol):
    hidden_size: int
    intermediate_size: int
    max_position_embeddings: int
    num_attention_heads: int
    num_hidden_layers: int
    num_key_value_heads: int
    vocab_size: int
    _attn_implementation: str


class Config(TextConfig, Protocol):
    """The configuration of a whole model; one of text has no part for vision."""

    model_type: str
    use_cache: bool
    vision_config: VisionConfig
    video_token_id: int
    vision_end_token_id: int

    def get_text_config(self) -> TextConfig: ...


class GenerationConfig(Protocol):
    eos_token_id: Union[int, list[int], None]
    pad_token_id: int | None


class Output(Protocol):
    logits: Tensor


class Embeddings(Protocol):
    weight: torch.nn.Parameter


class Model(Protocol):
    """A model that writes text, and may take videos."""

    config: Config
    generation_config: GenerationConfig
    device: torch.device
    dtype: torch.dtype

    def __call__(self, **inputs: object) -> Output: ...
    def forward(self, **inputs: object) -> Output: ...
    def generate(self, **inputs: object) -> Tensor: ...
    def eval(self) -> object: ...
    def get_input_embeddings(self) -> Embeddings: ...
    def get_output_embeddings(self) -> Embeddings: ...
    def named_parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]: ...
    def named_modules(self) -> Iterator[tuple[str, torch.nn.Module]]: ...
    def state_dict(self) -> dict[str, Tensor]: ...
    def load_state_dict(
        self, weights: Mapping[str, Tensor], *, strict: bool
    ) -> tuple[list[str], list[str]]: ...


class AdaptedModel(Protocol):
    def merge_and_unload(self) -> Model: ...
