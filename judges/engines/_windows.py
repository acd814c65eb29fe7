"""The windows of a vision tower in one call of torch's attention, not one call each.

Qwen's vision towers attend inside windows and inside single frames. With torch's own attention,
transformers goes through them one by one: hundreds of calls a layer for one video, and a GPU waits
for most of them to be made. Its path for flash attention hands all of them over together; a
function that is registered under a name with `flash` in it gets that call too, and here puts
windows of equal size side by side. The numbers are the same, up to rounding.
"""

from __future__ import annotations

import importlib
from itertools import pairwise

import torch
from torch import Tensor

from videojudge_bench.judges.engines._model_types import Model

NAME = "videojudge_flash_windows"
"""transformers 5 looks for `flash` in the name; 4.57 does not, and calls windows one by one."""

_PLAIN = "sdpa"


def attend_in_windows_at_once(model: Model) -> None:
    """Let the vision tower of a model work on its windows together, where it has torch's attention.

    Does nothing to a model without a vision tower, or with another implementation there.
    """
    vision = getattr(model.config, "vision_config", None)
    if vision is None or vision._attn_implementation != _PLAIN:
        return
    interfaces = importlib.import_module("transformers.modeling_utils")
    interfaces.ALL_ATTENTION_FUNCTIONS.register(NAME, windows_attention)
    vision._attn_implementation = NAME


def windows_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *_positional: object,
    scaling: float | None = None,
    dropout: float = 0.0,
    cu_seq_lens_q: Tensor | None = None,
    **_others: object,
) -> tuple[Tensor, None]:
    """Return attention inside of windows, (1, n, heads, width), in the form that transformers asks.

    `query`, `key` and `value` are (1, heads, n, width). `cu_seq_lens_q`, (windows + 1,), says where
    each window begins, and the end; without it, all tokens are one window.
    """

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.nn.functional.scaled_dot_product_attention(
            q, k, v, dropout_p=dropout, scale=scaling
        )

    if cu_seq_lens_q is None:
        return attend(query, key, value).transpose(1, 2), None
    pieces: list[Tensor] = []
    places: list[Tensor] = []
    for index in _of_equal_length(cu_seq_lens_q.tolist(), query.device):
        # (1, heads, n, width) as (windows, heads, length, width)
        q, k, v = (part[0][:, index].transpose(0, 1) for part in (query, key, value))
        pieces.append(attend(q, k, v).transpose(1, 2).flatten(0, 1))
        places.append(index.flatten())
    order = torch.argsort(torch.cat(places))
    return torch.cat(pieces)[order][None], None


def _of_equal_length(bounds: list[int], device: torch.device) -> list[Tensor]:
    """Token indices of windows, (windows, length) each, the windows of a length together."""
    starts: dict[int, list[int]] = {}
    for start, end in pairwise(bounds):
        if end > start:
            starts.setdefault(end - start, []).append(start)
    return [
        torch.tensor(begins, device=device)[:, None] + torch.arange(length, device=device)
        for length, begins in starts.items()
    ]
