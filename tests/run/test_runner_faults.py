"""The item boundary: what a judge does wrong with one item is a failure of that item alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench.errors import ConfigError, JudgeFailedError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Item, Pair
from videojudge_bench.judge import Judge
from videojudge_bench.registry import BuiltJudge
from videojudge_bench.run.journal import read_journal
from videojudge_bench.run.runner import Run, RunOptions, answers_of
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed, Usage

AnyItem = Item | Pair
Stream = Callable[[Iterable[AnyItem]], Iterator[Judgement]]


class Bad(Judge):
    """Rates everything 3, but breaks on the items that are named."""

    def __init__(self, *bad: str) -> None:
        self.bad = set(bad)
        self.asked: list[str] = []

    def rate(self, item: Item) -> Rating | Unparsed:
        self.asked.append(item.id)
        if item.id in self.bad:
            raise ValueError(f"cannot do {item.id}")
        return Rating(3.0)


class Batched(Bad):
    """Takes `size` items, then answers them; one bad item breaks its whole batch."""

    def __init__(self, *bad: str, size: int, answer_first: bool = False) -> None:
        super().__init__(*bad)
        self.size, self.answer_first = size, answer_first

    def judge(self, items: Iterable[AnyItem]) -> Iterator[Judgement]:
        stream = iter(items)
        while batch := list(islice(stream, self.size)):
            self.asked.append("+".join(item.id for item in batch))
            broken = [item.id for item in batch if item.id in self.bad]
            for item in batch:
                if item.id in self.bad and self.answer_first:
                    break
                if not broken or self.answer_first:
                    yield Judgement(item.id, Rating(3.0))
            if broken:
                raise ValueError(f"bad batch, {len(batch)} items")


class Streaming(Judge):
    """Judges with a function that is given."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def judge(self, items: Iterable[AnyItem]) -> Iterator[Judgement]:
        return self._stream(items)


def _run(judge: Judge, gold_set: GoldSet, root: Path) -> Run:
    return Run(BuiltJudge("mine", judge, {}), gold_set, RunOptions(journal=root))


def _ids(gold_set: GoldSet) -> list[str]:
    return list(gold_set.by_id)


def _failure(item_id: str, reason: str) -> Judgement:
    return Judgement(item_id, Unparsed(f"judge failed: {reason}"), failed=True)


def _returns(verdict: object) -> Judge:
    class Wrong(Judge):
        def rate(self, item: Item) -> Rating | Unparsed:
            return cast("Rating", verdict) if item.id == "v0/dog" else Rating(3.0)

        def prefer(self, pair: Pair) -> Preference | Unparsed:
            return cast("Preference", verdict) if pair.id == "v0/ba" else Preference(1.0)

    return Wrong()


def test_an_item_that_breaks_the_judge_is_recorded_and_the_others_are_judged(
    rated_set: GoldSet, journal_root: Path
) -> None:
    judge = Bad("v1/cat")
    run = _run(judge, rated_set, journal_root)
    found = run.judge(_ids(rated_set))
    assert found.pop("v1/cat") == _failure("v1/cat", "ValueError: cannot do v1/cat")
    assert {j.verdict for j in found.values()} == {Rating(3.0)}
    assert len(found) == 7
    assert judge.asked == _ids(rated_set)  # each once: it is plain which one it was
    kept = {j.item_id: j for j in read_journal(run.folder).values()}
    assert kept["v1/cat"].failed
    assert sum(j.failed for j in kept.values()) == 1


def test_a_judge_that_fails_on_every_item_is_an_error_with_the_first_reason(
    rated_set: GoldSet, journal_root: Path
) -> None:
    judge = Bad(*_ids(rated_set))
    run = _run(judge, rated_set, journal_root)
    with pytest.raises(JudgeFailedError) as caught:
        run.judge(_ids(rated_set))
    assert str(caught.value) == (
        "judge mine failed on all 8 items of videojudge_tinyrated; the first: "
        "judge failed: ValueError: cannot do v0/cat"
    )
    assert judge.asked == _ids(rated_set)
    assert len(read_journal(run.folder)) == 8


def test_a_judge_without_any_method_says_what_it_lacks(
    rated_set: GoldSet, journal_root: Path
) -> None:
    class Nothing(Judge):
        pass

    with pytest.raises(JudgeFailedError, match="Nothing rates no single response; it needs a meth"):
        _run(Nothing(), rated_set, journal_root).judge(_ids(rated_set))


