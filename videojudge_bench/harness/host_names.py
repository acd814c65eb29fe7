"""Names of the host's options and models, read from its source, as an import takes seconds."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from videojudge_bench.errors import UnknownNameError

GROUP = "lmms_eval.models"
OUR_MODEL = "videojudge"

_OPTION = re.compile(r"""^\s*(?:parser\.add_argument\()?["'](--[\w-]+)["']""", re.M)
_TABLES = ("AVAILABLE_SIMPLE_MODELS", "AVAILABLE_CHAT_TEMPLATE_MODELS", "MODEL_ALIASES")


def check_names(arguments: Sequence[str], model: str | None) -> None:
    """Raise UnknownNameError for an unknown option, or model, of an evaluation's command line.

    Nothing is checked where the host's source is not as expected, and no model where other plug-ins
    may add one.
    """
    if not arguments or not (arguments[0].startswith("-") or arguments[0] == "eval"):
        return  # another command of the host
    options = host_options()
    for word in arguments:
        name = word.partition("=")[0]
        # As argparse has it, the beginning of an option stands for it.
        if options and name[:2] == "--" != name and not any(o.startswith(name) for o in options):
            raise UnknownNameError("option", name, options)
    models = host_models()
    if model and models and model not in models and not _other_plugins():
        raise UnknownNameError("model", model, models)


def host_options() -> set[str]:
    """Return the options of the host's evaluation; none where they are not found."""
    options = set(_OPTION.findall(_source("__main__.py")))
    return options | {"--help"} if {"--model", "--tasks"} <= options else set()


def host_models() -> set[str]:
    """Return the names of the host's models and ours; none where they are not found."""
    names = set(_names(_source("models/__init__.py")))
    return names | {OUR_MODEL} if names else set()


def _names(source: str) -> Iterator[str]:
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        table = getattr(targets[0], "id", "") if len(targets) == 1 else ""
        if table not in _TABLES or not isinstance(node, (ast.Assign, ast.AnnAssign)):
            continue
        if isinstance(node.value, ast.Dict):
            for part in ast.walk(node.value) if table == "MODEL_ALIASES" else node.value.keys:
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


def _other_plugins() -> bool:
    names = {point.value.partition(":")[0] for point in entry_points(group=GROUP)}
    others = {name for name in names if not name.startswith("videojudge_bench")}
    return bool(others or os.environ.get("LMMS_EVAL_PLUGINS"))


def _source(path: str) -> str:
    spec = find_spec("lmms_eval")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(folder) / path
        if file.is_file():
            return file.read_text(encoding="utf-8")
    return ""
