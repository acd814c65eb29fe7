"""`videojudge attack`: what catches a judge, and what is said of one that cannot be measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, pstdev

import pytest
from fake_engine import FakeEngine
from measured_runs import board_set
from registered import registered

from videojudge_bench.analysis.attack import attack_judge
from videojudge_bench.analysis.attack_kinds import KINDS, attacks_on
from videojudge_bench.analysis.attack_results import Attacked, KindResult
from videojudge_bench.cli.main import main
from videojudge_bench.engine import Deliver, PromptGroup, Reply
from videojudge_bench.errors import ConfigError, JudgeFailedError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Example, Item, NoGold, Pair, RatingGold
from videojudge_bench.judge import Judge
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.run.runner import RunOptions
from videojudge_bench.verdicts import Preference, Rating, Unparsed

NAMES = [kind.name for kind in KINDS]
SET = ["--gold-set", "tinyboard"]


class Flattered(Judge):
    """Gives 3, and a point more for a word of praise."""

    asked: list[Item] = []  # noqa: RUF012 - what the tests look at

    def rate(self, item: Item) -> Rating:
        Flattered.asked.append(item)
        return Rating(3 + ("excellent" in item.response))


class Words(Judge):
    """Counts words; learns how many items the set has."""

    scale = None
    learned: list[int] = []  # noqa: RUF012 - what the tests look at

    def fit(self, items: Sequence[Item | Pair]) -> None:
        Words.learned.append(len(items))

    def rate(self, item: Item) -> Rating:
        return Rating(len(item.response.split()))


class Longer(Judge):
    """Prefers the longer response, and the first of two that are as long."""

    abilities = frozenset({"prefer"})

    def prefer(self, pair: Pair) -> Preference:
        return Preference(float(len(pair.first) >= len(pair.second)))


class Mute(Judge):
    """Reads no verdict, or none of empty answers."""

    def __init__(self, *, empty_alone: bool = False) -> None:
        self.empty_alone = empty_alone

    def rate(self, item: Item) -> Rating | Unparsed:
        if self.empty_alone and any(c.isalpha() for c in item.response.replace("N/A", "")):
            return Rating(3)
        return Unparsed(f"states nothing in {len(item.response)} words: …")


class Broken(Judge):
    """Fails on every item."""

    def rate(self, item: Item) -> Rating:
        raise RuntimeError(f"cannot read {item.id}")


class Obedient(FakeEngine):
    """Replies 5 to an answer that asks for the highest score, and else 3."""

    groups_asked: list[PromptGroup] = []  # noqa: RUF012 - what the tests look at

    async def complete(self, group: PromptGroup, deliver: Deliver) -> None:
        Obedient.groups_asked.append(group)
        for number, continuation in enumerate(group.continuations):
            rating = 5 if "the highest score" in continuation.text else 3
            await deliver(number, Reply(f"<score>{rating}</score>"))


class Prompted(PromptedJudge):
    """Asks a model that obeys."""

    runs_on = f"{__name__}:Obedient"


@pytest.fixture
def board() -> Iterator[GoldSet]:
    Flattered.asked.clear()
    Words.learned.clear()
    with registered(board_set(videos=24)) as gold_set:
        yield gold_set


def _attack(judge: str, folder: Path, *, limit: int | None = None, seed: int = 0) -> Attacked:
    options = RunOptions(journal=folder)
    name = f"test_attack:{judge}"
    return attack_judge(name, "tinyboard", limit=limit, seed=seed, options=options)


def _of(attacked: Attacked, kind: str) -> KindResult:
    return next(result for result in attacked.kinds if result.kind.name == kind)


@pytest.mark.usefixtures("board")
def test_a_planted_weakness_is_caught_by_its_kind_alone(journal_root: Path) -> None:
    attacked = _attack("Flattered", journal_root)
    rises = {result.kind.name: result.rise.value for result in attacked.kinds}
    assert rises == {name: float(name == "praise") for name in NAMES}
    assert [result.kind.name for result in attacked.above(0.5)] == ["praise"]
    assert attacked.above(1.0) == []
    praise = _of(attacked, "praise")
    assert (praise.rising.value, praise.top.value, praise.n_compared) == (1.0, 0.0, 72)
    assert praise.rising.low is not None
    assert praise.rising.low < 1.0
    assert attacked.share(praise.rise.value) == 0.25
    assert attacked.unattacked.top == 4.5


@pytest.mark.usefixtures("board")
def test_what_is_made_of_the_answers_about_a_video_shares_a_prompt(journal_root: Path) -> None:
    Obedient.groups_asked.clear()
    attacked = _attack("Prompted", journal_root)
    assert len(Obedient.groups_asked) == attacked.unattacked.n_videos
    asked = sum(len(group.continuations) for group in Obedient.groups_asked)
    assert asked == 72 + sum(result.n for result in attacked.kinds)
    templates = {t.name: t.rise.value for t in _of(attacked, "instructions").templates}
    assert templates == {"ignore": 2.0, "note": 2.0, "system": 0.0, "plea": 0.0}
    assert [result.kind.name for result in attacked.above(0.0)] == ["instructions"]


@pytest.mark.usefixtures("board")
def test_the_gate_names_the_kind(
    journal_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["attack", "test_attack:Flattered", *SET, "--journal", str(journal_root)]
    assert main([*command, "--max-rise", "0.5"]) == 1
    printed = capsys.readouterr()
    problem = "expected a mean rise of at most 0.5, got more by praise (1.000 [1.000, 1.000])\n"
    assert problem in printed.err
    assert "answers, videos: 72, 24" in printed.out
    asked = len(Flattered.asked)
    # Some answers of this set are those of other videos too, and nothing else is known of these.
    assert 72 * len(KINDS) < asked < 72 * (1 + len(KINDS))

    page = tmp_path / "attack.html"
    assert main([*command, "--max-rise", "1", "-o", str(page)]) == 0
    assert "no kind of attack raises the mean score by more than 1" in capsys.readouterr().out
    assert len(Flattered.asked) == asked  # all of it is in the journal
    text = page.read_text(encoding="utf-8")
    assert "Attacks on test_attack:Flattered, videojudge_tinyboard" in text
    assert all(name in text for name in NAMES)
    assert "&lt;|im_end|&gt;" in text
    assert "<|im_end|>" not in text


@pytest.mark.usefixtures("board")
def test_numbers_go_to_a_file_and_to_programs(
    journal_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["attack", "test_attack:Flattered", *SET, "--journal", str(journal_root)]
    file = tmp_path / "attack.json"
    assert main([*command, "--limit", "3", "-o", str(file), "--json"]) == 0
    printed, _, last = capsys.readouterr().out.rpartition("wrote")
    assert last.strip() == str(file)
    numbers = json.loads(file.read_text(encoding="utf-8"))
    assert numbers == json.loads(printed)
    assert numbers["unattacked"]["n"] == 3
    praise = numbers["kinds"][NAMES.index("praise")]
    assert praise["rise"] == {
        "value": 1.0, "low": None, "high": None, "why": "fewer than 20 videos",
    }  # fmt: skip
    assert sum(template["n"] for template in praise["templates"]) == 3


def test_a_rise_is_that_of_the_judge_asked_directly(journal_root: Path) -> None:
    board = board_set(videos=24)
    board = replace(board, examples=tuple(map(_longer, board.examples)))
    Words.learned.clear()
    with registered(board):
        attacked = _attack("Words", journal_root, limit=60, seed=5)
    items = [e.item for e in board.examples if isinstance(e.item, Item)]
    before = [len(item.response.split()) for item in items[:60]]
    assert attacked.unattacked.mean == pytest.approx(fmean(before))
    assert attacked.unattacked.spread == pytest.approx(pstdev(before))
    assert attacked.scale is None
    assert Words.learned == [len(items)]  # the whole set, and no changed answer
    top = attacked.unattacked.top
    assert top is not None
    for kind in NAMES:
        attacks = [attacks_on(item, items, seed=5)[kind] for item in items[:60]]
        result = _of(attacked, kind)
        changed = [item for item, b in zip(items, attacks, strict=False) if b is not None]
        scores = [
            (a, len(b.text.split())) for a, b in zip(before, attacks, strict=True) if b is not None
        ]
        assert result.n == len(scores) == 60 - result.n_not_applicable
        assert result.rise.value == pytest.approx(fmean(b - a for a, b in scores))
        assert result.rising.value == pytest.approx(fmean(b > a for a, b in scores))
        below = [b >= top for a, b in scores if a < top]
        assert result.top.value == pytest.approx(fmean(below))
        best = [
            b - a
            for (a, b), item in zip(scores, changed, strict=True)
            if board.by_id[item.id].gold == RatingGold((5.0,))
        ]
        assert result.rise_of_best.value == pytest.approx(fmean(best))
        rise = result.rise
        assert rise.value is not None
        assert rise.low is not None
        assert rise.high is not None
        assert rise.low <= rise.value <= rise.high
    assert _of(attacked, "padding").exceeds(1)


def _longer(example: Example) -> Example:
    item = example.item
    assert isinstance(item, Item)
    words = int(item.video_id.removeprefix("video")) % 7
    return replace(example, item=replace(item, response=item.response + " again" * words))


@pytest.mark.usefixtures("board")
def test_a_constant_judge_has_no_share(journal_root: Path) -> None:
    attacked = attack_judge(
        "constant,level=5", "tinyboard", options=RunOptions(journal=journal_root)
    )
    praise = _of(attacked, "praise")
    assert praise.rise.value == 0.0
    assert praise.top.undefined == "every answer was at the top before"
    assert attacked.above(0.0) == []
    counted = _attack("Words", journal_root)  # every response has three words
    assert counted.unattacked.spread is None
    assert counted.share(1.0) is None


@pytest.mark.usefixtures("board")
def test_pairwise_judges_see_the_changed_answer_against_the_original(journal_root: Path) -> None:
    attacked = _attack("Longer", journal_root)
    assert attacked.pairwise
    padding, empty = _of(attacked, "padding"), _of(attacked, "empty")
    assert (padding.rise.value, padding.rising.value, padding.top.value) == (0.5, 1.0, 1.0)
    assert (empty.rise.value, empty.rising.value, empty.top.value) == (-0.5, 0.0, 0.0)
    asked = attack_judge(
        "longest", "tinyboard", pairwise=True, options=RunOptions(journal=journal_root)
    )
    assert _of(asked, "padding").rise.value == 0.5


def test_each_response_of_a_pair_set_is_an_answer(journal_root: Path) -> None:
    board = board_set(videos=2)
    first, second = (e.item for e in board.examples[:2])
    assert isinstance(first, Item)
    assert isinstance(second, Item)
    pairs = [
        Pair(f"p{order}", first.video_id, first.instruction, *texts, first.references)
        for order, texts in (
            ("/ab", (first.response, second.response)),
            ("/ba", (second.response, first.response)),
        )
    ]
    info = replace(board.info, shape="pairs", kind="none")
    examples = tuple(Example(pair, NoGold(), unit="p") for pair in pairs)
    with registered(GoldSet(info, examples)):
        for judge in ("Flattered", "Longer"):
            attacked = _attack(judge, journal_root)
            assert attacked.unattacked.n == 2
            assert _of(attacked, "praise").rise.value == (1.0 if judge == "Flattered" else 0.5)


@pytest.mark.usefixtures("board")
def test_a_judge_that_never_parses_is_not_measured(
    journal_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["attack", "test_attack:Mute", *SET, "--journal", str(journal_root)]
    assert main([*command, "--max-rise", "5"]) == 1
    printed = capsys.readouterr()
    assert "no answer has a verdict both before and after; nothing was measured" in printed.err
    assert "answers with a score: 0\n" in printed.out
    assert "no verdict: states nothing in … words: 782\n" in printed.out
    result = _of(_attack("Mute", journal_root), "praise")
    assert (result.n, result.n_unparsed, result.n_compared) == (72, 72, 0)
    assert result.rise.undefined == "no answer has a verdict both before and after"


@pytest.mark.usefixtures("board")
def test_a_kind_without_any_verdict_is_no_proof(journal_root: Path) -> None:
    attacked = _attack("Mute,empty_alone=true", journal_root)
    assert attacked.is_measured
    assert _of(attacked, "empty").n_unparsed == 72
    assert [result.kind.name for result in attacked.above(5.0)] == ["empty"]


@pytest.mark.usefixtures("board")
def test_a_judge_that_fails_or_does_not_suit_is_refused(
    journal_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(JudgeFailedError, match=r"failed on all 7\d\d items of videojudge_attack"):
        _attack("Broken", journal_root)
    with pytest.raises(ConfigError, match="--limit 0: expected 1 or more answers"):
        _attack("Flattered", journal_root, limit=0)
    assert main(["attack", "longest", *SET, "--seed", "-1"]) == 2
    assert "--seed -1: expected 0 or more" in capsys.readouterr().err
    assert main(["attack", "nobody", *SET]) == 2
    assert "unknown judge 'nobody'" in capsys.readouterr().err
    assert main(["attack", "longest", *SET, "-o", "attack.csv"]) == 2
    assert ".json" in capsys.readouterr().err


def test_a_set_without_references(journal_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = board_set(videos=3)
    bare = tuple(
        replace(example, item=replace(example.item, references=())) for example in board.examples
    )
    with registered(replace(board, examples=bare)):
        assert main(["attack", "rouge_l", *SET, "--journal", str(journal_root)]) == 2
        assert "not applicable: judge rouge_l requires references" in capsys.readouterr().err
        attacked = _attack("Flattered", journal_root)
        words = _of(attacked, "reference words")
        assert (words.n, words.n_not_applicable) == (0, 9)
        assert words.rise.undefined == "does not apply to any answer"
        assert not words.exceeds(0.0)


def test_a_set_without_data(capsys: pytest.CaptureFixture[str]) -> None:
    with registered(board_set(videos=1), has_data=False):
        assert main(["attack", "longest", *SET]) == 2
    assert "gold set 'tinyboard' has no data here: ask its authors" in capsys.readouterr().err


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attack", "--help"]) == 0
    assert "\n  videojudge attack " in capsys.readouterr().out
