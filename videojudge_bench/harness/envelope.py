"""How a judgement travels through lmms-eval: as the text of a model's reply.

Our model answers with the judgement as a JSON object; scoring reads that, or parses the raw text
when a stock model answered. `<` is escaped, because lmms-eval cuts `<think>` blocks out of replies.
"""

from __future__ import annotations

import json

from videojudge_bench.items import Item, Pair
from videojudge_bench.replies.reply_format import parse_preference, parse_rating
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Unparsed

MARK = "videojudge"
NOT_APPLICABLE = "not_applicable"


def seal(judgement: Judgement) -> str:
    """Return a judgement as the text of a reply."""
    return _dump({MARK: 1, **judgement.to_json()})


def seal_refusal(reason: str) -> str:
    """Return `not applicable` as the text of a reply."""
    return _dump({MARK: 1, NOT_APPLICABLE: reason})


def open_reply(text: str, item: Item | Pair, scale: RatingScale) -> Judgement | None:
    """Return the judgement in a reply, or None when it says `not applicable`.

    A text that is no sealed judgement was written by a model, and is parsed.
    """
    data = _sealed(text)
    if data is not None:
        if NOT_APPLICABLE in data:
            return None
        if data.get("id") != item.id:
            other = Unparsed(f"the reply holds the judgement of {data.get('id')!r}")
            return Judgement(item.id, other, failed=True)
        return Judgement.from_json(data)
    verdict = parse_rating(text, scale) if isinstance(item, Item) else parse_preference(text)
    return Judgement(item.id, verdict, reply=text)


def _dump(data: dict[str, object]) -> str:
    return json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")


def _sealed(text: str) -> dict[str, object] | None:
    if not text.startswith(f'{{"{MARK}"'):
        return None
    try:
        data = json.loads(text)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None
