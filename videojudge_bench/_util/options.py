"""Options as text: `key=value,key=value`, as lmms-eval's `--model_args` has them."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterable, Mapping
from typing import Union, get_args

from videojudge_bench.errors import ConfigError

Scalar = Union[str, int, float, bool, None]
"""The value of an option or of a part of a signature."""

HIDDEN = "…"

# A comma separates only where a new key follows: a value may hold commas (JSON, a list).
_SEPARATOR = re.compile(r",(?=\s*[A-Za-z_]\w*\s*(?:=|,|$))")
_KINDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "None": "none",
}
_SECRET_WORDS = {"key", "keys", "apikey", "token", "secret", "secrets", "password", "auth"}
_URL_USER = re.compile(r"(?<=://)[^/@\s]*@")
_URL_QUERY = re.compile(r"(://[^?\s]*\?)\S+")


def parse_options(text: str) -> dict[str, str]:
    """Return the options in a text, values as they are written.

    Raises:
        ConfigError: a part is not `key=value`, or a key is given twice.
    """
    return _read(_SEPARATOR.split(text) if text.strip() else ())


def parse_named(kind: str, text: str) -> tuple[str, dict[str, Scalar]]:
    """Return name and options in `NAME,option=value,…`, or `kind=NAME,…`.

    Raises:
        ConfigError: as `parse_options`.
    """
    options = parse_options(f"{kind}={text.removeprefix(f'{kind}=')}")
    name = options.pop(kind)
    return name, {key: scalar(value) for key, value in options.items()}


def parse_judge(text: str) -> tuple[str, dict[str, Scalar]]:
    """Return name and options of the judge in `NAME,option=value,…`; raises as `parse_named`."""
    return parse_named("judge", text)


def _read(parts: Iterable[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in parts:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key:
            raise ConfigError(f"{part!r} has no value; an option is written {key or 'key'}=value")
        if key in options:
            values = "" if is_secret(key) else f": {options[key]!r} and {value!r}"
            raise ConfigError(f"option {key!r} is given twice{values}")
        options[key] = value
    return options


def scalar(text: str) -> Scalar:
    """Return the value that lmms-eval makes of a text: bool, int, float or the text itself.

    `nan` and `inf` stay texts: no option is one of them, and JSON has neither.
    """
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            value: int | float = kind(text)
        except ValueError:
            continue
        return value if math.isfinite(value) else text
    return text


def meant(parameter: inspect.Parameter, value: Scalar) -> Scalar:
    """Return the value that a constructor wants of what a command line gave.

    `none` is None where None is allowed and no text is; a number is text where text alone is
    wanted (a folder called 2024), and `1` and `1.0` are the same number.

    Raises:
        ConfigError: the value is of a kind that the annotation does not allow. Annotations of
            other types than numbers, texts, booleans and None are not looked at.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{parameter.name}={value!r}: expected a finite number")
    kinds = _kinds_of(parameter.annotation)
    if not kinds <= _KINDS.keys():
        return value
    if str(value).lower() == "none" and "None" in kinds and "str" not in kinds:
        return None
    if type(value).__name__ in kinds or (value is None and "None" in kinds):
        return value
    if type(value) is int and "float" in kinds:
        return float(value)
    if type(value) is float and value.is_integer() and "int" in kinds:
        return int(value)  # lmms-eval reads -1 as -1.0
    if "str" in kinds and not isinstance(value, bool) and value is not None:
        return str(value)
    allowed = " or ".join(_KINDS[kind] for kind in sorted(kinds, key=list(_KINDS).index))
    raise ConfigError(f"{parameter.name}={value!r}: it is {allowed}")


def _kinds_of(annotation: object) -> set[str]:
    """The names of the types of an annotation, which is a text where annotations are postponed."""
    if isinstance(annotation, str):
        return {part.strip() for part in annotation.split("|")}
    parts = get_args(annotation) or (annotation,)
    return {"None" if part is type(None) else getattr(part, "__name__", "") for part in parts}


def without_secrets(options: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return options fit to be written down: no key, token or password, none in a URL either."""
    return {
        name: HIDDEN if is_secret(name) else _without_url_secrets(value)
        for name, value in options.items()
    }


def secret_names(options: Mapping[str, Scalar]) -> list[str]:
    """Return the names of the options that `without_secrets` would not leave as they are."""
    shown = without_secrets(options)
    return [name for name, value in options.items() if shown[name] != value]


def is_secret(name: str) -> bool:
    """Return whether an option of this name holds a secret (`api_key`; not `max_tokens`)."""
    return not _SECRET_WORDS.isdisjoint(name.lower().split("_"))


def _without_url_secrets(value: Scalar) -> Scalar:
    """Without the user and the query of a URL (`?key=…`)."""
    if not isinstance(value, str):
        return value
    return _URL_QUERY.sub(rf"\g<1>{HIDDEN}", _URL_USER.sub(f"{HIDDEN}@", value))
