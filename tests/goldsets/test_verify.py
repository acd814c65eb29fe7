from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from registered import registered

from videojudge_bench import goldsets
from videojudge_bench._util.tabular import as_written
from videojudge_bench.cli.main import main
from videojudge_bench.errors import DataError, NoDataError, UnknownNameError
from videojudge_bench.goldsets import jsonl, nextqa, store, vatex, verify
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import (
    Example,
    Item,
    OptionGold,
    Pair,
    PreferenceGold,
    RatingGold,
    Subtitle,
)


@pytest.fixture
def fresh_sets() -> Iterator[None]:
    goldsets.load.cache_clear()
    yield
    goldsets.load.cache_clear()


def test_the_list_has_a_row_per_set() -> None:
    rows = {row["name"]: row for row in verify.list_sets()}
    assert list(rows) == goldsets.names()
    assert rows["vatex"] == {
        "name": "vatex",
        "task": "videojudge_vatex",
        "kind": "human",
        "shape": "ratings",
        "examples": "18000",
        "videos": "3000",
        "data here": "full",
        "licence": vatex.INFO.licence,
        "how to get": vatex.INFO.how_to_get,
    }
    assert (rows["nextqa"]["examples"], rows["nextqa"]["videos"]) == ("13020", "295")
    assert {tuple(row) for row in rows.values()} == {tuple(rows["vatex"])}


@pytest.mark.usefixtures("fresh_sets")
def test_the_list_says_what_is_missing_or_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nextqa, "_FILE", "gone.jsonl.gz")
    broken = tmp_path / "broken.jsonl.gz"
    broken.write_bytes(b"")
    packaged = jsonl.packaged_file
    monkeypatch.setattr(
        jsonl,
        "packaged_file",
        lambda info, name: broken if info is vatex.INFO else packaged(info, name),
    )
    rows = {row["name"]: row for row in verify.list_sets()}
    assert (rows["nextqa"]["data here"], rows["nextqa"]["examples"]) == ("no", "-")
    assert rows["vatex"]["data here"] == "broken: see videojudge data verify vatex"
    assert rows["vatex"]["videos"] == "-"
    with pytest.raises(DataError, match="the file is empty"):
        verify.verify("vatex")
    with pytest.raises(NoDataError, match="gold set 'nextqa' has no data here"):
        verify.verify("nextqa")


def test_the_packaged_sets_are_the_released_ones() -> None:
    # Counts as their sources give them: VATEX-EVAL's rating histogram, NExT-QA's whole split.
    assert verify.verify("vatex")[:9] == [
        "vatex: videos 3000, as expected",
        "vatex: units 3000, as expected",
        "vatex: examples 18000, as expected",
        "vatex: ratings 54000, as expected",
        "vatex: ratings of 1 1766, as expected",
        "vatex: ratings of 2 4362, as expected",
        "vatex: ratings of 3 5723, as expected",
        "vatex: ratings of 4 20279, as expected",
        "vatex: ratings of 5 21870, as expected",
    ]
    assert set(verify.verify("nextqa")) >= {
        "nextqa: videos in the file 570, as expected",
        "nextqa: questions in the file 4996, as expected",
        "nextqa: units 2604, as expected",
        "nextqa: examples 13020, as expected",
    }
    for name in ("vatex", "nextqa"):
        digest = goldsets.load(name).content_hash
        assert f"{name}: content hash {digest}, as expected" in verify.verify(name)


def test_an_unknown_set() -> None:
    with pytest.raises(UnknownNameError, match=re.escape("Did you mean 'vatex'?")):
        verify.verify("vatx")
    with pytest.raises(UnknownNameError, match=re.escape("unknown gold set 'vatx'")):
        next(verify.ids("vatx"))


def test_every_difference_from_the_release_is_named() -> None:
    whole = goldsets.load("vatex")
    first, *rest = whole.examples
    assert isinstance(first.gold, RatingGold)
    ratings = first.gold.ratings
    # One rating changes: its count falls by one, another's grows by one, and the hash is another.
    old, new = ratings[0], 1.0 if ratings[0] != 1.0 else 2.0
    changed = replace(first, gold=RatingGold((new, *ratings[1:])))
    with pytest.raises(DataError, match="videojudge_vatex: not the released data: ") as caught:
        verify.verify_set(GoldSet(whole.info, (changed, *rest)))
    histogram = {1.0: 1766, 2.0: 4362, 3.0: 5723, 4.0: 20279, 5.0: 21870}
    text = str(caught.value)
    assert f"ratings of {old:g} {histogram[old] - 1}, expected {histogram[old]}" in text
    assert f"ratings of {new:g} {histogram[new] + 1}, expected {histogram[new]}" in text
    assert "content hash " in text
    assert "labels hash" not in text
    assert "videos" not in text
    assert text.endswith("; reinstall videojudge-bench")


