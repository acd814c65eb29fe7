"""Bundles of rows as tensors, one at a time and in batches."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from videojudge_bench.errors import VideoError
from videojudge_bench.training.sft.base_model import BaseModel
from videojudge_bench.training.sft.packing import IGNORED, pack
from videojudge_bench.training.sft.plan import Bundle
from videojudge_bench.video import FrameStore, load_frames

logger = logging.getLogger(__name__)

Features = Mapping[str, Tensor]
_MEDIA_TYPES = "mm_token_type_ids"


class BundleDataset(Dataset[Features]):
    """The bundles of a plan, decoded when they are asked for; decoded frames are kept in `store`.

    For a video that cannot be decoded the next bundle is given, and the file `problems` gets a line
    (from each process that meets it).
    """

    def __init__(
        self,
        bundles: Sequence[Bundle],
        base: BaseModel,
        *,
        store: FrameStore | None = None,
        problems: Path | None = None,
    ) -> None:
        self._bundles, self._base = list(bundles), base
        self._store, self._problems = store, problems
        self._noted: set[Path] = set()

    def __len__(self) -> int:
        return len(self._bundles)

    def __getitem__(self, index: int) -> Features:
        for step in range(len(self._bundles)):
            bundle = self._bundles[(index + step) % len(self._bundles)]
            try:
                return self._features(bundle)
            except VideoError as error:
                self._note(bundle, error)
        raise VideoError(
            self._bundles[index].video,
            "neither it nor any other video can be decoded",
            fix="Look at the folder with `videojudge doctor --videos DIR`",
        )

    def _features(self, bundle: Bundle) -> Features:
        base = self._base
        frames = load_frames(bundle.video, base.policy, store=self._store)
        seen = base.reader.video_part(bundle.rows[0].begins, frames)
        row = pack(bundle.rows, seen, scheme=base.scheme, tokens_per_second=base.tokens_per_second)
        features = {
            "input_ids": row.tokens,
            "position_ids": row.positions,
            "until": row.until,
            "labels": row.labels,
            "weights": row.weights,
            **{k: v for k, v in seen.media.items() if k != "second_per_grid_ts"},
        }
        if seen.media_types:
            types = torch.zeros_like(row.tokens)
            types[: len(seen.media_types)] = torch.tensor(seen.media_types)
            features[_MEDIA_TYPES] = types
        return features

    def _note(self, bundle: Bundle, error: VideoError) -> None:
        if bundle.video in self._noted:
            return
        self._noted.add(bundle.video)
        logger.warning("left out: %s", error)
        if self._problems is not None:
            line = json.dumps({"video": bundle.video.name, "reason": error.problem})
            with self._problems.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")


def collate(rows: Sequence[Features]) -> dict[str, Tensor]:
    """Return one batch: rows filled up to the longest, what belongs to videos one after another.

    What is filled up is seen by nothing, and has no label.
    """
    fills: Mapping[str, int] = {"labels": IGNORED}
    batch: dict[str, Tensor] = {
        name: pad_sequence([row[name] for row in rows], True, fills.get(name, 0))
        for name in ("input_ids", "until", "labels", "weights", _MEDIA_TYPES)
        if name in rows[0]
    }
    positions = pad_sequence([row["position_ids"].T for row in rows])  # (length, rows, 3)
    batch["position_ids"] = positions.permute(2, 1, 0).contiguous()
    return batch | {
        name: torch.cat([row[name] for row in rows]) for name in rows[0] if name not in batch
    }
