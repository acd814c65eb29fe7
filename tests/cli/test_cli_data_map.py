"""`videojudge data add --map`: anyone's columns become our fields, and faults are named."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from test_cli import error_of, output_of

from videojudge_bench import goldsets
from videojudge_bench.goldsets import map_file, store
from videojudge_bench.items import Item, OptionGold, Pair, PreferenceGold, RatingGold

RATED = """\
video_id: clip
instruction: {constant: "What happens?"}
response: answer
ratings: score
"""
ROW: dict[str, Any] = {"clip": "v1", "answer": "A dog runs.", "score": 4}


@pytest.fixture(autouse=True)
def fresh_sets() -> Iterator[None]:
    """Sets are kept in memory by name, and every test has a data folder of its own."""
    goldsets.load.cache_clear()
    yield
    goldsets.load.cache_clear()


def written(path: Path, content: object) -> str:
    """A file with a text, or with the rows of a list as JSON Lines."""
    if not isinstance(content, str):
        assert isinstance(content, list)
        content = "".join(json.dumps(row) + "\n" for row in content)
    path.write_text(content, encoding="utf-8")
    return str(path)


def command(folder: Path, content: object, text: str, name: str = "rows.jsonl") -> list[str]:
    source = written(folder / name, content)
    return ["data", "add", source, "--name", "mine", "--map", written(folder / "map.yaml", text)]


def examples_of(command: Sequence[str], capsys: pytest.CaptureFixture[str]) -> list[Any]:
    output_of(capsys, *command)
    return list(goldsets.load("mine").examples)


def test_a_table_with_other_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = (
        "video;question;the answer;model;anna;ben;topic\n"
        '007;"What; where?";None;x;5;4.0;\n'
        "008;N/A;;y; 1 ;2;sports\n"
    )
    text = """\
