"""Judges and engines by name: built-in ones, those of installed packages, and a user's own.

A class of one's own is `module:Class`, or `file.py:Class`.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import cast

from videojudge_bench._util.hashing import content_hash
from videojudge_bench._util.options import Scalar, is_secret, meant, resolved, without_secrets
from videojudge_bench.engine import Engine
from videojudge_bench.errors import ConfigError, UnknownNameError, unknown_name
from videojudge_bench.judge import Judge

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
    "compact": "videojudge_bench.judges.compact:Compact",
    "precomputed": "videojudge_bench.judges.precomputed:Precomputed",
    "scripted": "videojudge_bench.judges.scripted:Scripted",
    "videojudge": "videojudge_bench.judges.videojudge:VideoJudge",
    "qwen2_5_vl": "videojudge_bench.judges.qwen_vl:Qwen2_5VL",
    "qwen3_vl": "videojudge_bench.judges.qwen_vl:Qwen3VL",
    "text_llm": "videojudge_bench.judges.text_llm:TextLLM",
    "openai": "videojudge_bench.judges.openai:OpenAI",
    "remote": "videojudge_bench.judges.remote:Remote",
    "jury": "videojudge_bench.judges.jury:Jury",
}

_ENGINES = {
    "scripted": "videojudge_bench.judges.engines.scripted:ScriptedEngine",
    "openai": "videojudge_bench.judges.engines.openai_engine:OpenAIEngine",
    "transformers": "videojudge_bench.judges.engines.transformers_engine:TransformersEngine",
}


_COLLECTS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class BuiltJudge:
    """A judge ready to work, with the name and the options that made it.

    Attributes:
        name: as the user gave it, without the folder of a file.
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
            name: _without_folder(value) if name == "engine" else value
            for name, value in self.options.items()
            if name not in self.judge.unsigned and not is_secret(name)
        }
        return without_secrets({"judge": self.name, **signed, **self.judge.settings()})


