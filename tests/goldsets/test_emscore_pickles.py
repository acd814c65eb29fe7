from __future__ import annotations

import builtins
import codecs
import functools
import os
import pickle
import re
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from videojudge_bench.errors import DataError
from videojudge_bench.goldsets import emscore_pickles as emscore

PROTOCOLS = [2, 3, 4, 5]

PLAIN: list[object] = [
    None,
    True,
    -7,
    10**30,
    2.5,
    "é",
    b"",
    b"a\xff",
    [1, (2, {"k": {"a"}})],
    frozenset([1]),
    np.float32(2.5),
    np.int64(7),
    np.bool_(True),
    np.str_("x"),
    np.bytes_(b"q"),
]

ARRAYS: list[np.ndarray[Any, Any]] = [
    np.arange(6).reshape(2, 3),
    np.arange(6).reshape(2, 3).T,
    np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1),
    np.arange(10.0)[::2],
    np.array(5),
    np.zeros((0, 3), dtype=np.float32),
    np.array([True, False]),
    np.arange(3, dtype=">i4"),
    np.array([["a", "bcd"], ["é", ""]]),
    np.array([b"a", b"bb"]),
    np.array([], dtype=object),
    np.array([["a", None], [3, ["r1", "r2"]]], dtype=object),
]


class Call:
    """Pickles as the call of a function: what a hostile pickle is made of."""

    def __init__(self, function: object, *args: object, state: object = None) -> None:
        self.parts = (function, args) if state is None else (function, args, state)

    def __call__(self) -> None:
        """Only so that a call can stand where a pickle wants a function."""

    def __reduce__(self) -> tuple[Any, ...]:
        return self.parts


def pickled(folder: Path, content: bytes) -> Path:
    path = folder / "hostile.pkl"
    path.write_bytes(content)
    return path


def touch(marker: Path) -> str:
    return f"open({str(marker)!r}, 'w').close()"


def by_hand(marker: Path) -> bytes:
    # Protocol 0 in text: GLOBAL posix.system, MARK, one string, TUPLE, REDUCE.
    return f"cposix\nsystem\n(V: > {marker}\ntR.".encode()


def by_instance_opcode(marker: Path) -> bytes:
    # INST calls without REDUCE, so looking for REDUCE alone would miss it.
    return f"(V: > {marker}\niposix\nsystem\n.".encode()


def by_nested_reduce(marker: Path) -> bytes:
    # The inner call makes the function that the outer one calls.
    return pickle.dumps(Call(Call(functools.partial, os.system, f": > {marker}")))


def inside_an_array(marker: Path) -> bytes:
    return pickle.dumps(np.array(["a", Call(os.system, f": > {marker}")], dtype=object))


def as_an_argument_of_numpy(marker: Path) -> bytes:
    rebuild = np.empty(0).__reduce__()[0]
    return pickle.dumps(Call(rebuild, np.ndarray, (0,), Call(os.system, f": > {marker}")))


HOSTILE: dict[str, tuple[str, Callable[[Path], bytes]]] = {
    "os.system": (
        f"{os.system.__module__}.system",
        lambda marker: pickle.dumps(Call(os.system, f": > {marker}")),
    ),
    "eval": ("__builtin__.eval", lambda marker: pickle.dumps(Call(eval, touch(marker)), 2)),
    "eval, new name": ("builtins.eval", lambda marker: pickle.dumps(Call(eval, touch(marker)), 5)),
    "exec": ("builtins.exec", lambda marker: pickle.dumps(Call(exec, touch(marker)))),
    "open": ("io.open", lambda marker: pickle.dumps(Call(builtins.open, str(marker), "w"))),
    "subprocess": (
        "subprocess.call",
        lambda marker: pickle.dumps(Call(subprocess.call, ["touch", str(marker)])),
    ),
    "runpy by getattr": (
        "builtins.getattr",
        lambda marker: pickle.dumps(Call(Call(getattr, Path(marker), "touch"))),
    ),
    "numpy writes a file": (
        "numpy.save",
        lambda marker: pickle.dumps(Call(np.save, marker.with_suffix(""), 1)),
    ),
    "nested reduce": ("functools.partial", by_nested_reduce),
    "protocol 0 by hand": ("posix.system", by_hand),
    "opcode INST": ("posix.system", by_instance_opcode),
    "inside an array": (f"{os.system.__module__}.system", inside_an_array),
    "as an argument of numpy": (f"{os.system.__module__}.system", as_an_argument_of_numpy),
}


