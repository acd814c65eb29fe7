"""HTML pages with their style sheet, script and content security policy."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from videojudge_bench._util import charts
from videojudge_bench._util.files import write_whole
from videojudge_bench._util.hashing import Json
from videojudge_bench.report.figures import Figure
from videojudge_bench.report.standings import Card, Standing

_HERE = Path(__file__).parent

STYLE_FILES = (charts.STYLE, _HERE / "report.css")
"""Style sheets of every page, in their order."""


@dataclass(frozen=True)
class Fact:
    """One line about the page's runs: a name, and its value for each run."""

    name: str
    values: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Rows under a title, with the names of their columns."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Page:
    """Content of a page; empty parts are left out.

    Attributes:
        lead: one paragraph below the title.
        headline: title of the cards.
        cards: the main figures.
        runs: names of the runs that judged the items.
        tables: rows that are neither runs nor items.
        items: as `items.payload` returns it, with `videos` and `prompts`.
        notes: on the computation of the numbers.
    """

    title: str
    lead: str
    headline: str = ""
    cards: Sequence[Card] = ()
    runs: Sequence[str] = ()
    facts: Sequence[Fact] = ()
    standings: Sequence[Standing] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    numbers: Sequence[Fact] = ()
    items: dict[str, Json] = field(default_factory=dict)
    notes: Sequence[str] = ()


def render(page: Page) -> str:
    """Return the page as HTML that loads no other file and runs only its own script."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = "".join(file.read_text(encoding="utf-8") for file in STYLE_FILES)
    script = (_HERE / "report.js").read_text(encoding="utf-8")
    text = environment.get_template("page.html").render(
        page=page,
        policy=policy(script, style),
        # Our own files, which hold no `</`.
        style=Markup(style),
        script=Markup(script),
        data=embedded(page.items) if page.items else "",
    )
    return text + "\n"


def write(page: Page, path: Path) -> None:
    """Write a page to a file; characters that UTF-8 lacks (half a surrogate pair) become `?`."""
    write_whole(path, render(page).encode("utf-8", "replace"))


def policy(script: str, style: str) -> str:
    """Return a content security policy: a page's own style and script, and inline pictures."""
    return (
        f"default-src 'none'; script-src '{_sha(script)}'; style-src '{_sha(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def embedded(value: Json) -> Markup:
    """Return JSON that can stand in a script element: no text in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _sha(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"
