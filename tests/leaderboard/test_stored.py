"""Runs on disk: what is written comes back, and nothing but what was written is believed."""

from __future__ import annotations

import gzip
import json
import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from boards import RESPONSES, board_set, noise, perfect, stored
from registered import registered

from videojudge_bench._util.hashing import content_hash
from videojudge_bench.errors import DataError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.leaderboard.stored import (
    RUN_FILE,
    VERDICTS_FILE,
    StoredRun,
    folder_name,
    overlap_of,
    read_all,
    read_run,
    write_run,
)
from videojudge_bench.verdicts import Preference, Rating, Unparsed, Verdict


@pytest.fixture
def gold_set() -> Iterator[GoldSet]:
    with registered(board_set()) as gold_set:
        yield gold_set


@pytest.fixture
def run(gold_set: GoldSet) -> StoredRun:
    """A run with every kind of verdict."""
    made = stored(gold_set, perfect, references=1, options={"seed": 3, "lower": True, "path": None})
    more: dict[str, Verdict] = {
        "a": Preference(0.25),
        "b": Unparsed("no idea: “?”"),
        "c": Rating(2.5),
    }
    return replace(made, verdicts={**made.verdicts, **more}, overlap=("vatex", "nextqa"))


@pytest.fixture
def folder(run: StoredRun, tmp_path: Path) -> Path:
    return write_run(run, tmp_path)


def test_what_is_written_comes_back(run: StoredRun, folder: Path) -> None:
    assert read_run(folder) == run


def test_a_run_that_cannot_be_written_leaves_the_one_before(
    run: StoredRun, folder: Path, tmp_path: Path
) -> None:
    before = (folder / RUN_FILE).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_run(run, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (folder / RUN_FILE).read_bytes() == before
    assert {path.name for path in folder.iterdir()} == {RUN_FILE, VERDICTS_FILE}


def test_a_run_has_a_folder_of_its_own(folder: Path, tmp_path: Path) -> None:
    assert folder == tmp_path / "tinyboard" / "perfect-1ref"
    assert {path.name for path in folder.iterdir()} == {RUN_FILE, VERDICTS_FILE}


def test_the_same_run_is_the_same_bytes(run: StoredRun, folder: Path, tmp_path: Path) -> None:
    """A change of a run shows in a diff, and only then."""
    shuffled = replace(run, verdicts=dict(reversed(list(run.verdicts.items()))))
    again = write_run(shuffled, tmp_path / "again")
    for name in (RUN_FILE, VERDICTS_FILE):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_no_text_of_the_gold_set_is_kept(folder: Path) -> None:
    with gzip.open(folder / VERDICTS_FILE, "rt", encoding="utf-8") as file:
        kept = (folder / RUN_FILE).read_text(encoding="utf-8") + file.read()
    assert not [text for text in (*RESPONSES, "What happens?") if text in kept]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("longest", "longest-0ref"),
        ("my_pkg:Overlap", "my_pkg-overlap-0ref"),
        ("Qwen/Qwen2.5-VL 7B (greedy)", "qwen-qwen2.5-vl-7b-greedy-0ref"),
        ("../../etc/passwd", "etc-passwd-0ref"),
    ],
)
def test_a_name_becomes_a_plain_folder(name: str, expected: str) -> None:
    assert folder_name(name, 0) == expected


def test_a_form_that_is_not_the_full_set_has_folders_of_its_own() -> None:
    assert folder_name("longest", 2, "sample-105") == "longest-2ref-sample-105"
    assert folder_name("longest", 2, "../8") == "longest-2ref-8"


def test_what_is_needed_to_show_the_set_is_kept(folder: Path, gold_set: GoldSet) -> None:
    facts = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    assert facts["set"] == {
        "name": "tinyboard",
        "title": "tinyboard, made for tests",
        "kind": "human",
        "shape": "ratings",
        "recipe": None,
        "scale": [1, 5],
        "data": "full",
        "version": "1",
        "systems": False,
        "examples": 120,
    }
    assert gold_set.info.licence not in json.dumps(facts)


