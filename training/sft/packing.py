"""Packing of the rows of one video into one row, a tree, with shared parts once.

    video --+-- instruction 1 --+-- response, reply
            |                   +-- response, reply
            +-- instruction 2 --+-- response, reply

A response attends to the video, its instruction and itself, at the positions that it would have
alone, so that its loss and gradients are those of a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from videojudge_bench.judges.engines.prefix_tree import (
    Branch,
    common_prefix,
    pack_nested,
    positions,
)
from videojudge_bench.training.sft.encode import Encoded, groups

if TYPE_CHECKING:
    from torch import Tensor

    from videojudge_bench.judges.engines._mrope import Scheme
    from videojudge_bench.judges.engines._prompt_inputs import Inputs

IGNORED = -100  # the label of tokens that are not to be learnt; torch's own choice


@dataclass(frozen=True)
class PackedRows:
    """Rows of one video as one.

    Attributes:
        tokens: (n,) int64.
        positions: (3, n) int64: M-RoPE positions.
        until: (n,) int64: see `prefix_tree.nested_mask`.
        labels: (n,) int64: target token of each place, else `IGNORED`: in a reply the token there;
            behind a token of a response the right answer's, see `Encoded.answer`.
        weights: (n,) float32: of each label in the loss.
    """

    tokens: Tensor
    positions: Tensor
    until: Tensor
    labels: Tensor
    weights: Tensor


@dataclass(frozen=True)
class Shared:
    """Shared prefix of the rows of one video, counted behind the video.

    Attributes:
        prefix: tokens that all of them begin with.
        groups: rows of one instruction each, with the tokens that they share behind `prefix`.
    """

    prefix: tuple[int, ...]
    groups: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]

    def tokens(self, rows: Sequence[Encoded]) -> int:
        """Number of tokens of the packed row behind the video."""
        inner = sum(
            len(shared) + sum(rows[n].tokens - len(self.prefix) - len(shared) for n in members)
            for members, shared in self.groups
        )
        return len(self.prefix) + inner


def shared_by(rows: Sequence[Encoded]) -> Shared:
    """Return the shared parts of rows.

    At least one token of a prompt stays each row's own, and so do those of a response in whose
    places an answer is to be learnt: each row's has its own share of the loss.
    """
    prompts = [row.prompt for row in rows]
    most = min((min(row.answer) for row in rows if row.answer), default=len(prompts[0]))
    prefix = prompts[0][: min(common_prefix(prompts), most)]
    parts = []
    for members in groups(rows):
        rests = [prompts[n][len(prefix) :] for n in members]
        starts = [min(rows[n].answer) - len(prefix) for n in members if rows[n].answer]
        end = min(common_prefix(rests), *starts) if starts else common_prefix(rests)
        parts.append((tuple(members), rests[0][:end]))
    return Shared(prefix, tuple(parts))


def pack(
    rows: Sequence[Encoded], video: Inputs, *, scheme: Scheme, tokens_per_second: float
) -> PackedRows:
    """Return rows of one video as one."""
    shared = shared_by(rows)
    begin = (*video.prompts[0], *shared.prefix)
    placed = positions(len(begin), video.blocks, scheme=scheme, tokens_per_second=tokens_per_second)
    branches = [_branch(rows, members, part, len(shared.prefix)) for members, part in shared.groups]
    packed = pack_nested(begin, branches, placed)
    labels = torch.full_like(packed.tokens, IGNORED)
    weights = torch.zeros(len(packed.tokens))
    order = [n for members, _ in shared.groups for n in members]
    own = {n: len(shared.prefix) + len(part) for members, part in shared.groups for n in members}
    for n, leaf in zip(order, packed.leaves, strict=True):
        start = leaf + len(rows[n].prompt) - own[n]
        end = start + len(rows[n].reply)
        labels[start:end] = torch.tensor(rows[n].reply)
        weights[start:end] = torch.tensor(rows[n].weights)
        for place, token in rows[n].answer.items():
            # The label of a token stands one further: here the model has read the response's token,
            # so that it can compare it with the right one.
            labels[leaf + place + 1 - own[n]] = token
            weights[leaf + place + 1 - own[n]] = rows[n].answer_weight
    return PackedRows(packed.tokens, packed.positions, packed.until, labels, weights)


def _branch(
    rows: Sequence[Encoded], members: Sequence[int], part: tuple[int, ...], begin: int
) -> Branch:
    start = begin + len(part)
    leaves = [Branch((*rows[n].prompt[start:], *rows[n].reply)) for n in members]
    return Branch(part, tuple(leaves))


def bundles(rows: Sequence[Encoded], *, video_tokens: int, most: int) -> Iterator[list[Encoded]]:
    """Yield rows of one video in bundles whose packed rows have at most `most` tokens.

    Rows of one instruction stay together where they fit; a row that does not fit is a bundle.
    """
    bundle: list[Encoded] = []
    for members in groups(rows):
        for piece in _pieces([rows[n] for n in members], most - video_tokens):
            fits = video_tokens + shared_by([*bundle, *piece]).tokens([*bundle, *piece]) <= most
            if bundle and not fits:
                yield bundle
                bundle = []
            bundle += piece
    if bundle:
        yield bundle


def _pieces(rows: Sequence[Encoded], most: int) -> Iterator[list[Encoded]]:
    piece: list[Encoded] = []
    for row in rows:
        if piece and shared_by([*piece, row]).tokens([*piece, row]) > most:
            yield piece
            piece = []
        piece.append(row)
    yield piece
