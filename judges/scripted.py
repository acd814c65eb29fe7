"""A judge whose replies are read from a file."""

from __future__ import annotations

from videojudge_bench.prompted import PromptedJudge


class Scripted(PromptedJudge):
    """Replays the replies of a JSON Lines file of `{"id": …, "reply": …}` and parses them.

    Args:
        replies: the file. The id `*` answers every item without a line of its own.
    """

    def __init__(self, *, replies: str) -> None:
        super().__init__(engine="scripted", replies=replies)
