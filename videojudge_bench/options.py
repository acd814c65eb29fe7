"""Options as text: `key=value,key=value`, as lmms-eval's `--model_args` has them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from videojudge_bench.errors import ConfigError
from videojudge_bench.signature import Scalar

HIDDEN = "…"

# A comma separates only where a new key follows: a value may hold commas (JSON, a list).
_SEPARATOR = re.compile(r",(?=\s*[A-Za-z_]\w*\s*(?:=|,|$))")
_SECRET_WORDS = {"key", "keys", "apikey", "token", "secret", "secrets", "password", "auth"}
_URL_USER = re.compile(r"(?<=://)[^/@\s]*@")


def parse_options(text: str) -> dict[str, str]:
    """Return the options in a text, values as they are written.

    Raises:
        ConfigError: a part is not `key=value`, or a key is given twice.
    """
    options: dict[str, str] = {}
    for part in _SEPARATOR.split(text) if text.strip() else ():
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key:
            raise ConfigError(f"{part!r} has no value; an option is written {key or 'key'}=value")
        if key in options:
            raise ConfigError(f"option {key!r} is given twice: {options[key]!r} and {value!r}")
        options[key] = value
    return options


def scalar(text: str) -> Scalar:
    """Return the value that lmms-eval makes of a text: bool, int, float or the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def without_secrets(options: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return options fit to be written down: no key, token or password, none in a URL either."""
    return {
        name: HIDDEN if is_secret(name) else _without_user(value) for name, value in options.items()
    }


def is_secret(name: str) -> bool:
    """Return whether an option of this name holds a secret (`api_key`; not `max_tokens`)."""
    return not _SECRET_WORDS.isdisjoint(name.lower().split("_"))


def _without_user(value: Scalar) -> Scalar:
    return _URL_USER.sub(f"{HIDDEN}@", value) if isinstance(value, str) else value
