"""The place of a reply's text verdict, at which an expected score is read."""

from __future__ import annotations

import re
from collections.abc import Sequence

from videojudge_bench.criteria import Criterion
from videojudge_bench.replies._reading import LABELS
from videojudge_bench.replies.criteria import slot_place
from videojudge_bench.replies.reply_format import parse_preference, parse_rating
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Unparsed, Verdict

_TAG = re.compile(r"<(score|answer)>\s*(?P<held>[^<]*)(?:</\1>)?", re.IGNORECASE)
_MOST_TAGS = 16


def verdict_place(reply: str, choices: Sequence[str], slot: Criterion | None = None) -> int | None:
    """Return where the text verdict of a reply stands: behind the last tag that states it.

    Without the other tags, the reply has the same verdict; with another of the choices in this
    one, another. None: it has no verdict, or not in a tag `<score>` or `<answer>`. With a `slot`,
    it is the place of the verdict in that.
    """
    if slot is not None:
        return slot_place(reply, slot)
    values = [] if tuple(choices) == LABELS else [int(choice) for choice in choices]

    def read(text: str) -> Verdict:
        scale = RatingScale(min(values), max(values)) if values else None
        return parse_rating(text, scale) if scale else parse_preference(text)

    verdict = read(reply)
    tags = [] if isinstance(verdict, Unparsed) else list(_TAG.finditer(reply))[-_MOST_TAGS:]
    for tag in reversed(tags):
        before, after = _TAG.sub("", reply[: tag.start()]), _TAG.sub("", reply[tag.end() :])
        before += reply[tag.start() : tag.start("held")]
        after = reply[tag.end("held") : tag.end()] + after
        if read(f"{before}{tag['held']}{after}") == verdict and any(
            read(f"{before}{other}{after}") != verdict for other in choices
        ):
            return tag.start("held")
    return None
