"""Stable hashes. The goldens were made with coreutils' sha256sum, not with the code under test."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench._util.hashing import Json, content_hash, file_hash, unit_interval

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)
ANY_TEXT = st.text(st.characters())  # lone surrogates included


def _reordered(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _reordered(value[key]) for key in reversed(list(value))}
    if isinstance(value, list):
        return [_reordered(part) for part in value]
    return value


def test_content_hash_is_that_of_canonical_json() -> None:
    # printf '{"a":[1,2.5,null,true],"b":"é"}' | sha256sum
    expected = "2d13915cea65e5c86a2097e51aa092fb3f5a29e3b40d276704fc891f0f063399"
    assert content_hash({"b": "é", "a": [1, 2.5, None, True]}) == expected


@given(JSON)
def test_content_hash_ignores_the_order_of_keys(value: Json) -> None:
    assert content_hash(value) == content_hash(_reordered(value))


@pytest.mark.parametrize(
    ("one", "other"),
    [([1, 2], [2, 1]), ({"a": 1}, {"a": True}), ("1", 1), (["ab", ""], ["a", "b"]), (None, "null")],
)
def test_content_hash_tells_different_values_apart(one: Json, other: Json) -> None:
    assert content_hash(one) != content_hash(other)


def test_content_hash_takes_lone_surrogates() -> None:
    assert content_hash("\ud800") != content_hash("\udfff")


def test_file_hash_reads_past_the_first_block(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"ab" * (1 << 20))  # two blocks
    # head -c 2097152 < <(yes ab | tr -d '\n') | sha256sum
    assert file_hash(path) == "9437fffe24658f67662446bc9c0d6aaa6afc7bf866ba2b64ae396fc7d3a140e4"


def test_file_hash_of_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    # sha256sum < /dev/null
    assert file_hash(path) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(st.lists(ANY_TEXT, max_size=4))
def test_unit_interval_lies_in_zero_to_one_and_repeats(parts: list[str]) -> None:
    number = unit_interval(*parts)
    assert 0.0 <= number < 1.0
    assert unit_interval(*parts) == number


def test_unit_interval_golden() -> None:
    # printf 'part\x1fv0' | sha256sum begins with 80511eefce75bb29; as a fraction of 2**64:
    assert unit_interval("part", "v0") == pytest.approx(0x80511EEFCE75BB29 / 2**64, abs=1e-15)


@pytest.mark.parametrize(("byte", "expected"), [(0x00, 0.0), (0x80, 0.50196)])
def test_unit_interval_reads_the_digest_as_a_fraction(
    monkeypatch: pytest.MonkeyPatch, byte: int, expected: float
) -> None:
    monkeypatch.setattr("hashlib.sha256", lambda _: _FixedDigest(byte))
    assert unit_interval("x") == pytest.approx(expected, abs=1e-5)  # 0x80…80 = 128/255


def test_the_highest_digest_is_still_below_one(monkeypatch: pytest.MonkeyPatch) -> None:
    # No input with such a digest is known, but 2**64 - 1 must not be rounded up to 1.0: an index
    # made from it would lie behind the last value.
    monkeypatch.setattr("hashlib.sha256", lambda _: _FixedDigest(0xFF))
    assert unit_interval("x") < 1.0


def test_unit_interval_is_spread_evenly() -> None:
    numbers = [unit_interval("spread", str(i)) for i in range(2000)]
    # Binomial(2000, 0.1) has the standard deviation 13.4; 200 ± 5 of them.
    for tenth in range(10):
        count = sum(tenth <= 10 * number < tenth + 1 for number in numbers)
        assert 133 <= count <= 267


class _FixedDigest:
    def __init__(self, byte: int) -> None:
        self._byte = byte

    def digest(self) -> bytes:
        return bytes([self._byte] * 32)
