"""Prints how the code measures, for the table in CONTRIBUTING: `python tests/code_figures.py`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from videojudge_bench._util.terminal import say

ROOT = Path(__file__).parents[1]
FOLDERS = ("videojudge_bench", "judges", "tasks", "training")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[Function]:
    """Yield all functions of a module, inner ones too."""
    return (n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))


def body_lines(function: Function) -> int:
    """Return the lines of a body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function, clean=False) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def is_annotated(function: Function) -> bool:
    """Return whether all parameters but self and cls, and what comes back, have a type."""
    given = function.args
    parameters = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    parameters += [extra for extra in (given.vararg, given.kwarg) if extra]
    typed = all(p.annotation for p in parameters if p.arg not in ("self", "cls"))
    return typed and function.returns is not None


def main() -> None:
    """Print the figures."""
    texts = {
        path: path.read_text(encoding="utf-8")
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    found = [f for text in texts.values() for f in functions(ast.parse(text))]
    bodies = [body_lines(function) for function in found]
    lengths = {path: text.count("\n") for path, text in texts.items()}
    median, high = np.percentile(bodies, [50, 95])
    annotated = sum(map(is_annotated, found)) / len(found)
    say([f"{len(texts)} files, {sum(lengths.values()):,} lines, {len(found):,} functions"])
    whole = np.median([(f.end_lineno or 0) - f.lineno + 1 for f in found])
    say([f"function with its docstring: median {whole:g}"])
    say([f"body of a function: median {median:g}, 95th percentile {high:g}, most {max(bodies)}"])
    say([f"longer than 50 lines: {np.mean(np.array(bodies) > 50):.1%}; annotated: {annotated:.1%}"])
    middle, long = np.percentile([*lengths.values()], [50, 95])
    say([f"file: median {middle:g}, 95th percentile {long:g}"])
    for path in sorted(lengths, key=lambda p: -lengths[p])[:3]:
        say([f"  {lengths[path]} {path.relative_to(ROOT)}"])


if __name__ == "__main__":
    main()
