"""Columns and JMESPath expressions of a mapping, evaluated on one row.

Beside the functions of JMESPath there are `match(text, pattern)`, the first group (or the whole) of
the first match of a regular expression, null without one, and `from_json(text)`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Union

import jmespath
from jmespath import exceptions, functions

from videojudge_bench.errors import unknown_name

Row = Mapping[str, object]
Tree = Mapping[str, Union[str, list["Tree"]]]

_FROM_ROW = {
    "function_expression",
    "or_expression",
    "and_expression",
    "not_expression",
    "key_val_pair",
}
_FROM_ROW |= {"comparator", "multi_select_list", "multi_select_dict"}
_NO_ROW = {"literal", "expref"}


class _Functions(functions.Functions):  # type: ignore[misc]
    @functions.signature({"types": ["string", "null"]}, {"types": ["string"]})  # type: ignore[untyped-decorator]
    def _func_match(self, text: str | None, pattern: str) -> str | None:
        match = None if text is None else re.search(pattern, text, re.DOTALL)
        return None if match is None else match[1] if match.re.groups else match[0]

    @functions.signature({"types": ["string", "null"]})  # type: ignore[untyped-decorator]
    def _func_from_json(self, text: str | None) -> object:
        return json.loads(text) if text else None


_OPTIONS = jmespath.Options(custom_functions=_Functions())

EVALUATION_ERRORS = (exceptions.JMESPathError, re.error, ValueError)
"""Errors of an expression on one row: a function gets a value of another type, say."""


@dataclass(frozen=True)
class Expression:
    """A column's name or a JMESPath expression; a column of exactly that name comes first.

    Attributes:
        roots: the columns that the expression reads; None: the whole row.
        fault: why it can be no expression, so that it must be a column; "" where it can be one.
    """

    text: str
    compiled: jmespath.parser.ParsedResult | None
    roots: frozenset[str] | None
    fault: str = ""

    def __call__(self, row: Row) -> object:
        """Return the value; None where there is none. Raises one of `EVALUATION_ERRORS`."""
        if self.text in row or self.compiled is None:
            return row.get(self.text)
        return self.compiled.search(row, _OPTIONS)

    def columns(self, names: Collection[str]) -> frozenset[str] | None:
        """Return the columns that it reads of a table with these columns; None: all."""
        return frozenset({self.text}) if self.text in names else self.roots

    def problem(self, names: Collection[str]) -> str:
        """Return the problem that a column which it reads is not among these; "" without one."""
        missing = sorted((self.columns(names) or frozenset()) - {*names})
        if not missing:
            return ""
        fault = f" ({self.fault})" if self.fault else ""
        return unknown_name("column", missing[0], names) + fault


def expression(text: str) -> Expression:
    """Return a column's name or expression, compiled; raises ValueError for an unknown function."""
    try:
        compiled = jmespath.compile(text)
    except exceptions.JMESPathError as error:
        fault = f"no JMESPath expression either: {str(error).splitlines()[0]}"
        return Expression(text, None, frozenset({text}), fault)
    known = _Functions.FUNCTION_TABLE
    for name in _called(compiled.parsed):
        if name not in known:
            raise ValueError(unknown_name("function", name, known))
    return Expression(text, compiled, _roots(compiled.parsed))


def _called(tree: Tree) -> list[str]:
    own = [str(tree["value"])] if tree["type"] == "function_expression" else []
    return own + [name for child in _children(tree) for name in _called(child)]


def _children(tree: Tree) -> list[Tree]:
    children = tree.get("children", [])
    return [child for child in children if isinstance(child, dict)]


def _roots(tree: Tree) -> frozenset[str] | None:
    """Return the columns of the row that a syntax tree reads; None where it reads `@`."""
    kind, children = tree["type"], _children(tree)
    if kind == "field":
        return frozenset({str(tree["value"])})
    if kind in _NO_ROW:
        return frozenset()
    if not children or kind in ("current", "identity"):
        return None
    # Of `a.b`, `a[0]`, `a | b` and `a[?b]` only the first part reads the row itself.
    of_row = [_roots(child) for child in (children if kind in _FROM_ROW else children[:1])]
    if any(roots is None for roots in of_row):
        return None
    return frozenset().union(*(roots for roots in of_row if roots is not None))