video_id: video
instruction: question
response: the answer
system: model
ratings: [anna, ben]
references: topic
labels: {topic: topic, yes: video}
title: Mine
licence: CC0-1.0
kind: model
"""
    for mark in ("", "\ufeff"):
        given = command(tmp_path, mark + sheet, text, "ratings.csv")
        printed = output_of(capsys, *given, "--overwrite")
        assert "videojudge_mine: 2 rows of ratings by 2 raters on the scale 1-5; 2 v" in printed
        assert "2 rows read\nratings: 1: 1, 2: 1, 4: 1, 5: 1\n2 systems: x 1, y 1\nrow 1" in printed
    gold_set = goldsets.load("mine")
    first, second = sorted(gold_set.examples, key=lambda example: example.item.video_id)
    assert isinstance(first.item, Item)
    assert (first.item.video_id, first.item.response) == ("007", "None")
    assert (first.item.instruction, first.item.references) == ("What; where?", ())
    assert (first.gold, first.system, dict(first.labels)) == (
        RatingGold((5, 4)),
        "x",
        {"yes": "007"},
    )
    assert isinstance(second.item, Item)
    assert (second.item.response, second.item.instruction) == ("", "N/A")
    assert second.item.references == ("sports",)
    info = gold_set.info
    assert (info.title, info.licence, info.kind) == ("Mine", "CC0-1.0", "model")
    assert {"kind": info.kind} != {"kind": "human"}


def test_options_of_the_command_come_before_those_of_the_mapping(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = command(tmp_path, [{**ROW, "score": 70}], RATED + "kind: model\nscale: 0-10\n")
    output_of(capsys, *given, "--kind", "human", "--scale", "0-100", "--title", "T")
    info = goldsets.load("mine").info
    assert (info.kind, str(info.scale), info.title) == ("human", "0-100", "T")


def test_a_dry_run_shows_what_it_understood_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{**ROW, "clip": f"v{n}", "score": 1 + n % 5, "answer": "long " * 40} for n in range(9)]
    given = command(tmp_path, rows, RATED + "drop: score == `5`\n")
    printed = output_of(capsys, *given, "--dry-run")
    assert "9 rows read, 1 dropped\nratings: 1: 2, 2: 2, 3: 2, 4: 2\nrow 1: {" in printed
    assert printed.count("\nrow ") == 3
    assert printed.count('long long…", "ratings"') == 3
    assert printed.endswith("nothing is written; leave --dry-run out to add it\n")
    assert not list(store.root().glob("*"))
    ours = {"video_id": "v", "instruction": "i", "response": "r", "ratings": [1, 2]}
    plain = ["data", "add", written(tmp_path / "ours.jsonl", [ours]), "--name", "mine"]
    assert "ratings: 1: 1, 2: 1\nrow 1: {" in output_of(capsys, *plain, "--dry-run")
    assert not list(store.root().glob("*"))


def test_many_different_ratings_are_shown_in_ten_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{**ROW, "clip": f"v{n}", "score": n} for n in range(101)]
    printed = output_of(capsys, *command(tmp_path, rows, RATED + "scale: 0-100\n"), "--dry-run")
    assert "ratings: 0 to 10: 10, 10 to 20: 10, " in printed
    assert ", 90 to 100: 11\n" in printed


def test_bad_rows_are_counted_and_named_and_the_others_are_added(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        ROW,
        {**ROW, "clip": None},
        {**ROW, "score": "good"},
        {**ROW, "clip": "v2", "score": "3"},
        ROW,
        {**ROW, "score": 9},
        {**ROW, "answer": ["a", "b"]},
        {**ROW, "answer": ["c"]},
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows) + "\n{'broken\n[1]\n"
    printed = output_of(capsys, *command(tmp_path, content, RATED))
    assert "videojudge_mine: 2 rows of ratings" in printed
    assert "10 rows read, 8 bad\n" in printed
    for line in (
        "  2 bad: response: expected a text, got a list; take a part of it ([0], .name); got ['a',",
        "; got ['a', 'b'] (row 7, row 8)",
        "  2 bad: video_id: nothing there (row 2, row 11)",
        "  1 bad: ratings: expected a number; got 'good' (row 3)",
        "  1 bad: the same as an earlier row; map an `id` (row 5)",
        "  1 bad: ratings: outside the scale 1-5; correct it, or give the `scale` that was used; ",
        "; got 9.0 (row 6)",
        "  1 bad: not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (ch",
    ):
        assert line in printed
    assert len(goldsets.load("mine").examples) == 2


def test_a_line_of_a_table_with_too_many_cells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = command(tmp_path, "clip,answer,score\nv,x,1\nw,y,2,3\n\nu,z\n", RATED, "rows.csv")
    printed = output_of(capsys, *given)
    assert "1 bad: found 4 cells, and the first line has 3 (row 2)" in printed
    assert "1 bad: found 2 cells, and the first line has 3 (row 3)" in printed


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("respones: answer\n", ["map.yaml, field 'respones': the field is unknown", "'response'?"]),
        ("ratings: score\n", ["the key 'ratings' stands there twice"]),
        ("labels: {a: b, c: d[0]}\n", ["map.yaml cannot be read", "in quotes"]),
        ("system: lenght(answer)\n", ["field 'system': unknown function 'lenght'", "'length'"]),
        (
            "system: {const: x}\n",
            ["field 'system': expected a column, a JMESPath expr"],
        ),
        ("system: ''\n", ["field 'system': expected a column"]),
        ("labels: [a]\n", ["field 'labels': "]),
        ("kind: good\n", ["field 'kind': Input should be 'human', ", "; found 'good'"]),
        ("scale: high\n", ["field 'scale': the scale 'high' is not LOW-HIGH in whole numbers"]),
        ("average: 3\n", ["field 'average': "]),
        ("correct: score\n", ["map.yaml: correct does not go with ratings; remove it"]),
        (
            "options: answer\n",
            ["options need correct or answer, which is", "response does"],
        ),
        (
            "system: sytem\n",
            ["map.yaml: system: unknown column 'sytem'. Known: _file, _row, a"],
        ),
        ("system: clips\n", ["unknown column 'clips'. Did you mean 'clip'?"]),
        ("system: the clip\n", ["unknown column 'the clip'", "no JMESPath expression either: Un"]),
        ("drop: name && clip\n", ["map.yaml: drop[0]: unknown column 'name'"]),
        ("labels: {x: topics.name}\n", ["map.yaml: labels.x: unknown column 'topics'"]),
        ("explode: {n: answers}\n", ["map.yaml: explode.n: unknown column 'answers'"]),
    ],
)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.parquet"])
def test_a_mapping_that_cannot_work(
    text: str, texts: Sequence[str], name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = command(tmp_path, [ROW], RATED + text)
    if name != "rows.jsonl":
        given[2] = str(tmp_path / name)
        frame = pd.DataFrame([ROW])
        frame.to_csv(given[2], index=False) if name == "rows.csv" else frame.to_parquet(given[2])
    error = error_of(capsys, *given)
    assert [text for text in texts if text not in error] == []
    assert not list(store.root().glob("*"))


def test_a_mapping_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = command(tmp_path, [ROW], "video_id: clip\n")
    assert "field 'instruction': the field is missing" in error_of(capsys, *given)
    given = command(tmp_path, [ROW], "")
    assert "map.yaml: Input should be a valid dictionary" in error_of(capsys, *given)
    error = error_of(capsys, *given[:-1], "chay")
    assert "unknown mapping 'chay'. Did you mean 'chai'?" in error
    assert "A mapping of your own is a .yaml file." in error
    assert "none.yaml cannot be read: [Errno 2]" in error_of(capsys, *given[:-1], "none.yaml")


@pytest.mark.parametrize(
    ("content", "text", "message"),
    [
        ([{**ROW, "score": None}] * 3, "", "of 3 rows read, 0 are dropped and 3 bad\n  3 bad: rat"),
        ([ROW], "drop: clip\n", "there is no good row: of 1 rows read, 1 are dropped and 0 bad"),
        ([{**ROW, "clip": [n]} for n in range(2000)], "", "of 1,000 rows read, 0 are dropped"),
        ([{**ROW, "clip": {"a": 1}}], "", "video_id: expected a text, got a value of type dict"),
        ([{**ROW, "clip": True}], "", "got a value of type bool"),
        ([{**ROW, "video": "/abs.mp4"}], "video: video\n", "video: a path inside its folder is"),
        ([ROW], "system: to_number(clip) > `1` && x\nlabels: {x: clip}\n", "unknown column 'x'"),
        ([ROW], "description: max(clip)\n", "description: the expression fails: In function max"),
        ([ROW], "description: match(clip, '(')\n", "description: the expression fails: missing )"),
        ([ROW], "description: from_json(answer)\n", "the expression fails: Expecting value"),
        ([ROW], "explode: {n: answer}\n", "explode.n: expected a list or an object; got 'A dog"),
        ([ROW], "system: {from: score, values: {a: b}}\n", "system: expected one of a; got 4"),
        ([], "", "there is no good row: of 0 rows read"),
    ],
)
def test_a_source_without_a_good_row(
    content: object, text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in error_of(capsys, *command(tmp_path, content, RATED + text))
    assert not list(store.root().glob("*"))


def test_a_source_that_needs_a_mapping(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = written(tmp_path / "rows.csv", "clip,answer\nv,x\n")
    error = error_of(capsys, "data", "add", source, "--name", "mine")
    assert "expected JSON Lines in our schema, or --map MAP.yaml" in error
    assert "there are clip, answer" in error


def test_several_systems_in_one_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {
            "clip": "v",
            "q": "What?",
            "out": {"x": {"text": "a", "s": 1}, "y": {"text": "b", "s": 5}},
        },
        {
            "clip": "w",
            "q": "What?",
            "out": {"x": {"text": None, "s": 1}, "y": {"text": "d", "s": 2}},
        },
    ]
    text = """\
