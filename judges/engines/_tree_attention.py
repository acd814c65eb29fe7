"""Attention for rows that are trees: their trunk as plain text, only the branches by a mask.

A tree begins with what all of its branches share, a long video most of all. There every token sees
all that stand before it, which torch's own attention is told by a word and not by a mask: it then
works out the lower half alone, and picks its fastest kernel. The mask is of the branches' tokens.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
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
    """Return whether a model has been told to take masks of a row's last tokens alone."""
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

    Args:
        module: the layer.
        query: (rows, heads, n, width).
        key: (rows, heads of keys, n or more, width), as value.
        value: see key.
        attention_mask: (rows, 1, m, n), which tokens the last m see, True for seen; all before them
            see what stands before themselves. With m = n, or None: as torch's attention has it.
        options: of torch's attention.
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
