"""Two judges on the same items: what counts as the same verdicts, and what is said of the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from measured_runs import board_set
from registered import registered

from videojudge_bench._util.options import Scalar
from videojudge_bench.analysis import parity_summary
from videojudge_bench.analysis.parity import Parity, compare_judges
from videojudge_bench.analysis.prompt_difference import compare_prompts
from videojudge_bench.cli.main import main
from videojudge_bench.engine import (
    Capability,
    Deliver,
    EngineError,
    Explanation,
    PromptGroup,
    Reply,
    WrittenToken,
)
from videojudge_bench.errors import ConfigError, JudgeFailedError, UnknownNameError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Item
from videojudge_bench.judge import Judge
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.run._recording_engine import Record
from videojudge_bench.verdicts import Rating, Unparsed, Usage

FOUR, FIVE = "<score>4</score>", "<score>5</score>"
PLAIN = Explanation("prompt", "Rate it.", (1, 2, 3), ("Rate", "Ġit", "."), ((0, 1, 2),) * 3)


def _written(score: str, other: str, margin: float) -> tuple[WrittenToken, ...]:
    return (
        WrittenToken("<score>", "The", 3.0),
        WrittenToken(score, other, margin),
        WrittenToken("</score>", "", 5.0),
        WrittenToken("", "!", 4.0),
    )


Answer = Callable[[PromptGroup], Sequence[Reply | EngineError]]


def _all(reply: Reply | EngineError) -> Answer:
    return lambda group: [reply] * len(group.continuations)


def _expected(four: float) -> Answer:
    """Replies whose probabilities make the score 4 + (1 - four)."""
    probabilities = {"1": 0.0, "2": 0.0, "3": 0.0, "4": four, "5": 1 - four}
    return _all(Reply(FOUR, probabilities))


def _one_fails(group: PromptGroup) -> Sequence[Reply | EngineError]:
    bad = "video00/5"
    return [EngineError("no room") if t.id == bad else Reply(FOUR) for t in group.continuations]


REPLIES: dict[str, Answer] = {
    "four": _all(Reply(FOUR, usage=Usage(10, 3, 0.5))),
    "five": _all(Reply(FIVE, usage=Usage(12, 3, 0.5))),
    "silent": _all(Reply("No idea.")),
    "cut": _all(Reply(FOUR, finished=False)),
    "nearly five": _all(Reply(FOUR, written=_written("4", "5", 0.004))),
    "nearly four": _all(Reply(FIVE, written=_written("5", "4", 0.009))),
    "surely five": _all(Reply(FIVE, written=_written("5", "4", 0.011))),
    "nearly one": _all(Reply(FOUR, written=_written("4", "1", 0.001))),
    "half": _expected(0.5),
    "near half": _expected(0.481),
    "off half": _expected(0.479),
    "one fails": _one_fails,
    "all fail": _all(EngineError("the server is gone")),
}
PROMPTS: dict[str, Explanation] = {
    "plain": PLAIN,
    "longer": replace(PLAIN, token_ids=(1, 2, 9, 3), tokens=("Rate", "Ġit", "Ġall", ".")),
    "moved": replace(PLAIN, positions=((0, 1, 2), (0, 1, 4), (0, 1, 2))),
    "unplaced": replace(PLAIN, positions=()),
    "shown": replace(PLAIN, video={"frames": 8, "step_seconds": 2.0}),
    "shown faster": replace(PLAIN, video={"frames": 8, "step_seconds": 1.0}),
    "request": Explanation("request", '[{"role": "user", "content": "Rate it."}]'),
    "request strict": Explanation("request", '[{"role": "user", "content": "Rate it strictly."}]'),
}


class Talker:
    """Replies and shows its prompts as its options say; asks no model."""

    capabilities: frozenset[Capability] = frozenset({"logprobs"})
    groups: list[PromptGroup] = []  # noqa: RUF012 - what the tests look at
    closed: list[str] = []  # noqa: RUF012

    def __init__(self, *, says: str = "four", reads: str = "plain") -> None:
        self._says, self._reads = says, reads

    async def complete(self, group: PromptGroup, deliver: Deliver) -> None:
        Talker.groups.append(group)
        for number, reply in enumerate(REPLIES[self._says](group)):
            await deliver(number, reply)

    async def explain(self, group: PromptGroup) -> Sequence[Explanation]:
        return [PROMPTS[self._reads]] * len(group.continuations)

    def settings(self) -> Mapping[str, Scalar]:
        return {"says": self._says}

    def close(self) -> None:
        Talker.closed.append(self._says)


class Mute:
    """An engine that shows nothing of its prompts."""

    capabilities: frozenset[Capability] = frozenset()

    async def complete(self, group: PromptGroup, deliver: Deliver) -> None:
        for number in range(len(group.continuations)):
            await deliver(number, Reply(FOUR, usage=Usage(12)))

    def settings(self) -> Mapping[str, Scalar]:
        return {}

    def close(self) -> None:
        pass


class Asked(PromptedJudge):
    runs_on = f"{__name__}:Talker"


class Dumb(PromptedJudge):
    runs_on = f"{__name__}:Mute"


class Length(Judge):
    """On no scale."""

    scale = None

    def __init__(self, *, more: float = 0.0) -> None:
        self.more = more

    def rate(self, item: Item) -> Rating | Unparsed:
        if self.more < 0:
            return Unparsed("too short")
        return Rating(100 * len(item.response) + self.more)


ASKED, DUMB, LENGTH = (f"{__name__}:{name}" for name in ("Asked", "Dumb", "Length"))


@pytest.fixture(autouse=True)
def board() -> Iterator[GoldSet]:
    Talker.groups.clear()
    Talker.closed.clear()
    with registered(board_set(videos=2)) as gold_set:
        yield gold_set


def judged(a: str, b: str, *, more: str = "", limit: int | None = None) -> Parity:
    """Compare what two judges say, by the names of their replies."""
    one, other = (f"judge={ASKED},says={says}{more}" for says in (a, b))
    return compare_judges(one, other, "tinyboard", limit=limit)


def read(a: str, b: str) -> str:
    """Return the first difference of two prompts, by their names."""
    one, other = (f"{ASKED},reads={reads}" for reads in (a, b))
    return compare_judges(one, other, "tinyboard", limit=1).first_difference()


def findings(parity: Parity) -> dict[str, str]:
    return {row[0]: row[1] for row in parity_summary.findings(parity)}


def test_a_judge_has_the_verdicts_of_itself() -> None:
    found = judged("four", "four")
    assert found.is_same
    assert found.problems() == []
    assert findings(found) == {
        "items": "6",
        "prompts": "6 of 6 are the same: tokens, video, and positions where shown",
        "replies": "6 of 6 are equal",
        "scores": "6 compared: mean difference 0, largest 0",
        "result": "same verdicts: the two may share a leaderboard row",
    }
    assert (found.a.name, found.b.name) == (f"{ASKED} (A)", f"{ASKED} (B)")


def test_every_judge_is_asked_anew_and_closed(cache_home: Path) -> None:
    for _ in range(2):
        judged("four", "five")
    assert len(Talker.groups) == 2 * 2 * 2  # two runs of two judges on two videos
    assert all(group.alternatives for group in Talker.groups)
    assert Talker.closed == ["four", "five"] * 2
    assert not [path for path in cache_home.rglob("*") if "journal" in path.name]


def test_other_verdicts_are_told_with_the_worst_item() -> None:
    found = judged("four", "five", limit=3)
    assert not found.is_same
    assert found.problems() == [
        "3 of 3 replies differ and are no near-tie (3 without log-probabilities to tell)",
        "3 of 3 scores differ too much, by up to 1 (video00/5)",
    ]
    assert found.settings() == {"says": ("four", "five")}
    facts = {name: pair for name, *pair in parity_summary.facts(found)}
    assert facts["tokens a prompt"] == ["10 (10 to 10)", "12 (12 to 12)"]
    assert facts["mean score"] == ["4.000", "5.000"]
    assert facts["seconds an item"] == ["0.50", "0.50"]
    assert facts["setting says"] == ["four", "five"]


@pytest.mark.parametrize(
    ("a", "b", "margin"),
    [
        ("nearly five", "nearly four", 0.009),  # the larger of both margins counts
        ("nearly five", "five", 0.004),  # one engine alone tells
        ("four", "nearly four", 0.009),
    ],
)
def test_equally_likely_tokens_are_shown_to_be_a_tie(a: str, b: str, margin: float) -> None:
    found = judged(a, b)
    assert found.is_same
    assert {prompt.margin for prompt in found.prompts} == {margin}
    assert findings(found)["replies"] == (
        "0 of 6 are equal, 6 part at a near-tie: the two best tokens are at most "
        f"{margin:.2g} apart in log-probability (0.01 is allowed)"
    )


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("nearly five", "surely five"),  # a tie to one engine alone
        ("nearly one", "five"),  # what B wrote was not among the two best of A
        ("four", "surely five"),
        ("four", "cut"),  # the same text, and one goes on
        ("silent", "four"),
    ],
)
def test_other_replies_are_no_tie(a: str, b: str) -> None:
    found = judged(a, b)
    assert not found.is_same
    assert "6 of 6 replies differ and are no near-tie" in found.problems()[0]


def test_a_part_of_a_character_shows_no_tie() -> None:
    token = WrittenToken("\ufffd", "5", 0.0)
    records = [Record(Reply(t, written=(token,)), PLAIN, False) for t in ("é", "5")]
    assert compare_prompts("x", *records).margin is None


def test_expected_scores_may_be_two_hundredths_apart() -> None:
    more = ",score=expected"
    near, far = judged("half", "near half", more=more), judged("half", "off half", more=more)
    assert near.is_same
    assert findings(near)["scores"] == (
        "6 compared: mean difference 0.019, largest 0.019 (video00/5)"
    )
    assert far.problems() == ["6 of 6 scores differ too much, by up to 0.021 (video00/5)"]


def test_a_tie_of_texts_does_not_excuse_expected_scores() -> None:
    parted = Reply(FIVE, {"4": 0.0, "5": 1.0}, written=_written("5", "4", 0.001))
    REPLIES["parted"] = _all(parted)
    found = judged("half", "parted", more=",score=expected")
    assert found.problems() == ["6 of 6 scores differ too much, by up to 0.5 (video00/5)"]


def test_behind_a_verdict_that_comes_first_nothing_counts() -> None:
    """Engines that begin a reply stop at different places behind its verdict."""
    probabilities = {"4": 1.0}
    REPLIES["short"] = _all(Reply("<score>4", probabilities))
    REPLIES["long"] = _all(Reply("<score>4</score> as", probabilities))
    found = judged("short", "long", more=",score=expected,feedback=false")
    assert found.is_same
    assert all(prompt.replies_equal for prompt in found.prompts)
    assert not judged("short", "long", more=",score=expected").is_same


@pytest.mark.parametrize(
    ("a", "b", "difference"),
    [
        ("plain", "plain", ""),
        ("plain", "longer", "token 3 (A has 3, B has 4): 'Rate it.' in A, 'Rate it all.' in B"),
        ("plain", "moved", "position of token 3 ('Rate it.'): (2, 2, 2) in A, (2, 4, 2) in B"),
        ("moved", "unplaced", ""),  # one engine knows no positions
        ("shown", "shown faster", "video, step_seconds: 2.0 in A, 1.0 in B"),
        ("plain", "shown", "B alone is shown the video"),
        ("plain", "request", ""),
        (
            "request",
            "request strict",
            (
                'character 38: \'[{"role": "user", "content": "Rate it."}]\' in A, '
                '\'[{"role": "user", "content": "Rate it strictly."}]\' in B'
            ),
        ),
    ],
)
def test_the_first_difference_of_two_prompts_is_shown(a: str, b: str, difference: str) -> None:
    assert read(a, b) == (difference and f"video00/5: {difference}")


def test_a_video_is_one_word_of_a_difference() -> None:
    pads = ("<|video_pad|>",) * 300
    one = replace(PLAIN, token_ids=(7,) * 300 + (1,), tokens=(*pads, "Rate"))
    other = replace(PLAIN, token_ids=(7,) * 300 + (2,), tokens=(*pads, "Weigh"))
    records = [Record(Reply(FOUR), explanation, False) for explanation in (one, other)]
    assert compare_prompts("x", *records).difference == (
        "token 301 (A has 301, B has 301): '<|video_pad|> x 6 Rate' in A, "
        "'<|video_pad|> x 6 Weigh' in B"
    )


def test_an_engine_that_shows_nothing_counts_at_least() -> None:
    found = compare_judges(ASKED, DUMB, "tinyboard")
    assert found.is_same
    assert found.first_difference() == "video00/5: A has 10 tokens, B has 12"
    assert findings(found)["prompts"] == (
        "0 of 6 have as many tokens; an engine does not show which"
    )


def test_what_has_no_verdict_is_noted() -> None:
    found = judged("silent", "silent")
    assert found.is_same
    assert findings(found)["note"] == "6 of 6 items have no verdict from either judge"
    one_sided = judged("silent", "four").problems()
    assert one_sided[1:] == ["6 of 6 items have a verdict from one judge alone"]


def test_sampled_replies_are_noted() -> None:
    found = judged("four", "five", more=",temperature=0.7")
    assert "drawn at random; compare at temperature=0" in findings(found)["note"]


def test_a_failure_is_no_verdict() -> None:
    found = judged("one fails", "one fails")
    assert found.problems() == ["1 of 6 items could not be judged: engine: no room"]


def test_a_judge_that_always_fails_ends_the_comparison() -> None:
    with pytest.raises(JudgeFailedError, match="the server is gone"):
        judged("four", "all fail")
    assert Talker.closed == ["four", "all fail"]


def test_judges_of_no_model_are_compared_by_their_scores() -> None:
    assert compare_judges(LENGTH, f"{LENGTH},more=1e-4", "tinyboard").is_same
    found = compare_judges(LENGTH, f"{LENGTH},more=0.01", "tinyboard", limit=2)
    assert found.problems() == ["2 of 2 scores differ too much, by up to 0.01 (video00/5)"]
    assert found.prompts == []
    assert "replies" not in findings(found)
    assert (found.a.name, found.b.name) == (LENGTH, f"{LENGTH},more=0.01")


def test_pairs_and_samples_belong_to_their_items(pair_set: GoldSet) -> None:
    with registered(pair_set):
        more = ",pairs=rate,samples=2,temperature=1"
        one, other = (f"{ASKED},says={says}{more}" for says in ("four", "five"))
        found = compare_judges(one, other, "tinypairs")
    assert {len(item.prompts) for item in found.items} == {4}
    assert {item.difference for item in found.items} == {0.0}  # ties, of fours and of fives


@pytest.mark.parametrize(
    ("a", "b", "gold_set", "limit", "text"),
    [
        ("nobody", "cider", "tinyboard", 1, "unknown judge 'nobody'"),
        ("cider", "cider,x=1", "tinyboard", 1, "unknown option 'x'"),
        ("cider", "cider", "nowhere", 1, "unknown gold set 'nowhere'"),
        ("cider", "cider", "tinyboard", 0, "--limit 0: expected 1 or more items"),
        ("cider", "cider", "llava", 1, "not applicable: judge cider requires references"),
        ("cider,lower", "cider", "tinyboard", 1, "has no value"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    a: str, b: str, gold_set: str, limit: int, text: str
) -> None:
    with pytest.raises((ConfigError, UnknownNameError), match=text):
        compare_judges(a, b, gold_set, limit=limit)


def test_the_verb_tells_and_its_exit_status_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = [ASKED, ASKED, "--gold-set", "tinyboard", "--limit", "2"]
    assert main(["parity", *same]) == 0
    assert "same verdicts: the two may share a leaderboard row" in capsys.readouterr().out
    page = tmp_path / "parity.html"
    other = [ASKED, f"{ASKED},says=five,reads=longer", *same[2:]]
    assert main(["parity", *other, "-o", str(page)]) == 1
    said = capsys.readouterr().out
    assert "result: different verdicts: 2 of 2 replies differ" in said
    text = page.read_text(encoding="utf-8")
    assert "Different verdicts: 2 of 2 replies differ" in text
    assert "&lt;score&gt;5&lt;/score&gt;" in text
    assert "token 3 (A has 3, B has 4)" in text
    assert "every score is within 0.02" in text


def test_the_verb_writes_json(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["parity", ASKED, f"{ASKED},says=surely five", "--gold-set", "tinyboard", "--json"]
    assert main(command) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["same_verdicts"] is False
    assert found["settings"] == {"says": ["four", "surely five"]}
    assert [judge["name"] for judge in found["judges"]] == [ASKED, f"{ASKED},says=surely five"]
    first = found["items"][0]
    assert first["difference"] == 1.0
    assert first["prompts"][0] == {
        "id": "video00/5",
        "tokens": [10, 0],
        "prompts_compared": True,
        "difference": "",
        "replies_equal": False,
        "margin": 0.011,
    }


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--limit", "0"], "--limit 0"),
        (["-o", "nowhere/page.html"], "there is no folder nowhere"),
        (["--references", "-1"], "references"),
    ],
)
def test_the_verb_refuses_what_cannot_work(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["parity", "cider", "cider", "--gold-set", "tinyboard", *words]) == 2
    assert text in capsys.readouterr().err
