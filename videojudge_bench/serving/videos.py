"""Video files of a folder that strangers name: nothing outside of it is ever opened."""

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
        if name is not None:
            return self._inside(name)
        if "/" in video_id or "\\" in video_id:
            return None
        paths = (self._inside(f"{video_id}{suffix}") for suffix in _SUFFIXES)
        return next((path for path in paths if path is not None), None)

    def without_paths(self, text: str) -> str:
        """Return a text without the path of the folder, which is not a client's concern."""
        return text if self._root is None else text.replace(f"{self._root}/", "")

    def _inside(self, name: str) -> Path | None:
        if self._root is None:
            return None
        try:
            path = (self._root / name).resolve()
            return path if path.is_relative_to(self._root) and path.is_file() else None
        except (OSError, ValueError, RuntimeError):  # too long a name, a null byte, links in a ring
            return None
