"""What is asked again when a video, the gold or the reader of replies changes, and what is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from fake_engine import FakeEngine

from videojudge_bench import judge_answers, registry
from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import PromptGroup, Reply
from videojudge_bench.errors import RunStoppedError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Item, RatingGold
from videojudge_bench.judge import Judge
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.registry import BuiltJudge
from videojudge_bench.replies import READER_VERSION, _reading
from videojudge_bench.replies.reply_format import parse_rating
from videojudge_bench.run import runner
from videojudge_bench.run.journal import last_judgements, read_records
from videojudge_bench.run.runner import Run, RunOptions
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed

JUDGE = "videojudge_bench.prompted:PromptedJudge"
ONE = "v0/cat"


class Reads(Judge):
    """Rates by the content of the video, and does something after each item."""

    scale = None
    requires = frozenset({"video"})

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.after: Callable[[Item], object] = lambda item: None

    def rate(self, item: Item) -> Rating:
        assert item.video is not None
        self.asked.append(item.id)
        verdict = Rating(len(item.video.read_bytes()))
        self.after(item)
        return verdict


def _run(judge: Judge, gold_set: GoldSet, root: Path, videos: Path | None = None) -> Run:
    options = RunOptions(videos=videos, journal=root)
    return Run(BuiltJudge("mine", judge, {}), gold_set, options)


def _prompted(
    gold_set: GoldSet, root: Path, videos: Path | None = None, /, **options: Scalar
) -> tuple[Run, FakeEngine]:
    built = registry.build(JUDGE, {"engine": "fake_engine:FakeEngine", **options})
    engine = cast("FakeEngine", cast("PromptedJudge", built.judge).engine)
    return Run(built, gold_set, RunOptions(videos=videos, journal=root)), engine


@pytest.fixture
def all_videos(rated_set: GoldSet, tmp_path: Path) -> Path:
    """A file of one byte for each video."""
    folder = tmp_path / "all"
    folder.mkdir()
    for example in rated_set.examples:
        (folder / f"{example.item.video_id}.mp4").write_bytes(b"1")
    return folder


# Videos.


@pytest.mark.parametrize("video", ["none", "description"])
def test_videos_ask_a_judge_of_text_for_nothing_again(
    rated_set: GoldSet, journal_root: Path, all_videos: Path, video: str
) -> None:
    ids = list(rated_set.by_id)
    _prompted(rated_set, journal_root, video=video)[0].judge(ids)
    run, engine = _prompted(rated_set, journal_root, all_videos, video=video)
    assert run.waiting(ids) == []
    run.judge(ids)
    assert engine.groups == []


def test_videos_ask_a_judge_of_answers_for_nothing_again(tmp_path: Path, videos: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"video_id": "v0", "instruction": "do", "response": "a cat"}\n')
    judge = f"{JUDGE},engine=fake_engine:FakeEngine,video=none"
    options = RunOptions(journal=tmp_path / "journal")
    first = judge_answers(path, judge, run=options)
    again = judge_answers(path, judge, videos=videos, run=options)
    assert again.lines == first.lines
    (journal,) = (tmp_path / "journal").rglob("judgements-0.jsonl")
    assert len(journal.read_text().splitlines()) == 1


def test_a_video_that_is_replaced_is_judged_anew_and_one_that_is_back_is_not(
    rated_set: GoldSet, journal_root: Path, all_videos: Path
) -> None:
    ids, video = list(rated_set.by_id), all_videos / "v0.mp4"
    judge = Reads()
    folders = set()
    for content, asked in ((b"1", 8), (b"22", 2), (b"1", 0), (b"22", 0)):
        video.write_bytes(content)
        judge.asked.clear()
        run = _run(judge, rated_set, journal_root, all_videos)
        found = run.judge(ids)
        assert found[ONE].verdict == Rating(len(content))
        assert len(judge.asked) == asked
        # What is stored of the run is what the last run said.
        assert last_judgements(run.folder) == found
        folders.add(run.folder)
    assert len(folders) == 1


def test_another_folder_of_videos_is_judged_anew(
    rated_set: GoldSet, journal_root: Path, all_videos: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "v0.mp4").write_bytes(b"another")
    (other / "v1.mp4").write_bytes(b"1")  # the same video elsewhere
    judge, ids = Reads(), list(rated_set.by_id)[:4]
    _run(judge, rated_set, journal_root, all_videos).judge(ids)
    judge.asked.clear()
    found = _run(judge, rated_set, journal_root, other).judge(ids)
    assert judge.asked == ids[:2]
    assert found[ONE].verdict == Rating(7)


@pytest.mark.parametrize("judged", ["v0/cat", "v2/cat"], ids=["before", "after"])
def test_a_video_that_is_replaced_during_the_run_is_judged_anew(
    rated_set: GoldSet, journal_root: Path, all_videos: Path, judged: str
) -> None:
    """Whether its items were judged before or after: `judged` is the item it is replaced behind."""
    judge, ids = Reads(), list(rated_set.by_id)

    def replaced(item: Item) -> None:
        if item.id == judged and judge.asked.count(judged) == 1:
            (all_videos / "v0.mp4").write_bytes(b"22")

    judge.after = replaced
    run = _run(judge, rated_set, journal_root, all_videos)
    found = run.judge(ids)
    assert [found[i].verdict for i in ids] == [Rating(2), Rating(2), *[Rating(1)] * 6]
    assert last_judgements(run.folder) == found
    assert {i for i in judge.asked if judge.asked.count(i) > 1} <= {"v0/cat", "v0/dog"}
    judge.asked.clear()
    assert _run(judge, rated_set, journal_root, all_videos).judge(ids) == found
    assert judge.asked == []


def test_a_video_that_is_replaced_all_the_time_has_no_verdict(
    rated_set: GoldSet, journal_root: Path, all_videos: Path
) -> None:
    judge, ids = Reads(), list(rated_set.by_id)

    def grow(item: Item) -> None:
        if item.video_id == "v0":
            (all_videos / "v0.mp4").write_bytes(b"1" * (1 + len(judge.asked)))

    judge.after = grow
    run = _run(judge, rated_set, journal_root, all_videos)
    found = run.judge(ids)
    reason = Unparsed(f"judge failed: {runner.REPLACED}")
    assert [found[i].verdict for i in ids] == [reason, reason, *[Rating(1)] * 6]
    assert len(judge.asked) == 6 + 2 * runner.MAX_PASSES
    assert not any(r.judgement.item_id == ONE for r in read_records(run.folder).values())


def test_a_judge_that_has_learned_from_all_videos_stops_when_one_is_replaced(
    rated_set: GoldSet, journal_root: Path, all_videos: Path
) -> None:
    run, engine = _prompted(rated_set, journal_root, all_videos, video="shuffled")

    async def answer(group: PromptGroup) -> Sequence[Reply]:
        (all_videos / "v3.mp4").write_bytes(b"22")
        return [Reply("<score>4</score>") for _ in group.continuations]

    engine.answer = answer
    with pytest.raises(RunStoppedError, match="run the same command again"):
        run.judge([ONE])
    again, engine = _prompted(rated_set, journal_root, all_videos, video="shuffled")
    assert again.judge([ONE])[ONE].verdict == Rating(4)
    assert len(engine.groups) == 1


# Gold.


def test_corrected_gold_asks_for_nothing_again(rated_set: GoldSet, journal_root: Path) -> None:
    ids = list(rated_set.by_id)
    first, _ = _prompted(rated_set, journal_root)
    found = first.judge(ids)
    example = replace(rated_set.examples[0], gold=RatingGold((1.0, 1.0)))
    corrected = replace(rated_set, examples=(example, *rated_set.examples[1:]))
    run, engine = _prompted(corrected, journal_root)
    assert run.folder != first.folder  # numbers are made of all that a journal holds
    assert run.waiting(ids) == []
    assert run.judge(ids) == found == last_judgements(run.folder)
    assert engine.groups == []


# The reader of replies.

NEWER = READER_VERSION + 1


@pytest.fixture
def new_reader(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Make the reader one that takes a rating of 4 for a 2, and `four` for a 4."""
    old = parse_rating

    def parse(text: str, scale: object) -> Rating | Unparsed:
        found = old(text.replace("four", "<score>5</score>"), scale)  # type: ignore[arg-type]
        return Rating(2) if found == Rating(4) else found

    def change() -> None:
        monkeypatch.setattr(_reading, "parse_rating", parse)
        monkeypatch.setattr(PromptedJudge, "reader_version", NEWER)

    return change