explode: {model: out}
video_id: clip
instruction: q
response: text
system: model
ratings: s
"""
    printed = output_of(capsys, *command(tmp_path, rows, text))
    assert "4 rows read, 1 bad\n  1 bad: response: nothing there (row 2[x])" in printed
    golds = {(e.system, e.item.video_id): e.gold for e in goldsets.load("mine").examples}
    assert golds == {
        ("x", "v"): RatingGold((1,)),
        ("y", "v"): RatingGold((5,)),
        ("y", "w"): RatingGold((2,)),
    }
    flat = [{"clip": "v", "a_x": "one", "s_x": 2, "a_y": "two", "s_y": 3}]
    text = """\
explode: {n: "[{name: 'x', text: a_x, s: s_x}, {name: 'y', text: a_y, s: s_y}]"}
video_id: clip
instruction: {constant: "What?"}
response: text
system: name
ratings: s
"""
    examples = examples_of([*command(tmp_path, flat, text), "--overwrite"], capsys)
    assert {(e.system, e.item.response, e.gold.ratings) for e in examples} == {
        ("x", "one", (2.0,)),
        ("y", "two", (3.0,)),
    }


def test_pairs_with_the_words_of_their_annotators(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"path": "clips/a.mp4", "q": "?", "x": "one", "y": "two", "won": ["left", "no"]},
        {"path": "clips/b.mp4", "q": "?", "x": "one", "y": "two", "won": ["right"]},
        {"path": "clips/b.mp4", "q": "?", "x": "same", "y": "same", "won": ["right"]},
    ]
    text = """\
