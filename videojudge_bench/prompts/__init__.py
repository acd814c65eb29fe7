"""Prompt templates: one `.jinja` file per prompt, versioned by its content hash.

A template has three blocks. `system` and `shared` are equal for all items of a group, so that an
engine can work them out once; `response` holds what differs and comes last. A template sees
`instruction`, `references`, `description`, `subtitles`, `has_video`, `low`, `high`, and `response`
or `first` and `second`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench.errors import ConfigError
from videojudge_bench.items import Item, Pair
from videojudge_bench.scale import RatingScale

if TYPE_CHECKING:
    from jinja2 import Template

BLOCKS = ("system", "shared", "response")
PROMPTS_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class RenderedPrompt:
    """The three parts of a prompt; the user message is `shared` followed by `response`."""

    system: str
    shared: str
    response: str


@dataclass(frozen=True)
class PromptTemplate:
    """A prompt file.

    Attributes:
        name: file name.
        sha: first 12 hex digits of the SHA-256 of its source: part of the signature.
    """

    name: str
    sha: str
    template: Template

    def render(self, item: Item | Pair, scale: RatingScale) -> RenderedPrompt:
        """Return the prompt for one item.

        Raises:
            ConfigError: the template asks for something that the item does not have.
        """
        from jinja2 import UndefinedError

        values = _values(item, scale)
        try:
            system, shared, response = (self._block(block, values) for block in BLOCKS)
        except UndefinedError as error:
            raise ConfigError(
                f"prompt {self.name} cannot be rendered: {error}. A prompt for "
                f"{type(item).__name__.lower()}s sees: {', '.join(values)}"
            ) from error
        return RenderedPrompt(system, shared, response)

    def _block(self, name: str, values: Mapping[str, object]) -> str:
        context = self.template.new_context(dict(values))
        return "".join(self.template.blocks[name](context))


@cache
def load_prompt(path: Path) -> PromptTemplate:
    """Return the template in a file.

    Raises:
        ConfigError: the file cannot be read, is no valid template, or lacks one of the blocks.
    """
    from jinja2 import Environment, StrictUndefined, TemplateError

    try:
        source = path.read_text(encoding="utf-8")
        template = Environment(undefined=StrictUndefined).from_string(source)
    except (OSError, UnicodeDecodeError, TemplateError) as error:
        raise ConfigError(f"prompt file {path}: {error}") from error
    missing = [block for block in BLOCKS if block not in template.blocks]
    if missing:
        raise ConfigError(
            f"prompt file {path} lacks the block(s) {', '.join(missing)}; a prompt has the blocks "
            f"{', '.join(BLOCKS)}, see prompts/rate.jinja of videojudge_bench"
        )
    sha = hashlib.sha256(source.encode()).hexdigest()[:12]
    return PromptTemplate(path.name, sha, template)


def _values(item: Item | Pair, scale: RatingScale) -> dict[str, object]:
    shared: dict[str, object] = {
        "instruction": item.instruction,
        "references": item.references,
        "description": item.description,
        "subtitles": item.subtitles,
        "has_video": item.video is not None,
        "low": scale.low,
        "high": scale.high,
    }
    if isinstance(item, Item):
        return {**shared, "response": item.response}
    return {**shared, "first": item.first, "second": item.second}