@pytest.mark.parametrize(
    ("reply", "options", "verdict"),
    [
        ("<score>4</score>", {}, Rating(2)),
        ("four", {}, Rating(5)),
        ("<score>3</score>", {}, Rating(3)),
        ("<score>4</score>", {"samples": 3, "temperature": 0.5}, Rating(2)),
    ],
)
def test_replies_are_read_anew_and_nothing_is_asked(
    rated_set: GoldSet,
    journal_root: Path,
    new_reader: Callable[[], None],
    *,
    reply: str,
    options: dict[str, Scalar],
    verdict: Rating,
) -> None:
    ids = list(rated_set.by_id)
    first, engine = _prompted(rated_set, journal_root, **options)
    engine.reply = reply
    first.judge(ids)
    assert first.signature(ids).judge["reader"] == READER_VERSION
    new_reader()
    run, engine = _prompted(rated_set, journal_root, **options)
    assert run.folder == first.folder
    assert run.waiting(ids) == []
    assert {j.verdict for j in run.so_far(ids).values()} == {verdict}
    assert {j.verdict for j in run.judge(ids).values()} == {verdict}
    assert engine.groups == []
    assert {j.verdict for j in last_judgements(run.folder).values()} == {verdict}
    assert {record.reader for record in read_records(run.folder).values()} == {NEWER}
    assert run.signature(ids).judge["reader"] == NEWER