def test_only_what_failed_is_asked_again(rated_set: GoldSet, journal_root: Path) -> None:
    judge = Bad("v0/dog", "v2/cat")
    _run(judge, rated_set, journal_root).judge(_ids(rated_set))
    judge.bad, judge.asked = {"v2/cat"}, []
    found = _run(judge, rated_set, journal_root).judge(_ids(rated_set))
    assert judge.asked == ["v0/dog", "v2/cat"]
    assert [i for i, j in found.items() if j.failed] == ["v2/cat"]
    judge.bad, judge.asked = set(), []
    found = _run(judge, rated_set, journal_root).judge(_ids(rated_set))
    assert judge.asked == ["v2/cat"]
    assert found == _run(Bad(), rated_set, journal_root / "undisturbed").judge(_ids(rated_set))


@pytest.mark.parametrize("stop", [ConfigError("model=x does not exist"), SystemExit(3)])
def test_an_error_of_the_configuration_ends_the_run_at_once(
    rated_set: GoldSet, journal_root: Path, stop: BaseException
) -> None:
    class Misconfigured(Bad):
        def rate(self, item: Item) -> Rating | Unparsed:
            if len(self.asked) == 2:
                raise stop
            return super().rate(item)

    judge = Misconfigured()
    run = _run(judge, rated_set, journal_root)
    with pytest.raises(type(stop)) as caught:
        run.judge(_ids(rated_set))
    assert caught.value is stop
    assert judge.asked == ["v0/cat", "v0/dog"]
    assert len(read_journal(run.folder)) == 2


# Batches.


@pytest.mark.parametrize("answer_first", [False, True])
@pytest.mark.parametrize("size", [2, 3, 8, 100])
def test_a_broken_batch_is_asked_one_by_one(
    rated_set: GoldSet, journal_root: Path, size: int, answer_first: bool
) -> None:
    judge = Batched("v1/cat", size=size, answer_first=answer_first)
    found = _run(judge, rated_set, journal_root).judge(_ids(rated_set))
    # A bad item that is the only one without an answer in its batch needs no second try.
    assert found.pop("v1/cat").verdict in (
        Unparsed("judge failed: ValueError: bad batch, 1 items"),
        Unparsed(f"judge failed: ValueError: bad batch, {size} items"),
    )
    assert [j.verdict for j in found.values()] == [Rating(3.0)] * 7


def test_a_failure_is_said_in_the_words_of_its_own_attempt(
    rated_set: GoldSet, journal_root: Path
) -> None:
    judge = Batched("v0/cat", "v1/cat", size=100)
    found = _run(judge, rated_set, journal_root).judge(_ids(rated_set))
    assert [i for i, j in found.items() if j.failed] == ["v0/cat", "v1/cat"]
    assert found["v1/cat"] == _failure("v1/cat", "ValueError: bad batch, 1 items")


def test_a_batch_that_breaks_but_whose_items_do_not_fails_nothing(
    rated_set: GoldSet, journal_root: Path
) -> None:
    def out_of_memory(items: Iterable[AnyItem]) -> Iterator[Judgement]:
        batch = list(items)
        if len(batch) > 1:
            raise MemoryError("batch too large")
        yield Judgement(batch[0].id, Rating(3.0))

    found = _run(Streaming(out_of_memory), rated_set, journal_root).judge(_ids(rated_set))
    assert [j.verdict for j in found.values()] == [Rating(3.0)] * 8


ITEMS = [Item(str(number), "v", "do", "x") for number in range(7)]


@given(
    bad=st.sets(st.sampled_from([item.id for item in ITEMS])),
    size=st.integers(1, 8),
    answer_first=st.booleans(),
)
def test_exactly_the_bad_items_fail_whatever_the_batches(
    bad: set[str], size: int, answer_first: bool
) -> None:
    judge = Batched(*bad, size=size, answer_first=answer_first)
    answers = list(answers_of(BuiltJudge("mine", judge, {}), ITEMS))
    assert sorted(j.item_id for j in answers) == [item.id for item in ITEMS]
    assert {j.item_id for j in answers if j.failed} == bad
    assert {j.verdict for j in answers if not j.failed} <= {Rating(3.0)}


