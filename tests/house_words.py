"""Checks the first words of docstrings and the form of errors: `python tests/house_words.py`.

A docstring begins with an imperative or a noun phrase, an error says what was expected.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from videojudge_bench._util.terminal import say

ROOT = Path(__file__).parents[1]
FOLDERS = ("videojudge_bench", "judges", "tasks", "training", "examples")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
QUESTION = re.compile(r"(What|Which|Who|Whose|Whether|Does|How|Where|When|Why)\b")
VERDICT = re.compile(r": it (is|has|does|must|was) ")


def problems(path: Path) -> Iterator[str]:
    """Yield what a file has against the rules, each with its line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = set[ast.expr]()
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)) is not None:
            statement = node.body[0]
            assert isinstance(statement, ast.Expr)
            docstrings.add(statement.value)
            if QUESTION.match(text):
                first = text.partition("\n")[0]
                yield f"{path}:{statement.lineno}: expected an imperative or a noun, got {first!r}"
        elif isinstance(node, ast.Expr):  # a text that stands below a constant explains it
            docstrings.add(node.value)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or node in docstrings:
            continue
        if isinstance(node.value, str) and VERDICT.search(node.value):
            yield f"{path}:{node.lineno}: expected 'x: expected …', got {node.value!r}"


def main() -> int:
    """Print all problems; return 1 if there is one."""
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    found = [problem for path in files for problem in problems(path)]
    say(found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
