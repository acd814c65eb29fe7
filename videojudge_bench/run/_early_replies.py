"""Replies to items that still wait for more of them: a run that is killed goes on with those."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType

from videojudge_bench.run.journal import cut_torn_line
from videojudge_bench.verdicts import Judgement


class EarlyReplies:
    """Keeps replies in a file of their own beside a journal, which holds whole judgements.

    Use it as a context manager: leaving without an error removes the file, as all that it holds is
    in judgements then.

    Args:
        folder: of the journal.
        keys: of the items by their id: a reply counts for an item that is the same.
        rank: of this process; names its file.
    """

    def __init__(self, folder: Path, keys: Mapping[str, str], *, rank: int = 0) -> None:
        self._folder, self._keys = folder, keys
        self._path = folder / f"replies-{rank}.jsonl"
        self._file: FileIO | None = None

    def __enter__(self) -> EarlyReplies:
        self._replies: dict[str, dict[int, Judgement]] = {}
        for path in sorted(self._folder.glob("replies-*.jsonl")):
            for line in path.read_bytes().splitlines():
                with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    data = json.loads(line)
                    places = self._replies.setdefault(data["key"], {})
                    places[int(data["place"])] = Judgement.from_json(data)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()  # an engine that is still at work writes nothing from now on
        if kind is None:
            self._path.unlink(missing_ok=True)

    def of(self, item_id: str) -> Mapping[int, Judgement]:
        """Return what is there of an item, each at its place among the item's replies."""
        return self._replies.get(self._keys[item_id], {})

    def keep(self, item_id: str, place: int, judgement: Judgement) -> None:
        """Write one reply to the file; what cannot be written is asked again after a kill."""
        data = {"key": self._keys[item_id], "place": place, **judgement.to_json()}
        line = json.dumps(data, ensure_ascii=False) + "\n"
        with suppress(OSError, ValueError):
            if self._file is None:
                cut_torn_line(self._path)
                self._file = FileIO(self._path, "ab")
            self._file.write(line.encode("utf-8", "surrogatepass"))