def test_pairs_by_two_ratings_are_read_anew(
    pair_set: GoldSet, journal_root: Path, new_reader: Callable[[], None]
) -> None:
    async def answer(group: PromptGroup) -> Sequence[Reply]:
        scores = {"first": 4, "second": 3}
        return [
            Reply(f"<score>{scores[tail.id.rpartition('#')[2]]}</score>")
            for tail in group.continuations
        ]

    first, engine = _prompted(pair_set, journal_root, pairs="rate")
    engine.answer = answer
    assert {j.verdict for j in first.judge(list(pair_set.by_id)).values()} == {Preference(1.0)}
    new_reader()
    run, engine = _prompted(pair_set, journal_root, pairs="rate")
    assert {j.verdict for j in run.judge(list(pair_set.by_id)).values()} == {Preference(0.0)}
    assert engine.groups == []


def test_a_reply_that_was_cut_off_stays_without_a_verdict(
    rated_set: GoldSet, journal_root: Path, new_reader: Callable[[], None]
) -> None:
    async def answer(group: PromptGroup) -> Sequence[Reply]:
        return [Reply("<score>3</score> or", finished=False) for _ in group.continuations]

    first, engine = _prompted(rated_set, journal_root)
    engine.answer = answer
    first.judge([ONE])
    new_reader()
    run, engine = _prompted(rated_set, journal_root)
    assert run.judge([ONE])[ONE].verdict == Unparsed(_reading.CUT_OFF)
    assert engine.groups == []


class Sure(FakeEngine):
    """Gives the probabilities of its reply's verdict."""

    capabilities = frozenset({"video", "logprobs"})

    async def same(self, group: PromptGroup) -> list[Reply]:  # type: ignore[override]
        favoured = {c: 0.9 if c == "4" else 0.02 for c in group.choices}
        return [Reply(self.reply, favoured) for _ in group.continuations]


@pytest.mark.parametrize(
    ("reply", "asked"),
    [("<score>3</score>", True), ("<score>4</score>", True), ("nothing", False)],
    ids=["read elsewhere", "read as another", "not read"],
)
def test_an_expected_score_is_asked_again_where_its_place_has_moved(
    rated_set: GoldSet, journal_root: Path, new_reader: Callable[[], None], reply: str, asked: bool
) -> None:
    found: list[Judgement] = []
    calls: list[int] = []
    for _ in range(2):
        options = {"engine": f"{__name__}:Sure", "score": "expected"}
        built = registry.build(JUDGE, options)
        engine = cast("Sure", cast("PromptedJudge", built.judge).engine)
        engine.reply = reply
        run = Run(built, rated_set, RunOptions(journal=journal_root))
        found.append(run.judge([ONE])[ONE])
        calls.append(len(engine.groups))
        new_reader()
    assert found[0] == found[1]
    assert calls == [1, int(asked)]


def test_what_an_older_reader_read_is_left_out_of_what_is_stored(
    rated_set: GoldSet,
    journal_root: Path,
    new_reader: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    ids = list(rated_set.by_id)
    _prompted(rated_set, journal_root)[0].judge(ids)
    new_reader()
    run, _ = _prompted(rated_set, journal_root)
    run.judge(ids[:3])
    assert sorted(last_judgements(run.folder)) == sorted(ids[:3])
    assert "5 judgements left out, which an older version read" in caplog.text
