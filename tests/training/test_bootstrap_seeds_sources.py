"""What the loaders make of the released files, and what they say of malformed ones."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest
from pydantic import BaseModel

from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.goldsets import jsonl, nextqa, vatex
from videojudge_bench.training.bootstrap import seed_sources
from videojudge_bench.training.bootstrap.contracts import Seed
from videojudge_bench.training.bootstrap.qa_sentences import answer_text
from videojudge_bench.training.bootstrap.seed_sources import read_source, stream_list

QA = {"q": "What is cut?", "a": "A pear is cut in two.", "video_id": "v_k_ZXmr8pmrs"}


def written(path: Path, data: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def seeds_of(name: str, path: Path | None = None) -> list[Seed]:
    return list(read_source(name, path))


def test_videoinstruct(tmp_path: Path) -> None:
    path = written(tmp_path / "VideoInstruct100K.json", [QA, {**QA, "q": " Who? ", "more": 1}])
    first, second = seeds_of("videoinstruct", path)
    assert (first.source, first.video_id) == ("videoinstruct", "k_ZXmr8pmrs")
    assert (first.instruction, first.gold) == ("What is cut?", "A pear is cut in two.")
    assert second.instruction == "Who?"
    assert first.id != second.id
    assert seeds_of("videoinstruct", path)[0].id == first.id


def test_vcg_plus_gives_a_seed_for_each_turn(tmp_path: Path) -> None:
    turns = ["<image>\nWhat is cut?", "A pear.", "Who cuts it?\n<video>", "A cook."]
    speakers = ["human", "gpt", "human", "gpt"]
    row = {
        "id": 7,
        "video": "videos/v_k_ZXmr8pmrs.mp4",
        "conversations": [
            {"from": who, "value": said} for who, said in zip(speakers, turns, strict=True)
        ],
    }
    first, second = seeds_of("vcg_plus", written(tmp_path / "vcg.json", [row]))
    assert (first.instruction, first.gold) == ("What is cut?", "A pear.")
    assert (second.instruction, second.gold) == ("Who cuts it?", "A cook.")
    assert {first.video_id, second.video_id} == {"k_ZXmr8pmrs"}
    assert first.video == "videos/v_k_ZXmr8pmrs.mp4"


def test_videochat2_reads_all_subsets_of_a_folder(tmp_path: Path) -> None:
    asked = {"i": "Answer the question.", "q": "Who runs?", "a": "A dog runs."}
    caption = {"i": "Describe it.", "q": "", "a": "A dog runs home."}
    clip = {"video": "k400/k_ZXmr8pmrs.mp4", "QA": [caption], "start": 1.5, "end": 9}
    numbered = {"video": "1164/3238737531.mp4", "QA": [asked, caption]}
    outside = {"video": "/data/pets/dog.mp4", "QA": [caption]}
    written(tmp_path / "video_reasoning/next_qa/train.json", [numbered])
    written(tmp_path / "caption/k400/train.json", [clip, outside])
    written(tmp_path / "caption/k400/test.json", "not read")
    clipped, other, first, second = seeds_of("videochat2", tmp_path)
    assert clipped.video_id == "k_ZXmr8pmrs#t=1.5,9"
    assert clipped.labels == {"type": "caption/k400"}
    assert other.video is None  # a path that leaves the folder of videos
    assert (first.video_id, first.video) == ("3238737531", "1164/3238737531.mp4")
    assert first.instruction == "Answer the question.\nWho runs?"
    assert second.instruction == "Describe it."
    one_file = seeds_of("videochat2", tmp_path / "caption/k400/train.json")
    assert [s.labels["type"] for s in one_file] == ["k400", "k400"]


def test_nextqa_gives_its_seed_half_as_texts_of_some_length() -> None:
    found = seeds_of("nextqa")
    assert len(found) == 2392
    assert not any(nextqa.is_gold(seed.video_id) for seed in found)
    lengths = [len(seed.gold.split()) for seed in found]
    assert min(lengths) >= 3
    assert sum(lengths) / len(lengths) > 10  # 2.8 words without their questions
    forms = {seed.labels["answer_form"] for seed in found}
    assert forms == {"sentence", "question+answer"}


@pytest.mark.parametrize(
    ("question", "answer", "text", "form"),
    [
        ("what is the man doing in the video?", "playing guitar",
         "The man is playing guitar in the video.", "sentence"),
        ("how many dogs are there?", "three", "There are three dogs.", "sentence"),
        ("how many boys are on stage", "two", "Two boys are on stage.", "sentence"),
        ("what was the colour of the ukulele?", "red", "The colour of the ukulele was red.",
         "sentence"),
        ("where are the dogs fighting?", "on barren land",
         "The dogs are fighting on barren land.", "sentence"),
        # No rule applies: the answer is no -ing form, one is not many, a place lacks its word.
        ("what is the dog doing?", "nothing", "What is the dog doing? Nothing.",
         "question+answer"),
        ("how many dogs are there?", "one", "How many dogs are there? One.", "question+answer"),
        ("where are the people cycling?", "road", "Where are the people cycling? Road.",
         "question+answer"),
        ("why did the boy run?", "wants to play.", "Why did the boy run? Wants to play.",
         "question+answer"),
    ],
)  # fmt: skip
def test_question_and_answer_become_one_text(
    question: str, answer: str, text: str, form: str
) -> None:
    assert answer_text(question, answer) == (text, form)


def test_vatex_gives_one_reference_as_gold_and_the_others_beside_it() -> None:
    found = {seed.video_id: seed for seed in seeds_of("vatex")}
    chosen = []
    for row in vatex.rows():
        seed = found.pop(row.video_id)
        assert sorted((seed.gold, *seed.references)) == sorted(row.references)
        assert seed.instruction == vatex.INSTRUCTION
        chosen.append(row.references.index(seed.gold))
    assert not found
    # By hash, and so from all places: a fixed place would be one annotator's or the best one.
    assert {place: chosen.count(place) > 250 for place in range(9)} == dict.fromkeys(range(9), True)


def test_jsonl_takes_all_fields(tmp_path: Path) -> None:
    row = {
        "video_id": "https/dog.mp4",
        "instruction": "Who runs?",
        "gold": "A dog runs.",
        "description": "A dog runs over a lawn.",
        "references": ["A small dog runs."],
        "video": "pets/dog.mp4",
        "source": "pets",
        "labels": {"type": "who"},
    }
    bare = {"video_id": "k_ZXmr8pmrs", "instruction": "", "gold": ""}
    path = tmp_path / "mine.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, (row, bare, bare))).encode()))
    full, empty, again = seeds_of("jsonl", path)
    assert (full.source, full.video_id, full.video) == ("pets", "https/dog", "pets/dog.mp4")
    assert full.references == ("A small dog runs.",)
    assert full.description == "A dog runs over a lawn."
    assert full.labels == {"type": "who"}
    assert empty.source == "mine"
    assert empty == again  # repeated rows and empty texts are the filters' business


TURN = {"from": "human", "value": "Who?"}


@pytest.mark.parametrize(
    ("name", "rows", "said"),
    [
        ("videoinstruct", [QA, {"q": "Who?", "a": "A cook."}],
         "field '[1].video_id': the field is missing"),
        ("videoinstruct", [{**QA, "a": 5}],
         "field '[0].a': Input should be a valid string; found 5"),
        ("videoinstruct", [QA, "QA"], "field '[1]': Input should be an object"),
        ("videoinstruct", {"rows": [QA]}, "expected a JSON list, got a file with '{"),
        ("videoinstruct", [], "expected a list with at least one row, got an empty one"),
        ("vcg_plus", [{"video": "a.mp4", "conversations": [TURN, TURN]}],
         "beginning with human and ending with gpt; they are human, human"),
        ("vcg_plus", [{"video": "a.mp4", "conversations": [TURN, {**TURN, "from": "bot"}]}],
         "field '[0].conversations[1].from': Input should be 'human' or 'gpt'; found 'bot'"),
        ("videochat2", [{"video": "a.mp4", "QA": []}],
         "field '[0].QA': Tuple should have at least 1 item"),
        ("videochat2", [{"video": "a.mp4", "QA": [{"q": "Who?"}]}],
         "field '[0].QA[0].a': the field is missing"),
        ("videochat2", [{"video": "a.mp4", "QA": [{"a": "Me."}], "start": 3}],
         "start and end come together; start is 3.0, end is None"),
        ("videochat2", [{"video": "a.mp4", "QA": [{"a": "Me."}], "start": 3, "end": 2}],
         "start must be before end, and from 0 up; they are (3.0, 2.0)"),
    ],
)  # fmt: skip
def test_a_malformed_row_is_named(name: str, rows: object, said: str, tmp_path: Path) -> None:
    path = written(tmp_path / "train.json", rows)
    with pytest.raises(DataError) as caught:
        seeds_of(name, path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"video_id": "a", "instruction": "Who?"}', "missing: gold"),
        ('{"video_id": "", "instruction": "Who?", "gold": "Me."}', "field 'video_id'"),
        ('{"video_id": "a", "instruction": "Who?", "gold": "Me.", "answer": ""}',
         "unknown: answer"),
        ('{"video_id": "a", "instruction": "Who?", "gold": "Me.", "video": "../a.mp4"}',
         "a path inside its folder is needed"),
        ('{"video_id": "a", "instruction": "Who?", "gold": "Me.", "labels": {"n": 1}}',
         "field 'labels.n': Input should be a valid string; found 1"),
        ("{", "not a JSON object"),
    ],
)  # fmt: skip
def test_a_malformed_line_is_named(line: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(f'{{"video_id": "a", "instruction": "Who?", "gold": "Me."}}\n{line}\n')
    with pytest.raises(DataError) as caught:
        seeds_of("jsonl", path)
    assert f"{path}, line 2" in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "path", "said"),
    [
        ("videoinstruct", None, "'videoinstruct' needs its path: videoinstruct=PATH"),
        ("vatex", "a.json", "'vatex' travels with the package and takes no path, found 'a.json'"),
        ("videochat", None, "unknown source of seeds 'videochat'. Did you mean 'videochat2'"),
    ],
)
def test_a_source_that_cannot_be(name: str, path: str | None, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        seeds_of(name, None if path is None else Path(path))
    assert said in str(caught.value)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.json: cannot be read \(No such file"):
        seeds_of("videoinstruct", tmp_path / "nowhere.json")
    with pytest.raises(DataError, match=r"no folder with files train\.json; give the folder"):
        seeds_of("videochat2", tmp_path)


class Numbered(BaseModel):
    """A row with a number and a text."""

    model_config = jsonl.STRICT

    n: int
    text: str


TEXTS = ['two\nlines "in" a row', "[1, 2]", "}, {", "\\", "é 日本 \U0001f600", ""]


@pytest.mark.parametrize("chunk", [20, 64, 1 << 20])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_list_is_read_in_chunks_of_any_size(
    chunk: int, indent: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seed_sources, "CHUNK_BYTES", chunk)
    rows = [{"n": n, "text": text} for n, text in enumerate(TEXTS)]
    path = tmp_path / "rows.json"
    path.write_text(f"\n {json.dumps(rows, indent=indent, ensure_ascii=False)} \n", "utf-8")
    assert [row.model_dump() for row in stream_list(path, Numbered)] == rows


@pytest.mark.parametrize("chunk", [20, 1 << 20])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[\n{"n": 1, "text": "a"},\n{"n": "1", "text": "a"}]', "field '[1].n': Input"),
        ('[{"n": 1, "text": "a"}\n{"n": 2}]', "field '[1]': not JSON in UTF-8 ("),
        ('[{"n": 1, "text": "a"},', "field '[1]': not JSON in UTF-8 ("),
        ('[{"n": 1, "text": "a', "field '[0]': not JSON in UTF-8 ("),
        ('[{"n": 1, "text": "\xff"}]', "field '[0]': not JSON in UTF-8 ("),
        ('[{"n": 1, "text": "a"}] []', "get the file again"),
        ('{"n": 1, "text": "a"}', 'expected a JSON list, got a file with \'{"n": 1, "text": "a"'),
        ("", "expected a JSON list, got a file with ''"),
        ("[]", "expected a list with at least one row, got an empty one"),
    ],
)
def test_a_broken_list_is_named(
    chunk: int, text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seed_sources, "CHUNK_BYTES", chunk)
    path = tmp_path / "rows.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError) as caught:
        list(stream_list(path, Numbered))
    assert said in str(caught.value)


def test_memory_does_not_grow_with_the_length_of_a_list(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"

    def peak(rows: int) -> int:
        path.write_text(json.dumps([{"n": n, "text": "a" * 1000} for n in range(rows)]))
        tracemalloc.start()
        try:
            assert sum(1 for _ in stream_list(path, Numbered)) == rows
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(1_000), peak(10_000)
    assert many < 1.2 * few
