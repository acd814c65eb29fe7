"""EMScore's own pickles of VATEX-EVAL, read without trusting them.

A pickle is a program. This reader runs none of it: what a pickle may call are the few makers of
plain values in this file, which build numpy arrays from checked parts; numpy's own functions are
never called with what a file says. All else is refused by name, before anything happens.
"""

from __future__ import annotations

import json
import math
import pickle
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from videojudge_bench.errors import DataError
from videojudge_bench.goldsets import vatex

CANDIDATES_FILE = "candidates_list.pkl"
REFERENCES_FILE = "gts_list.pkl"
SCORES_FILE = "human_scores.pkl"
VIDEOS_FILE = "video_ids.pkl"

_ID = re.compile(r"(?P<youtube>.+)_(?P<start>\d{6})_(?P<end>\d{6})")
_DTYPE_CODE = re.compile(r"[biufSUO]\d{1,6}")

# What unpickling raises on damaged input: the file is at fault, whichever it is.
_DAMAGE = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


def load_pickle(path: Path) -> object:
    """Return what a pickle of plain containers, numbers, text, bytes and numpy arrays holds.

    Arrays of numbers, booleans, text, bytes and of such objects are read, whichever numpy and
    protocol (2 to 5) wrote them.

    Raises:
        DataError: when the file cannot be read, is cut off or damaged, or asks for anything else,
            which is named and not run.
    """
    try:
        with path.open("rb") as file:
            return _PlainUnpickler(file, path).load()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path=path) from error
    except _DAMAGE as error:
        raise DataError(
            f"no complete pickle of plain data ({error}); it is cut off or damaged, get it again",
            path=path,
        ) from error


def json_lines(folder: Path) -> Iterator[str]:
    """Yield VATEX-EVAL's rows as the lines of our data file, one JSON object per video.

    The four pickles hold one entry per candidate, six consecutive ones per video;
    `human_scores.pkl` is read as its authors do: `reshape(3, -1)`, transposed to candidates x
    raters. Of a candidate's references the first nine are taken.

    Raises:
        DataError: when a file is missing, refused or damaged, holds another number of entries than
            the rest, or an entry is not what it should be.
    """
    videos = _texts(folder / VIDEOS_FILE)
    texts = _texts(folder / CANDIDATES_FILE)
    references = _references(folder / REFERENCES_FILE)
    ratings = _ratings(folder / SCORES_FILE)
    for name, entries in (
        (CANDIDATES_FILE, texts),
        (REFERENCES_FILE, references),
        (SCORES_FILE, ratings),
    ):
        if len(entries) != len(videos):
            raise DataError(
                f"entries for {len(entries)} candidates, but {VIDEOS_FILE} has {len(videos)}; "
                "the four files must come from one download",
                path=folder / name,
            )
    for start in _block_starts(videos, folder / VIDEOS_FILE):
        block = slice(start, start + vatex.CANDIDATES)
        if len(set(references[block])) > 1:
            raise DataError(
                f"entries {start} to {block.stop - 1} belong to one video and differ; all "
                "candidates of a video must have the same references",
                path=folder / REFERENCES_FILE,
            )
        candidates = [
            {"candidate_index": index, "text": text, "ratings": rating}
            for index, (text, rating) in enumerate(zip(texts[block], ratings[block], strict=True))
        ]
        row = {
            **_video_fields(videos[start], start, folder / VIDEOS_FILE),
            "references": references[start],
            "candidates": candidates,
        }
        yield json.dumps(row, ensure_ascii=False)


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], path: Path) -> None:
        super().__init__(file)
        self._path = path

    def find_class(self, module: str, name: str) -> object:
        try:
            return _MAKERS[f"{module}.{name}"]
        except KeyError:
            raise DataError(
                f"asks for {f'{module}.{name}'!r}, which is refused and was not run: only lists, "
                "tuples, dicts, sets, numbers, text, bytes and numpy arrays of them may be in this "
                "file. Do not open it by other means unless you trust its origin",
                path=self._path,
            ) from None