def test_more_than_a_megabyte_is_refused(run: StoredRun, tmp_path: Path) -> None:
    # Hashes do not compress: 40,000 of 64 hex digits are 1.3 MB at best.
    many = {content_hash(number): Rating(1.0) for number in range(40_000)}
    with pytest.raises(DataError, match="a run in the leaderboard takes at most 1048576"):
        write_run(replace(run, verdicts=many), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_the_hash_of_the_verdicts_changes_with_any_verdict(run: StoredRun) -> None:
    item_id = next(iter(run.verdicts))
    other = replace(run, verdicts={**run.verdicts, item_id: Unparsed("lost")})
    same = replace(run, verdicts=dict(reversed(list(run.verdicts.items()))), numbers={})
    assert same.verdicts_hash == run.verdicts_hash != other.verdicts_hash


def test_all_runs_are_read_in_order(gold_set: GoldSet, tmp_path: Path) -> None:
    for made in (
        stored(gold_set, perfect),
        stored(gold_set, noise),
        stored(gold_set, noise, name="b"),
    ):
        write_run(made, tmp_path)
    assert [run.name for run in read_all(tmp_path)] == ["b", "noise", "perfect"]
    assert read_all(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("facts", "overlap"),
    [
        ({"judge": "a"}, ()),
        ({"judge": "a", "overlap": ""}, ()),
        ({"judge": "a", "overlap": "vatex"}, ("vatex",)),
        ({"judge": "a", "overlap": "vatex+nextqa"}, ("vatex", "nextqa")),
    ],
)
def test_a_judge_says_what_it_was_trained_on(
    facts: dict[str, str], overlap: tuple[str, ...]
) -> None:
    assert overlap_of(facts) == overlap


@pytest.mark.parametrize("name", [RUN_FILE, VERDICTS_FILE])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DataError, match="No such file") as caught:
        read_run(folder)
    assert str(folder / name) in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("name", "vatex", "field 'gold_set': found 'tinyboard', and the field 'set' says 'vatex'"),
        ("data", "part-8", "field 'measurement.data': found 'full', and the field 'set' says"),
        ("version", "2", "field 'measurement.v': found '1', and the field 'set' says '2'"),
        ("scale", [5, 1], "field 'set.scale': a rating scale needs low < high, got 5 and 1"),
        ("kind", "divine", "field 'set.kind'"),
        ("examples", "many", "field 'set.examples'"),
    ],
)
def test_a_set_that_cannot_be_is_refused(
    folder: Path, field: str, value: object, text: str
) -> None:
    facts = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    facts["set"][field] = value
    (folder / RUN_FILE).write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_run(folder)
    assert text in str(caught.value)


@pytest.mark.parametrize("field", ["name", "set", "references", "measurement", "judge", "numbers"])
def test_a_missing_field_is_named(folder: Path, field: str) -> None:
    facts = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    del facts[field]
    (folder / RUN_FILE).write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(DataError, match=f"field '{field}': the field is missing"):
        read_run(folder)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '"run"', "\udcff"])
def test_facts_that_are_no_object_are_refused(folder: Path, text: str) -> None:
    (folder / RUN_FILE).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=r"run\.json: "):
        read_run(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [("references", "nine"), ("numbers", 5), ("judge", ["longest"]), ("name", None)],
)
def test_a_field_of_the_wrong_kind_is_refused(folder: Path, field: str, value: object) -> None:
    facts = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    facts[field] = value
    (folder / RUN_FILE).write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(DataError, match=field):
        read_run(folder)


@pytest.mark.parametrize(
    "line",
    ['["a"]', '["a", "good"]', '["a", {"unparsd": ""}]', '["a", null]', "{", '["a", NaN]'],
)
def test_a_line_that_is_no_verdict_is_refused(folder: Path, line: str) -> None:
    (folder / VERDICTS_FILE).write_bytes(gzip.compress(f"{line}\n".encode()))
    with pytest.raises(DataError, match="not stored verdicts"):
        read_run(folder)


def test_damaged_verdicts_are_refused_wherever_the_damage_is(folder: Path) -> None:
    path = folder / VERDICTS_FILE
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        if _reads_as(whole, bytes(damaged)):
            continue  # the time stamp and the like
        with pytest.raises(DataError, match="not stored verdicts"):
            read_run(folder)
        path.write_bytes(whole[: max(position, 1)])
        with pytest.raises(DataError, match="not stored verdicts"):
            read_run(folder)


def _reads_as(whole: bytes, damaged: bytes) -> bool:
    try:
        return gzip.decompress(damaged) == gzip.decompress(whole)
    except Exception:  # noqa: BLE001 - whatever it is: it does not read
        return False
