"""Forms to which an engine can hold replies: our prompts' tags, or a JSON object."""

from __future__ import annotations

from collections.abc import Sequence

from videojudge_bench._util.hashing import Json
from videojudge_bench.engine import ReplyForm
from videojudge_bench.items import Item, Pair
from videojudge_bench.prompts import PromptOptions

STRUCTURED = (FREE, REGEX, JSON) = ("none", "regex", "json")


def form_of(
    structured: str, part: Item | Pair, options: PromptOptions, choices: Sequence[str]
) -> ReplyForm | None:
    """Return the form of the replies about an item or pair; None where they are free."""
    if structured == FREE:
        return None
    texts, key = _texts(options), _key(part)
    if structured == REGEX:
        # No tag inside a block: the slot of the verdict is the only one.
        blocks = [f"<{name}>[^<]+</{name}>\\n" for name in texts]
        if options.criteria:
            slots = (
                f'<score name="{c.name}">({"|".join(c.choices)})</score>' for c in options.criteria
            )
            return "".join(blocks) + "\\n".join(slots)
        return "".join(blocks) + f"<{key}>({'|'.join(choices)})</{key}>"
    values: list[Json] = [int(c) for c in choices] if isinstance(part, Item) else [*choices]
    verdict: Json = {"type": "integer" if isinstance(part, Item) else "string", "enum": values}
    properties: dict[str, Json] = {**{name: {"type": "string"} for name in texts}, key: verdict}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def note_of(structured: str, part: Item | Pair, options: PromptOptions) -> str:
    """Return what to add to a prompt about the form; empty where the prompt asks for it already."""
    if structured != JSON:
        return ""
    *texts, key = [*_texts(options), _key(part)]
    keys = f"{', '.join(texts)} and {key}" if texts else key
    return f"\n\nIn place of tags, write one JSON object with {keys}, in this order."


def _texts(options: PromptOptions) -> list[str]:
    blocks = {"rubric": options.write_rubric, "thinking": options.feedback}
    return [name for name, has in blocks.items() if has]


def _key(part: Item | Pair) -> str:
    return "score" if isinstance(part, Item) else "answer"
