"""Options as text: `key=value,key=value`, as lmms-eval's `--model_args` has them."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import NoneType, SimpleNamespace, UnionType
from typing import Literal, Union, get_args, get_origin, get_type_hints

from videojudge_bench.errors import ConfigError

Scalar = Union[str, int, float, bool, None]
"""The value of an option or of a part of a signature."""

HIDDEN = "…"

# A comma separates only where a new key follows: a value may hold commas (JSON, a list).
_SEPARATOR = re.compile(r",(?=\s*[A-Za-z_]\w*\s*(?:=|,|$))")
_KINDS: Mapping[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
    NoneType: "none",
}
_NESTED = re.compile(r"(?<=[\[;,])(\s*(\w+)\s*=)([^;,\]]*)")
_SECRET_WORDS = {"key", "keys", "apikey", "token", "secret", "secrets", "password", "auth"}
_URL_USER = re.compile(r"(?<=://)[^/@\s]*@")
_URL_QUERY = re.compile(r"(://[^?\s]*\?)\S+")


def parse_options(text: str) -> dict[str, str]:
    """Return the options in a text, values as written; raises ConfigError for another form."""
    options: dict[str, str] = {}
    for part in _split(text, _SEPARATOR) if text.strip() else ():
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key:
            raise ConfigError(f"{part!r} has no value; an option is written {key or 'key'}=value")
        if key in options:
            values = "" if is_secret(key) else f": {options[key]!r} and {value!r}"
            raise ConfigError(f"option {key!r} is given twice{values}")
        options[key] = value
    return options


def parse_list(text: str) -> list[str]:
    """Return the parts of `[a;b,option=value]`, empty ones left out; brackets may be nested."""
    inner = text.strip()
    if inner.startswith("[") != inner.endswith("]") or inner.count("[") != inner.count("]"):
        raise ConfigError(f"expected a list [a;b], with a closing bracket for each, got {text!r}")
    if inner.startswith("["):
        inner = inner[1:-1]
    return [part.strip() for part in _split(inner, re.compile(";")) if part.strip()]


def _split(text: str, separator: re.Pattern[str]) -> list[str]:
    """Return the parts of a text; what is in square brackets stays in one part."""
    parts, start = list[str](), 0
    for match in separator.finditer(text):
        before = text[start : match.start()]
        if before.count("[") <= before.count("]"):
            parts.append(before)
            start = match.end()
    return [*parts, text[start:]]


def parse_named(kind: str, text: str) -> tuple[str, dict[str, Scalar]]:
    """Return name and options in `NAME,option=value,…` or `kind=NAME,…`; see `parse_options`."""
    options = parse_options(f"{kind}={text.removeprefix(f'{kind}=')}")
    name = options.pop(kind)
    return name, {key: scalar(value) for key, value in options.items()}


def parse_judge(text: str) -> tuple[str, dict[str, Scalar]]:
    """Return name and options of the judge in `NAME,option=value,…`; see `parse_options`."""
    return parse_named("judge", text)


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


def resolved(parameter: inspect.Parameter, function: Callable[..., object]) -> inspect.Parameter:
    """Return a parameter with the type that its annotation means where it was written.

    A postponed annotation that names what only type checkers import stays a text.
    """
    annotations = {parameter.name: parameter.annotation}
    names = getattr(inspect.unwrap(function), "__globals__", {})
    with suppress(NameError, AttributeError, TypeError, SyntaxError):
        annotations = get_type_hints(SimpleNamespace(__annotations__=annotations), names)
    return parameter.replace(annotation=annotations[parameter.name])


def meant(parameter: inspect.Parameter, value: Scalar) -> Scalar | Path:
    """Return a value from a command line as the type of a constructor's parameter has it.

    `none` is None where None is allowed and no text is; a number is text where only text or a path
    is allowed (a folder called 2024), and `1` and `1.0` are the same number. The annotation is as
    `resolved` gives it.

    Raises:
        ConfigError: the type does not allow the value. Types other than numbers, texts, paths,
            booleans, None, `Literal` and unions of these are not checked.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{parameter.name}={value!r}: expected a finite number")
    kinds, literals = _kinds_of(parameter.annotation)
    if not kinds <= _KINDS.keys():
        return value
    for reading in _readings(value, kinds, literals):
        return reading
    allowed = [repr(literal) if isinstance(literal, str) else str(literal) for literal in literals]
    allowed += [_KINDS[kind] for kind in _KINDS if kind in kinds]
    raise ConfigError(f"{parameter.name}={value!r}: expected {' or '.join(allowed)}")


def _readings(
    value: Scalar, kinds: set[object], literals: Sequence[Scalar]
) -> Iterator[Scalar | Path]:
    """Yield what a value can be read as, the likeliest first."""
    yield from (n for n in literals if n == value or (isinstance(n, str) and n == str(value)))
    if str(value).lower() == "none" and NoneType in kinds and str not in kinds:
        yield None
    if type(value) in kinds:
        yield value
    if type(value) is int and float in kinds:
        yield float(value)
    if isinstance(value, float) and value.is_integer() and int in kinds:
        yield int(value)  # lmms-eval reads -1 as -1.0
    if {str, Path} & kinds and not isinstance(value, bool) and value is not None:
        yield Path(str(value)) if Path in kinds else str(value)


def _kinds_of(annotation: object) -> tuple[set[object], list[Scalar]]:
    """The types that an annotation allows, and the values of its `Literal`s."""
    origin = get_origin(annotation)
    if origin is Literal:
        return set(), list(get_args(annotation))
    if origin not in (Union, UnionType):
        return {annotation}, []
    parts = [_kinds_of(part) for part in get_args(annotation)]
    kinds = {kind for some, _ in parts for kind in some}
    return kinds, [literal for _, some in parts for literal in some]


def without_secrets(options: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return options fit to be written down: no key, token or password, none in a URL either."""
    return {
        name: HIDDEN if is_secret(name) else _without_url_secrets(value)
        for name, value in options.items()
    }


def secret_names(options: Mapping[str, Scalar]) -> list[str]:
    """Return the names of the options that `without_secrets` would not leave as they are."""
    redacted = without_secrets(options)
    return [name for name, value in options.items() if redacted[name] != value]


def is_secret(name: str) -> bool:
    """Return whether an option of this name holds a secret (`api_key`; not `max_tokens`)."""
    return not _SECRET_WORDS.isdisjoint(name.lower().split("_"))


def _without_url_secrets(value: Scalar) -> Scalar:
    """Without the user and the query of a URL (`?key=…`)."""
    if not isinstance(value, str):
        return value
    if value.startswith("["):  # judges in a list, with options of their own
        value = _NESTED.sub(lambda m: m[1] + HIDDEN if is_secret(m[2]) else m[0], value)
    return _URL_QUERY.sub(rf"\g<1>{HIDDEN}", _URL_USER.sub(f"{HIDDEN}@", value))