@pytest.mark.skipif(sys.platform == "win32", reason="the hostile pickles call posix.system")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_pickle_is_refused_by_name_and_not_run(tmp_path: Path, name: str) -> None:
    refused, build = HOSTILE[name]
    marker = tmp_path / "marker.npy"
    path = pickled(tmp_path, build(marker))
    text = f"{path}: asks for {refused!r}, which is refused and was not run: only lists, tuples,"
    with pytest.raises(DataError, match=re.escape(text)):
        emscore.load_pickle(path)
    assert not marker.exists()
    # The control: Python's own reader does run it.
    try:
        pickle.loads(path.read_bytes())
    except (TypeError, ValueError):
        assert name == "as an argument of numpy"  # which gets a number where it wants a type
    assert marker.exists()


@pytest.mark.parametrize(
    ("value", "refused"),
    [
        (OrderedDict(a=1), "collections.OrderedDict"),
        (bytearray(b"x"), "builtins.bytearray"),
        (Path("x"), "pathlib"),
        (np.random.default_rng(0), "numpy.random._pickle."),
        (np.ma.masked_array([1]), "numpy.ma"),
        (range(3), "builtins.range"),
    ],
)
def test_what_is_not_plain_is_refused_too(tmp_path: Path, value: object, refused: str) -> None:
    path = pickled(tmp_path, pickle.dumps(value, 4))
    with pytest.raises(DataError, match=re.escape(f"asks for '{refused}")):
        emscore.load_pickle(path)


REBUILD = np.empty(0).__reduce__()[0]
SCALAR = np.float64(0).__reduce__()[0]
FROM_BUFFER = np.arange(3).__reduce_ex__(5)[0]


def array_with(*state: object) -> Call:
    return Call(REBUILD, np.ndarray, (0,), b"b", state=state)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # Bytes in the place of object pointers: numpy's memory would be the file's choice.
        (array_with(1, (1,), np.dtype("O"), False, b"\0" * 8), "content does not fill its shape"),
        (Call(SCALAR, np.dtype("O"), b"\0" * 8), "a number's content does not fit its type"),
        (Call(FROM_BUFFER, b"\0" * 8, np.dtype("O"), (1,), "C"), "an array's content is not bytes"),
        (array_with(1, (9,), np.dtype("i8"), False, b"\0" * 8), "content does not fill its shape"),
        (array_with(1, (10**12,), np.dtype("i8"), False, b""), "content does not fill its shape"),
        (array_with(1, (-1,), np.dtype("i8"), False, b""), "shape is no tuple of lengths"),
        (array_with(1, (1,), "i8", False, b"\0" * 8), "an array's type is no dtype"),
        (array_with(1, (1,)), "an array's state has five parts"),
        (Call(SCALAR, np.dtype("i8"), b"\0" * 4), "a number's content does not fit its type"),
        (Call(FROM_BUFFER, b"\0" * 8, np.dtype("i8"), (2,), "C"), "cannot reshape"),
        (Call(np.ndarray, (1,), "O"), "arrays are rebuilt from their state, never made directly"),
        (np.zeros(2, dtype=[("a", "i4")]), "arrays of type 'V4' are not plain data"),
        (np.zeros(2, dtype="M8[s]"), "arrays of type 'M8' are not plain data"),
        (np.zeros(2, dtype=complex), "arrays of type 'c16' are not plain data"),
        (Call(codecs.encode, "x", "rot13"), "bytes written as 'rot13' are not plain data"),
        (Call(np.dtype, "f4,f4"), "arrays of type 'f4,f4' are not plain data"),
        (Call(np.dtype, "i4", state=(3, "<", (1, 2), None, None)), "arrays of structures are not"),
    ],
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_array_that_lies_about_itself_is_refused(
    tmp_path: Path, value: object, text: str, protocol: int
) -> None:
    path = pickled(tmp_path, pickle.dumps(value, protocol))
    with pytest.raises(DataError, match=re.escape(text)):
        emscore.load_pickle(path)


