"""The video files of seeds and gold sets: looked up in folders, compared by perceptual hashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from videojudge_bench.errors import ConfigError, NoDataError, VideoError
from videojudge_bench.goldsets import jsonl
from videojudge_bench.training.bootstrap.contracts import Seed
from videojudge_bench.training.bootstrap.overlap import GoldVideos, canonical_id, whole_file
from videojudge_bench.video import FramePolicy, load_frames

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Hashes = npt.NDArray[np.float32]

UNREADABLE = "video that cannot be decoded"


class VideoFolder:
    """The video files below a folder."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise ConfigError(f"the folder of videos {str(path)!r} does not exist or is no folder")
        ranks = {f".{extension}": rank for rank, extension in enumerate(jsonl.VIDEO_EXTENSIONS)}
        paths = [p for p in path.rglob("*") if p.suffix.lower() in ranks and p.is_file()]
        paths.sort(key=lambda p: (ranks[p.suffix.lower()], str(p)))
        self.path = path
        self._files = {p.relative_to(path).as_posix() for p in paths}
        self._by_id: dict[str, str] = {}
        folders: dict[str, set[str]] = {}
        for file in (p.relative_to(path).as_posix() for p in paths):
            known = canonical_id(file)
            name = PurePosixPath(known).name
            self._by_id.setdefault(known, file)
            self._by_id.setdefault(name, file)
            folders.setdefault(name, set()).add(str(PurePosixPath(file).parent))
        self._ambiguous = {name for name, parents in folders.items() if len(parents) > 1}

    def find(self, video_id: str, file: str | None = None) -> str | None:
        """Return the path, relative to the folder, of a video; None: it is not there.

        If it is not at `file`, it is found by its id, unless several folders have files of that
        name.
        """
        if file in self._files:
            return file
        known = whole_file(video_id)
        return None if known in self._ambiguous else self._by_id.get(known)


@dataclass
class SeedVideos:
    """The videos of the seeds, and those that look like videos of gold sets.

    `known` has the gold sets' videos, and `looked_at` their number by set.
    """

    folder: VideoFolder | None
    known: LookAlikes | None
    looked_at: Mapping[str, int]
    _looks: dict[str, frozenset[str] | None] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path | None, gold: GoldVideos, specs: Sequence[str]) -> SeedVideos:
        """Return the videos of a folder, to be compared with those of gold sets.

        Raises:
            ConfigError: there is no such folder, or it holds no video of its set.
            NoDataError: the data of a set are not here, so its videos are unknown.
            VideoError: a video of a gold set cannot be decoded.
        """
        if folder is None:
            return cls(None, None, {})
        mine = VideoFolder(folder)
        given = {name: Path(path) for name, _, path in (spec.partition("=") for spec in specs)}
        # A folder that was written down some time ago may be gone.
        folders = {name: path for name, path in gold.folders.items() if path.is_dir()}
        files = {name: _files_of(name, gold, path) for name, path in {**folders, **given}.items()}
        for name, path in given.items():
            if not files[name]:
                raise ConfigError(
                    f"gold_videos: {str(path)!r} holds no video of the gold set {name!r}; "
                    "its files are called <video id>.<extension>"
                )
        return cls(mine, LookAlikes(files), {name: len(paths) for name, paths in files.items()})

    def located(self, seed: Seed) -> Seed:
        """Return a seed with its video file in the folder, or with none."""
        if self.folder is None:
            return seed
        return replace(seed, video=self.folder.find(seed.video_id, seed.video))

    def sets_like(self, file: str) -> frozenset[str] | None:
        """Return the gold sets with a video that looks the same; None: it is unreadable."""
        if self.folder is None or self.known is None:
            return frozenset()
        if file not in self._looks:
            try:
                self._looks[file] = self.known.sets_like(fingerprint(self.folder.path / file))
            except VideoError:
                self._looks[file] = None
        return self._looks[file]


def _files_of(name: str, gold: GoldVideos, path: Path) -> list[Path]:
    if name not in gold.files:
        raise NoDataError(name, "which videos it has is not known; leave it out of gold_videos")
    folder = VideoFolder(path)
    matches = (folder.find(canonical_id(known), file) for known, file in gold.files[name].items())
    return [path / file for file in matches if file is not None]


FRAMES = 16
BITS = 63

MAX_DISTANCE = 10  # bits of 63 in which two hashes of one picture may differ
MIN_SHARE = 0.5
"""Share of the frames that must be alike. Measured on seven videos, each in eight versions: at
least 0.81 of the frames of two versions are, and at most 0.13 of those of two videos.
"""

_MIN_CONTRAST = 4.0
"""Standard deviation of the grey values, 0-255: below it a picture is blank, and its hash noise."""

_POLICY = FramePolicy(
    max_frames=FRAMES, fps=None, min_pixels=0, max_pixels=64 * 64, factor=1, resampling="area"
)


def fingerprint(path: Path) -> Hashes:
    """Return the hashes of a video: (16, 63) float32 of 1 and -1, rows of 0 for blank frames.

    Where a video has fewer frames, some are repeated.

    Raises:
        VideoError: no frame could be decoded.
    """
    import numpy as np

    frames = load_frames(path, _POLICY).frames
    numbers = np.arange(FRAMES) * len(frames) // FRAMES
    return np.stack([_hash(frames[number]) for number in numbers]).astype(np.float32)


def _hash(frame: npt.NDArray[np.uint8]) -> Hashes:
    import numpy as np
    from PIL import Image
    from scipy.fft import dctn

    grey = Image.fromarray(frame).convert("L").resize((32, 32), Image.Resampling.BOX)
    values = np.asarray(grey, dtype=np.float32)
    if values.std() < _MIN_CONTRAST:
        return np.zeros(BITS, np.float32)
    low = dctn(values, norm="ortho")[:8, :8].ravel()[1:]
    signs: Hashes = np.where(low > np.median(low), np.float32(1), np.float32(-1))
    return signs


class LookAlikes:
    """Finds the sets that have a video which looks like a given one."""

    def __init__(self, videos: Mapping[str, list[Path]]) -> None:
        import numpy as np

        known: dict[Path, Hashes] = {}
        for path in (path for paths in videos.values() for path in paths):
            known.setdefault(path.resolve(), np.empty(0, np.float32))
        for path in known:
            known[path] = fingerprint(path)
        numbers = {path: number for number, path in enumerate(known)}
        self._sets = {
            name: np.array([numbers[path.resolve()] for path in paths], np.intp)
            for name, paths in videos.items()
        }
        self._hashes = np.stack(list(known.values())) if known else np.zeros((0, FRAMES, BITS))

    def sets_like(self, hashes: Hashes) -> frozenset[str]:
        """Return the names of the sets that have a video with such hashes."""
        import numpy as np

        near = np.zeros((len(self._hashes), FRAMES), np.bool_)
        # One frame earlier or later: ends that were cut off move all times.
        for shift in (-1, 0, 1):
            mine = slice(max(0, -shift), FRAMES - max(0, shift))
            theirs = slice(max(0, shift), FRAMES - max(0, -shift))
            agreeing = np.einsum("fb,gfb->gf", hashes[mine], self._hashes[:, theirs])
            near[:, mine] |= agreeing >= BITS - 2 * MAX_DISTANCE
        seen = int(hashes.any(axis=1).sum())
        alike = near.sum(axis=1) >= max(1.0, MIN_SHARE * seen)
        return frozenset(name for name, numbers in self._sets.items() if alike[numbers].any())
