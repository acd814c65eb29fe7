"""The windows of a vision tower in one call of torch's attention, not one call each.

Qwen's vision towers attend inside windows and inside single frames. With torch's own attention,
transformers goes through them one by one: hundreds of calls a layer for one video, and a GPU waits
for most of them to be made. Its path for flash attention hands all of them over together; a
function that is registered under a name with `flash` in it gets that call too, and here puts
windows of equal size side by side. The numbers are the same, up to rounding.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from videojudge_bench.judges.engines._checkpoint import Untyped

NAME = "videojudge_flash_windows"
"""transformers looks for `flash` in the name; 4.57 does not, and goes one by one as before."""

_PLAIN = "sdpa"


def attend_in_windows_at_once(model: Untyped) -> None:
    """Let the vision tower of a model work on its windows together, where it has torch's attention.

    Does nothing to a model without a vision tower, or with another implementation there.
    """
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    vision = getattr(model.config, "vision_config", None)
    if vision is None or vision._attn_implementation != _PLAIN:
        return
    interfaces: Any = ALL_ATTENTION_FUNCTIONS
    interfaces.register(NAME, windows_attention)
    vision._attn_implementation = NAME


def windows_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *_positional: object,
    **options: Any,  # noqa: ANN401 - whatever transformers hands to an implementation
) -> tuple[Tensor, None]:
    """Return attention inside of windows, (1, n, heads, width), in the form that transformers asks.

    Args:
        module: unused.
        query: (1, heads, n, width), as key and value.
        key: see query.
        value: see query.
        options: `cu_seq_lens_q`, (windows + 1,): where each begins, and the end; without it, all
            tokens are one window. `scaling` of the scores, and `dropout`.
    """
    scale, dropout = options.get("scaling"), float(options.get("dropout", 0.0))

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.nn.functional.scaled_dot_product_attention(
            q, k, v, dropout_p=dropout, scale=scale
        )

    bounds = options.get("cu_seq_lens_q")
    if bounds is None:
        return attend(query, key, value).transpose(1, 2), None
    pieces: list[Tensor] = []
    places: list[Tensor] = []
    for index in _of_equal_length(bounds.tolist(), query.device):
        q, k, v = (_side_by_side(part, index) for part in (query, key, value))
        pieces.append(attend(q, k, v).transpose(1, 2).flatten(0, 1))
        places.append(index.flatten())
    order = torch.argsort(torch.cat(places))
    return torch.cat(pieces)[order][None], None


def _of_equal_length(bounds: list[int], device: torch.device) -> list[Tensor]:
    """Where the tokens of windows are, (windows, length) each, the windows of a length together."""
    starts: dict[int, list[int]] = {}
    for start, end in pairwise(bounds):
        if end > start:
            starts.setdefault(end - start, []).append(start)
    return [
        torch.tensor(begins, device=device)[:, None] + torch.arange(length, device=device)
        for length, begins in starts.items()
    ]


def _side_by_side(part: Tensor, index: Tensor) -> Tensor:
    """(1, heads, n, width) as (windows, heads, length, width)."""
    return part[0][:, index].transpose(0, 1)
