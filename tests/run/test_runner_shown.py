"""What a run shows to a judge, what a set refuses, and what the signature says of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import cast

import pytest

from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet, examples_hash
from videojudge_bench.goldsets.view import References
from videojudge_bench.items import Item, Pair, RatingGold, part_of
from videojudge_bench.judge import Ability, Judge, Need
from videojudge_bench.metrics import METRIC_VERSION
from videojudge_bench.registry import BuiltJudge, build
from videojudge_bench.run.identity import source_hash
from videojudge_bench.run.runner import Run, RunOptions
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Rating, Unparsed

AnyItem = Item | Pair


class Recorder(Judge):
    """Rates by the length of the response and remembers all that it was shown."""

    scale = None

    def __init__(self, *needs: Need) -> None:
        self.requires = frozenset(needs)
        self.asked: list[AnyItem] = []
        self.fitted: list[list[AnyItem]] = []
        self.dev: list[list[tuple[Item, float]]] = []

    def fit(self, items: Sequence[AnyItem]) -> None:
        self.fitted.append(list(items))

    def fit_dev(self, dev: Sequence[tuple[Item, float]]) -> None:
        self.dev.append(list(dev))

    def rate(self, item: Item) -> Rating:
        self.asked.append(item)
        return Rating(len(item.response))


def _run(
    judge: Judge,
    gold_set: GoldSet,
    root: Path,
    *,
    references: References | None = None,
    videos: Path | None = None,
) -> Run:
    options = RunOptions(references, videos, journal=root)
    return Run(BuiltJudge("mine", judge, {"bonus": 2}), gold_set, options)


def _ids(gold_set: GoldSet) -> list[str]:
    return list(gold_set.by_id)


@pytest.mark.parametrize(
    ("asked", "needs", "shown"),
    [
        (None, (), 0),
        (None, ("references",), 2),
        (0, (), 0),
        (1, ("references",), 1),
        ("all", (), 2),
    ],
)
def test_references_are_shown_as_asked_or_as_needed(
    rated_set: GoldSet,
    journal_root: Path,
    asked: References | None,
    needs: tuple[Need, ...],
    shown: int,
) -> None:
    judge = Recorder(*needs)
    run = _run(judge, rated_set, journal_root, references=asked)
    run.judge(_ids(rated_set))
    assert {len(item.references) for item in (*judge.asked, *judge.fitted[0])} == {shown}
    assert run.view.references == shown


@pytest.mark.parametrize("asked", [-1, "some", 1.5])
def test_other_references_are_refused(
    rated_set: GoldSet, journal_root: Path, asked: object
) -> None:
    with pytest.raises(ConfigError, match="allowed are 0, 1, 2, … and all"):
        _run(Recorder(), rated_set, journal_root, references=cast("References", asked))


def _values_within(value: object) -> Iterator[object]:
    yield value
    if isinstance(value, (tuple, list)):
        for part in value:
            yield from _values_within(part)
    elif isinstance(value, (Item, Pair)):
        for part in fields(value):
            yield from _values_within(getattr(value, part.name))


def test_no_gold_reaches_a_judge(rated_set: GoldSet, journal_root: Path) -> None:
    odd = tuple(
        replace(example, gold=RatingGold((4.21875, 4.21875)), unit="GOLDUNIT", system="GOLDSYS")
        for example in rated_set.examples
    )
    judge = Recorder()
    gold_set = replace(rated_set, examples=odd)
    _run(judge, gold_set, journal_root).judge(_ids(gold_set))
    shown = [*judge.asked, *judge.fitted[0]]
    assert len(shown) == 16
    for item in shown:
        assert type(item) is Item
        assert not hasattr(item, "__dict__")  # nothing but the declared fields
        for value in _values_within(item):
            assert value is None or isinstance(value, (str, Path, tuple, Item))
            assert "4.21875" not in str(value)
            assert "GOLD" not in str(value)


def test_the_whole_set_is_fitted_on_once_whatever_is_asked_for(
    rated_set: GoldSet, journal_root: Path
) -> None:
    judge = Recorder()
    _run(judge, rated_set, journal_root).judge(["v2/cat"])
    (fitted,) = judge.fitted
    assert [item.id for item in fitted] == _ids(rated_set)
    assert judge.dev == []


class OnDev(Recorder):
    fits_on_dev = True


def test_dev_items_with_their_mean_gold_go_to_judges_that_fit_on_them(
    rated_set: GoldSet, journal_root: Path
) -> None:
    judge = OnDev()
    run = _run(judge, rated_set, journal_root)
    run.judge(["v0/cat"])
    (dev,) = judge.dev
    # v2 and v3 are dev videos; means of the gold of conftest.py: (5+5)/2, (1+1)/2, (4+3)/2, (2+1)/2
    assert [(item.id, gold) for item, gold in dev] == [
        ("v2/cat", 5.0),
        ("v2/dog", 1.0),
        ("v3/cat", 3.5),
        ("v3/dog", 1.5),
    ]
    assert all(part_of(item.video_id) == "dev" for item, _ in dev)
    assert run.part == "test"


def test_a_sample_has_no_dev_part_to_fit_on(rated_set: GoldSet, journal_root: Path) -> None:
    sample = replace(rated_set, info=replace(rated_set.info, data="sample-8"))
    judge = OnDev()
    run = _run(judge, sample, journal_root)
    run.judge(["v0/cat"])
    assert judge.dev == [[]]
    assert run.part == "all"


@pytest.mark.parametrize("shape", ["option_set", "pair_set"])
def test_options_and_pairs_have_no_ratings_to_fit_on(
    shape: str, journal_root: Path, request: pytest.FixtureRequest
) -> None:
    gold_set: GoldSet = request.getfixturevalue(shape)
    judge = OnDev()
    _run(judge, gold_set, journal_root).judge(_ids(gold_set))
    assert judge.dev == [[]]


def test_items_of_a_group_come_one_after_another(rated_set: GoldSet, journal_root: Path) -> None:
    interleaved = ["v2/cat", "v0/dog", "v1/cat", "v0/cat", "v2/dog", "v1/dog"]
    judge = Recorder()
    found = _run(judge, rated_set, journal_root).judge(interleaved)
    assert [item.id for item in judge.asked] == [
        "v2/cat", "v2/dog", "v0/dog", "v0/cat", "v1/cat", "v1/dog",
    ]  # fmt: skip
    assert list(found) == interleaved


def test_a_judge_that_sees_is_not_asked_about_missing_videos(
    rated_set: GoldSet, journal_root: Path, videos: Path
) -> None:
    judge = Recorder("video")
    run = _run(judge, rated_set, journal_root, videos=videos)
    found = run.judge(_ids(rated_set))
    assert [item.id for item in judge.asked] == ["v0/cat", "v0/dog", "v2/cat", "v2/dog"]
    assert found["v1/cat"] == Judgement(
        "v1/cat", Unparsed(f"video missing: no file v1.* in {videos}"), failed=True
    )
    (videos / "v1.mp4").touch()  # the video arrives: nothing stands in the way of its judgement
    again = _run(judge, rated_set, journal_root, videos=videos)
    assert again.judge(_ids(rated_set))["v1/cat"].verdict == Rating(12)
    assert len(judge.asked) == 6


def test_without_any_video_a_judge_that_sees_is_not_asked(
    rated_set: GoldSet, journal_root: Path
) -> None:
    judge = Recorder("video")
    found = _run(judge, rated_set, journal_root).judge(_ids(rated_set))
    assert {j.verdict for j in found.values()} == {
        Unparsed(f"video missing: no file v{n}.* (give videos=DIR)") for n in range(4)
    }
    assert (judge.asked, judge.fitted) == ([], [])


def test_a_judge_that_requires_no_video_is_shown_none(
    rated_set: GoldSet, journal_root: Path, videos: Path
) -> None:
    judge = Recorder()
    _run(judge, rated_set, journal_root, videos=videos).judge(["v0/cat", "v1/cat"])
    assert {item.video for item in (*judge.asked, *judge.fitted[0])} == {None}


def test_a_judge_that_uses_a_video_where_there_is_one_says_so(
    rated_set: GoldSet, journal_root: Path, videos: Path
) -> None:
    class Looks(Recorder):
        def visible(self, item: AnyItem) -> AnyItem:
            return item

    judge = Looks()
    _run(judge, rated_set, journal_root, videos=videos).judge(["v0/cat", "v1/cat"])
    assert [item.video for item in judge.asked] == [videos / "v0.mp4", None]


# What a set refuses.


def _restricted(*needs: Need, only: Ability | None = None) -> Recorder:
    judge = Recorder(*needs)
    judge.abilities = frozenset({only}) if only else judge.abilities
    return judge


NO_DESCRIPTIONS = (
    "judge mine requires descriptions of the videos; videojudge_tinyoptions has none. Write them "
    "with `videojudge describe` and give descriptions=FILE"
)


@pytest.mark.parametrize(
    ("shape", "judge", "references", "refusal"),
    [
        ("option_set", _restricted("references"), None,
         "judge mine requires references; videojudge_tinyoptions has none"),
        ("rated_set", _restricted("references"), 0,
         "judge mine requires references, and references=0 shows none"),
        ("option_set", _restricted("description"), None,
         NO_DESCRIPTIONS),
        ("rated_set", _restricted(only="prefer"), None,
         "judge mine cannot rate; videojudge_tinyrated consists of ratings"),
        ("option_set", _restricted(only="prefer"), None,
         "judge mine cannot rate; videojudge_tinyoptions consists of options"),
        ("pair_set", _restricted(only="rate"), None,
         "judge mine cannot prefer; videojudge_tinypairs consists of pairs"),
    ],
)  # fmt: skip
def test_a_set_that_does_not_suit_is_not_applicable(  # noqa: PLR0917 - what is parametrised
    request: pytest.FixtureRequest,
    journal_root: Path,
    shape: str,
    judge: Recorder,
    references: References | None,
    refusal: str,
) -> None:
    run = _run(judge, request.getfixturevalue(shape), journal_root, references=references)
    assert run.refusal == refusal
    with pytest.raises(ConfigError) as caught:
        run.judge([])
    assert str(caught.value) == f"not applicable: {refusal}"
    assert judge.asked == []
    assert not journal_root.exists()


@pytest.mark.parametrize("needs", [("references",), ("description",), ("video",), ()])
def test_a_set_that_has_what_is_needed_suits(
    rated_set: GoldSet, journal_root: Path, needs: tuple[Need, ...]
) -> None:
    assert _run(Recorder(*needs), rated_set, journal_root).refusal is None


# How a number was made.


@pytest.mark.parametrize(
    ("scale", "on_scale"), [(RatingScale(1, 5), True), (RatingScale(0, 10), False), (None, False)]
)
def test_ratings_are_on_the_scale_of_the_set_or_not(
    rated_set: GoldSet, journal_root: Path, scale: RatingScale | None, on_scale: bool
) -> None:
    judge = Recorder()
    judge.scale = scale  # type: ignore[assignment]
    assert _run(judge, rated_set, journal_root).on_scale is on_scale


def test_the_signature_of_a_run(rated_set: GoldSet, journal_root: Path) -> None:
    run = _run(Recorder(), rated_set, journal_root)
    ids = ["v0/cat", "v2/cat"]
    items = examples_hash([rated_set.by_id[i] for i in ids])[:12]
    assert str(run.signature(ids)) == (
        f"set:tinyrated|v:1|data:full|part:all|items:{items}|refs:0|metrics:{METRIC_VERSION}"
        f"||judge:mine|bonus:2|class_source:sha256:{source_hash((Recorder,))[:12]}"
    )
    assert run.signature(ids[::-1]) == run.signature(ids)
    assert run.signature(ids[:1]) != run.signature(ids)


def test_the_signature_of_a_judge_fitted_on_dev_counts_test_items_alone(
    rated_set: GoldSet, journal_root: Path
) -> None:
    run = _run(OnDev(), rated_set, journal_root)
    both = run.signature(["v0/cat", "v2/cat"])
    assert both == run.signature(["v0/cat"])
    assert both.measurement["part"] == "test"
    assert both.measurement["items"] == examples_hash([rated_set.by_id["v0/cat"]])[:12]


@pytest.mark.parametrize(("takes", "asked_on"), [(True, RatingScale(0, 10)), (False, None)])
def test_a_judge_that_takes_any_scale_is_told_the_sets(
    rated_set: GoldSet, journal_root: Path, takes: bool, asked_on: RatingScale | None
) -> None:
    class Told(Recorder):
        takes_scale = takes

        def rate(self, item: Item) -> Rating:
            seen.append(self.scale)
            return Rating(3)

    seen: list[RatingScale | None] = []
    wide = replace(rated_set, info=replace(rated_set.info, scale=RatingScale(0, 10)))
    run = _run(Told(), wide, journal_root)
    run.judge(_ids(wide)[:1])
    assert (seen, run.on_scale) == ([asked_on], takes)


def test_replies_are_read_on_the_scale_of_the_set_in_journals_of_their_own(
    rated_set: GoldSet, journal_root: Path, tmp_path: Path
) -> None:
    replies = tmp_path / "ten.jsonl"
    replies.write_text('{"id": "*", "reply": "<score>8</score>"}\n', encoding="utf-8")
    wide = replace(rated_set, info=replace(rated_set.info, scale=RatingScale(0, 10)))
    item_id = _ids(wide)[0]
    for gold_set, verdict in ((wide, Rating(8)), (rated_set, None)):
        built = build("scripted", {"replies": str(replies)})
        run = Run(built, gold_set, RunOptions(journal=journal_root))
        found = run.judge([item_id])[item_id].verdict
        assert found == verdict if verdict else isinstance(found, Unparsed)