video: path
instruction: q
response_a: x
response_b: y
preferences: {from: won, values: {left: a, right: b, no: tie}}
"""
    printed = output_of(capsys, *command(tmp_path, rows, text))
    assert "preferences: a 1, b 1, tie 1\n" in printed
    assert (
        "1 bad: response_b: response_a and response_b are the same text; got 'same' (row 3)"
        in printed
    )
    gold_set = goldsets.load("mine")
    assert gold_set.video_files == {"clips/a": "clips/a.mp4", "clips/b": "clips/b.mp4"}
    for example in gold_set.examples:
        assert isinstance(example.item, Pair)
        assert isinstance(example.gold, PreferenceGold)
        p_one = example.gold.p_first if example.item.first == "one" else 1 - example.gold.p_first
        assert p_one == {"clips/a": 0.75, "clips/b": 0.0}[example.item.video_id]


@pytest.mark.parametrize(
    ("field", "value", "index"),
    [("correct", 2, 2), ("correct", "b", 1), ("correct", "0", 0), ("answer", "three", 2)],
)
def test_options_by_index_letter_or_text(
    field: str, value: object, index: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {
        "clip": "v",
        "q": "How many?",
        "a": "one",
        "b": "two",
        "c": "three",
        "d": "",
        "gold": value,
    }
    text = f"video_id: clip\ninstruction: q\noptions: [a, b, c, d]\n{field}: gold\n"
    examples = examples_of(command(tmp_path, [row], text), capsys)
    assert goldsets.load("mine").info.kind == "options"
    right = [e.labels["option"] for e in examples if e.gold == OptionGold(True)]
    assert (len(examples), right) == (3, [str(index)])
    bad = command(tmp_path, [{**row, "gold": "four!"}], text)
    assert f"{field}: expected" in error_of(capsys, *bad, "--overwrite")


def test_a_row_for_each_annotator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names, scores = ("Zoe Doe", "Ann Poe"), {"v1": (5, 1), "v2": (4, 2)}
    rows = [
        {**ROW, "clip": clip, "who": name, "score": score}
        for clip, given in scores.items()
        for name, score in zip(names, given, strict=True)
    ]
    text = RATED + "annotator: who\n"
    printed = output_of(capsys, *command(tmp_path, [*rows, rows[0]], text))
    assert "5 rows read, 1 bad, 2 merged by annotator\n" in printed
    assert "1 bad: annotator: has rated this answer before (row 5)" in printed
    golds = {e.item.video_id: e.gold.ratings for e in goldsets.load("mine").examples}  # type: ignore[union-attr]
    assert golds in (scores, {clip: given[::-1] for clip, given in scores.items()}), (
        "the annotators stand in one order in all rows"
    )
    kept = b"".join(path.read_bytes() for path in store.root().rglob("*") if path.is_file())
    assert b"Doe" not in kept
    some = [*rows[:3], {**rows[3], "clip": "v3"}]
    printed = output_of(capsys, *command(tmp_path, some, text), "--overwrite")
    assert (
        "2 bad: ratings: found 1 ratings, and the first row has 2; `average: true` make" in printed
    )
    output_of(capsys, *command(tmp_path, some, text + "average: true\n"), "--overwrite")
    golds = {e.item.video_id: e.gold.ratings for e in goldsets.load("mine").examples}  # type: ignore[union-attr]
    assert golds == {"v1": (3,), "v2": (4,), "v3": (2,)}
    labels = {e.item.video_id: dict(e.labels) for e in goldsets.load("mine").examples}
    assert labels["v1"] == {}
    assert labels["v2"]["annotator"] != labels["v3"]["annotator"]
    assert len(labels["v2"]["annotator"]) == 9


def test_annotators_who_saw_a_pair_in_either_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"clip": "v", "x": "one", "y": "two", "won": "a", "who": 1},
        {"clip": "v", "x": "two", "y": "one", "won": "b", "who": 2},
    ]
    text = """\