def test_a_changed_label_is_noticed() -> None:
    whole = goldsets.load("vatex")
    first, *rest = whole.examples
    changed = replace(first, labels={"candidate": "9"})
    with pytest.raises(DataError, match=r"not the released data: labels hash [0-9a-f]{64}, expect"):
        verify.verify_set(GoldSet(whole.info, (changed, *rest)))


def test_a_set_without_known_figures_is_counted() -> None:
    whole = goldsets.load("vatex")
    own = GoldSet(replace(whole.info, name="own"), whole.examples[:6])
    lines = verify.verify_set(own)
    assert lines[:4] == ["own: videos 1", "own: units 1", "own: examples 6", "own: ratings 18"]
    assert f"own: content hash {own.content_hash}" in lines


@pytest.mark.parametrize(
    ("name", "header"),
    [("vatex", ["candidate"]), ("nextqa", ["option", "qid", "type"])],
)
def test_ids_come_with_the_keys_of_the_source(name: str, header: list[str]) -> None:
    first, *rows = csv.reader(verify.ids(name))
    assert first == ["id", "video_id", *header]
    examples = goldsets.load(name).examples
    marked = {row[0][:2] for row in rows if row[0].startswith("'")}
    assert marked == ({"'-"} if name == "vatex" else set())
    assert [[as_written(cell) for cell in row] for row in rows] == [
        [example.item.id, example.item.video_id, *(example.labels[key] for key in header)]
        for example in examples
    ]


def test_ids_tell_the_answers_of_two_systems_apart() -> None:
    """Rows without an id of their own: videos and instructions are the same."""

    def rows_of(*, systems: bool, alike: bool) -> list[list[str]]:
        examples = [
            Example(
                Item(f"v/{n}", "v", f"do {n % 2}", "same" if alike else f"answer {n}, =1"),
                RatingGold((3.0,)),
                unit="v",
                system=f"s{n}" if systems else None,
            )
            for n in range(4)
        ]
        info = replace(goldsets.info("vatex"), name="own", recipe=None, systems=systems)
        with registered(GoldSet(info, tuple(examples))):
            return list(csv.reader("\n".join(verify.ids("own")).splitlines()))

    assert rows_of(systems=True, alike=True)[:2] == [
        ["id", "video_id", "system"],
        ["v/0", "v", "s0"],
    ]
    first, second, *_ = rows_of(systems=False, alike=False)
    assert first == ["id", "video_id", "instruction", "response"]
    assert second == ["v/0", "v", "do 0", "answer 0, =1"]


LVB: dict[str, object] = json.loads("""{
    "id": "v_0", "video_id": "v", "video_path": "v.mp4", "subtitle_path": "v_en.json",
    "question": "What comes after the subtitle 'one'?", "correct_choice": 2,
    "question_wo_referring_query": "What comes?", "candidates": ["a cat", "a dog", "a cow"],
    "position": [10, 20], "topic_category": "KH-Knowledge-History", "level": "L2-Relation",
    "question_category": "T3E", "duration_group": 15, "duration": 10.0, "view_count": 5,
    "starting_timestamp_for_subtitles": 100.0
}""")
VAA = {"video_id": "v", "question": "What?", "selected answer": "good", "rejected answer": "bad"}


def prepared(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[str]:
    """Run `videojudge data prepare`, and return the lines that it prints."""
    assert main(["data", "prepare", *map(str, arguments)]) == 0
    return capsys.readouterr().out.splitlines()


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["data", "prepare", *map(str, arguments)]) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert not store.contains(str(arguments[0]))
    return written.err


def json_file(path: Path, data: object) -> Path:
    path.write_text(json.dumps(data, indent=1), encoding="utf-8")
    return path


@pytest.fixture
def longvideobench(tmp_path: Path) -> Path:
    """A folder with a release of two questions on one video, its subtitles and the video."""
    other = {
        **LVB,
        "id": "v_1",
        "question": "Which?",
        "candidates": ["x", "y"],
        "correct_choice": 0,
    }
    json_file(tmp_path / "lvb_val.json", [LVB, other])
    said = [{"start": "0:01:39", "end": "0:01:41.5", "line": "one"}]
    (tmp_path / "subtitles").mkdir()
    json_file(tmp_path / "subtitles" / "v_en.json", said)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "v.mp4").touch()
    return tmp_path


