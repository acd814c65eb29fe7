"""Configuration files of a Qwen2.5-VL or Qwen3-VL folder, in the hub's format.

The hub's form of today is the one that both transformers 4.57 and 5 read (run with 4.57.1 and
5.23.0): a folder that transformers 5 saves by itself does not load under 4.57.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import ConfigError

Family = Literal["qwen2_5_vl", "qwen3_vl"]
FAMILIES: tuple[Family, ...] = get_args(Family)

SPECIAL_TOKENS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>"),
    *("<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
"""In the order of their ids in Qwen's tokenizer; here too they follow the ordinary tokens."""

PAD, END = "<|endoftext|>", "<|im_end|>"
BYTES = 256

# How Qwen's tokenizer cuts a text before it merges bytes: a word with one character before it,
# digits one by one, punctuation, blanks. transformers 5 always cuts so for `Qwen2Tokenizer`.
CUT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

_CLASS: Mapping[Family, str] = {"qwen2_5_vl": "Qwen2_5_VL", "qwen3_vl": "Qwen3VL"}
_PATCH_PIXELS: Mapping[Family, int] = {"qwen2_5_vl": 14, "qwen3_vl": 16}
_MERGE, _FRAMES_PER_PATCH = 2, 2
_LEAST_PATCHES = 4  # of 2 x 2 in a frame, as Qwen's processors have it
_GRID_SIDE = 16  # of Qwen3-VL's learned positions
_MAX_TOKENS = 32_768

# Qwen2.5-VL puts a system message where a conversation has none, Qwen3-VL does not.
_SYSTEM: Mapping[Family, str] = {"qwen2_5_vl": "You are a helpful assistant.", "qwen3_vl": ""}

_CHAT_TEMPLATE = """\
{%- set by_default = "SYSTEM" -%}
{%- if by_default and messages[0].role != "system" -%}
{{- "<|im_start|>system\\n" + by_default + "<|im_end|>\\n" -}}
{%- endif -%}
{%- for message in messages -%}
{{- "<|im_start|>" + message.role + "\\n" -}}
{%- if message.content is string -%}
{{- message.content -}}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type == "video" or "video" in part -%}
{{- "<|vision_start|><|video_pad|><|vision_end|>" -}}
{%- elif part.type in ("image", "image_url") or "image" in part or "image_url" in part -%}
{{- "<|vision_start|><|image_pad|><|vision_end|>" -}}
{%- elif "text" in part -%}
{{- part.text -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- "<|im_end|>\\n" -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- "<|im_start|>assistant\\n" -}}
{%- endif -%}
"""


def _least_pixels(family: Family) -> int:
    return _LEAST_PATCHES * (_PATCH_PIXELS[family] * _MERGE) ** 2


@dataclass(frozen=True)
class TinySize:
    """Size of a tiny model.

    Attributes:
        vocabulary: tokens at most, special ones included; fewer where the texts give no more.
        layers: of the language model.
        hidden: width of the language model.
        heads: attention heads of the language model.
        kv_heads: heads that keys and values have.
        feed_forward: inner width of the language model's feed-forward layers.
        vision_layers: of the vision tower; the last one sees whole frames.
        vision_hidden: width of the vision tower.
        vision_heads: attention heads of the vision tower.
        vision_feed_forward: inner width of the vision tower's feed-forward layers.
        window_pixels: side of the windows of attention in Qwen2.5-VL's other vision layers.
        max_pixels: largest area of a frame (of all frames together for Qwen3-VL) that the
            processor keeps where its caller names no other.
        rope_theta: base of the rotary positions.
        weight_std: standard deviation of the random weights; the default, 1 over the root of
            `hidden`, lets what stands far back in a prompt change the reply.

    Raises:
        ConfigError: sizes that do not go together, all of them at once.
    """

    vocabulary: int = 2_000
    layers: int = 2
    hidden: int = 64
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 128
    vision_layers: int = 2
    vision_hidden: int = 32
    vision_heads: int = 2
    vision_feed_forward: int = 64
    window_pixels: int = 112
    max_pixels: int = 100_352
    rope_theta: float = 1_000_000.0
    weight_std: float = 0.125

    def __post_init__(self) -> None:
        small = [f"{k}={v}: must be above 0" for k, v in asdict(self).items() if v <= 0]
        problems = small or self._mismatches()
        if problems:
            raise ConfigError.all_of("TinySize", problems)

    def _mismatches(self) -> list[str]:
        tokens, pixels = BYTES + len(SPECIAL_TOKENS), max(map(_least_pixels, FAMILIES))
        wide, wide_vision = 8 * self.heads, 4 * self.vision_heads
        checks = {
            f"vocabulary={self.vocabulary}: must be {tokens} or more, for the {BYTES} bytes and "
            f"the {len(SPECIAL_TOKENS)} special tokens": self.vocabulary >= tokens,
            f"hidden={self.hidden}: must be a multiple of 8 x heads, {wide}": (
                self.hidden % wide == 0
            ),
            f"kv_heads={self.kv_heads}: must divide heads={self.heads}": (
                self.heads % self.kv_heads == 0
            ),
            f"vision_hidden={self.vision_hidden}: must be a multiple of 4 x vision_heads, "
            f"{wide_vision}": self.vision_hidden % wide_vision == 0,
            f"max_pixels={self.max_pixels}: must be {pixels} or more, what a processor enlarges "
            "a frame to": self.max_pixels >= pixels,
        }
        return [problem for problem, fits in checks.items() if not fits]


DEFAULT_SIZE = TinySize()
"""414 thousand weights as Qwen2.5-VL, 454 thousand as Qwen3-VL."""