def test_a_judge_that_raises_after_its_last_answer_has_answered_all(
    rated_set: GoldSet, journal_root: Path
) -> None:
    def closes_badly(items: Iterable[AnyItem]) -> Iterator[Judgement]:
        for item in items:
            yield Judgement(item.id, Rating(3.0))
        raise OSError("connection lost while closing")

    found = _run(Streaming(closes_badly), rated_set, journal_root).judge(_ids(rated_set))
    assert [j.verdict for j in found.values()] == [Rating(3.0)] * 8


def test_an_item_that_was_not_taken_is_not_blamed(rated_set: GoldSet, journal_root: Path) -> None:
    hiccups = [OSError("hiccup between two items")]

    def hiccup(items: Iterable[AnyItem]) -> Iterator[Judgement]:
        for item in items:
            yield Judgement(item.id, Rating(3.0))
            if item.id == "v0/dog" and hiccups:
                raise hiccups.pop()

    found = _run(Streaming(hiccup), rated_set, journal_root).judge(_ids(rated_set))
    assert [i for i, j in found.items() if j.failed] == []


def test_a_judge_that_raises_before_it_takes_anything_fails_on_all(
    rated_set: GoldSet, journal_root: Path
) -> None:
    def unwell(items: Iterable[AnyItem]) -> Iterator[Judgement]:
        raise OSError("no model")

    with pytest.raises(JudgeFailedError, match=r"failed on all 8 items .* OSError: no model"):
        _run(Streaming(unwell), rated_set, journal_root).judge(_ids(rated_set))


# Answers that are none.


def test_of_two_answers_to_one_item_the_first_counts(
    rated_set: GoldSet, journal_root: Path
) -> None:
    def twice(items: Iterable[AnyItem]) -> Iterator[Judgement]:
        for item in items:
            yield Judgement(item.id, Rating(3.0))
            yield Judgement(item.id, Rating(4.0))

    run = _run(Streaming(twice), rated_set, journal_root)
    found = run.judge(_ids(rated_set))
    assert [j.verdict for j in found.values()] == [Rating(3.0)] * 8
    assert len((run.folder / "judgements-0.jsonl").read_text().splitlines()) == 8


def test_answers_to_items_that_were_not_asked_about_are_left_out(
    rated_set: GoldSet, journal_root: Path
) -> None:
    def talkative(items: Iterable[AnyItem]) -> Iterator[Judgement]:
        for item in items:
            yield Judgement(f"{item.id}?", Rating(5.0))
            yield Judgement(item.id, Rating(3.0))

    found = _run(Streaming(talkative), rated_set, journal_root).judge(["v0/cat"])
    assert found == {"v0/cat": Judgement("v0/cat", Rating(3.0))}


def test_items_that_are_passed_over_are_failures(rated_set: GoldSet, journal_root: Path) -> None:
    def forgetful(items: Iterable[AnyItem]) -> Iterator[Judgement]:
        return (Judgement(item.id, Rating(3.0)) for item in items if "dog" not in item.id)

    found = _run(Streaming(forgetful), rated_set, journal_root).judge(["v0/cat", "v0/dog"])
    assert found["v0/dog"] == _failure("v0/dog", "the judge gave no verdict")
    assert not found["v0/cat"].failed


def test_answers_may_come_in_any_order(rated_set: GoldSet, journal_root: Path) -> None:
    def backwards(items: Iterable[AnyItem]) -> Iterator[Judgement]:
        for item in reversed(list(items)):
            yield Judgement(item.id, Rating(3.0 if item.id.endswith("cat") else 1.25))

    found = _run(Streaming(backwards), rated_set, journal_root).judge(_ids(rated_set))
    assert list(found) == _ids(rated_set)
    assert found["v0/cat"].verdict == Rating(3.0)
    assert found["v0/dog"].verdict == Rating(1.25)


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (None, "the judge returned None; it must return Rating or Unparsed"),
        (3.0, "the judge returned 3.0; it must return Rating or Unparsed"),
        (Preference(1.0), "the judge returned Preference(p_first=1.0); it must return Rating or"),
        (Rating(5.5), "the judge returned 5.5, outside its scale 1-5"),
        (Rating(0.0), "the judge returned 0.0, outside its scale 1-5"),
    ],
)
def test_a_verdict_that_is_none_for_an_item(
    rated_set: GoldSet, journal_root: Path, verdict: object, reason: str
) -> None:
    found = _run(_returns(verdict), rated_set, journal_root).judge(["v0/cat", "v0/dog"])
    failed = found["v0/dog"]
    assert failed.failed
    assert isinstance(failed.verdict, Unparsed)
    assert failed.verdict.reason.startswith(f"judge failed: {reason}")
    assert found["v0/cat"].verdict == Rating(3.0)


