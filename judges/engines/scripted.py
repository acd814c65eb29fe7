"""An engine that replays replies from a file: for tests, demos and real replies made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from videojudge_bench._util.hashing import file_hash
from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import Capability, Deliver, EngineError, PromptGroup, Reply
from videojudge_bench.goldsets.jsonl import STRICT, read_rows

EVERY_ITEM = "*"


class ScriptedEngine:
    """Replays replies by item id.

    Args:
        replies: a JSON Lines file of `{"id": …, "reply": …}`. The id `*` answers all items that
            have no line of their own; an item without a reply is an `EngineError`.

    Raises:
        DataError: the file is missing, empty or malformed, with line and field.
    """

    # The replies may be those of a model that looked at the video.
    capabilities: frozenset[Capability] = frozenset({"video"})

    def __init__(self, replies: str) -> None:
        self._path = Path(replies)
        rows = read_rows(self._path, _Row, unique=("id",))
        self._replies = {row.id: row.reply for row in rows}

    async def complete(self, group: PromptGroup, deliver: Deliver) -> None:
        """Deliver the scripted reply of each continuation."""
        for number, continuation in enumerate(group.continuations):
            text = self._replies.get(continuation.id, self._replies.get(EVERY_ITEM))
            missing = f"no scripted reply for {continuation.id!r} in {self._path.name}"
            await deliver(number, EngineError(missing) if text is None else Reply(text))

    def settings(self) -> Mapping[str, Scalar]:
        """Return the content hash of the script."""
        return {"replies": f"sha256:{file_hash(self._path)[:12]}"}

    def close(self) -> None:
        """Nothing to give back."""


class _Row(BaseModel):
    model_config = STRICT

    id: str
    reply: str