def names() -> dict[str, str]:
    """Return all judges that can be asked for by name, each with its `module:Class`."""
    plugins = {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
    return dict(sorted({**plugins, **_BUILT_IN}.items()))


def judge_class(name: str) -> type[Judge]:
    """Return the class behind a name, a `module:Class` or a `file.py:Class`.

    Raises:
        UnknownNameError: no such judge, or no such class in the module.
        ConfigError: the module cannot be imported, or the class is no `Judge`.
    """
    cls = find_class("judge", name, names(), hint="See `videojudge judges list`.")
    if not issubclass(cls, Judge):
        raise ConfigError(f"judge {name!r}: expected a subclass of videojudge_bench.Judge")
    return cls


def options_of(cls: type, engine: Scalar = None) -> dict[str, inspect.Parameter]:
    """Return the options of a judge or engine: its constructor's named parameters.

    A constructor that takes `**options` hands them on: those of the next class up that has one are
    options too, and those of the engine (by default the judge's own) of a judge that asks a model.
    """
    return _constructor(cls, engine)[0]


def engine_name(cls: type, engine: Scalar = None) -> str:
    """Return the engine that a judge has chosen (`runs_on`), is given, or has by default.

    Empty for a judge that asks no model, and for one that has no default.
    """
    if not hasattr(cls, "runs_on"):
        return ""
    named = [_parameters(owner).get("engine") for owner in cls.__mro__[:-1]]
    defaults = [each.default for each in named if each and isinstance(each.default, str)]
    return str(cls.runs_on or engine or next(iter(defaults), ""))


def _constructor(cls: type, engine: Scalar) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return all named parameters of a constructor, and whether it takes any others as well."""
    named: dict[str, inspect.Parameter] = {}
    takes_any = False
    for owner in cls.__mro__[:-1]:
        if "__init__" not in vars(owner):
            continue
        parameters = _parameters(owner)
        for name, parameter in parameters.items():
            if parameter.kind not in _COLLECTS:
                named.setdefault(name, parameter)
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        if not takes_any:
            break
    name = engine_name(cls, engine)
    if not name or not takes_any:
        return named, takes_any
    if getattr(cls, "runs_on", None):
        named.pop("engine", None)  # the class has chosen it
    return {**options_of(engine_class(name)), **named}, False


def _parameters(owner: type) -> dict[str, inspect.Parameter]:
    """The parameters of the constructor that a class itself has, `self` left out."""
    if "__init__" not in vars(owner):
        return {}
    constructor = vars(owner)["__init__"]
    _, *parameters = inspect.signature(constructor).parameters.values()
    return {parameter.name: resolved(parameter, constructor) for parameter in parameters}


def build(name: str, options: Mapping[str, Scalar]) -> BuiltJudge:
    """Return a judge made with the given options.

    Raises:
        UnknownNameError: no such judge.
        ConfigError: unknown or missing options (all of them in one message), or the constructor
            refused a value.
    """
    cls = judge_class(name)
    judge = make(f"judge {name!r}", cls, options)
    assert isinstance(judge, Judge)
    named, required = options_of(cls, options.get("engine")), inspect.Parameter.empty
    taken = {n: p.default for n, p in named.items() if p.default is not required}
    taken |= _meant(cls, options)[0]
    plain = {n: str(value) if isinstance(value, Path) else value for n, value in taken.items()}
    return BuiltJudge(judge.name or str(_without_folder(name)), judge, plain)


def build_engine(
    name: str, options: Mapping[str, Scalar], *, also_allowed: Iterable[str] = ()
) -> Engine:
    """Return an engine by its name or `module:Class`; raises as `build`.

    `also_allowed` are options of the judge that uses it, for the message about an unknown one.
    """
    engine = make(f"engine {name!r}", engine_class(name), options, also_allowed)
    return cast("Engine", engine)


def engine_class(name: str) -> type:
    """Return the class behind the name of an engine or a `module:Class`; raises as `build`."""
    return find_class("engine", name, _ENGINES)


def find_class(what: str, name: str, known: Mapping[str, str], *, hint: str = "") -> type:
    """Return the class that a name stands for; raises as `judge_class`.

    The name is a key of `known`, `module:Class`, `file.py:Class`, or a file with one such class.
    `what` and `hint` are for messages.
    """
    target = known.get(name, name)
    module_name, colon, class_name = target.rpartition(":")
    is_file = target.endswith(".py")
    if not (colon or is_file):
        own = "A class of your own is module:Class or ./file.py:Class."
        raise UnknownNameError(what, name, known, hint=f"{hint} {own}".strip())
    module = _module(target if is_file else module_name, f"{what} {name!r}")
    classes = {
        n: value
        for n, value in vars(module).items()
        if n[0] != "_" and inspect.isclass(value) and value.__module__ == module.__name__
    }
    if is_file:
        of_kind = [n for n, v in classes.items() if what != "judge" or issubclass(v, Judge)]
        if len(of_kind) != 1:
            raise ConfigError(
                f"{what} {name!r}: expected one {what} in the file, got "
                f"{' and '.join(of_kind) or 'none'}. Name the class: {name}:Class"
            )
        class_name = of_kind[0]
    cls = getattr(module, class_name, None)
    if not inspect.isclass(cls):
        raise UnknownNameError(f"class in module {module_name}", class_name, classes)
    return cls


_IN_A_FILE = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, OSError,
    RuntimeError, SyntaxError, TypeError, ValueError,
)  # fmt: skip
"""Exceptions that a module may raise while it is imported."""


def _module(name: str, what: str) -> ModuleType:
    """Import a module by its name, or from a file."""
    if name.endswith(".py") and not Path(name).expanduser().is_file():
        raise ConfigError(f"{what}: expected a file of Python, got {name!r}, which does not exist")
    try:
        return _imported(name)
    except _IN_A_FILE as error:
        fix = "Install the package it belongs to, or run where Python finds it."
        if name.endswith(".py"):
            fix = "Correct the file: python FILE shows where it fails."
        raise ConfigError(
            f"{what}: the module {name!r} cannot be imported ({type(error).__name__}: {error}). "
            f"{fix}"
        ) from error


def _imported(name: str) -> ModuleType:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name).expanduser().resolve()
    own_name = f"{path.stem}_{content_hash(str(path))[:8]}"
    spec = importlib.util.spec_from_file_location(own_name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no file of Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[own_name] = module  # where the source of a class is looked for
    spec.loader.exec_module(module)
    return module


def _without_folder(name: Scalar) -> Scalar:
    """The name of a class of one's own, without the folder of its file."""
    module_name, _, class_name = str(name).rpartition(":")
    return f"{Path(module_name).name}:{class_name}" if module_name.endswith(".py") else name


def check_options(
    name: str, given: Iterable[str], *, engine: Scalar = None, also_allowed: Iterable[str] = ()
) -> None:
    """Check the names of options without making the judge.

    Raises:
        UnknownNameError: no such judge.
        ConfigError: unknown or missing options, all of them in one message.
    """
    problems = _option_problems(judge_class(name), list(given), engine, also_allowed)
    if problems:
        raise ConfigError.all_of(f"judge {name!r}", problems)


def make(
    what: str,
    cls: type,
    options: Mapping[str, Scalar],
    also_allowed: Iterable[str] = (),
    given: Mapping[str, object] = MappingProxyType({}),
) -> object:
    """Return an instance made with a user's options; raises as `build`.

    Options are converted to what the constructor's annotations ask for; `given` are arguments that
    are not the user's. `also_allowed` are options that the caller takes, for messages.
    """
    engine = options.get("engine")
    problems = _option_problems(cls, [*options, *given], engine, also_allowed)
    arguments, wrong = _meant(cls, options)
    if problems + wrong:
        raise ConfigError.all_of(what, problems + wrong)
    try:
        return cls(**arguments, **given)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{what} refused its options: {error}") from error


def _meant(cls: type, options: Mapping[str, Scalar]) -> tuple[dict[str, Scalar | Path], list[str]]:
    """Return the options as the constructor wants them, and what is wrong with their values."""
    named, given = options_of(cls, options.get("engine")), dict[str, Scalar | Path](options)
    problems = list[str]()
    for name in options.keys() & named.keys():
        try:
            given[name] = meant(named[name], options[name])
        except ConfigError as error:
            problems.append(str(error))
    return given, sorted(problems)


def _option_problems(
    cls: type, given: Collection[str], engine: Scalar, also_allowed: Iterable[str]
) -> list[str]:
    named, open_ended = _constructor(cls, engine)
    unknown = [option for option in given if option not in named and not open_ended]
    problems = [unknown_name("option", o, [*named, *also_allowed]) for o in unknown]
    problems += [
        f"option {option!r} is missing: give it as {option}=…"
        for option, parameter in named.items()
        if parameter.default is inspect.Parameter.empty and option not in given
    ]
    return problems