@pytest.mark.parametrize("verdict", [None, Rating(3.0), True])
def test_a_verdict_that_is_none_for_a_pair(
    pair_set: GoldSet, journal_root: Path, verdict: object
) -> None:
    found = _run(_returns(verdict), pair_set, journal_root).judge(["v0/ab", "v0/ba"])
    assert found["v0/ba"] == _failure(
        "v0/ba", f"the judge returned {verdict!r}; it must return Preference or Unparsed"
    )


@pytest.mark.parametrize("answer", [None, Rating(3.0), "v0/dog", ("v0/dog", 3.0)])
def test_an_answer_that_is_no_judgement_fails_its_item(
    rated_set: GoldSet, journal_root: Path, answer: object
) -> None:
    def sloppy(items: Iterable[AnyItem]) -> Iterator[Judgement]:
        for item in items:
            judgement = Judgement(item.id, Rating(3.0))
            yield cast("Judgement", answer) if item.id == "v0/dog" else judgement

    found = _run(Streaming(sloppy), rated_set, journal_root).judge(_ids(rated_set))
    assert [i for i, j in found.items() if j.failed] == ["v0/dog"]


def test_a_number_of_numpy_is_a_rating(rated_set: GoldSet, journal_root: Path) -> None:
    judge = _returns(Rating(np.float32(2.5)))
    found = _run(judge, rated_set, journal_root).judge(["v0/cat", "v0/dog"])
    assert found["v0/dog"].verdict == Rating(2.5)
    assert _run(Bad(), rated_set, journal_root).judge(["v0/dog"]) == {"v0/dog": found["v0/dog"]}


@pytest.mark.parametrize(
    "judgement",
    [
        Judgement("v0/dog", Rating(3.0), probabilities={"3": cast("float", object())}),
        Judgement("v0/dog", Rating(3.0), reply=cast("str", b"bytes")),
        Judgement("v0/dog", Rating(3.0), usage=Usage(cast("int", object()))),
    ],
    ids=["probabilities", "reply", "usage"],
)
def test_a_judgement_that_cannot_be_written_fails_its_item(
    rated_set: GoldSet, journal_root: Path, judgement: Judgement
) -> None:
    def unwritable(items: Iterable[AnyItem]) -> Iterator[Judgement]:
        for item in items:
            yield judgement if item.id == "v0/dog" else Judgement(item.id, Rating(3.0))

    found = _run(Streaming(unwritable), rated_set, journal_root).judge(_ids(rated_set))
    assert [i for i, j in found.items() if j.failed] == ["v0/dog"]


def test_what_the_judge_says_of_its_judgement_is_kept(
    rated_set: GoldSet, journal_root: Path
) -> None:
    said = Judgement("v0/cat", Rating(4.0), "<score>4</score>", {"4": 0.75}, Usage(9, 3, 0.5))
    judge = Streaming(lambda items: (said for _ in items))
    assert _run(judge, rated_set, journal_root).judge(["v0/cat"]) == {"v0/cat": said}
    again = _run(Bad("v0/cat"), rated_set, journal_root).judge(["v0/cat"])
    assert again == {"v0/cat": said}


def test_a_failure_that_the_judge_reports_itself_is_asked_again(
    rated_set: GoldSet, journal_root: Path
) -> None:
    down = [Judgement("v0/cat", Unparsed("engine: 503"), failed=True)]
    judge = Streaming(
        lambda items: (down.pop() if down else Judgement(i.id, Rating(3.0)) for i in items)
    )
    assert _run(judge, rated_set, journal_root).judge(["v0/cat", "v0/dog"])["v0/cat"].failed
    second = _run(judge, rated_set, journal_root).judge(["v0/cat", "v0/dog"])
    assert second["v0/cat"].verdict == Rating(3.0)
