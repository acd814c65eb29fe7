"""Video files named by clients of a server; no file outside the folder is ever opened."""

from __future__ import annotations

from pathlib import Path

from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.jsonl import VIDEO_EXTENSIONS

_SUFFIXES = tuple(f".{e}" for kind in VIDEO_EXTENSIONS for e in (kind, kind.upper()))


class VideoFolder:
    """A folder of videos, which may be given new ones while it is used.

    Args:
        folder: None has no video.

    Raises:
        ConfigError: there is no such folder.
    """

    def __init__(self, folder: Path | None) -> None:
        if folder is not None and not folder.is_dir():
            raise ConfigError(f"no folder of videos {str(folder)!r}; give --videos DIR")
        self._root = None if folder is None else folder.resolve()

    def find(self, video_id: str, name: str | None = None) -> Path | None:
        """Return the file of a video, `<video id>.<extension>` or `name`; None if there is none."""
        if self._root is None:
            return None
        if name is not None:
            return _inside(self._root, name)
        if "/" in video_id or "\\" in video_id:
            return None
        root = self._root
        paths = (_inside(root, f"{video_id}{suffix}") for suffix in _SUFFIXES)
        return next((path for path in paths if path is not None), None)

    def without_paths(self, text: str) -> str:
        """Return a text without the path of the folder, which is not a client's concern."""
        return text if self._root is None else text.replace(f"{self._root}/", "")


def _inside(root: Path, name: str) -> Path | None:
    try:
        path = root / name
        if not path.is_file():  # most names, and far cheaper than following all links of the path
            return None
        path = path.resolve()
        return path if path.is_relative_to(root) else None
    except (OSError, ValueError, RuntimeError):  # too long a name, a null byte, links in a ring
        return None
