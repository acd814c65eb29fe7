"""A model with a prefix in its cache, and continuations decoded side by side behind it."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from videojudge_bench.judges.engines._model_types import Model
from videojudge_bench.judges.engines._mrope import Scheme
from videojudge_bench.judges.engines._prompt_inputs import Inputs
from videojudge_bench.judges.engines.prefix_tree import (
    Positions,
    additive,
    common_prefix,
    positions,
    text_positions,
    tree_mask,
)

MASKED = ("sdpa", "eager")
"""Implementations of attention that take a mask of our own."""


class _Layer(Protocol):
    keys: Tensor
    values: Tensor


class Cache(Protocol):
    layers: list[_Layer]


def new_cache(model: Model) -> tuple[str, Cache]:
    """Return an empty cache for a model, and the argument by which the model takes it."""
    caches = importlib.import_module("transformers")  # its types differ by version
    cache: Cache = caches.DynamicCache(config=model.config.get_text_config())
    # From 5.24 on; the older name is to go with 5.40.
    named = "cache" in inspect.signature(model.forward).parameters
    return "cache" if named else "past_key_values", cache


class SharedPrefix:
    """The prefix that all prompts of a group begin with, worked out once."""

    def __init__(self, model: Model, inputs: Inputs, *, scheme: Scheme) -> None:
        self._model = model
        self._cache_name, self._cache = new_cache(model)
        self.device: torch.device = model.device
        self.length = common_prefix(inputs.prompts)
        self.tails = tuple(prompt[self.length :] for prompt in inputs.prompts)
        vision = getattr(model.config, "vision_config", None)
        self._axes = vision is not None
        self.placed: Positions = positions(
            self.length,
            inputs.blocks,
            scheme=scheme,
            tokens_per_second=getattr(vision, "tokens_per_second", 1),
        )
        shared = inputs.prompts[0][: self.length]
        if shared:
            media = {k: v for k, v in inputs.media.items() if k != "second_per_grid_ts"}
            media |= media_types(inputs, self.length)
            tokens = torch.tensor([shared])
            self.forward(tokens, self.placed.ids[:, None], keep=1, media=on_device(media, model))

    def forward(
        self,
        tokens: Tensor,
        placed: Tensor,
        *,
        keep: int | Tensor,
        mask: Tensor | None = None,
        media: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Put a row behind what is in the cache; return float32 logits, (kept, vocabulary).

        `tokens` are (1, n) int64, `placed` their (3, 1, n) int64 M-RoPE positions. `keep` says of
        how many tokens at the end, or of which, to return the logits. Without `mask` (see
        `tree_mask`), every token sees all before it. `media` is the video, when it is in the row.
        """
        if mask is not None:
            mask = mask.to(self.device)
            if self._model.config._attn_implementation == "eager":
                mask = additive(mask, self._model.dtype)
        output = self._model(
            input_ids=tokens.to(self.device),
            position_ids=(placed if self._axes else placed[0]).to(self.device),
            attention_mask=mask,
            use_cache=True,
            logits_to_keep=keep if isinstance(keep, int) else keep.to(self.device),
            **{self._cache_name: self._cache},
            **(media or {}),
        )
        logits: Tensor = output.logits[0]
        return logits.float()

    def rewind(self, tokens: int) -> None:
        """Take all but so many tokens behind the prefix out of the cache.

        Layer by layer: when the memory ran out, some layers have got a row that others have not.
        """
        length = self.length + tokens
        for layer in self._cache.layers:
            if getattr(layer, "keys", None) is not None:
                layer.keys = layer.keys[..., :length, :]
                layer.values = layer.values[..., :length, :]

    def keep(self, rows: Tensor) -> None:
        """Take all but these rows, (n,) int64 counted from the prefix, out of the cache."""
        order = torch.cat([torch.arange(self.length), self.length + rows]).to(self.device)
        for layer in self._cache.layers:
            layer.keys = layer.keys.index_select(-2, order)
            layer.values = layer.values.index_select(-2, order)


class Branches:
    """Some of a group's continuations, in one row behind the prefix, alone in its cache."""

    def __init__(self, prefix: SharedPrefix, members: Sequence[int]) -> None:
        self._prefix = prefix
        self._owners = torch.empty(0, dtype=torch.int64)
        self._next = dict.fromkeys(members, prefix.placed.following)
        self.first: Tensor = self.extend({n: prefix.tails[n] for n in members})
        """Logits right behind each prompt, (members, vocabulary) float32."""

    def extend(self, pieces: Mapping[int, Sequence[int]]) -> Tensor:
        """Put tokens behind continuations; return the logits behind each, (pieces, vocabulary)."""
        lengths = [len(piece) for piece in pieces.values()]
        owners = torch.repeat_interleave(torch.tensor(list(pieces)), torch.tensor(lengths))
        self._owners = torch.cat([self._owners, owners])
        placed = torch.cat(
            [text_positions(self._next[n], len(piece)) for n, piece in pieces.items()], dim=1
        )
        for n, piece in pieces.items():
            self._next[n] += len(piece)
        tokens = torch.tensor([token for piece in pieces.values() for token in piece])
        mask = None
        if len(self._next) > 1:
            mask = tree_mask(self._owners, queries=len(owners), prefix=self._prefix.length)
        return self._prefix.forward(
            tokens[None], placed[:, None], keep=torch.tensor(lengths).cumsum(0) - 1, mask=mask
        )

    def peek(self, pieces: Mapping[int, Sequence[int]]) -> Tensor:
        """Return what `extend` would, and leave all as it was."""
        before, owners = dict(self._next), self._owners
        logits = self.extend(pieces)
        self._next, self._owners = before, owners
        self._prefix.rewind(len(owners))
        return logits

    def go_back(self, replies: Mapping[int, Sequence[int]]) -> Tensor:
        """Leave only these continuations, cut to these replies; return the logits behind each.

        The shape is (replies, vocabulary).
        """
        prefix, kept, last = self._prefix, [], {}
        self._next = {}
        for n, reply in replies.items():
            row = [*prefix.tails[n], *reply]
            # The last token goes through the model again, for its logits.
            kept.append(torch.nonzero(self._owners == n)[: len(row) - 1, 0])
            last[n] = row[-1:]
            self._next[n] = prefix.placed.following + len(row) - 1
        rows = torch.cat(kept)
        self._owners = self._owners[rows]
        prefix.keep(rows)
        return self.extend(last)


def media_types(inputs: Inputs, length: int) -> dict[str, Tensor]:
    """Return the argument that tells transformers 5 which tokens are text; {} where none is."""
    if not inputs.media_types:
        return {}
    rest = (0,) * (length - len(inputs.media_types))
    return {"mm_token_type_ids": torch.tensor([(*inputs.media_types, *rest)])}


def on_device(media: Mapping[str, Tensor], model: Model) -> dict[str, Tensor]:
    """Return tensors on the model's device, pixels in its dtype."""
    return {
        k: v.to(model.device, model.dtype if k.startswith("pixel") else v.dtype)
        for k, v in media.items()
    }
