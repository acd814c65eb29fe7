"""Identity of a judgement: everything that can change a verdict, and nothing else.

The keys and folders of journals and the judge half of signatures are made here. What counts:

- the item as the judge sees it (`Judge.visible`), and the content of its video file where the
  judge is shown one: never a path, a time or the gold;
- the judge: its class, the source of that class where it is a user's, its options less those that
  it declares unable to change a verdict, what it says of its prompts, weights and engine
  (`settings`), the scale that it rates on;
- of a judge that learns from the set: the whole set, and all videos where it learns from them.

The version of the reader of replies is in the signature and not in the key: replies in a journal
are read anew when it changes, and nothing is asked again.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from videojudge_bench._util.hashing import Json, content_hash, file_hash
from videojudge_bench._util.options import Scalar
from videojudge_bench.items import Item, Pair
from videojudge_bench.registry import BuiltJudge
from videojudge_bench.scale import RatingScale
from videojudge_bench.video import default_frame_folder
from videojudge_bench.video.content import content_hashes

FIRST_READER = 1
"""First version of the reader of replies, which signatures do not name."""

UNREADABLE = "unreadable"


@dataclass(frozen=True)
class JudgeIdentity:
    """Identity of a judge in a run.

    Attributes:
        settings: name and options of the judge, and what it says of itself.
        source: hash of the source of a user's class; "" for a judge of this package.
        files: name and content hash of files that the settings do not name.
        reader_version: of what reads replies; in the signature alone.
        scale: that the judge is told to rate on; None where it has its own.
        learned: what the judge learns from beside the item; empty for one that learns nothing.
    """

    settings: Mapping[str, Scalar]
    source: str
    files: tuple[tuple[str, str], ...]
    reader_version: int
    scale: RatingScale | None
    learned: Mapping[str, Json]

    @classmethod
    def of(
        cls, built: BuiltJudge, *, scale: RatingScale | None, learned: Mapping[str, Json]
    ) -> JudgeIdentity:
        """Return the identity of a judge as it is now."""
        judge = built.judge
        return cls(
            built.signature(),
            source_hash(judge.sources()),
            tuple(sorted((path.name, file_hash(path)) for path in judge.files())),
            judge.reader_version,
            scale,
            learned,
        )

    @property
    def signature(self) -> dict[str, Scalar]:
        """The judge half of the signature."""
        return {
            **self.settings,
            **({"class_source": f"sha256:{self.source[:12]}"} if self.source else {}),
            **({"reader": self.reader_version} if self.reader_version > FIRST_READER else {}),
        }

    @cached_property
    def hash(self) -> str:
        """The part of a judgement's key that is the judge's: 64 hex digits."""
        return content_hash(
            {
                "settings": dict(self.settings),
                "source": self.source,
                "files": [list(file) for file in self.files],
                "scale": None if self.scale is None else str(self.scale),
                "learned": dict(self.learned),
            }
        )


def judgement_key(judge_hash: str, item: Item | Pair) -> str:
    """Return the key of a judgement in journals, 32 hex digits; the item as the judge sees it."""
    video = None if item.video is None else video_hash(item.video)
    return content_hash({"judge": judge_hash, "item": item.content(), "video": video})[:32]


def video_hash(path: Path) -> str:
    """Return the hash of a video's content that the frame store knows it by, too.

    `unreadable` where there is none: what is wrong with the file is the judge's to say.
    """
    with suppress(OSError):
        return content_hashes(default_frame_folder()).of(path)
    return UNREADABLE


def source_hash(classes: Iterable[type]) -> str:
    """Return a hash of the source of a user's classes, and of what they inherit from.

    Files of this package and of Python do not count. "" where no other is left; of a class without
    a file (typed into a session) its own source counts as far as Python knows it.
    """
    parts = {part for cls in classes for base in cls.__mro__ for part in _source_of(base)}
    if not parts:
        return ""
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def _source_of(cls: type) -> Iterator[str]:
    package = cls.__module__.partition(".")[0]
    if package == __name__.partition(".")[0] or package in sys.stdlib_module_names:
        return
    with suppress(TypeError, OSError):
        yield file_hash(Path(inspect.getsourcefile(cls) or inspect.getfile(cls)))
        return
    with suppress(TypeError, OSError):
        yield inspect.getsource(cls)
