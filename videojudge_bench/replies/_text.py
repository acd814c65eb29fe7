"""A reply in plain characters, without its reasoning and its markup."""

from __future__ import annotations

import html
import unicodedata

from videojudge_bench.replies._grammar import pattern

_PLAIN = str.maketrans(
    dict.fromkeys("‐‑‒–−", "-") | dict.fromkeys("“”„«»「」『』", '"')
    | dict.fromkeys("→➡⇒➜➔", "->") | dict.fromkeys("⭐🌟✭✮", "★")
    | dict.fromkeys("❌❎✘✖🚫👎☐", "✗")
    | {"—": " - ", "。": ". ", "、": ",", "≫": ">>", "≻": ">", "≈": "=", "⁄": "/", "∕": "/"}
    | dict(zip("‘’【】《》✩◁▷", "''[]()☆<>", strict=True))
)  # fmt: skip
_MOST_CHARACTERS = 20_000  # that are read, at the beginning and the end


def clean(reply: str) -> str:
    """Return a reply in plain characters, with one form of every family's reasoning marks.

    What follows the token that ends the model's turn is no part of the reply.
    """
    text = pattern("LINE_END").sub("\n", reply)
    if not text.isascii():
        text = pattern("SMALL_NUMBER").sub("½", pattern("INVISIBLE").sub("", text))
        text = unicodedata.normalize("NFKC", text.translate(_PLAIN))
        text = pattern("OTHER_DIGIT").sub(lambda digit: f"{unicodedata.numeric(digit[0]):g}", text)
        text = pattern("PICTOGRAM").sub(" ", text)
    text = html.unescape(text)
    if "|" in text or "THINK]" in text:
        text = pattern("OPENS_REASONING").sub("<think>", text)
        text = pattern("CLOSES_REASONING").sub("</think>", text)
        text = pattern("OPENS_ANSWER").sub("", text)
    has_channels = pattern("CHANNEL").match(text) or pattern("CHANNEL_WITHOUT_MARK").match(text)
    return text if has_channels else pattern("END_OF_TURN").split(text, maxsplit=1)[0]


def without_reasoning(text: str) -> tuple[str, str]:
    """Return what stands outside of reasoning, and "" or why there is nothing.

    A closing mark without an opening one means that the prompt opened the block.
    """
    text, problem = _final_message(text)
    kept: list[str] = []
    position, open_tag = 0, ""
    for tag in pattern("REASONING").finditer(text):
        before = text[max(0, tag.start() - 300) : tag.start()].rpartition("\n")[2]
        if not open_tag and before[:1].isalpha() and any(before.count(q) % 2 for q in '"`'):
            continue  # quoted
        if not open_tag and tag[1] and pattern("REPORTS").search(before):
            problem = problem or f"{tag[0]} stands in a sentence"
        if tag[1]:
            kept = kept if open_tag else []
            position, open_tag = tag.end(), ""
        elif not open_tag:
            kept.append(text[position : tag.start()])
            position, open_tag = tag.end(), tag[2].lower()
    if open_tag:
        return "", f"reply ends inside <{open_tag}>"
    visible = "\n".join([*kept, text[position:]])
    if len(visible) > _MOST_CHARACTERS:
        visible = f"{visible[: _MOST_CHARACTERS // 2]}\n\n{visible[-_MOST_CHARACTERS // 2 :]}"
    is_empty = not visible.strip() and text.strip() != ""
    return visible, problem or "nothing after the reasoning" * is_empty


def _final_message(text: str) -> tuple[str, str]:
    """Return the final message of OpenAI's Harmony format, with its special tokens or without."""
    is_marked = pattern("CHANNEL").match(text) is not None
    if not (is_marked or pattern("CHANNEL_WITHOUT_MARK").match(text)):
        return text, ""
    parts = pattern("FINAL_CHANNEL").split(text) if is_marked else text.split("assistantfinal")
    if len(parts) != 2:
        return "", "several final messages" if parts[2:] else "reply ends inside the analysis"
    return pattern("END_OF_TURN").split(parts[1], maxsplit=1)[0], ""


def without_markup(text: str) -> str:
    """Return a text without markup; lines in bold become headings, what is struck out a cross."""
    text = pattern("BOLD_LINE").sub(
        r"# \2", pattern("FENCE").sub("", pattern("CROSSED_OUT").sub("✗", text))
    )
    text = pattern("QUOTED_LINE").sub(r'"\1"', text)
    text = pattern("CODE").sub(lambda code: f'"{code[2]}"' if code[2] else code[1] or "", text)
    for _ in range(2):
        text = pattern("EMPHASIS").sub(r"\2", text)
    return pattern("LATEX_TEXT").sub(r"\1", pattern("TAG_OF_MARKUP").sub("", text))
