"""Answers go through the runner: journal, resume, what a judge is shown, what becomes of faults."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from answer_rows import ASKED, BAD, GOOD, PAIR, answers_of, read, write

from videojudge_bench import Item, Judge, Pair, Preference, Rating, Unparsed, judge_answers
from videojudge_bench.answers.judging import Judging, JudgingOptions, build
from videojudge_bench.errors import (
    ConfigError,
    JournalBusyError,
    JudgeFailedError,
    UnknownNameError,
)
from videojudge_bench.run.journal import Journal
from videojudge_bench.run.runner import RunOptions

HERE = "test_answer_judging"


class Words(Judge):
    """Counts words, and notes what it was asked."""

    scale = None
    asked: list[Item | Pair] = []  # noqa: RUF012 - the tests read it

    def rate(self, item: Item) -> Rating | Unparsed:
        type(self).asked.append(item)
        if "boom" in item.response:
            raise ZeroDivisionError("boom")
        if not item.response:
            return Unparsed("says nothing")
        return Rating(len(item.response.split()))


class Sees(Words):
    """Looks at videos."""

    requires = frozenset({"video"})


class Learns(Words):
    """Looks at the whole set first."""

    def fit(self, items: object) -> None:
        """Nothing to learn here."""


@pytest.fixture(autouse=True)
def asked() -> Iterator[list[Item | Pair]]:
    Words.asked.clear()
    yield Words.asked
    Words.asked.clear()


def options(tmp_path: Path, **more: object) -> RunOptions:
    return RunOptions(journal=tmp_path / "journal", **more)  # type: ignore[arg-type]


def test_three_lines_of_python(tmp_path: Path) -> None:
    output = tmp_path / "verdicts.jsonl"
    judged = judge_answers([GOOD, BAD], "longest", output=output, run=options(tmp_path))
    assert [line["score"] for line in judged.lines] == [7, 6]
    assert read(output) == judged.lines
    text = str(judged)
    assert "longest on answers: judge score, not human score" in text
    assert "x" in text
    assert "7.000" in text


def test_the_lines_are_in_the_order_of_the_answers(tmp_path: Path) -> None:
    rows = [{**row, "id": str(n)} for n, row in enumerate(reversed(answers_of(4)))]
    rows[3] = {**rows[3], "response": ""}
    judged = judge_answers(rows, f"{HERE}:Words", run=options(tmp_path))
    assert [line["id"] for line in judged.lines] == [str(n) for n in range(8)]
    assert judged.lines[3] == {
        "id": "3", "video_id": "v02", "system": "x", "score": None, "unparsed": "says nothing",
    }  # fmt: skip


def test_a_fault_is_a_fault_of_its_answer_alone(tmp_path: Path) -> None:
    rows = [GOOD, {**BAD, "response": "boom"}, {**BAD, "response": "x " * (1 << 20)}]
    judged = judge_answers(rows, f"{HERE}:Words", run=options(tmp_path))
    assert [line["score"] for line in judged.lines] == [7, None, None]
    assert judged.lines[1]["unparsed"] == "judge failed: ZeroDivisionError: boom"
    assert str(judged.lines[2]["unparsed"]).startswith("answer too long: 2097152 bytes;")
    assert judged.n_parsed == 1
    assert judged.reasons == {"answer too long": 1, "judge failed": 1}


def test_what_is_judged_is_not_asked_again_when_answers_are_added(
    tmp_path: Path, asked: list[Item | Pair]
) -> None:
    file = write(tmp_path / "a.jsonl", [GOOD])
    judge_answers(file, f"{HERE}:Words", run=options(tmp_path))
    write(file, [BAD, GOOD])
    judged = judge_answers(file, f"{HERE}:Words", run=options(tmp_path))
    assert len(asked) == 2
    assert [line["score"] for line in judged.lines] == [6, 7]


def test_a_judge_that_learns_from_the_set_is_asked_anew_when_it_changes(
    tmp_path: Path, asked: list[Item | Pair]
) -> None:
    file = write(tmp_path / "a.jsonl", [GOOD])
    judge_answers(file, f"{HERE}:Learns", run=options(tmp_path))
    judge_answers(write(file, [GOOD, BAD]), f"{HERE}:Learns", run=options(tmp_path))
    assert len(asked) == 3


def test_the_same_answers_in_another_project_are_judged_anew(
    tmp_path: Path, asked: list[Item | Pair]
) -> None:
    for project in ("one", "two"):
        (tmp_path / project).mkdir()
        file = write(tmp_path / project / "a.jsonl", [GOOD])
        judge_answers(file, f"{HERE}:Words", run=options(tmp_path))
    assert len(asked) == 2


def test_a_folder_of_videos_may_be_named_from_anywhere(
    tmp_path: Path, asked: list[Item | Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "a.jsonl", [GOOD])
    (tmp_path / "videos").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "videos")
    monkeypatch.chdir(tmp_path)
    for named in (Path("videos"), tmp_path / "videos", Path("link")):
        judge_answers(file, f"{HERE}:Words", run=options(tmp_path, videos=named))
    assert len(asked) == 1


def test_a_failure_is_tried_again(tmp_path: Path, asked: list[Item | Pair]) -> None:
    rows = [GOOD, {**BAD, "response": "boom"}]
    for _ in range(2):
        judge_answers(rows, f"{HERE}:Words", run=options(tmp_path))
    assert [item.response for item in asked if isinstance(item, Item)].count("boom") > 1
    assert len({item.id for item in asked}) == 2


def test_a_judge_that_always_fails_ends_the_run(tmp_path: Path) -> None:
    judging = Judging(
        [{**GOOD, "response": "boom"}], f"{HERE}:Words", JudgingOptions(run=options(tmp_path))
    )
    with pytest.raises(JudgeFailedError, match="failed on all 1 items of answers; the first: "):
        judging.judge()
    assert judging.so_far().lines[0]["unparsed"] == "judge failed: ZeroDivisionError: boom"


def test_all_references_are_shown_unless_fewer_are_wanted(
    tmp_path: Path, asked: list[Item | Pair]
) -> None:
    row = {**GOOD, "references": ["one", "two"]}
    judge_answers([row], f"{HERE}:Words", run=options(tmp_path))
    judge_answers([row], f"{HERE}:Words", run=options(tmp_path, references=1))
    assert [item.references for item in asked] == [("one", "two"), ("one",)]


def test_videos_are_found_by_id_by_name_and_beside_the_answers(
    tmp_path: Path, asked: list[Item | Pair]
) -> None:
    (tmp_path / "clips").mkdir()
    for name in ("kitchen.mp4", "clips/garden one.webm"):
        (tmp_path / name).write_bytes(b"")
    rows = [
        GOOD,
        {"video": "clips/garden one.webm", **{k: GOOD[k] for k in GOOD if k != "video_id"}},
        {**GOOD, "video_id": "gone"},
    ]
    file = write(tmp_path / "a.jsonl", rows)
    judged = judge_answers(file, f"{HERE}:Sees", run=options(tmp_path))
    assert [item.video for item in asked] == [
        tmp_path / "kitchen.mp4", tmp_path / "clips/garden one.webm",
    ]  # fmt: skip
    assert judged.lines[2]["unparsed"] == f"video missing: no file gone.* in {tmp_path}"
    assert judged.reasons == {"video missing": 1}


def test_no_video_at_all_is_said_before_anything_is_judged(tmp_path: Path) -> None:
    judging = Judging([GOOD], f"{HERE}:Sees", JudgingOptions(run=options(tmp_path)))
    with pytest.raises(ConfigError, match=r"requires video, and no file of any of the 1 videos"):
        judging.judge()


def test_pairs_are_judged_in_both_orders(tmp_path: Path) -> None:
    row = {**PAIR, "id": "p"}
    judged = judge_answers([row], f"{HERE}:Words", run=options(tmp_path))
    assert judged.lines == [
        {
            "id": "p", "video_id": "kitchen", "system_a": "a", "system_b": "b",
            "preference": "a", "p_a": 1.0,
            "orders": [{"first": "a", "p_first": 1.0}, {"first": "b", "p_first": 0.0}],
        }
    ]  # fmt: skip


class First(Judge):
    """Prefers whatever stands first, and cannot read what has a 9 in it."""

    def prefer(self, pair: Pair) -> Preference | Unparsed:
        return Unparsed("a 9") if "9" in pair.first else Preference(1.0)


def test_a_judge_of_positions_makes_ties_and_one_lost_order_loses_the_pair(
    tmp_path: Path,
) -> None:
    rows = [PAIR, {**PAIR, "response_b": "9"}, {**PAIR, "response_b": PAIR["response_a"]}]
    judged = judge_answers(rows, f"{HERE}:First", run=options(tmp_path))
    assert [(line["preference"], line["p_a"]) for line in judged.lines] == [
        ("tie", 0.5), (None, None), ("tie", 0.5),
    ]  # fmt: skip
    assert judged.lines[1]["unparsed"] == "a 9"
    assert judged.lines[2]["note"] == "the two answers are the same text"
    assert "0.500" in str(judged)


class Leans(Judge):
    """Gives whatever stands first the same chance, which no fraction of two holds exactly."""

    def prefer(self, pair: Pair) -> Preference:
        return Preference(0.001)


def test_two_orders_that_are_equal_make_a_tie(tmp_path: Path) -> None:
    (line,) = judge_answers([PAIR], f"{HERE}:Leans", run=options(tmp_path)).lines
    assert (line["preference"], line["p_a"]) == ("tie", 0.5)


def test_versus_pairs_and_limits(tmp_path: Path) -> None:
    judged = judge_answers(
        answers_of(3, systems=("x", "y", "z")), "longest", versus="x", limit=3,
        run=options(tmp_path),
    )  # fmt: skip
    assert [(line["system_a"], line["system_b"]) for line in judged.lines] == [
        ("y", "x"), ("z", "x"), ("y", "x"),
    ]  # fmt: skip


def test_ten_megabytes_of_reply_are_read_and_written(tmp_path: Path) -> None:
    row = {**GOOD, "id": "1"}
    judged = judge_answers([row, BAD], f"{HERE}:Babbles", run=options(tmp_path))
    output = tmp_path / "v.jsonl"
    judge_answers([row, BAD], f"{HERE}:Babbles", output=output, run=options(tmp_path))
    assert [line["score"] for line in judged.lines] == [4, 4]
    assert len(str(read(output)[0]["reply"])) > 10_000_000


def test_texts_that_are_no_utf_8_are_written_as_json_has_them(tmp_path: Path) -> None:
    output = tmp_path / "v.jsonl"
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({**ASKED, "response": "é", "system": "é\u2028"}) + "\n")
    judge_answers(file, f"{HERE}:Babbles,half=true", output=output, run=options(tmp_path))
    (line,) = read(output)
    assert line["system"] == "é\u2028"
    assert str(line["reply"]).startswith("\ud800")


class Babbles(Judge):
    """Replies with ten megabytes, or with half a character."""

    def __init__(self, *, half: bool = False) -> None:
        self.half = half

    def judge(self, items: object) -> Iterator[object]:  # type: ignore[override]
        from videojudge_bench.engine import Reply
        from videojudge_bench.replies._reading import read_reply
        from videojudge_bench.scale import RatingScale

        before = "\ud800" if self.half else "and on and on " * 750_000
        for item in items:  # type: ignore[attr-defined]
            reply = Reply(f"{before}\n<score>4</score>")
            yield read_reply(item, reply, RatingScale(1, 5), None)


def test_what_cannot_be_judged_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown judge 'rouge'. Did you mean 'rouge_l'\?"):
        judge_answers([GOOD], "rouge")
    with pytest.raises(ConfigError, match=r"unknown option 'lowr'\. Did you mean 'lower'"):
        judge_answers([GOOD], f"{HERE}:Lower,lowr=true")
    with pytest.raises(ConfigError, match="judge rouge_l requires references; answers has none"):
        judge_answers([GOOD], "rouge_l", run=options(tmp_path))
    with pytest.raises(ConfigError, match="--limit 0: at least 1 answer is needed"):
        judge_answers([GOOD], "longest", limit=0)
    with pytest.raises(ConfigError, match="there is no folder"):
        judge_answers([GOOD], "longest", output=tmp_path / "nowhere" / "v.jsonl")


class Lower(Words):
    """Has an option."""

    def __init__(self, *, lower: bool = True) -> None:
        self.lower = lower


def test_the_answers_are_never_overwritten(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", [GOOD])
    with pytest.raises(ConfigError, match="expected a new file, got the file of answers"):
        judge_answers(file, "longest", output=tmp_path / "." / "a.jsonl")
    assert read(file) == [GOOD]


def test_two_processes_on_the_same_answers(tmp_path: Path) -> None:
    judging = Judging([GOOD], "longest", JudgingOptions(run=options(tmp_path)))
    with (
        Journal(judging.run.folder),
        pytest.raises(JournalBusyError, match="another process is writing"),
    ):
        judging.judge()


def test_the_text_of_a_judge() -> None:
    assert build("judge=longest").name == build("longest").name == "longest"
    assert build("random,seed=2").options == {"seed": 2}
