"""A page taken apart, and runs to make pages of."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from videojudge_bench import registry
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.items import Example, Item, RatingGold
from videojudge_bench.run.runner import Run, RunOptions

HOSTILE = (
    "</script><script>alert(1);window.hacked=1</script>",
    '<img src=x onerror="alert(2);window.hacked=2">',
    '<a href="javascript:alert(3)" onclick="window.hacked=3">click me</a>',
    "<!--<script>window.hacked=4</script>",
    "[click](javascript:alert(5)) ![x](http://198.51.100.1/x.png)",
    "<svg onload=alert(6)><iframe srcdoc='<script>parent.hacked=7</script>'></iframe>",
    "{{ 7*7 }} {% raw %} \u2028 \u2029 \x00 ]]> &lt;b&gt;",
    "\"><style>*{display:none}</style><meta http-equiv=refresh content='0;url=//198.51.100.1'>",
)


class Parsed(HTMLParser):
    """The elements of a page with their attributes, and the text in each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open[-1]][-1] += data

    def tags(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def data(self) -> dict[str, Any]:
        """What the page embeds for its script."""
        scripts = zip(self.tags("script"), self.texts["script"], strict=True)
        (text,) = [text for attributes, text in scripts if attributes.get("id") == "data"]
        found: dict[str, Any] = json.loads(text)
        return found


def plain(value: object) -> Any:
    """Return JSON as a reader of the page would get it."""
    return json.loads(json.dumps(value))


def hostile_set(texts: tuple[str, ...] = HOSTILE) -> GoldSet:
    """Return a rated set whose every text would do harm as markup: one item a text."""
    examples = [
        Example(
            Item(
                id=f"item{number}{text[:24]}",
                video_id=f"video{number}",
                instruction=f"Describe. {text}",
                response=f"{text} answer",
                references=(f"{text} reference",),
                description=f"{text} description",
            ),
            RatingGold((float(1 + number % 5),)),
            unit=f"video{number}",
            system=text,
            labels={"kind": text},
        )
        for number, text in enumerate(texts)
    ]
    info = GoldSetInfo(
        name="hostile",
        title=f"hostile {HOSTILE[0]}",
        kind="human",
        shape="ratings",
        licence="CC0-1.0",
        source="tests/report/pages.py",
        how_to_get="it is made by the tests",
        systems=True,
    )
    return GoldSet(info, tuple(examples))


def with_replies(gold_set: GoldSet, folder: Path, reply: Callable[[Example], str]) -> Path:
    """Run the judge `scripted` with these replies on a set, and return its journal."""
    folder.mkdir(parents=True, exist_ok=True)
    replies = folder / "replies.jsonl"
    lines = [{"id": e.item.id, "reply": reply(e)} for e in gold_set.examples]
    replies.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return judged(gold_set, folder, "scripted", {"replies": str(replies)})


def judged(
    gold_set: GoldSet,
    folder: Path,
    judge: str,
    options: Mapping[str, Any],
    *,
    limit: int | None = None,
    references: int = 0,
) -> Path:
    """Run a judge on a set, and return the folder of its journal."""
    run = Run(
        registry.build(judge, options),
        gold_set,
        RunOptions(journal=folder, references=references),
    )
    run.judge([example.item.id for example in gold_set.examples[:limit]])
    return run.folder


def renamed(gold_set: GoldSet, name: str) -> GoldSet:
    """Return the set under another name."""
    return GoldSet(replace(gold_set.info, name=name), gold_set.examples)