@pytest.mark.parametrize(
    "state",
    [b"}X\x01\x00\x00\x00aK\x01s", b"N}X\x05\x00\x00\x00_makeNs\x86"],
    ids=["attributes", "slots"],
)
def test_a_pickle_cannot_alter_what_reads_it(tmp_path: Path, state: bytes) -> None:
    # GLOBAL numpy.dtype, a state, BUILD: sets attributes on the maker itself.
    path = pickled(tmp_path, b"\x80\x02cnumpy\ndtype\n" + state + b"b.")
    with pytest.raises(DataError, match="the pickle tries to alter what builds its values"):
        emscore.load_pickle(path)
    found = emscore.load_pickle(pickled(tmp_path, pickle.dumps(np.arange(3))))
    assert isinstance(found, np.ndarray)
    assert found.tolist() == [0, 1, 2]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_plain_values_are_read(tmp_path: Path, value: object, protocol: int) -> None:
    found = emscore.load_pickle(pickled(tmp_path, pickle.dumps(value, protocol)))
    assert found == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_are_read(tmp_path: Path, array: np.ndarray[Any, Any], protocol: int) -> None:
    found = emscore.load_pickle(pickled(tmp_path, pickle.dumps(array, protocol)))
    assert isinstance(found, np.ndarray)
    assert (found.shape, found.tolist()) == (array.shape, array.tolist())
    assert found.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")


@pytest.mark.parametrize("core", ["core", "_core"])
def test_arrays_of_every_numpy_are_read(tmp_path: Path, core: str) -> None:
    # Numpy 2 renamed `numpy.core` to `numpy._core`; in protocol 2 names stand in the file as text.
    content = pickle.dumps(np.array(["a", "bb"], dtype=object), 2)
    content, count = re.subn(rb"numpy\._?core\.", f"numpy.{core}.".encode(), content)
    assert count == 1
    found = emscore.load_pickle(pickled(tmp_path, content))
    assert isinstance(found, np.ndarray)
    assert found.tolist() == ["a", "bb"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_cut_of_a_pickle_is_noticed(tmp_path: Path, protocol: int) -> None:
    value = [np.arange(3), np.array(["a", None], dtype=object), np.float64(2), {"k": (b"x", 1.5)}]
    content = pickle.dumps(value, protocol)
    for length in range(len(content)):
        path = pickled(tmp_path, content[:length])
        with pytest.raises(DataError, match=r"no complete pickle of plain data .*it is cut off or"):
            emscore.load_pickle(path)
    assert isinstance(emscore.load_pickle(pickled(tmp_path, content)), list)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape("cannot be read (No such file or directory)")):
        emscore.load_pickle(tmp_path / "none.pkl")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "value",
    [
        array_with(1, (2,), np.dtype("<U1"), False, b"a\0\0\0\xff\xff\xff\x7f"),
        array_with(1, (1,), np.dtype(">U1"), False, b"\x7f\xff\xff\xff"),
        Call(SCALAR, np.dtype("<U1"), b"\xff\xff\xff\x7f"),
        Call(FROM_BUFFER, b"\xff\xff\xff\x7f", np.dtype("<U1"), (1,), "C"),
    ],
)
def test_characters_that_do_not_exist_are_refused(
    tmp_path: Path, value: object, protocol: int
) -> None:
    # 0x7fffffff lies beyond Unicode's last character, 0x10ffff.
    path = pickled(tmp_path, pickle.dumps(value, protocol))
    with pytest.raises(DataError, match="text with characters that do not exist"):
        emscore.load_pickle(path)
