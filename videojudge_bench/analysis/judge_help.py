"""Help of a judge and its options, out of its class and that of its engine."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass

from videojudge_bench import registry

_ENTRY = re.compile(r"^(?P<names>\w+(?:, \w+)*): (?P<text>.*)$")


COMMON = frozenset(
    {
        *("base_url", "model", "pretrained", "api_key", "engine", "device", "dtype", "max_frames"),
        *("fps", "score", "video", "rubric", "temperature", "max_tokens", "seed"),
    }
)
"""Options of judges that ask a model that most runs set, at most 15 of one judge."""


@dataclass(frozen=True)
class OptionHelp:
    """One option of a judge.

    Attributes:
        default: as it is written on a command line; `required` when there is none.
        meaning: from the class's docstring; empty where it has none.
        advanced: whether it is neither the judge's own nor among `COMMON`.
    """

    name: str
    default: str
    meaning: str
    advanced: bool


@dataclass(frozen=True)
class JudgeHelp:
    """Summary of a judge, and its options: its own first, then those of its base classes."""

    summary: str
    options: tuple[OptionHelp, ...]


def help_of(name: str) -> JudgeHelp:
    """Return the help of a judge; raises as `registry.judge_class`."""
    cls = registry.judge_class(name)
    documented = list(cls.__mro__[:-1])
    if engine := registry.engine_name(cls):
        documented.append(registry.engine_class(engine))
    meanings: dict[str, str] = {}
    for owner in documented:
        for option, text in _arguments(owner):
            meanings.setdefault(option, text)
    parameters = registry.options_of(cls)
    own = [option for option in own_parameters(cls) if option in parameters]
    order = [*own, *(option for option in parameters if option not in own)]
    options = (
        OptionHelp(
            option,
            written(parameters[option]),
            meanings.get(option, ""),
            option not in own and option not in COMMON,
        )
        for option in order
    )
    first, *_ = (inspect.getdoc(cls) or "").partition("\n\nArgs:")
    return JudgeHelp(first, tuple(options))


def own_parameters(cls: type) -> dict[str, inspect.Parameter]:
    """Return the options that a class itself names; no engine is loaded for those it hands on."""
    if "__init__" not in vars(cls):
        return {}
    _, *parameters = inspect.signature(vars(cls)["__init__"]).parameters.values()
    return {p.name: p for p in parameters if p.kind is not p.VAR_KEYWORD}


def written(parameter: inspect.Parameter) -> str:
    """Return a default as the command line has it."""
    default = parameter.default
    if default is parameter.empty:
        return "required"
    return str(default).lower() if isinstance(default, bool) or default is None else str(default)


def _arguments(cls: type) -> Iterator[tuple[str, str]]:
    """Yield name and text of each entry under `Args:` in a docstring of Google's style."""
    _, _, rest = inspect.cleandoc(vars(cls).get("__doc__") or "").partition("\nArgs:\n")
    entry: list[str] = []
    for line in [*rest.split("\n"), "end"]:
        if not line.startswith("     "):  # a new entry, or the end of the section
            if match := _ENTRY.match(" ".join(entry)):
                yield from ((name, match["text"]) for name in match["names"].split(", "))
            entry = []
        if not line.startswith("    "):
            return
        entry.append(line.strip())
