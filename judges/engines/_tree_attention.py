"""Attention for rows that are trees: their trunk as plain text, only the branches by a mask.

A tree begins with what all of its branches share, mostly a long video. There attention is causal,
for which torch needs no mask and has faster kernels. The mask is of the branches' tokens.
"""

from __future__ import annotations

import importlib

import torch
from torch import Tensor

from videojudge_bench.judges.engines._model_types import Model

NAME = "videojudge_tree"

_PLAIN = "sdpa"


def attend_to_trunks_apart(model: Model) -> None:
    """Let the language model take masks of a row's last tokens alone, as `nested_mask` makes them.

    Does nothing to a model with another implementation than torch's attention. All other masks mean
    what they meant before.
    """
    text = model.config.get_text_config()
    if text._attn_implementation != _PLAIN:
        return
    masks = importlib.import_module("transformers.masking_utils").ALL_MASK_ATTENTION_FUNCTIONS
    modeling = importlib.import_module("transformers.modeling_utils")
    modeling.ALL_ATTENTION_FUNCTIONS.register(NAME, tree_attention)
    masks.register(NAME, masks[_PLAIN])
    text._attn_implementation = NAME


def takes_branches_alone(model: Model) -> bool:
    """Return whether a model takes masks of a row's last tokens alone."""
    return bool(model.config.get_text_config()._attn_implementation == NAME)


def tree_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **options: object,
) -> tuple[Tensor, None]:
    """Return attention, (rows, n, heads, width), in the form that transformers asks.

    `query` is (rows, heads, n, width), `key` and `value` (rows, heads of keys, n or more, width).
    `attention_mask`, (rows, 1, m, n), says which tokens the last m see, True for seen; all before
    them see what stands before themselves. With m = n, or None: as torch's attention has it.
    """
    sdpa = importlib.import_module("transformers.integrations.sdpa_attention")
    attend = sdpa.sdpa_attention_forward
    trunk = 0 if attention_mask is None else query.shape[2] - attention_mask.shape[2]
    if not trunk:
        output, _ = attend(module, query, key, value, attention_mask, **options)
        return output, None
    first, _ = attend(
        module, query[:, :, :trunk], key[:, :, :trunk], value[:, :, :trunk], None, **options
    )
    rest, _ = attend(module, query[:, :, trunk:], key, value, attention_mask, **options)
    return torch.cat([first, rest], dim=1), None
