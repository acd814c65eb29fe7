"""Recipes: YAML files of options, with single options changed on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from videojudge_bench.errors import ConfigError, UnknownNameError, unknown_name
from videojudge_bench.prompts import PROMPTS_FOLDER, PromptTemplate, load_prompt

_Options = TypeVar("_Options", bound=BaseModel)

_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")


def recipes_in(folder: Path) -> list[str]:
    """Return the names of the recipes in a folder."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def read_recipe(recipe: str, changes: Sequence[str], *, folder: Path) -> dict[str, object]:
    """Return the content of a recipe, a name in `folder` or a `.yaml` file, with `changes` made.

    Raises:
        UnknownNameError: no such recipe.
        ConfigError: the file cannot be read, is no YAML, or a change cannot be made.
    """
    data = _read(recipe, folder)
    for change in changes:
        make_change(data, change)
    return data


def prompt_path(path: str) -> Path:
    """Return where a prompt lies; a file below `training/` of this package is named from there."""
    beside_recipes = Path(__file__).parent / path
    return beside_recipes if beside_recipes.is_file() else Path(path)


def load_prompt_of(path: str | None, ours: str) -> PromptTemplate:
    """Return the prompt at `prompt_path`, or our own of the name `ours`."""
    return load_prompt(prompt_path(path) if path else PROMPTS_FOLDER / ours)


def make_change(data: dict[str, object], change: str) -> None:
    """Set an option: `key=value`, the value in YAML; `model.pretrained=…` reaches inside."""
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise ConfigError(f"--override: expected KEY=VALUE, got {change!r}")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--override {change!r}: the value is no YAML ({error})") from error
    *outer, name = key.split(".")
    for part in outer:
        inner = data.setdefault(part, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--override {key}=…: {part} holds no options")
        data = inner
    data[name] = value


def checked(
    options: type[_Options], data: Mapping[str, object], inner: Mapping[str, Sequence[str]]
) -> tuple[_Options | None, list[str]]:
    """Return the options of a recipe, None if there is a problem, and all problems.

    `inner` has the allowed names in sections of the recipe, by the section's name.
    """
    problems = _unknown_names(data, {"": list(options.model_fields), **inner})
    try:
        validated = options.model_validate(data)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if detail["type"] not in _UNKNOWN:
                place = ".".join(str(part) for part in detail["loc"])
                message = detail["msg"].removeprefix("Value error, ")
                problems.append(f"{place}: {message}" if place else message)
        return None, problems
    return (None if problems else validated), problems


def _read(recipe: str, folder: Path) -> dict[str, object]:
    path = folder / f"{recipe}.yaml"
    if not path.is_file():
        path = Path(recipe)
        if path.suffix not in (".yaml", ".yml"):
            hint = "A recipe of your own is a .yaml file."
            raise UnknownNameError("recipe", recipe, recipes_in(folder), hint=hint)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"recipe {path} cannot be read: {error}") from error
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise ConfigError(f"recipe {path}: expected `key: value` lines")
    return data


def _unknown_names(data: Mapping[str, object], allowed: Mapping[str, Sequence[str]]) -> list[str]:
    """Problems with the nearest known name, which pydantic does not give."""
    problems: list[str] = []
    for place, names in allowed.items():
        section = data if not place else data.get(place)
        if isinstance(section, Mapping):
            what = f"option in {place}" if place else "option"
            problems += [unknown_name(what, str(k), names) for k in section if k not in names]
    return problems
