"""Loss of the labelled tokens of a batch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from videojudge_bench.judges.engines._tree_attention import takes_branches_alone
from videojudge_bench.judges.engines.prefix_tree import additive, nested_mask, trunk_of
from videojudge_bench.training.sft.packing import IGNORED

if TYPE_CHECKING:
    from videojudge_bench.judges.engines._model_types import Model, Output

_OWN = ("labels", "weights", "until", "mm_token_type_ids")


@dataclass(frozen=True)
class Scored:
    """Model outputs for a batch.

    Attributes:
        loss: weighted negative log likelihoods of all labelled tokens, summed.
        tokens: how many labelled tokens there are.
        right: how many of them are the likeliest where they stand.
    """

    loss: Tensor
    tokens: Tensor
    right: Tensor


def score_batch(model: Callable[..., Output], batch: Mapping[str, Tensor], *, tree: bool) -> Scored:
    """Return the loss of a batch, as `dataset.collate` makes it; a `tree` has a mask of its own.

    Only the logits of labelled tokens are computed: those of a long video would not fit into
    memory.
    """
    labels = batch["labels"][:, 1:]
    places = torch.nonzero((labels != IGNORED).any(dim=0))[:, 0]
    arguments = {k: v for k, v in batch.items() if k not in _OWN}
    taken = inspect.signature(inner_model(model).forward).parameters
    if "mm_token_type_ids" in batch and "mm_token_type_ids" in taken:
        arguments["mm_token_type_ids"] = batch["mm_token_type_ids"]
    arguments["attention_mask"] = _mask(inner_model(model), batch, tree=tree)
    output = model(**arguments, use_cache=False, logits_to_keep=places)
    targets = labels[:, places]
    losses = torch.nn.functional.cross_entropy(
        output.logits.float().flatten(0, 1),
        targets.flatten(),
        ignore_index=IGNORED,
        reduction="none",
    )
    known = targets != IGNORED
    weights = batch["weights"][:, 1:][:, places]
    right = (output.logits.argmax(-1) == targets) & known
    return Scored((losses * weights.flatten()).sum(), known.sum(), right.sum())


def _mask(model: Model, batch: Mapping[str, Tensor], *, tree: bool) -> Tensor:
    if not tree:
        return (batch["until"] > 0).long()
    until = batch["until"]
    if takes_branches_alone(model):
        return nested_mask(until, trunk=trunk_of(until))
    mask = nested_mask(until)
    return additive(mask, model.dtype) if model.config._attn_implementation == "eager" else mask


def inner_model(model: object) -> Model:
    """Return the model itself, out of what distribution and adapters wrap around it."""
    while hasattr(model, "module"):
        model = model.module
    if hasattr(model, "peft_config") and hasattr(model, "get_base_model"):
        model = model.get_base_model()
    return cast("Model", model)
