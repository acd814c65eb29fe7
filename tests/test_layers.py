"""The tree and the house rules: what is packaged, how large things are, what is caught."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore] # comes with pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS: dict[str, Any] = PROJECT["tool"]["setuptools"]
TOP = "videojudge_bench"
NOT_OURS = {"tests", "results", "build", "dist", "out"}

MAX_FILE_LINES = 400
MAX_BODY_LINES = 40
MAX_BODY_LINES_WITH_A_REASON = 60
REASON = "long because"
BROAD = {"Exception", "BaseException"}


def _package_folders() -> dict[str, Path]:
    """Every package on disk: its import name and its folder, by setuptools' package-dir map."""
    roots = {TOP: TOP, **SETUPTOOLS["package-dir"]}
    found: dict[str, Path] = {}
    for name, folder in roots.items():
        for init in sorted((ROOT / folder).rglob("__init__.py")):
            inner = init.parent.relative_to(ROOT / folder).parts
            found[".".join([name, *inner])] = init.parent
    return found


def _sources() -> list[Path]:
    """Our Python files, tests apart."""
    folders = [p for p in ROOT.iterdir() if p.is_dir() and p.name not in NOT_OURS]
    return sorted(
        path for folder in folders if folder.name[0] != "." for path in folder.rglob("*.py")
    )


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function, clean=False) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def _is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(_is_broad(part) for part in caught.elts)
    return caught is None or (isinstance(caught, ast.Name) and caught.id in BROAD)


def _too_long(source: str) -> list[str]:
    lines = source.splitlines()
    found: list[str] = []
    for function in _functions(ast.parse(source)):
        text = "\n".join(lines[function.lineno - 1 : function.end_lineno])
        allowed = MAX_BODY_LINES_WITH_A_REASON if REASON in text else MAX_BODY_LINES
        if _body_lines(function) > allowed:
            found.append(f"{function.name}: {_body_lines(function)} lines")
    return found


def _broad_handlers(source: str) -> int:
    handlers = (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ExceptHandler))
    return sum(_is_broad(handler.type) for handler in handlers)


# The packages.


def test_every_package_on_disk_is_packaged_and_no_other() -> None:
    assert sorted(SETUPTOOLS["packages"]) == sorted(_package_folders())


def test_every_folder_with_our_python_files_is_a_package() -> None:
    packages = set(_package_folders().values())
    assert {path.parent for path in _sources()} - packages == {ROOT / "docs", ROOT / "examples"}


def test_every_mapped_folder_exists() -> None:
    for name, folder in SETUPTOOLS["package-dir"].items():
        assert name.startswith(f"{TOP}.")
        assert (ROOT / folder / "__init__.py").is_file()


def _data_files() -> dict[Path, str]:
    """Every file that is no Python file, with the innermost package that it is in."""
    found: dict[Path, str] = {}
    by_depth = sorted(_package_folders().items(), key=lambda item: len(item[1].parts))
    for name, folder in by_depth:
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                found[path] = name
    return found


def test_every_data_file_is_packaged() -> None:
    packaged = {
        path
        for name, patterns in SETUPTOOLS["package-data"].items()
        for pattern in patterns
        for path in _package_folders()[name].glob(pattern)
        if path.is_file()
    }
    files = _data_files()
    assert {path.suffix for path in files} >= {".jinja", ".yaml", ".gz", ".typed"}
    assert sorted(str(p.relative_to(ROOT)) for p in set(files) - packaged) == []


def test_every_line_of_package_data_matches_something() -> None:
    idle = [
        f"{name}: {pattern}"
        for name, patterns in SETUPTOOLS["package-data"].items()
        for pattern in patterns
        if not any(_package_folders()[name].glob(pattern))
    ]
    assert idle == []


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / TOP / "py.typed").is_file()


def test_one_module_alone_changes_where_packages_are_looked_for() -> None:
    changing = [path for path in _sources() if "__path__" in path.read_text(encoding="utf-8")]
    assert [str(path.relative_to(ROOT)) for path in changing] == [f"{TOP}/__init__.py"]


def test_contributing_shows_the_tree() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    lines = text.partition("## The tree\n\n```\n")[2].partition("```")[0].splitlines()
    folders = {line.split("/")[0].strip() for line in lines if "/ " in line[:20]}
    (modules,) = [line.split() for line in lines if line.startswith("  items ")]
    shown = {path.parent.relative_to(ROOT).parts for path in _sources()}
    inside = {parts[1] for parts in shown if parts[0] == TOP and len(parts) > 1}
    flat = {path.stem for path in (ROOT / TOP).glob("*.py")} - {"__init__"}
    tops = {parts[0] for parts in shown} | {"results", "tests"}
    assert folders == tops | (inside - set(modules))
    assert set(modules) == flat | (inside & set(modules))


# The house rules.


@pytest.mark.parametrize("path", _sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_sizes_of_a_file_and_of_its_functions(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= MAX_FILE_LINES
    assert _too_long(source) == []


def test_a_broad_except_occurs_exactly_three_times_in_the_product() -> None:
    # The item boundary, the guard of the entry point and the scoring boundary: each turns what it
    # catches into a recorded failure. Anywhere else it would hide a bug.
    counts = {
        str(path.relative_to(ROOT)): _broad_handlers(path.read_text(encoding="utf-8"))
        for path in _sources()
    }
    assert {path: count for path, count in counts.items() if count} == {
        "videojudge_bench/harness/plugin.py": 1,
        "videojudge_bench/harness/scoring.py": 1,
        "videojudge_bench/run/runner.py": 1,
    }


# The checks themselves.


def _function(lines: int, *, docstring: bool = False, comment: str = "") -> str:
    body = ["    x = 1"] * lines
    if comment:
        body[0] += f"  # {comment}"
    return "\n".join(["def f():", *(['    """Doc.\n\n    """'] if docstring else []), *body])


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (_function(40), []),
        (_function(41), ["f: 41 lines"]),
        (_function(40, docstring=True), []),
        (_function(41, docstring=True), ["f: 41 lines"]),
        (_function(60, comment="long because it is a table"), []),
        (_function(61, comment="long because it is a table"), ["f: 61 lines"]),
        (f"async {_function(41)}", ["f: 41 lines"]),
        ('def f():\n    """Only a docstring."""', []),
    ],
)
def test_the_measure_of_a_function(source: str, found: list[str]) -> None:
    assert _too_long(source) == found


@pytest.mark.parametrize(
    ("caught", "broad"),
    [
        (" Exception", 1),
        (" BaseException as e", 1),
        ("", 1),
        (" (ValueError, Exception)", 1),
        (" ValueError", 0),
        (" (OSError, KeyError)", 0),
    ],
)
def test_what_counts_as_a_broad_except(caught: str, broad: int) -> None:
    assert _broad_handlers(f"try:\n    pass\nexcept{caught}:\n    pass") == broad
