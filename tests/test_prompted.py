"""Prompted judges: what they ask an engine, how they read its replies, how they are made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from fake_engine import Replies, items, make_judge

from videojudge_bench import registry
from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import EngineError, PromptGroup, Reply, Sampling
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Item, Pair, Subtitle
from videojudge_bench.judge import Ability
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.prompts import PROMPTS_FOLDER, load_prompt
from videojudge_bench.run.runner import Run, RunOptions
from videojudge_bench.scale import RatingScale
from videojudge_bench.signature import render
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed, Usage


class Rater(PromptedJudge):
    """Has a prompt for single responses alone."""

    prompts = {"rate": "rate.jinja"}  # noqa: RUF012 - the base class declares it


class Comparer(PromptedJudge):
    """Has a prompt for pairs alone."""

    prompts = {"prefer": "prefer.jinja"}  # noqa: RUF012


class Looker(PromptedJudge):
    requires = frozenset({"video"})


# What an engine is asked.


def test_each_group_is_one_call_with_a_shared_prefix(rated_set: GoldSet) -> None:
    judge, engine = make_judge()
    items = [cast("Item", example.item) for example in rated_set.examples]
    assert {j.item_id for j in judge.judge(items)} == set(rated_set.by_id)
    assert engine.asked == [[f"v{n}/cat", f"v{n}/dog"] for n in range(4)]
    template = load_prompt(PROMPTS_FOLDER / "rate.jinja")
    for group, item in zip(engine.groups, items[::2], strict=True):
        prompt = template.render(item, RatingScale(1, 5))
        assert (group.prefix.system, group.prefix.text) == (prompt.system, prompt.shared)
        cat, dog = group.continuations
        assert (cat.text, dog.text) == (
            prompt.response,
            prompt.response.replace("a cat sleeps", "a dog"),
        )


@pytest.mark.parametrize(
    "change",
    [
        {"references": ("other reference",)},
        {"description": "other description"},
        {"subtitles": (Subtitle(0.0, 1.0, "other words"),)},
    ],
)
def test_no_item_is_judged_with_the_references_or_description_of_another(
    change: dict[str, tuple[str, ...] | str | tuple[Subtitle, ...]],
) -> None:
    one = Item("a", "v", "do", "x", ("this reference",), "this description")
    other = replace(one, id="b", **change)  # type: ignore[arg-type]
    judge, engine = make_judge()
    list(judge.judge([one, other]))
    template = load_prompt(PROMPTS_FOLDER / "rate.jinja")
    seen = {tail.id: g.prefix.text for g in engine.groups for tail in g.continuations}
    for item in (one, other):
        assert seen[item.id] == template.render(item, RatingScale(1, 5)).shared


def test_the_video_goes_to_an_engine_that_takes_it(videos: Path) -> None:
    item = Item("a", "v0", "do", "x", video=videos / "v0.mp4")
    judge, engine = make_judge()
    judge.rate(item)
    assert engine.groups[0].prefix.video == item.video
    assert "the video above" in engine.groups[0].prefix.text


def test_an_engine_without_video_gets_none_and_is_not_told_of_one(videos: Path) -> None:
    item = Item("a", "v0", "do", "x", video=videos / "v0.mp4")
    judge, engine = make_judge(engine="TextEngine")
    judge.rate(item)
    assert engine.groups[0].prefix.video is None
    assert "the video above" not in engine.groups[0].prefix.text


def test_decoding_options_reach_the_engine() -> None:
    judge, engine = make_judge(temperature=1, max_tokens=7, seed=3)
    judge.rate(items(1)[0])
    assert engine.groups[0].sampling == Sampling(1.0, 7, 3)
    judge, engine = make_judge()
    judge.rate(items(1)[0])
    assert engine.groups[0].sampling == Sampling(0.0, 1024, 0)


def test_a_pair_prompt_shows_both_responses_in_one_call() -> None:
    judge, engine = make_judge(reply="<answer>B</answer>")
    pair = Pair("p", "v", "do", "a cat", "a dog")
    assert judge.prefer(pair) == Preference(0.0)
    ((tail,),) = (group.continuations for group in engine.groups)
    assert tail.id == "p"
    assert tail.text.index("a cat") < tail.text.index("a dog")


@pytest.mark.parametrize(
    ("cls", "asked"), [(Rater, "prefer"), (Rater, "rate"), (PromptedJudge, "rate")]
)
def test_without_a_pair_prompt_both_responses_are_rated(
    cls: type[PromptedJudge], asked: str
) -> None:
    judge, engine = make_judge(cls, pairs=asked)

    async def by_response(group: PromptGroup) -> Replies:
        return [
            Reply(f"<score>{4 if 'cat' in tail.text else 2}</score>", usage=Usage(10, 1, 0.5))
            for tail in group.continuations
        ]

    engine.answer = by_response
    pairs = [Pair("p/ab", "v", "do", "cat", "dog"), Pair("p/ba", "v", "do", "dog", "cat")]
    two = Usage(20, 2, 1.0)
    assert list(judge.judge(pairs)) == [
        Judgement("p/ab", Preference(1.0), "<score>4</score>\n\n<score>2</score>", usage=two),
        Judgement("p/ba", Preference(0.0), "<score>2</score>\n\n<score>4</score>", usage=two),
    ]
    assert engine.asked == [["p/ab#first", "p/ab#second", "p/ba#first", "p/ba#second"]]


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        (
            [EngineError("503"), Reply("<score>4</score>")],
            Judgement(
                "p",
                Unparsed("first response: engine: 503"),
                "\n\n<score>4</score>",
                failed=True,
            ),
        ),
        (
            [Reply("<score>4</score>"), EngineError("503")],
            Judgement(
                "p",
                Unparsed("second response: engine: 503"),
                "<score>4</score>\n\n",
                failed=True,
            ),
        ),
    ],
)
def test_a_pair_fails_when_one_of_its_ratings_fails(
    replies: list[Reply | EngineError], expected: Judgement
) -> None:
    judge, engine = make_judge(Rater)

    async def answer(group: PromptGroup) -> Replies:
        return replies

    engine.answer = answer
    assert list(judge.judge([Pair("p", "v", "do", "x", "y")])) == [expected]


@pytest.mark.parametrize(
    ("cls", "abilities"),
    [
        (PromptedJudge, {"rate", "prefer"}),
        (Rater, {"rate", "prefer"}),
        (Comparer, {"prefer"}),
    ],
)
def test_what_a_judge_can_follows_from_its_prompts(
    cls: type[PromptedJudge], abilities: set[Ability]
) -> None:
    assert make_judge(cls)[0].abilities == abilities


# How replies are read.


def test_a_reply_becomes_a_judgement_with_all_that_came_with_it() -> None:
    judge, engine = make_judge()
    reply = Reply("so\n<score>3</score>", {"3": 0.75, "4": 0.25}, Usage(9, 3, 0.5))

    async def answer(group: PromptGroup) -> Replies:
        return [reply]

    engine.answer = answer
    (item,) = items(1)
    assert list(judge.judge([item])) == [
        Judgement(item.id, Rating(3.0), reply.text, {"3": 0.75, "4": 0.25}, Usage(9, 3, 0.5))
    ]
    assert judge.rate(item) == Rating(3.0)


def test_a_reply_that_was_cut_off_is_unparsed_whatever_it_says() -> None:
    judge, engine = make_judge()
    text = "<score>3</score> No, after a second look"

    async def answer(group: PromptGroup) -> Replies:
        return [Reply(text, finished=False)]

    engine.answer = answer
    cut = Unparsed("cut off at max_tokens")
    assert list(judge.judge(items(1))) == [Judgement("v0/0", cut, text)]
    assert judge.prefer(Pair("p", "v", "do", "x", "y")) == cut


@pytest.mark.parametrize("reply", ["", "no number at all", "<score>9</score>"])
def test_a_reply_without_a_verdict_is_unparsed_and_kept(reply: str) -> None:
    judge, _ = make_judge(reply=reply)
    (judgement,) = judge.judge(items(1))
    assert isinstance(judgement.verdict, Unparsed)
    assert (judgement.reply, judgement.failed) == (reply, False)


def test_one_engine_error_fails_one_item() -> None:
    judge, engine = make_judge()

    async def answer(group: PromptGroup) -> Replies:
        return [Reply("<score>4</score>"), EngineError("too long"), Reply("<score>2</score>")]

    engine.answer = answer
    assert list(judge.judge(items(1, each=3))) == [
        Judgement("v0/0", Rating(4.0), "<score>4</score>"),
        Judgement("v0/1", Unparsed("engine: too long"), failed=True),
        Judgement("v0/2", Rating(2.0), "<score>2</score>"),
    ]


# Making one.


def test_the_signature_names_prompts_engine_and_decoding_but_no_concurrency() -> None:
    name, engine = "videojudge_bench.prompted:PromptedJudge", "fake_engine:FakeEngine"
    built = registry.build(name, {"engine": engine, "reply": "x", "concurrency": 2})
    shas = {a: load_prompt(PROMPTS_FOLDER / f"{a}.jinja").sha for a in ("rate", "prefer")}
    assert built.signature() == {
        "judge": name,
        "engine": engine,
        "score": "text",
        "feedback": True,
        "rubric": "none",
        "swap_rubrics": False,
        "video": "all",
        "samples": 1,
        "temperature": 0.0,
        "max_tokens": 1024,
        "seed": 0,
        "prompt_prefer": shas["prefer"],
        "prompt_rate": shas["rate"],
        "model": "fake-1",
    }


def test_the_signature_says_where_pairs_are_rated_and_not_compared() -> None:
    judge, _ = make_judge(pairs="rate")
    assert judge.settings()["pairs"] == "rate"
    assert "prompt_prefer" not in judge.settings()
    assert "pairs" not in make_judge(Rater)[0].settings()


def test_the_same_number_written_in_two_ways_is_one_signature(rated_set: GoldSet) -> None:
    # A command line gives temperature=0 as a whole number; the default is 0.0.
    name, engine = "videojudge_bench.prompted:PromptedJudge", "fake_engine:FakeEngine"
    said = registry.build(name, {"engine": engine, "temperature": 0})
    left_out = registry.build(name, {"engine": engine})
    assert render(said.signature()) == render(left_out.signature())
    assert Run(said, rated_set).folder == Run(left_out, rated_set).folder


def test_closing_a_judge_closes_its_engine() -> None:
    judge, engine = make_judge()
    judge.close()
    assert engine.closed == 1


def test_a_judge_that_looks_needs_an_engine_that_takes_video() -> None:
    assert make_judge(Looker)[0].requires == {"video"}
    with pytest.raises(ConfigError) as caught:
        make_judge(Looker, "TextEngine")
    assert str(caught.value) == (
        "judge Looker takes video input, but its engine takes text alone here; choose a model "
        "that takes videos, or give video=description or video=none"
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"concurrency": 0}, "concurrency: expected a whole number from 1 up, got 0"),
        ({"concurrency": "many"}, "concurrency='many': expected a whole number"),
        ({"temperature": "hot"}, "temperature='hot': expected a number"),
        ({"engine": "scriptd"}, "unknown engine 'scriptd'. Did you mean 'scripted'?"),
        ({"reply": 1, "replies": 2}, "unknown option 'replies'. Did you mean 'reply'?"),
    ],
)
def test_options_that_cannot_work(options: dict[str, Scalar], text: str) -> None:
    given = {"engine": "fake_engine:FakeEngine", **options}
    with pytest.raises(ConfigError) as caught:
        registry.build("videojudge_bench.prompted:PromptedJudge", given)
    assert text in str(caught.value)


def test_the_scripted_judge_from_its_file_to_its_verdicts(
    rated_set: GoldSet, replies_file: Path, journal_root: Path
) -> None:
    built = registry.build("scripted", {"replies": str(replies_file)})
    found = Run(built, rated_set, RunOptions(journal=journal_root)).judge(list(rated_set.by_id))
    assert found["v0/cat"].verdict == Rating(4.0)
    assert {j.verdict for i, j in found.items() if i != "v0/cat"} == {Rating(2.0)}
    assert str(replies_file) not in str(built.signature())
