"""Tuning data: pairs of captions of one image or video, and captions degraded step by step.

A batch holds pairs of captions of one thing, with similar things next to each other, and ladders: a
caption and four degraded versions of it by `perturb`, beside another caption of the same thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from videojudge_bench._util.hashing import content_hash, unit_interval
from videojudge_bench.errors import DataError
from videojudge_bench.goldsets import vatex
from videojudge_bench.training.bootstrap.contracts import TARGETS, Draft, Seed
from videojudge_bench.training.bootstrap.perturb import Perturb

FOLDS = 2
LADDER = 2 + len(TARGETS)
"""Texts of a ladder: another caption, the caption itself, and its drafts from 4 down to 1."""

_HELD_OUT = 20  # one group in so many
_NEIGHBOURS, _PICKED = 16, 7

Group = tuple[str, ...]  # captions of one image or video


class _Caption(BaseModel):
    id: int
    image_id: int
    caption: Annotated[str, Field(min_length=1)]


class _CocoFile(BaseModel):
    annotations: tuple[_Caption, ...]


@dataclass(frozen=True)
class Ladder:
    """A caption degraded step by step.

    Attributes:
        others: the other captions of the group.
        steps: the caption, then its drafts that deserve 4, 3, 2 and 1.
    """

    group: int
    others: Group
    steps: tuple[str, ...]


@dataclass(frozen=True)
class BatchSizes:
    """Numbers of pairs and ladders in a batch."""

    pairs: int = 64
    ladders: int = 12


def read_coco(path: Path) -> list[Group]:
    """Return the captions of each image in a file of COCO's format, in the order of image ids.

    Raises:
        DataError: it is no such file, or no image in it has two captions.
    """
    try:
        rows = _CocoFile.model_validate_json(path.read_bytes()).annotations
    except (OSError, ValidationError) as error:
        raise DataError(f"no captions in COCO's format: {error}", path=path) from error
    groups: dict[int, list[str]] = {}
    for row in sorted(rows, key=lambda row: row.id):
        groups.setdefault(row.image_id, []).append(" ".join(row.caption.split()))
    captions = [tuple(groups[image]) for image in sorted(groups) if len(groups[image]) > 1]
    if not captions:
        raise DataError("no image with two captions: nothing to compare", path=path)
    return captions


def fold_of(video_id: str) -> int:
    """Return the fold of a video of VATEX-EVAL, 0 or 1, by a hash of its id."""
    return int(unit_interval("compact-fold", video_id) * FOLDS)


def vatex_groups(fold: int) -> list[Group]:
    """Return the reference captions of all videos of VATEX-EVAL that are not in a fold."""
    return [row.references for row in vatex.rows() if fold_of(row.video_id) != fold]


def held_out(group: int) -> bool:
    """Return whether a group is held out of the tuning, for validation: one in twenty."""
    return group % _HELD_OUT == 0


def ladders(groups: Sequence[Group]) -> list[Ladder]:
    """Return the ladders of all groups whose first caption `perturb` can degrade in four steps."""
    seeds = [_seed(number, group) for number, group in enumerate(groups)]
    generator = Perturb(seeds)
    graded = []
    for number, seed in enumerate(seeds):
        drafts = {target: generator.draft(seed, target) for target in TARGETS}
        texts = {t: draft.text for t, draft in drafts.items() if isinstance(draft, Draft)}
        if len(texts) == len(TARGETS):
            steps = (seed.gold, *(texts[target] for target in reversed(TARGETS)))
            graded.append(Ladder(number, seed.references, steps))
    return graded


def _seed(number: int, group: Group) -> Seed:
    gold = group[0] if group[0].endswith(".") else f"{group[0]}."
    return Seed(
        id=content_hash(["caption", number, group[0]])[:16],
        source="captions",
        video_id=f"captions/{number}",
        instruction="Describe.",
        gold=gold,
        references=group[1:],
    )


class Batches:
    """Draws batches; equal seeds give equal ones.

    Similar groups come together, by `vectors` of length 1, shape (groups, hidden size). With
    `keep_some`, groups that are `held_out` are left out.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        vectors: NDArray[np.float32],
        ladders: Sequence[Ladder],
        *,
        sizes: BatchSizes,
        keep_some: bool,
        seed: int,
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self._groups, self._sizes = groups, sizes
        self._drawn = [n for n in range(len(groups)) if not (keep_some and held_out(n))]
        self._vectors = vectors[self._drawn]
        self._ladders = [x for x in ladders if not (keep_some and held_out(x.group))]

    def draw(self) -> tuple[list[str], int, int]:
        """Return texts, and the numbers of pairs and ladders among them.

        The first of every pair come first, then the second of every pair, then the ladders.
        """
        one, other = [], []
        pairs = self._alike(min(self._sizes.pairs, len(self._drawn)))
        for number in pairs:
            group = self._groups[number]
            first, second = self.rng.choice(len(group), 2, replace=False)
            one.append(group[first])
            other.append(group[second])
        texts = one + other
        count = self._sizes.ladders if self._ladders else 0
        drawn = self.rng.integers(len(self._ladders), size=count) if count else ()
        for at in drawn:
            ladder = self._ladders[at]
            texts.append(ladder.others[self.rng.integers(len(ladder.others))])
            texts += ladder.steps
        return texts, len(pairs), count

    def _alike(self, count: int) -> list[int]:
        """Indices of groups, drawn one at a time with some of its nearest ones."""
        places: dict[int, None] = {}
        while len(places) < count:
            first = int(self.rng.integers(len(self._drawn)))
            near = np.argsort(-(self._vectors @ self._vectors[first]))[:_NEIGHBOURS]
            picked = self.rng.choice(near[1:], min(_PICKED, len(near) - 1), replace=False)
            places.update(dict.fromkeys(self._drawn[at] for at in (first, *picked)))
        return list(places)[:count]