video_id: clip
instruction: {constant: "?"}
response_a: x
response_b: y
preferences: won
annotator: who
"""
    examples = examples_of(command(tmp_path, rows, text), capsys)
    assert {e.item.first: e.gold.p_first for e in examples} == {"one": 1.0, "two": 0.0}


def test_ratings_are_brought_to_another_scale(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{**ROW, "clip": f"v{n}", "score": n} for n in (0, 25, 100, 101)]
    printed = output_of(capsys, *command(tmp_path, rows, RATED + "scale: 0-100 to 1-5\n"))
    assert "1 bad: ratings: outside the scale 0-100;" in printed
    gold_set = goldsets.load("mine")
    assert str(gold_set.info.scale) == "1-5"
    ratings = {e.item.video_id: e.gold.ratings for e in gold_set.examples}  # type: ignore[union-attr]
    assert ratings == {"v0": (1,), "v25": (2,), "v100": (5,)}
    yes = [{**ROW, "clip": "v", "score": True}, {**ROW, "clip": "w", "score": False}]
    given = command(tmp_path, yes, RATED + "scale: 0-1 to 1-5\n")
    examples = examples_of([*given, "--overwrite"], capsys)
    assert {e.item.video_id: e.gold.ratings for e in examples} == {"v": (5,), "w": (1,)}


def test_ratings_by_criterion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = "clip,answer,score,who,right,fluent\nv,x,50,A,yes,4\nv,x,100,B,no,5\n"
    text = """\
scale: 0-100 to 1-5
annotator: who
criteria: {accuracy: {from: right, values: {yes: 1, no: 0}}, fluency: fluent}
"""
    printed = output_of(capsys, *command(tmp_path, sheet, RATED + text, "r.csv"), "--dry-run")
    given = json.loads(printed.split("row 1: ")[1].splitlines()[0])
    by_annotator = list(zip(given["ratings"], *given["criteria"].values(), strict=True))
    assert list(given["criteria"]) == ["accuracy", "fluency"]
    assert sorted(by_annotator) == [(3, 1, 4), (5, 0, 5)]
    text += "average: true\n"
    printed = output_of(capsys, *command(tmp_path, sheet, RATED + text, "r.csv"), "--dry-run")
    assert '"ratings": [4.0]' in printed
    assert '"criteria": {"accuracy": [0.5], "fluency": [4.5]}' in printed


def test_annotators_that_skip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = "clip,answer,a,b\nv,x,1,2\nw,y,,4\nu,z,nan,\n"
    text = RATED.replace("ratings: score", "ratings: [a, b]")
    printed = output_of(capsys, *command(tmp_path, sheet, text, "r.csv"))
    assert "1 bad: ratings: found 1 ratings, and the first row has 2; `average: true`" in printed
    assert "1 bad: ratings: nothing there (row 3)" in printed
    given = command(tmp_path, sheet, text + "average: true\n", "r.csv")
    examples = examples_of([*given, "--overwrite"], capsys)
    assert {e.item.video_id: e.gold.ratings for e in examples} == {"v": (1.5,), "w": (4,)}


def test_the_help_names_every_mapping(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    printed = output_of(capsys, "data", "add", "--help")
    assert f"MAP.yaml, or one of {', '.join(map_file.names())}" in printed


def test_the_pairs_of_the_documents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).parents[2] / "docs" / "gold-sets.md"
    section = page.read_text(encoding="utf-8").partition("## Anyone's data")[2]
    mapping = section.partition("```yaml\n")[2].partition("```")[0]
    printed = section.partition("--dry-run\n")[2].partition("```")[0]
    garden = {
        "video": "clips/garden.mp4",
        "prompt": "How many dogs are there?",
        "chosen": "Two.",
        "rejected": "A cat.",
        "category": "perception",
    }
    kitchen = {**garden, "video": "clips/kitchen.mp4", "rejected": None}
    given = command(tmp_path, [garden, kitchen], mapping, "rewards.jsonl")
    given[given.index("mine")] = "rewards"
    assert output_of(capsys, *given, "--dry-run") == printed
