"""An engine that replays replies from a file: for tests, demos and real replies made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import jsonlines

from videojudge_bench.engine import Capability, EngineError, PromptGroup, Reply
from videojudge_bench.errors import DataError
from videojudge_bench.hashing import file_hash
from videojudge_bench.signature import Scalar

EVERY_ITEM = "*"


class ScriptedEngine:
    """Replays replies by item id.

    Args:
        replies: a JSON Lines file of `{"id": …, "reply": …}`. The id `*` answers all items that
            have no line of their own; an item without a reply is an `EngineError`.

    Raises:
        DataError: the file is missing or malformed, with the line.
    """

    # The replies may be those of a model that looked at the video.
    capabilities: frozenset[Capability] = frozenset({"video"})

    def __init__(self, replies: str) -> None:
        self._path = Path(replies)
        self._replies = _read(self._path)

    async def complete(self, group: PromptGroup) -> Sequence[Reply | EngineError]:
        """Return the scripted reply of each continuation."""
        return [self._reply(continuation.id) for continuation in group.continuations]

    def settings(self) -> Mapping[str, Scalar]:
        """Return the content hash of the script."""
        return {"replies": f"sha256:{file_hash(self._path)[:12]}"}

    def close(self) -> None:
        """Nothing to give back."""

    def _reply(self, item_id: str) -> Reply | EngineError:
        text = self._replies.get(item_id, self._replies.get(EVERY_ITEM))
        if text is None:
            return EngineError(f"no scripted reply for {item_id!r} in {self._path.name}")
        return Reply(text)


def _read(path: Path) -> dict[str, str]:
    replies: dict[str, str] = {}
    try:
        with jsonlines.open(path) as reader:
            for line, row in enumerate(reader.iter(type=dict, skip_empty=True), start=1):
                item_id, reply = row.get("id"), row.get("reply")
                if not (isinstance(item_id, str) and isinstance(reply, str)):
                    raise DataError('a line is {"id": text, "reply": text}', path=path, line=line)
                if item_id in replies:
                    raise DataError(f"duplicate id {item_id!r}", path=path, line=line, field="id")
                replies[item_id] = reply
    except jsonlines.InvalidLineError as error:
        raise DataError(f"not a JSON object: {error}", path=path, line=error.lineno) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {error}", path=path) from error
    if not replies:
        raise DataError("the file has no replies", path=path)
    return replies