class _Maker:
    """What a pickle may call. It can be called and nothing else: a pickle cannot alter it."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., object]) -> None:
        self._make = make

    def __call__(self, *args: object) -> object:
        return self._make(*args)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("the pickle tries to alter what builds its values")


class _Dtype:
    """Stands for `numpy.dtype` while a pickle is read."""

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str) or not _DTYPE_CODE.fullmatch(code):
            raise pickle.UnpicklingError(f"arrays of type {code!r} are not plain data")
        self.real: np.dtype[np.generic] = np.dtype("O" if code[0] == "O" else code)

    def __setstate__(self, state: object) -> None:
        # (version, byte order, sub-array, names, fields, …): a plain type has none of the middle.
        if not isinstance(state, tuple) or len(state) < 5 or any(state[2:5]):
            raise pickle.UnpicklingError("arrays of structures are not plain data")
        if state[1] in {"<", ">"}:
            self.real = self.real.newbyteorder(state[1])


class _Array(np.ndarray[tuple[int, ...], np.dtype[np.generic]]):
    """An array whose state is checked before numpy takes it."""

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise pickle.UnpicklingError("an array's state has five parts")
        _, shape, dtype, fortran_order, content = state
        real = _real(dtype)
        size = math.prod(_lengths(shape))
        wanted, length = (list, size) if real.hasobject else (bytes, size * real.itemsize)
        if not isinstance(content, wanted) or len(content) != length:
            raise pickle.UnpicklingError("an array's content does not fill its shape")
        if isinstance(content, bytes):
            _check_characters(content, real)
        super().__setstate__((1, shape, real, bool(fortran_order), content))  # type: ignore[arg-type]


def _real(dtype: object) -> np.dtype[np.generic]:
    if not isinstance(dtype, _Dtype):
        raise pickle.UnpicklingError("an array's type is no dtype")
    return dtype.real


def _check_characters(content: bytes | bytearray, real: np.dtype[np.generic]) -> None:
    # CPython answers an impossible character with a SystemError, long after the file was read.
    if real.kind == "U":
        codes = np.frombuffer(content, np.dtype("u4").newbyteorder(real.byteorder))
        if codes.size and codes.max() > sys.maxunicode:
            raise pickle.UnpicklingError("text with characters that do not exist")


def _lengths(shape: object) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or any(type(n) is not int or n < 0 for n in shape):
        raise pickle.UnpicklingError("an array's shape is no tuple of lengths")
    return tuple(shape)


def _blank_array(*_: object) -> object:
    return _Array((0,))


def _array_of_bytes(
    content: object, dtype: object, shape: object, order: object, axes: object = None
) -> object:
    real = _real(dtype)
    if not isinstance(content, (bytes, bytearray)) or real.hasobject:
        raise pickle.UnpicklingError("an array's content is not bytes")
    _check_characters(content, real)
    flat = np.frombuffer(bytes(content), real)
    array = flat.reshape(_lengths(shape), order="F" if order == "F" else "C")
    # Order K (numpy 2.3 and later): axes were moved so that the memory is contiguous.
    moved = array if axes is None else array.transpose(_lengths(axes))
    return moved.view(_Array)


def _scalar(dtype: object, content: object) -> object:
    real = _real(dtype)
    if not isinstance(content, bytes) or real.hasobject or len(content) != real.itemsize:
        raise pickle.UnpicklingError("a number's content does not fit its type")
    _check_characters(content, real)
    return np.frombuffer(content, real)[0].item()


def _encoded(text: object, encoding: object) -> bytes:
    # Protocol 2 has no bytes: it writes text and this call.
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes written as {encoding!r} are not plain data")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""


def _only_named(*_: object) -> object:
    raise pickle.UnpicklingError("arrays are rebuilt from their state, never made directly")


_MAKERS: dict[str, _Maker] = {
    "_codecs.encode": _Maker(_encoded),
    "__builtin__.bytes": _Maker(_no_bytes),
    "builtins.bytes": _Maker(_no_bytes),
    "__builtin__.set": _Maker(set),
    "builtins.set": _Maker(set),
    "__builtin__.frozenset": _Maker(frozenset),
    "builtins.frozenset": _Maker(frozenset),
    "numpy.dtype": _Maker(_Dtype),
    "numpy.ndarray": _Maker(_only_named),
    **{
        f"numpy.{core}.{name}": _Maker(make)
        for core in ("core", "_core")
        for name, make in (
            ("multiarray._reconstruct", _blank_array),
            ("multiarray.scalar", _scalar),
            ("numeric._frombuffer", _array_of_bytes),
        )
    },
}


def _entries(path: Path) -> list[object]:
    return _as_list(load_pickle(path), path, field=None)


def _as_list(value: object, path: Path, *, field: str | None) -> list[object]:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        raise DataError(f"expected a list, found {_short(value)}", path=path, field=field)
    return list(value)


def _text(value: object, path: Path, field: str) -> str:
    if not isinstance(value, str) or not value:
        raise DataError(f"expected text, found {_short(value)}", path=path, field=field)
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise DataError("half a character (a lone surrogate)", path=path, field=field)
    return value


def _texts(path: Path) -> list[str]:
    return [_text(value, path, f"[{index}]") for index, value in enumerate(_entries(path))]


def _references(path: Path) -> list[tuple[str, ...]]:
    found = []
    for index, entry in enumerate(_entries(path)):
        texts = _as_list(entry, path, field=f"[{index}]")
        if len(texts) < vatex.REFERENCES:
            raise DataError(
                f"{len(texts)} references; at least {vatex.REFERENCES} are needed",
                path=path,
                field=f"[{index}]",
            )
        named = enumerate(texts[: vatex.REFERENCES])
        found.append(tuple(_text(text, path, f"[{index}][{n}]") for n, text in named))
    return found


def _ratings(path: Path) -> list[tuple[int, ...]]:
    value = load_pickle(path)
    entries = _as_list(value.ravel() if isinstance(value, np.ndarray) else value, path, field=None)
    flat: list[int] = []
    for index, entry in enumerate(entries):
        rows = _as_list(entry, path, field=None) if _is_row(entry) else [entry]
        flat.extend(_rating(number, path, f"[{index}]") for number in rows)
    raters = 3
    if len(flat) % raters:
        raise DataError(f"{len(flat)} ratings cannot be {raters} per candidate", path=path)
    columns = np.array(flat, dtype=np.int64).reshape(raters, -1)
    return [tuple(ratings) for ratings in columns.T.tolist()]


def _is_row(entry: object) -> bool:
    return isinstance(entry, (list, tuple, np.ndarray))


def _rating(number: object, path: Path, field: str) -> int:
    scale = vatex.INFO.scale
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise DataError(f"expected a rating, found {_short(number)}", path=path, field=field)
    if number not in scale.values:
        raise DataError(
            f"expected a whole number on the scale {scale}, found {_short(number)}",
            path=path,
            field=field,
        )
    return int(number)


def _block_starts(videos: Sequence[str], path: Path) -> Iterator[int]:
    seen: set[str] = set()
    for start in range(0, len(videos), vatex.CANDIDATES):
        block = videos[start : start + vatex.CANDIDATES]
        if len(block) < vatex.CANDIDATES or len(set(block)) > 1 or block[0] in seen:
            raise DataError(
                f"video {block[0]!r} must have exactly {vatex.CANDIDATES} consecutive entries, "
                f"found {sorted(set(block))} in entries {start} to {start + len(block) - 1}",
                path=path,
                field=f"[{start}]",
            )
        seen.add(block[0])
        yield start


def _video_fields(video_id: str, index: int, path: Path) -> dict[str, str | int]:
    match = _ID.fullmatch(video_id)
    if match is None:
        raise DataError(
            f"video id {video_id!r}; it must be <youtube id>_<start>_<end>, six digits each",
            path=path,
            field=f"[{index}]",
        )
    return {
        "video_id": video_id,
        "youtube_id": match["youtube"],
        "start_s": int(match["start"]),
        "end_s": int(match["end"]),
    }


def _short(value: object) -> str:
    # Only what is short: nested containers in a hostile file may be endless.
    kind = type(value).__name__
    if isinstance(value, str):
        return f"{kind} {value!r}" if len(value) <= 40 else f"{kind} {value[:37]!r}..."
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < 10**9):
        return f"{kind} {value!r}"
    return kind
