"""Selection and packing of the training rows, before any video is decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from videojudge_bench.errors import ConfigError, VideoError
from videojudge_bench.goldsets.jsonl import find_videos
from videojudge_bench.training.sft.base_model import BaseModel
from videojudge_bench.training.sft.encode import Encoded, RowEncoder
from videojudge_bench.training.sft.options import DataOptions
from videojudge_bench.training.sft.packing import bundles, shared_by
from videojudge_bench.training.sft.rows import video_path
from videojudge_bench.training.training_row import TrainingRow
from videojudge_bench.video import FramePolicy
from videojudge_bench.video.decoding import Size, probe

_THREADS = 8
_QWEN3_STEP_TOKENS = 10
"""Qwen3-VL writes a time and two marks before each step of a video; there are rarely more."""


@dataclass(frozen=True)
class Bundle:
    """Rows of one video that go through the model together.

    Attributes:
        tokens: of the packed row.
        video_tokens: of them, up to the end of the video.
        size: frames and pixels that are taken of the video.
    """

    video: Path
    rows: tuple[Encoded, ...]
    tokens: int
    video_tokens: int
    size: Size

    @property
    def separate_tokens(self) -> int:
        """Tokens that the same rows have without packing."""
        return sum(self.video_tokens + row.tokens for row in self.rows)


@dataclass(frozen=True)
class Dropped:
    """A row that is left out."""

    row: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """Training data of a run."""

    bundles: tuple[Bundle, ...]
    dropped: tuple[Dropped, ...]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(len(bundle.rows) for bundle in self.bundles)

    @property
    def tokens(self) -> int:
        """Number of tokens in one epoch."""
        return sum(bundle.tokens for bundle in self.bundles)

    @property
    def separate_tokens(self) -> int:
        """Number of tokens in one epoch without packing."""
        return sum(bundle.separate_tokens for bundle in self.bundles)


def make_plan(
    rows: Sequence[TrainingRow],
    base: BaseModel,
    data: DataOptions,
    *,
    on_row: Callable[[], object] = lambda: None,
) -> Plan:
    """Return the plan for rows; those that do not fit or have no video are left out and listed.

    Raises:
        ConfigError: there is no folder of videos, or no row is left.
    """
    folder = Path(data.videos) if data.videos is not None else None
    by_id = find_videos(folder) if folder is not None else {}
    files = {}
    for row in rows:
        own = by_id.get(row.video_id) if row.video is None else None
        files[row.id] = own or video_path(row, folder)
    sizes, dropped = _sizes(files.values(), base.policy)
    encoder = RowEncoder(
        base.reader, verdict_weight=data.verdict_weight, answer_weight=data.answer_weight
    )
    by_video: dict[tuple[Path, str], list[Encoded]] = {}
    left_out: list[Dropped] = []
    for row in rows:
        path = files[row.id]
        if path in dropped:
            left_out.append(Dropped(row.id, dropped[path]))
        else:
            encoded = encoder.encode(row)
            length = video_tokens(base, encoded, sizes[path]) + encoded.tokens
            if reason := _too_long(length, base, data):
                left_out.append(Dropped(row.id, reason))
            else:
                by_video.setdefault((path, row.system), []).append(encoded)
        on_row()
    packed = [
        bundle
        for (path, _), members in by_video.items()
        for bundle in _bundles(path, members, sizes[path], base, data)
    ]
    if not packed:
        raise ConfigError(
            f"none of {len(rows)} rows can be trained on; the first: "
            + "; ".join(f"{d.row}: {d.reason}" for d in left_out[:3])
        )
    return Plan(tuple(packed), tuple(left_out))


def video_tokens(base: BaseModel, row: Encoded, size: Size) -> int:
    """Return how many tokens a prompt has up to the end of its video.

    Exact for Qwen2.5-VL; an upper estimate for Qwen3-VL, which writes the time of each step in
    words.
    """
    text = len(base.reader.before_video(row.begins))
    if base.checkpoint.kind == "qwen3_vl":
        text += _steps(base, size) * _QWEN3_STEP_TOKENS
    return text + seen_tokens(base, size)


def seen_tokens(base: BaseModel, size: Size) -> int:
    """Return how many tokens the frames of a video become."""
    return _steps(base, size) * (size.height // base.side) * (size.width // base.side)


def _steps(base: BaseModel, size: Size) -> int:
    return -(-size.frames // int(base.vision.temporal_patch_size))


def _too_long(length: int, base: BaseModel, data: DataOptions) -> str:
    most = min(base.context, data.context)
    if length <= most:
        return ""
    whose = "the model takes" if most == base.context else "data.context allows"
    return f"{length} tokens, and {whose} {most}"


def _bundles(
    path: Path, rows: Sequence[Encoded], size: Size, base: BaseModel, data: DataOptions
) -> Iterable[Bundle]:
    of_video = video_tokens(base, rows[0], size)
    if data.packing == "none":
        packed = [[row] for row in rows]
    else:
        packed = list(bundles(rows, video_tokens=of_video, most=data.row_tokens))
    for members in packed:
        tokens = of_video + shared_by(members).tokens(members)
        yield Bundle(path, tuple(members), tokens, of_video, size)


def _sizes(paths: Iterable[Path], policy: FramePolicy) -> tuple[dict[Path, Size], dict[Path, str]]:
    unique = list(dict.fromkeys(paths))
    sizes: dict[Path, Size] = {}
    failed: dict[Path, str] = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        for path, size in zip(
            unique, pool.map(partial(_probed, policy=policy), unique), strict=True
        ):
            if isinstance(size, Size):
                sizes[path] = size
            else:
                failed[path] = size
    return sizes, failed


def _probed(path: Path, *, policy: FramePolicy) -> Size | str:
    try:
        return probe(path, policy)
    except VideoError as error:
        return str(error)
