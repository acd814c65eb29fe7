"""Signatures: one line of text in two halves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench._util.options import Scalar
from videojudge_bench.signature import Signature, render, short_hash

VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text())
PARTS = st.dictionaries(st.text("abc_", min_size=1), VALUES, max_size=5)


def test_a_signature_is_its_two_halves() -> None:
    signature = Signature({"set": "vatex", "refs": 9}, {"judge": "x", "seed": 0})
    assert signature.measurement_text == "set:vatex|refs:9"
    assert signature.judge_text == "judge:x|seed:0"
    assert str(signature) == "set:vatex|refs:9||judge:x|seed:0"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (0.0, "0.0"),
        (1e-7, "1e-07"),
        (0.1, "0.1"),
        ("", ""),
        ("a|b\nc", "a/b c"),
    ],
)
def test_every_kind_of_value_is_rendered(value: Scalar, text: str) -> None:
    assert render({"key": value}) == f"key:{text}"


def test_the_order_of_parts_is_kept_when_rendered() -> None:
    assert render({"b": 1, "a": 2}) == "b:1|a:2"


@given(PARTS)
def test_a_rendered_half_is_one_line_of_as_many_parts(parts: dict[str, Scalar]) -> None:
    text = render(parts)
    assert text.count("|") == max(len(parts) - 1, 0)
    assert len(f"{text}.".splitlines()) == 1


@given(PARTS)
def test_the_short_hash_ignores_order(parts: dict[str, Scalar]) -> None:
    made = short_hash(parts)
    assert len(made) == 12
    assert set(made) <= set("0123456789abcdef")
    assert short_hash(dict(reversed(list(parts.items())))) == made


@given(PARTS, st.text("abc_", min_size=1), VALUES, VALUES)
def test_the_short_hash_changes_with_any_value(
    parts: dict[str, Scalar], key: str, one: Scalar, other: Scalar
) -> None:
    same = repr(one) == repr(other)
    assert (short_hash({**parts, key: one}) == short_hash({**parts, key: other})) is same


def test_the_short_hash_tells_kinds_apart() -> None:
    assert len({short_hash({"a": value}) for value in (1, True, "1", None, "none", "yes")}) == 6