@pytest.mark.usefixtures("fresh_sets")
def test_longvideobench_is_prepared_with_subtitles(
    longvideobench: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release = ["--release", longvideobench / "lvb_val.json"]
    folders = ["--videos", longvideobench / "videos", "--subtitles", longvideobench / "subtitles"]
    assert prepared(capsys, "longvideobench", *release, *folders) == [
        "videojudge_longvideobench: 2 questions of 1 videos, files of 1 of them found",
        "the release has 1337: rows of runs on it are marked part-2",
    ]
    gold_set = goldsets.load("longvideobench")
    assert (gold_set.info.data, gold_set.info.kind, len(gold_set.examples)) == (
        "part-2", "options", 5,
    )  # fmt: skip
    right = [_response(e) for e in gold_set.examples if is_right(e)]
    assert sorted(right) == ["a cow", "x"]
    # The subtitles' clock starts 100 seconds before the video does.
    assert {e.item.subtitles for e in gold_set.examples} == {(Subtitle(0.0, 1.5, "one"),)}
    with pytest.raises(DataError, match=r"not the released data: units 2, expected 1337; get the"):
        verify.verify("longvideobench")


@pytest.mark.usefixtures("fresh_sets")
def test_longvideobench_is_prepared_without_subtitles(
    longvideobench: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release = ["--release", longvideobench / "lvb_val.json", "--no-subtitles"]
    assert prepared(capsys, "longvideobench", *release)[0].endswith("files of 0 of them found")
    assert {e.item.subtitles for e in goldsets.load("longvideobench").examples} == {()}


@pytest.mark.usefixtures("fresh_sets")
def test_a_release_that_cannot_be_prepared(
    longvideobench: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release, none = longvideobench / "lvb_val.json", longvideobench / "none"
    how = goldsets.info("longvideobench").how_to_get
    command = ["longvideobench", "--release", none, "--no-subtitles"]
    assert f"no file {str(none)!r}: {how}" in refused(capsys, *command)
    command = ["longvideobench", "--release", release, "--subtitles", none]
    assert f"the folder of subtitles {str(none)!r} does not exist" in refused(capsys, *command)
    command = ["longvideobench", "--release", release, "--subtitles", longvideobench / "videos"]
    assert "videos/v_en.json: cannot be read (No such file" in refused(capsys, *command)
    command = ["longvideobench", "--release", release, "--no-subtitles", "--videos", none]
    assert f"{str(none)!r} does not exist or is no folder" in refused(capsys, *command)
    json_file(release, [LVB, {**LVB, "id": "v_1", "correct_choice": 3}])
    command = ["longvideobench", "--release", release, "--no-subtitles"]
    assert "lvb_val.json, field '[1].correct_choice'" in refused(capsys, *command)


@pytest.mark.usefixtures("fresh_sets")
@pytest.mark.parametrize("form", ["videoautobench.latest.json", "rows.jsonl"])
def test_videoautoarena_is_prepared_in_both_forms(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release = tmp_path / form
    if release.suffix == ".json":
        json_file(release, {"q1": VAA, "q2": {**VAA, "question": "** \nWhy?\n**"}})
    else:
        names = {"selected answer": "selected_answer", "rejected answer": "rejected_answer"}
        row = {names.get(key, key): value for key, value in VAA.items()}
        rows = [{**row, "qid": "q1"}, {**row, "qid": "q2", "question": "Why?"}]
        release.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    assert prepared(capsys, "videoautoarena", "--release", release) == [
        "videojudge_videoautoarena: 2 pairs of 1 videos, files of 0 of them found",
        "the release has 255: rows of runs on it are marked part-2",
    ]
    examples = goldsets.load("videoautoarena").examples
    assert [e.item.instruction for e in examples] == ["What?", "What?", "Why?", "Why?"]
    for example in examples:
        assert isinstance(example.item, Pair)
        assert isinstance(example.gold, PreferenceGold)
        assert (example.item.first == "good") == (example.gold.p_first == 1.0)
    assert main(["data", "remove", "videoautoarena"]) == 0
    assert capsys.readouterr().out == (
        "removed what was prepared of videoautoarena; the task serves what the package has\n"
    )
    with pytest.raises(NoDataError):
        goldsets.load("videoautoarena")


@pytest.mark.usefixtures("fresh_sets")
def test_the_whole_of_a_release_is_as_expected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release = json_file(tmp_path / "all.json", {f"q{n}": VAA for n in range(255)})
    (line,) = prepared(capsys, "videoautoarena", "--release", release)
    assert line.startswith("videojudge_videoautoarena: 255 pairs of 1 videos")
    assert "videoautoarena: units 255, as expected" in verify.verify("videoautoarena")
    assert goldsets.load("videoautoarena").info.data == "full"


def is_right(example: Example) -> bool:
    assert isinstance(example.gold, OptionGold)
    return example.gold.correct


def _response(example: Example) -> str:
    assert isinstance(example.item, Item)
    return example.item.response
