"""Attention masks and positions of rows in which several continuations share a prefix.

    prefix --+-- continuation 0
             +-- continuation 1
             +-- continuation 2

A token sees the prefix and what came before it in its own continuation, and has the position that
it would have if that continuation alone followed the prefix; so continuations share positions. Pure
functions on tensors, for judging (the prefix is in a cache) and for training rows (the prefix is in
the row).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from videojudge_bench.judges.engines._mrope import Scheme


@dataclass(frozen=True)
class VisionBlock:
    """Consecutive tokens of a row, from `start`, that show a video or one frame of it.

    Steps in time, `step_seconds` apart, have `height` rows of `width` tokens.
    """

    start: int
    time: int
    height: int
    width: int
    step_seconds: float = 1.0

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return self.time * self.height * self.width


@dataclass(frozen=True)
class Positions:
    """M-RoPE positions of the beginning of a row.

    Attributes:
        ids: (3, n) int64: time, height and width of each token.
        following: where the text that follows begins.
    """

    ids: Tensor
    following: int


def positions(
    length: int, blocks: Sequence[VisionBlock], *, scheme: Scheme, tokens_per_second: float = 1.0
) -> Positions:
    """Return the positions of the first `length` tokens of a row.

    The blocks are in their order, each whole in the row; `tokens_per_second` are positions per
    second of video.

    Raises:
        ValueError: blocks overlap, or do not stand whole in the row.
    """
    parts: list[Tensor] = []
    at, index = 0, 0
    for block in blocks:
        if not index <= block.start <= length - block.tokens:
            raise ValueError(
                f"a block of {block.tokens} tokens at {block.start} does not fit into a row of "
                f"{length}, of which {index} are taken"
            )
        parts.append(text_positions(at, block.start - index))
        at += block.start - index
        seen = _block_positions(block, scheme, tokens_per_second) + at
        parts.append(seen)
        if scheme == "transformers5":
            at += max(block.height, block.width)
        else:
            at = int(seen.max()) + 1
        index = block.start + block.tokens
    parts.append(text_positions(at, length - index))
    return Positions(torch.cat(parts, dim=1), at + length - index)


def _block_positions(block: VisionBlock, scheme: Scheme, tokens_per_second: float) -> Tensor:
    # Processors give seconds in float32; what is done with them then decides which product falls
    # just below a whole number, and is cut to the one before.
    seconds = torch.tensor(block.step_seconds, dtype=torch.float32)
    if scheme == "transformers4":
        seconds = seconds.trunc()
    step = seconds * tokens_per_second
    if scheme == "qwen":
        step = seconds.double() * tokens_per_second  # as in vLLM
    times = (torch.arange(block.time) * step).long()
    grid = torch.meshgrid(
        times, torch.arange(block.height), torch.arange(block.width), indexing="ij"
    )
    return torch.stack([axis.reshape(-1) for axis in grid])


def text_positions(start: int, length: int) -> Tensor:
    """Return positions of text, (3, length) int64: one after another, equal on all three axes."""
    return torch.arange(start, start + length).expand(3, -1)


def tree_mask(owners: Tensor, *, queries: int | None = None, prefix: int = 0) -> Tensor:
    """Return which tokens see which, (1, 1, queries, prefix + n) bool, True for seen.

    Args:
        owners: (n,) int64: of each token behind the prefix, its continuation. Tokens of several
            may stand in any order, as they are written in turns.
        queries: for so many tokens at the end; None: for all n.
        prefix: tokens before them that all see.
    """
    n = len(owners)
    asked = n if queries is None else queries
    order = torch.arange(n, device=owners.device)
    rows = slice(n - asked, n)
    seen = owners[rows, None] == owners
    seen &= order <= order[rows, None]
    shared = torch.ones((asked, prefix), dtype=torch.bool, device=owners.device)
    return torch.cat([shared, seen], dim=1)[None, None]


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a bool mask as numbers to add to attention scores: 0, and the lowest of the dtype."""
    lowest = torch.finfo(dtype).min
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, lowest)


@dataclass(frozen=True)
class Branch:
    """Tokens, and what may follow them.

    Attributes:
        tokens: may be none, where a bundle branches at once.
        branches: each goes on right behind `tokens`; () for a leaf.
    """

    tokens: Sequence[int]
    branches: tuple[Branch, ...] = ()


@dataclass(frozen=True)
class NestedRow:
    """A prefix, and branches of branches behind it, as one row.

    Attributes:
        tokens: (n,) int64.
        positions: (3, n) int64.
        until: (n,) int64: a token is seen by itself and by the tokens behind it, up to this one.
        leaves: index of the first token of each leaf, in the order of the branches.
    """

    tokens: Tensor
    positions: Tensor
    until: Tensor
    leaves: tuple[int, ...]


def pack_nested(prefix: Sequence[int], branches: Sequence[Branch], placed: Positions) -> NestedRow:
    """Return the row of a prefix and a tree behind it; its mask is `nested_mask(row.until)`.

    A token sees what stands before it on its own way from the prefix, and has the position that
    it would have if that way stood alone.
    """
    tokens, until, leaves = list(prefix), [0] * len(prefix), list[int]()
    placed_ids = [placed.ids[:, : len(prefix)]]

    def lay(branch: Branch, position: int) -> None:
        begin = len(tokens)
        tokens.extend(branch.tokens)
        until.extend([0] * len(branch.tokens))
        placed_ids.append(text_positions(position, len(branch.tokens)))
        if not branch.branches:
            leaves.append(begin)
        for inner in branch.branches:
            lay(inner, position + len(branch.tokens))
        until[begin : begin + len(branch.tokens)] = [len(tokens)] * len(branch.tokens)

    for branch in branches:
        lay(branch, placed.following)
    until[: len(prefix)] = [len(tokens)] * len(prefix)
    return NestedRow(
        tokens=torch.tensor(tokens, dtype=torch.int64),
        positions=torch.cat(placed_ids, dim=1),
        until=torch.tensor(until, dtype=torch.int64),
        leaves=tuple(leaves),
    )


def nested_mask(until: Tensor, *, trunk: int = 0) -> Tensor:
    """Return which tokens see which, (rows, 1, n - trunk, n) bool, True for seen.

    Args:
        until: (rows, n) int64, as `NestedRow` has it. Every token sees itself, so that a row which
            is filled up with zeros behind its end has no token that sees nothing.
        trunk: so many tokens at the beginning are left out as those that see.
    """
    order = torch.arange(until.shape[1], device=until.device)
    seers = order[trunk:, None]
    seen = (order <= seers) & (seers < until[:, None, :])
    return (seen | (order == seers))[:, None]


def trunk_of(until: Tensor) -> int:
    """Return how many tokens at the beginning of all rows are seen by all behind them.

    At least one token is left behind them, a row's last.

    Args:
        until: (rows, n) int64, as `NestedRow` has it, filled up with zeros behind a row's end.
    """
    shared = (until == until[:, :1]).all(dim=0)[:-1]
    return int(shared.long().cumprod(dim=0).sum())


def common_prefix(rows: Sequence[Sequence[int]]) -> int:
    """Return how many tokens all rows begin with, leaving at least one of each row's own.

    Raises:
        ValueError: no row, or an empty one.
    """
    if not rows or not all(rows):
        raise ValueError("rows must have tokens to share a prefix")
    low, high = min(map(tuple, rows)), max(map(tuple, rows))
    most = min(len(row) for row in rows) - 1
    for index in range(most):
        if low[index] != high[index]:
            return index
    return most
