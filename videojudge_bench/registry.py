"""Judges and engines by name: built-in ones, those of installed packages, and `module:Class`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, cast

from videojudge_bench.errors import ConfigError, UnknownNameError, unknown_name
from videojudge_bench.judge import Judge
from videojudge_bench.options import is_secret, without_secrets
from videojudge_bench.signature import Scalar

if TYPE_CHECKING:
    from videojudge_bench.engine import Engine

ENTRY_POINT_GROUP = "videojudge_bench.judges"

_BUILT_IN = {
    "random": "videojudge_bench.judges.baselines:Random",
    "constant": "videojudge_bench.judges.baselines:Constant",
    "longest": "videojudge_bench.judges.baselines:Longest",
    "bleu1": "videojudge_bench.judges.metrics:Bleu1",
    "bleu4": "videojudge_bench.judges.metrics:Bleu4",
    "rouge_l": "videojudge_bench.judges.metrics:RougeL",
    "cider": "videojudge_bench.judges.metrics:Cider",
    "chrf": "videojudge_bench.judges.metrics:Chrf",
    "minilm": "videojudge_bench.judges.minilm:MiniLM",
    "precomputed": "videojudge_bench.judges.precomputed:Precomputed",
    "scripted": "videojudge_bench.judges.scripted:Scripted",
}


_ENGINES = {"scripted": "videojudge_bench.judges.engines.scripted:ScriptedEngine"}


@dataclass(frozen=True)
class BuiltJudge:
    """A judge ready to work, with the name and the options that made it.

    Attributes:
        name: as the user gave it.
        judge: the instance.
        options: the constructor's arguments, defaults included.
    """

    name: str
    judge: Judge
    options: Mapping[str, Scalar]

    def signature(self) -> dict[str, Scalar]:
        """Return the judge's part of the signature: name, options, then what it adds itself.

        Secrets (an API key) are left out.
        """
        signed = {
            name: value
            for name, value in self.options.items()
            if name not in self.judge.unsigned and not is_secret(name)
        }
        return without_secrets({"judge": self.name, **signed, **self.judge.settings()})


def names() -> dict[str, str]:
    """Return all judges that can be asked for by name, each with its `module:Class`."""
    found = {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
    return dict(sorted({**found, **_BUILT_IN}.items()))


def judge_class(name: str) -> type[Judge]:
    """Return the class behind a name or a `module:Class`.

    Raises:
        UnknownNameError: no such judge, or no such class in the module.
        ConfigError: the module cannot be imported, or the class is no `Judge`.
    """
    found = _import("judge", name, names(), hint="See `videojudge judges`.")
    if not issubclass(found, Judge):
        raise ConfigError(f"judge {name!r}: it is not a subclass of videojudge_bench.Judge")
    return found


def options_of(cls: type) -> dict[str, inspect.Parameter]:
    """Return the options of a judge or engine: its constructor's named parameters."""
    skip = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {n: p for n, p in inspect.signature(cls).parameters.items() if p.kind not in skip}


def build(name: str, options: Mapping[str, Scalar]) -> BuiltJudge:
    """Return a judge made with the given options.

    Raises:
        UnknownNameError: no such judge.
        ConfigError: unknown or missing options (all of them in one message), or the constructor
            refused a value.
    """
    cls = judge_class(name)
    judge = _make(f"judge {name!r}", cls, options)
    assert isinstance(judge, Judge)
    required = inspect.Parameter.empty
    defaults = {n: p.default for n, p in options_of(cls).items() if p.default is not required}
    given = {n: _like(defaults.get(n), value) for n, value in options.items()}
    return BuiltJudge(name, judge, {**defaults, **given})


def build_engine(
    name: str, options: Mapping[str, Scalar], *, also_allowed: Iterable[str] = ()
) -> Engine:
    """Return an engine by its name or `module:Class`; raises as `build` does.

    Args:
        name: of the engine.
        options: for its constructor.
        also_allowed: options of the judge that uses it, for the message about an unknown one.
    """
    cls = _import("engine", name, _ENGINES, hint="")
    return cast("Engine", _make(f"engine {name!r}", cls, options, also_allowed))


def _import(what: str, name: str, known: Mapping[str, str], *, hint: str) -> type:
    module_name, colon, class_name = known.get(name, name).partition(":")
    if not colon:
        raise UnknownNameError(
            what, name, known, hint=f"{hint} A class of your own is module:Class.".strip()
        )
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError, TypeError) as error:  # the last two: a malformed name
        raise ConfigError(
            f"{what} {name!r}: the module {module_name!r} cannot be imported ({error}). "
            "Install the package it belongs to, or run where Python finds it."
        ) from error
    found = getattr(module, class_name, None)
    if not inspect.isclass(found):
        public = [n for n, v in vars(module).items() if inspect.isclass(v) and n[0] != "_"]
        raise UnknownNameError(f"class in module {module_name}", class_name, public)
    return found


def check_options(name: str, given: Iterable[str], *, also_allowed: Iterable[str] = ()) -> None:
    """Check the names of options without making the judge.

    Args:
        name: of the judge.
        given: the names to check.
        also_allowed: names that the caller takes itself, for the message.

    Raises:
        UnknownNameError: no such judge.
        ConfigError: unknown or missing options, all of them in one message.
    """
    problems = _option_problems(judge_class(name), list(given), also_allowed)
    if problems:
        raise ConfigError.all_of(f"judge {name!r}", problems)


def _like(default: object, value: Scalar) -> Scalar:
    """`0` given for an option whose default is `0.0` is the same setting, and the same run."""
    return float(value) if isinstance(default, float) and type(value) is int else value


def _make(
    what: str, cls: type, options: Mapping[str, Scalar], also_allowed: Iterable[str] = ()
) -> object:
    problems = _option_problems(cls, options, also_allowed)
    if problems:
        raise ConfigError.all_of(what, problems)
    try:
        return cls(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{what} refused its options: {error}") from error


def _option_problems(
    cls: type, given: Collection[str], also_allowed: Iterable[str] = ()
) -> list[str]:
    parameters = inspect.signature(cls).parameters.values()
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
    named = options_of(cls)
    unknown = [option for option in given if option not in named and not open_ended]
    problems = [unknown_name("option", o, [*named, *also_allowed]) for o in unknown]
    problems += [
        f"option {option!r} is missing: give it as {option}=…"
        for option, parameter in named.items()
        if parameter.default is inspect.Parameter.empty and option not in given
    ]
    return problems
