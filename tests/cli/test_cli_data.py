"""`videojudge data`: every verb that it names works, every mistake is one sentence."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from test_cli import error_of, output_of

from videojudge_bench import goldsets
from videojudge_bench._util.tabular import as_written
from videojudge_bench.cli.main import main
from videojudge_bench.goldsets import store

SAMPLES = ("llava", "longvideobench", "pairwise", "pairwise_h", "vcg")
Row = Mapping[str, object]

RATED: Row = {"video_id": "v", "instruction": "i", "response": "r", "ratings": [1, 2]}
OPTIONS: Row = {"video_id": "v", "instruction": "i", "options": ["x", "y"], "correct": 0}
PAIR: Row = {
    "video_id": "v",
    "instruction": "i",
    "response_a": "x",
    "response_b": "y",
    "preferences": ["a"],
}


@pytest.fixture(autouse=True)
def fresh_sets() -> Iterator[None]:
    """Sets are kept in memory by name, and every test has a data folder of its own."""
    goldsets.load.cache_clear()
    yield
    goldsets.load.cache_clear()


def lines_of(*rows: Row) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def file_of(folder: Path, content: bytes, name: str = "rows.jsonl") -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


def without(row: Row, *fields: str) -> Row:
    return {key: value for key, value in row.items() if key not in fields}


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """What `videojudge data list` shows, by the name of the set."""
    rows = (line.split() for line in output_of(capsys, "data", "list").splitlines())
    return {cells[0]: cells for cells in rows if cells}


def refused(capsys: pytest.CaptureFixture[str], folder: Path, content: bytes, *more: str) -> str:
    """Add a file that is not accepted, and return the sentence; nothing is left behind."""
    error = error_of(capsys, "data", "add", file_of(folder, content), "--name", "mine", *more)
    assert "mine" not in goldsets.names()
    assert not list(store.root().glob("*"))
    return error.removeprefix(f"videojudge: error: {folder / 'rows.jsonl'}")


@pytest.mark.parametrize(
    ("verb", "texts"),
    [
        (["list"], ["Usage: videojudge data list", "--json"]),
        (["verify"], ["NAME", "a gold set; default: all of them"]),
        (["ids"], ["the file that judge=precomputed reads", "column `id`"]),
        (["add"], ['"preferences": ["a", "tie"]}', "LOW-HIGH", "--map", "--overwrite"]),
        (["remove"], ["its videos stay where they are"]),
        (["prepare"], ["The task then serves the full set in the place of the sample", *SAMPLES]),
        (["prepare"], ["--subtitles", "--no-subtitles", "--release", "--videos"]),
    ],
)
def test_help_of_every_verb(
    verb: Sequence[str],
    texts: Sequence[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["data", *verb, "--help"]) == 0
    printed = capsys.readouterr().out
    assert [text for text in texts if text not in printed] == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["ad"], 'Unknown command "ad". Did you mean "add"?'),
        (["prepare", "lava", "--release", "x"], 'Did you mean "llava"?'),
        (["prepare", "nextqa", "--release", "x"], 'Invalid value "nextqa" for NAME. Choose from'),
        (["prepare"], "parameter NAME requires an argument"),
        (["add", "FILE"], "parameter --name requires an argument"),
        (["add", "FILE", "--name", "mine", "--kind", "good"], 'Invalid value "good" for --kind'),
        (["prepare", "longvideobench", "--release", "x"], "one of --subtitles DIR and --no-subti"),
        (["prepare", "vcg", "--release", "x", "--no-subtitles"], "expected no option of subtitles"),
    ],
)
def test_a_command_that_cannot_be_parsed(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert text in error_of(capsys, "data", *arguments)


def test_the_list_shows_every_set(capsys: pytest.CaptureFixture[str]) -> None:
    printed = output_of(capsys, "data", "list")
    for name in goldsets.names():
        (line,) = [line for line in printed.splitlines() if line.split()[:1] == [name]]
        assert f"videojudge_{name}" in line
        assert goldsets.info(name).how_to_get in line
    shown = listed(capsys)
    assert shown["vatex"][:6] == ["vatex", "full", "human", "ratings", "18000", "3000"]
    assert shown["nextqa"][1:6] == ["full", "options", "options", "13020", "295"]
    assert shown["videoautoarena"][1:6] == ["no", "human", "pairs", "-", "-"]


def test_the_list_calls_a_sample_a_sample(capsys: pytest.CaptureFixture[str]) -> None:
    rows = listed(capsys)
    for name in SAMPLES:
        gold_set = goldsets.load(name)
        units = {example.unit for example in gold_set.examples}
        n = len(gold_set.examples if gold_set.info.shape == "ratings" else units)
        row = rows[name]
        assert row[2] == "model", "whatever the full set's gold is"
        assert (row[4], row[1]) == (str(len(gold_set.examples)), f"sample-{n}")
        assert 1 <= int(row[5]) <= 7, "the videos that travel with the package"


def test_verify_of_all_sets_passes_over_those_without_data(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = output_of(capsys, "data", "verify", "nextqa").splitlines()
    assert "nextqa: examples 13020, as expected" in one
    everything = output_of(capsys, "data", "verify").splitlines()
    assert set(one) < set(everything)
    assert "vatex: examples 18000, as expected" in everything
    how = goldsets.info("videoautoarena").how_to_get
    assert f"videoautoarena: no data here: {how}" in everything
    assert not [line for line in everything if "BROKEN" in line]


def test_verify_of_one_set_without_data_fails(capsys: pytest.CaptureFixture[str]) -> None:
    error = error_of(capsys, "data", "verify", "videoautoarena")
    assert "gold set 'videoautoarena' has no data here: get data/videoautobench.latest" in error


def test_verify_knows_no_other_set(capsys: pytest.CaptureFixture[str]) -> None:
    error = error_of(capsys, "data", "verify", "vatx")
    assert "unknown gold set 'vatx'. Did you mean 'vatex'?" in error
    assert "See `videojudge data list`." in error


def test_ids_is_a_table_to_join_on(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(output_of(capsys, "data", "ids", "vatex"))))
    assert len(rows) == 18_000
    example = goldsets.load("vatex").examples[0]
    assert {key: as_written(cell) for key, cell in rows[0].items()} == {
        "id": example.item.id,
        "video_id": example.item.video_id,
        "candidate": example.labels["candidate"],
    }


def test_ids_of_an_added_set_have_its_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = lines_of({**RATED, "id": "row 7", "labels": {"topic": "sports"}})
    output_of(capsys, "data", "add", file_of(tmp_path, content), "--name", "mine")
    (row,) = csv.DictReader(io.StringIO(output_of(capsys, "data", "ids", "mine")))
    item_id = goldsets.load("mine").examples[0].item.id
    assert row == {"id": item_id, "video_id": "v", "row": "row 7", "topic": "sports"}


def test_add_says_what_was_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos = tmp_path / "videos"
    (videos / "deep").mkdir(parents=True)
    (videos / "v.webm").touch()
    (videos / "deep" / "other name.mp4").touch()
    rows = [
        RATED,
        {**RATED, "video_id": "w", "video": "deep/other name.mp4"},
        *({**RATED, "video_id": f"gone{n}"} for n in range(6)),
    ]
    command = ["add", file_of(tmp_path, lines_of(*rows)), "--name", "mine", "--videos", str(videos)]
    assert output_of(capsys, "data", *command).splitlines() == [
        (
            "videojudge_mine: 8 rows of ratings by 2 raters on the scale 1-5; "
            "8 videos, files of 2 of them found"
        ),
        "no file of gone0, gone1, gone2, gone3, gone4, …",
        f"kept in {store.root() / 'mine'}; remove it with: videojudge data remove mine",
        (
            "try it: lmms_eval --model videojudge --model_args judge=random "
            "--tasks videojudge_mine --output_path out"
        ),
    ]
    row = listed(capsys)["mine"]
    assert row[:7] == ["mine", "full", "human", "ratings", "8", "8", "videojudge_mine"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (RATED, "1 row of ratings by 2 raters on the scale 1-5; 1 video, files of 0"),
        ({**RATED, "ratings": [5]}, "1 row of ratings by 1 rater on the scale 1-5;"),
        (OPTIONS, "1 row of options; 1 video,"),
        (PAIR, "1 row of pairs; 1 video,"),
    ],
)
@pytest.mark.parametrize("form", ["plain", "gzip", "windows", "no last line end"])
def test_files_in_every_form_are_read(
    row: Row, said: str, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, name = lines_of(row), "rows.jsonl"
    if form == "gzip":
        content, name = gzip.compress(content), "rows.jsonl.gz"
    elif form == "windows":
        content = content.replace(b"\n", b"\r\n")
    elif form == "no last line end":
        content = content.removesuffix(b"\n")
    printed = output_of(capsys, "data", "add", file_of(tmp_path, content, name), "--name", "mine")
    assert said in printed
    gold_set = goldsets.load("mine")
    plain = file_of(tmp_path, lines_of(row), "plain.jsonl")
    output_of(capsys, "data", "add", plain, "--name", "plain")
    assert gold_set.content_hash == goldsets.load("plain").content_hash
    kind = "options" if gold_set.info.shape == "options" else "human"
    assert (gold_set.info.kind, gold_set.info.title) == (kind, name)


def test_what_is_said_of_a_set_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--kind", "model", "--title", "My set", "--licence", "CC0-1.0", "--scale", "0-100"]
    content = lines_of({**RATED, "ratings": [0, 100], "system": "model-x"})
    output_of(capsys, "data", "add", file_of(tmp_path, content), "--name", "mine", *command)
    info = goldsets.load("mine").info
    assert (info.kind, info.title, info.licence) == ("model", "My set", "CC0-1.0")
    assert (info.scale.low, info.scale.high, info.systems) == (0, 100, True)


@pytest.mark.parametrize("scale", ["5-1", "3-3", "1-5.5", "one-five", "5", ""])
def test_a_scale_that_is_none(
    scale: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = error_of(capsys, "data", "add", file_of(tmp_path, b""), "--name", "a", "--scale", scale)
    assert (
        f"the scale {scale!r} is not LOW-HIGH in whole numbers, LOW below HIGH, such as 1-5"
        in error
    )


def test_a_scale_may_begin_below_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = lines_of({**RATED, "ratings": [-2, 2]})
    command = ["data", "add", file_of(tmp_path, content), "--name", "mine", "--scale=-2-2"]
    assert "by 2 raters on the scale -2-2;" in output_of(capsys, *command)


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (
            lines_of(RATED, {**RATED, "response": "s", "ratings": [1, 6]}),
            [", line 2, field 'ratings': found 6, outside the scale 1-5; correct the rating"],
        ),
        (
            lines_of(RATED, {**RATED, "response": "s", "ratings": [1]}),
            [", line 2, field 'ratings': found 1 ratings, and the first row has 2; every row"],
        ),
        (
            lines_of(RATED, without(RATED, "instruction")),
            [", line 2, field 'instruction': the field is missing"],
        ),
        (lines_of({**RATED, "rating": 3}), [", line 1, field 'rating': the field is unknown"]),
        (
            lines_of({"instrution": "i", "video_id": "v", "response": "r", "ratings": [1]}),
            [", line 1, field 'instrution'", "Did you mean 'instruction'? (and 1 more in this lin"],
        ),
        (lines_of({**RATED, "ratings": ["5", 1]}), ["'ratings[0]': Input", "; found '5'"]),
        (lines_of({**PAIR, "preferences": ["c"]}), ["'a', 'b' or 'tie'; found 'c'"]),
        (lines_of(without(OPTIONS, "correct")), [", field 'correct': the field is missing"]),
        (lines_of({**OPTIONS, "correct": 2}), [", line 1, field 'correct'", "2 options"]),
        (lines_of({**OPTIONS, "correct": -1}), [", field 'correct': ", "found -1"]),
        (lines_of({**OPTIONS, "options": ["x", "x"]}), ["the correct option stands there twice"]),
        (lines_of({**PAIR, "response_b": "x"}), ["response_a and response_b are the same text"]),
        (lines_of({**RATED, "id": "1"}, {**PAIR, "id": "1"}), [", line 2, field 'response': the"]),
        (
            lines_of({**RATED, "id": "1"}, {**RATED, "id": "1", "response": "s"}),
            [", line 2, field 'id': duplicate of line 1 ('1')", "remove one"],
        ),
        (lines_of(RATED, RATED), [", line 2", "duplicate of line 1", "give each an id"]),
        (
            lines_of({**RATED, "system": "a"}, {**RATED, "response": "s"}),
            [", line 2, field 'system': only some rows name the answering system; name it in all"],
        ),
        (lines_of({**RATED, "video": "../v.mp4"}), ["field 'video': ", "..; found '../v.mp4'"]),
        (lines_of({**RATED, "video": "/v.mp4"}), ["field 'video': ", "not absolute", "'/v.mp4'"]),
        (
            lines_of({**RATED, "video": "a.mp4"}, {**RATED, "response": "s", "video": "b.mp4"}),
            [", line 2, field 'video': video 'v' is 'a.mp4' in one row and 'b.mp4' in another"],
        ),
        (b"", [": the file is empty; it needs one JSON object per line"]),
        (
            b"\xef\xbb\xbf" + lines_of(RATED),
            [", line 1: begins with a byte order mark; save it as"],
        ),
        (
            lines_of(RATED) + b'{"video_id": "\xff"}\n',
            [", line 2: byte 15 of the line (0xff) is not UTF-8; save it as UTF-8"],
        ),
        (lines_of(RATED) + b"\n", [", line 2: an empty line; remove it"]),
        (b"video,question\n", [", line 1: not a JSON object ("]),
        (json.dumps([RATED], indent=1).encode(), [", line 1: not a JSON object ("]),
        (
            lines_of({"video_id": "v", "answer": "r"}),
            [
                ", line 1: cannot tell what the rows are: found the fields video_id, answer; ",
                "ratings need video_id, instruction, response and ratings",
            ],
        ),
    ],
)
def test_a_bad_file_is_refused_with_its_place(
    content: bytes, texts: Sequence[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused(capsys, tmp_path, content)
    assert [text for text in texts if text not in error] == []
    assert error.startswith((", line ", ": "))


def test_a_name_that_cannot_be_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = file_of(tmp_path, lines_of(RATED))
    for name in ("vatex", "llava", "videoautoarena"):
        error = error_of(capsys, "data", "add", file, "--name", name, "--overwrite")
        assert f"the name {name!r} is taken by the task videojudge_{name}; choose another" in error
    for name in ("Mine", "my-set", "../mine", "1st", "", "a" * 65):
        error = error_of(capsys, "data", "add", file, f"--name={name}")
        assert f"the name {name!r} cannot be that of a task: it needs a lower-case letter" in error
    assert not store.root().exists()


def test_a_set_is_replaced_only_when_told_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = file_of(tmp_path, lines_of(RATED))
    output_of(capsys, "data", "add", file, "--name", "mine")
    error = error_of(capsys, "data", "add", file, "--name", "mine")
    assert "there is a set 'mine'; give --overwrite, or another --name" in error
    other = file_of(tmp_path, lines_of(PAIR, {**PAIR, "video_id": "w"}), "other.jsonl")
    bad = file_of(tmp_path, lines_of(PAIR, {**PAIR, "preferences": []}), "bad.jsonl")
    error = error_of(capsys, "data", "add", bad, "--name", "mine", "--overwrite")
    assert "bad.jsonl, line 2, field 'preferences'" in error
    assert goldsets.load("mine").info.shape == "ratings", "what was there is kept"
    output_of(capsys, "data", "add", other, "--name", "mine", "--overwrite")
    replaced = goldsets.load("mine")
    assert (replaced.info.shape, len(replaced.examples)) == ("pairs", 4)


@pytest.mark.parametrize("videos", ["nowhere", "rows.jsonl"])
def test_a_folder_or_file_that_is_not_there(
    videos: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "none.jsonl")
    error = error_of(capsys, "data", "add", missing, "--name", "mine")
    assert f"no file {missing!r}; give a file or a folder of your ratings" in error
    folder = str(tmp_path / videos)
    file = file_of(tmp_path, lines_of(RATED))
    error = error_of(capsys, "data", "add", file, "--name", "mine", "--videos", folder)
    assert f"{folder!r} does not exist or is no folder" in error
    assert "mine" not in goldsets.names()


@pytest.mark.parametrize(("name", "row"), [("llava", RATED), ("pairwise", PAIR)])
def test_the_full_set_stands_in_for_the_sample_until_it_is_removed(
    name: str, row: Row, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = goldsets.load(name)
    release = ["--release", file_of(tmp_path, lines_of(row))]
    said = output_of(capsys, "data", "prepare", name, *release)
    what = {"llava": "1 rated responses", "pairwise": "1 pairs"}[name]
    assert said.startswith(f"videojudge_{name}: {what} of 1 videos, files of 0 of them found\n")
    full = goldsets.load(name)
    assert full.info.kind == "constructed"
    assert not full.info.data.startswith("sample")
    assert len({example.unit for example in full.examples}) == 1
    assert "removed what was prepared of" in output_of(capsys, "data", "remove", name)
    assert goldsets.load(name).content_hash == sample.content_hash
    error = error_of(capsys, "data", "remove", name)
    assert f"unknown added or prepared set '{name}'" in error


def test_a_release_of_another_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = file_of(tmp_path, lines_of(PAIR))
    error = error_of(capsys, "data", "prepare", "llava", "--release", file)
    assert "rows.jsonl, line 1, field 'response': the field is missing" in error
    assert goldsets.load("llava").info.data.startswith("sample-")