def chat_template(family: Family) -> str:
    return _CHAT_TEMPLATE.replace("SYSTEM", _SYSTEM[family])


def model_config(
    family: Family, size: TinySize, vocabulary: int, ids: Mapping[str, int]
) -> dict[str, Json]:
    """Return `config.json`; `ids` are those of the special tokens."""
    return {
        "architectures": [f"{_CLASS[family]}ForConditionalGeneration"],
        "model_type": family,
        "text_config": _text_config(family, size, vocabulary, ids),
        "vision_config": _vision_config(family, size),
        **{f"{kind}_token_id": ids[f"<|{kind}_pad|>"] for kind in ("image", "video")},
        **{f"vision_{end}_token_id": ids[f"<|vision_{end}|>"] for end in ("start", "end")},
        "torch_dtype": "float32",
        "tie_word_embeddings": False,
    }


def generation_config(ids: Mapping[str, int]) -> dict[str, Json]:
    """Return `generation_config.json`: greedy, to the end of the message."""
    return {
        "bos_token_id": ids[PAD],
        "eos_token_id": [ids[END], ids[PAD]],
        "pad_token_id": ids[PAD],
        "do_sample": False,
    }


def tokenizer_config(family: Family, ids: Mapping[str, int]) -> dict[str, Json]:
    form = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False}
    return {
        "tokenizer_class": "Qwen2Tokenizer",
        "processor_class": f"{_CLASS[family]}Processor",
        "added_tokens_decoder": {
            str(number): {"content": text, "special": True, **form} for text, number in ids.items()
        },
        "additional_special_tokens": [text for text in SPECIAL_TOKENS if text != PAD],
        "add_bos_token": False,
        "add_prefix_space": False,
        "bos_token": None,
        "eos_token": END,
        "pad_token": PAD,
        "unk_token": None,
        "errors": "replace",
        "split_special_tokens": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": _MAX_TOKENS,
    }


def processor_configs(family: Family, size: TinySize) -> dict[str, dict[str, Json]]:
    """Return the files that say how images and videos become patches, by name."""
    qwen3 = family == "qwen3_vl"
    half: list[Json] = [0.5, 0.5, 0.5]
    shared: dict[str, Json] = {
        "processor_class": f"{_CLASS[family]}Processor",
        "patch_size": _PATCH_PIXELS[family],
        "temporal_patch_size": _FRAMES_PER_PATCH,
        "merge_size": _MERGE,
        "size": {"shortest_edge": _least_pixels(family), "longest_edge": size.max_pixels},
        "image_mean": half if qwen3 else [0.48145466, 0.4578275, 0.40821073],
        "image_std": half if qwen3 else [0.26862954, 0.26130258, 0.27577711],
    }
    image = "Qwen2VLImageProcessorFast" if qwen3 else "Qwen2VLImageProcessor"
    video = "Qwen3VLVideoProcessor" if qwen3 else "Qwen2VLVideoProcessor"
    return {
        "preprocessor_config.json": {"image_processor_type": image, **shared},
        "video_preprocessor_config.json": {"video_processor_type": video, **shared},
    }


def _text_config(
    family: Family, size: TinySize, vocabulary: int, ids: Mapping[str, int]
) -> dict[str, Json]:
    return {
        "model_type": f"{family}_text",
        "vocab_size": vocabulary,
        "hidden_size": size.hidden,
        "intermediate_size": size.feed_forward,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.kv_heads,
        "head_dim": size.hidden // size.heads,
        "hidden_act": "silu",
        "max_position_embeddings": _MAX_TOKENS,
        "rms_norm_eps": 1e-6,
        "initializer_range": size.weight_std,
        "rope_theta": size.rope_theta,
        # transformers 5 calls both together `rope_parameters`, but reads these too.
        "rope_scaling": _rope(family, size.hidden // size.heads // 2),
        "bos_token_id": ids[PAD],
        "eos_token_id": ids[END],
        "pad_token_id": ids[PAD],
        "tie_word_embeddings": False,
    }


def _vision_config(family: Family, size: TinySize) -> dict[str, Json]:
    own: dict[str, Json] = {
        "hidden_act": "silu",
        "window_size": size.window_pixels,
        "fullatt_block_indexes": [size.vision_layers - 1],
        "tokens_per_second": 2,
    }
    if family == "qwen3_vl":
        own = {
            "hidden_act": "gelu_pytorch_tanh",
            "num_position_embeddings": _GRID_SIDE**2,
            "deepstack_visual_indexes": [size.vision_layers - 1],
        }
    return {
        "model_type": family,
        "depth": size.vision_layers,
        "hidden_size": size.vision_hidden,
        "intermediate_size": size.vision_feed_forward,
        "num_heads": size.vision_heads,
        "out_hidden_size": size.hidden,
        "in_channels": 3,
        "patch_size": _PATCH_PIXELS[family],
        "spatial_merge_size": _MERGE,
        "temporal_patch_size": _FRAMES_PER_PATCH,
        "initializer_range": size.weight_std,
        **own,
    }


def _rope(family: Family, half: int) -> dict[str, Json]:
    """Return how time, height and width share the `half` rotary frequencies of a head.

    For Qwen's heads of 128 these are Qwen's own shares: 16, 24, 24 and 24, 20, 20.
    """
    qwen3 = family == "qwen3_vl"
    space = half * 5 // 16 if qwen3 else (half - half // 4) // 2
    section: list[Json] = [half - 2 * space, space, space]
    if qwen3:
        return {"rope_type": "default", "mrope_interleaved": True, "mrope_section": section}
    return {"type": "mrope", "mrope_section": section}
