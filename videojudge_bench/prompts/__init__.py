"""Prompt templates: one `.jinja` file per prompt, versioned by its content hash.

A template has three blocks. `system` and `shared` are equal for all items of a group, so that an
engine can work them out once; `response` holds what differs and comes last. A template sees
`instruction`, `references`, `description`, `subtitles`, `has_video`, `low`, `high`, `feedback`,
`rubric`, `write_rubric`, `criteria`, and `response` or `first` and `second`.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench.criteria import Criterion
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
class PromptOptions:
    """Content that a prompt asks for beside the verdict.

    Attributes:
        feedback: a reasoning between `<thinking>` tags before the verdict.
        write_rubric: a rubric for the instruction between `<rubric>` tags before all else.
        rubric: the rubric to judge by; empty when there is none.
        criteria: what to rate by, each in a slot of its own; empty for one rating.
    """

    feedback: bool = True
    write_rubric: bool = False
    rubric: str = ""
    criteria: tuple[Criterion, ...] = ()


@dataclass(frozen=True)
class PromptTemplate:
    """A prompt file; `uses` are the names of the values that it shows or depends on.

    `sha`, the first 12 hex digits of the SHA-256 of its source, is part of the signature.
    """

    name: str
    sha: str
    template: Template
    uses: frozenset[str]

    def render(
        self, item: Item | Pair, scale: RatingScale, options: PromptOptions = PromptOptions()
    ) -> RenderedPrompt:
        """Return the prompt for one item."""
        return self.render_with(
            _values(item, scale, options), purpose=f"{type(item).__name__.lower()}s"
        )

    def render_with(self, values: Mapping[str, object], *, purpose: str) -> RenderedPrompt:
        """Return the prompt for some values; `purpose` says in errors what such prompts are for.

        Raises:
            ConfigError: the template asks for something that is not among them, or for Python.
        """
        from jinja2 import TemplateRuntimeError

        try:
            system, shared, response = (self._block(block, values) for block in BLOCKS)
        except TemplateRuntimeError as error:
            raise ConfigError(
                f"prompt {self.name} cannot be rendered: {error}. A prompt for {purpose} sees: "
                f"{', '.join(values)}"
            ) from error
        return RenderedPrompt(system, shared, response)

    def _block(self, name: str, values: Mapping[str, object]) -> str:
        context = self.template.new_context(dict(values))
        return "".join(self.template.blocks[name](context))


def load_prompt(path: Path) -> PromptTemplate:
    """Return the template in a file, as the file is now.

    Raises:
        ConfigError: the file cannot be read, is no valid template, or lacks one of the blocks.
    """
    try:
        return _template(path, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"prompt file {path}: {error}") from error


@cache
def _template(path: Path, source: str) -> PromptTemplate:
    from jinja2 import StrictUndefined, TemplateError, meta
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    try:
        # Prompts of other people must not execute Python.
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
        template = environment.from_string(source)
        uses = frozenset(meta.find_undeclared_variables(environment.parse(source)))
    except TemplateError as error:
        raise ConfigError(f"prompt file {path}: {error}") from error
    missing = [block for block in BLOCKS if block not in template.blocks]
    if missing:
        raise ConfigError(
            f"prompt file {path} lacks the block(s) {', '.join(missing)}; a prompt has the blocks "
            f"{', '.join(BLOCKS)}, see prompts/rate.jinja of videojudge_bench"
        )
    sha = hashlib.sha256(source.encode()).hexdigest()[:12]
    return PromptTemplate(path.name, sha, template, uses)


def _values(item: Item | Pair, scale: RatingScale, options: PromptOptions) -> dict[str, object]:
    shared: dict[str, object] = {
        "instruction": item.instruction,
        "references": item.references,
        "description": item.description,
        "subtitles": item.subtitles,
        "has_video": item.video is not None,
        "low": scale.low,
        "high": scale.high,
        "feedback": options.feedback,
        "rubric": options.rubric,
        "write_rubric": options.write_rubric,
        "criteria": options.criteria,
    }
    if isinstance(item, Item):
        return {**shared, "response": item.response}
    return {**shared, "first": item.first, "second": item.second}


def find_prompt(cls: type, name: str, base: type) -> Path:
    """Return the file of a judge's prompt: beside its class or those above, or one of ours.

    Raises:
        ConfigError: there is none.
    """
    tried: list[Path] = []
    for owner in cls.__mro__[: cls.__mro__.index(base)]:
        try:
            folder = Path(inspect.getfile(owner)).parent
        except (OSError, TypeError):  # made in a notebook, or by `python -c`
            continue
        tried += [folder / name, folder / "prompts" / name]
    tried.append(PROMPTS_FOLDER / name)
    for path in tried:
        if path.is_file():
            return path
    raise ConfigError(
        f"judge {cls.__name__}: no prompt file {name!r}; looked at "
        + ", ".join(str(path) for path in tried)
    )
