"""A jury of judges: their verdicts, what it asks of a set, its identity, and fitted files."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lmms_eval.utils import simple_parse_args_string

from videojudge_bench import registry
from videojudge_bench._util.options import (
    parse_judge,
    parse_list,
    parse_options,
    scalar,
    secret_names,
    without_secrets,
)
from videojudge_bench.analysis.jury_model import Combine, Member, SavedJury, fit_model
from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.items import Item, Pair
from videojudge_bench.judge import Judge
from videojudge_bench.judges.jury import Jury
from videojudge_bench.registry import BuiltJudge
from videojudge_bench.run.identity import JudgeIdentity
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed, Usage, Verdict

HERE = __name__
ITEMS = [
    Item(f"v{k}/a", f"v{k}", "What happens?", "a dog " * (1 + k % 9), ("a dog runs",))
    for k in range(40)
]
PAIR = Pair("v0/p/ab", "v0", "What happens?", "a dog runs", "cats", ("a dog runs",))


class Silent(Judge):
    """Has no verdict on anything."""

    def rate(self, item: Item) -> Rating | Unparsed:
        return Unparsed("nothing to say")


class Breaks(Judge):
    """Raises for every other item."""

    def rate(self, item: Item) -> Rating | Unparsed:
        if int(item.video_id[1:]) % 2:
            raise RuntimeError("no model")
        return Rating(5)


class OffScale(Judge):
    """Rates 7 on a scale to 5."""

    def rate(self, item: Item) -> Rating | Unparsed:
        return Rating(7)


class Compares(Judge):
    """Prefers, and rates nothing."""

    abilities = frozenset({"prefer"})

    def prefer(self, pair: Pair) -> Preference | Unparsed:
        return Preference(0.8)


class Sees(Judge):
    """Uses the video where there is one."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def visible(self, item: Item | Pair) -> Item | Pair:
        return item

    def rate(self, item: Item) -> Rating | Unparsed:
        return Rating(1 if item.video is None else 2)


def jury(text: str) -> BuiltJudge:
    return registry.build(*parse_judge(f"jury,{text}"))


def verdicts(built: BuiltJudge, *, fit: bool = True) -> list[Verdict]:
    if fit:
        built.judge.fit(ITEMS)
    return [judgement.verdict for judgement in built.judge.judge(ITEMS)]


def scores(built: BuiltJudge) -> list[float]:
    return [v.value for v in verdicts(built) if isinstance(v, Rating)]


# The list of members on both command lines.


@pytest.mark.parametrize(
    "text",
    [
        "judge=jury,members=[compact;cider;qwen2_5_vl,size=7b],combine=median,min_members=2",
        "judge=jury,members=[jury,members=[a;b,x=1];c],references=9",
        "judge=jury,members=[longest]",
    ],
)
def test_both_command_lines_read_a_list_alike(text: str) -> None:
    ours = {key: scalar(value) for key, value in parse_options(text).items()}
    assert simple_parse_args_string(text) == ours


def test_the_parts_of_a_list() -> None:
    assert parse_list("[a; b,x=[c;d] ;]") == ["a", "b,x=[c;d]"]
    assert parse_list("a") == ["a"]
    assert parse_list("") == []
    for text in ("[a;b", "a;b]", "[a;[b]"):
        with pytest.raises(ConfigError, match="with a closing bracket for each"):
            parse_list(text)


def test_keys_of_members_are_secret() -> None:
    options = {"members": "[openai,api_key=sk-1,model=m;longest]", "combine": "mean"}
    shown = without_secrets(options)
    assert shown["members"] == "[openai,api_key=…,model=m;longest]"
    assert secret_names(options) == ["members"]


# Verdicts.


def test_members_on_one_scale_are_put_together_as_they_are() -> None:
    text = "members=[constant,level=2;constant,level=3;constant,level=5]"
    assert set(scores(jury(text))) == {10 / 3}
    assert set(scores(jury(f"{text},combine=median"))) == {3.0}
    built = jury(text)
    assert built.judge.scale == RatingScale(1, 5)
    assert not built.judge.learns_from_set


def test_members_on_different_scales_become_ranks() -> None:
    built = jury("members=[longest;random]")
    (alone,) = [scores(jury("members=[longest]"))]
    assert built.judge.scale is None
    assert built.judge.learns_from_set
    ranked = scores(built)
    assert 0 < min(ranked) < max(ranked) < 1
    assert (
        np.argsort(alone, kind="stable").tolist()
        == np.argsort([len(item.response) for item in ITEMS], kind="stable").tolist()
    )


@given(st.integers(1, 4), st.sampled_from(["mean", "median"]))
def test_a_jury_of_identical_members_ranks_as_they_do(members: int, combine: str) -> None:
    several = scores(jury(f"members=[{';'.join(['longest'] * members)}],combine={combine}"))
    expected = [len(item.response) for item in ITEMS]
    assert np.array_equal(np.unique(several, return_inverse=True)[1],
                          np.unique(expected, return_inverse=True)[1])  # fmt: skip


@pytest.mark.parametrize(("fewest", "parsed"), [(1, 40), (2, 20), (3, 0)])
def test_members_without_a_verdict_are_left_out(
    fewest: int, parsed: int, caplog: pytest.LogCaptureFixture
) -> None:
    members = f"[constant,level=3;{HERE}:Silent;{HERE}:Breaks]"
    built = jury(f"members={members},min_members={fewest}")
    judgements = list(built.judge.judge(ITEMS))
    some = [j for j in judgements if isinstance(j.verdict, Rating)]
    assert len(some) == parsed
    assert {j.verdict for j in some} <= {Rating(3.0), Rating(4.0)}
    unread = [j for j in judgements if isinstance(j.verdict, Unparsed)]
    # What broke is tried again; what was said and not understood is not.
    assert {j.failed for j in unread} == (
        {True} if fewest == 2 else {True, False} if unread else set()
    )
    for judgement in unread:
        assert isinstance(judgement.verdict, Unparsed)
        assert f"{fewest} needed" in judgement.verdict.reason
        assert "nothing to say" in judgement.verdict.reason
    with caplog.at_level(logging.WARNING):
        built.judge.close()
    assert "had no verdict on 40 items" in caplog.text
    assert "had no verdict on 20 items" in caplog.text


def test_by_default_half_of_the_members_decide() -> None:
    assert len(scores(jury(f"members=[constant,level=3;{HERE}:Silent]"))) == 40
    assert scores(jury(f"members=[constant,level=3;{HERE}:Silent;{HERE}:Silent]")) == []


def test_a_verdict_off_the_scale_of_its_member_is_none() -> None:
    assert set(scores(jury(f"members=[{HERE}:OffScale;constant,level=2]"))) == {2.0}


def test_pairs_are_compared_by_the_members_or_rated_by_the_rule() -> None:
    (both,) = jury(f"members=[longest;{HERE}:Compares]").judge.judge([PAIR])
    assert both.verdict == Preference(0.9)
    mixed = registry.judge_class("jury")
    assert mixed is Jury
    with pytest.raises(ConfigError, match="expected members that all rate"):
        jury(f"members=[longest;{HERE}:Compares],combine=fitted")


def test_what_members_use_is_shown_and_nothing_else() -> None:
    item = Item("v/a", "v", "q", "r", ("ref",), "text", Path("v.mp4"))
    assert jury("members=[longest;random]").judge.visible(item).video is None
    built = jury(f"members=[longest;{HERE}:Sees;rouge_l]")
    assert built.judge.visible(item) == item
    assert built.judge.requires == {"references"}
    (judgement,) = jury(f"members=[{HERE}:Sees]").judge.judge([item])
    assert judgement.verdict == Rating(2)


def test_the_verdicts_of_members_are_recorded() -> None:
    built = jury("members=[constant,level=2;random]")
    judgement = next(iter(built.judge.judge(ITEMS)))
    assert [type(sample.verdict) for sample in judgement.samples] == [Rating, Rating]
    assert judgement.samples[0].item_id.startswith("constant,level=2.0@")
    assert judgement.usage == Usage()
    assert Judgement.from_json(judgement.to_json()) == judgement


# Rules that learn.


def gold_of(item: Item) -> float:
    return float(len(item.response.split()))


@pytest.mark.parametrize("combine", ["fitted", "trees"])
def test_a_rule_learns_from_dev(combine: str) -> None:
    built = jury(f"members=[longest;random],combine={combine}")
    assert built.judge.fits_on_dev
    built.judge.fit(ITEMS)
    built.judge.fit_dev([(item, gold_of(item)) for item in ITEMS])
    ranked = [j.verdict.value for j in built.judge.judge(ITEMS) if isinstance(j.verdict, Rating)]
    assert np.corrcoef(ranked, [gold_of(item) for item in ITEMS])[0, 1] > 0.9
    with pytest.raises(ConfigError, match="expected a set with ratings and a dev part"):
        built.judge.fit_dev([])


def test_ranks_need_a_set() -> None:
    with pytest.raises(ConfigError, match=r"call fit\(items\) before judging, or give file=FILE"):
        verdicts(jury("members=[longest;random]"), fit=False)


def write_rule(path: Path, *members: str, combine: Combine = "fitted") -> Path:
    """Fit a rule on ITEMS for the members, as `videojudge jury` does on stored runs."""
    built = [registry.build(*parse_judge(member)) for member in members]
    rows = [[_value(m.judge.rate(item)) for m in built] for item in ITEMS]
    gold = np.array([gold_of(item) for item in ITEMS])
    saved = SavedJury(
        members=[
            Member(
                name=m.name,
                judge=JudgeIdentity.of(m, scale=None, learned={}).signature,
                references=0,
            )
            for m in built
        ],
        model=fit_model(np.array(rows), gold, combine),
        fitted_on={"set": "vatex"},
    )
    saved.write(path)
    return path


def _value(verdict: Rating | Unparsed) -> float:
    assert isinstance(verdict, Rating)
    return verdict.value


@pytest.mark.parametrize("combine", ["mean", "fitted", "trees"])
def test_a_fitted_file_judges_new_answers(tmp_path: Path, combine: Combine) -> None:
    path = write_rule(tmp_path / "jury.json", "longest", "random,seed=3", combine=combine)
    built = jury(f"file={path}")
    assert not built.judge.learns_from_set
    values = [v.value for v in verdicts(built, fit=False) if isinstance(v, Rating)]
    given = jury(f"file={path},members=[longest;random,seed=3]")
    assert values == [v.value for v in verdicts(given, fit=False) if isinstance(v, Rating)]
    assert built.signature()["overlap"] == "vatex"
    assert built.signature()["combine"] == combine
    assert str(tmp_path) not in str(built.signature())
    (pair,) = built.judge.judge([PAIR])
    assert pair.verdict in (Preference(1.0), Preference(0.0))


def test_a_file_fitted_for_other_members(tmp_path: Path) -> None:
    path = write_rule(tmp_path / "jury.json", "longest", "random,seed=3")
    with pytest.raises(ConfigError, match="in its order: longest random; got random longest"):
        jury(f"file={path},members=[random,seed=3;longest]")
    with pytest.raises(ConfigError, match="fitted with seed=3, got seed=0"):
        jury(f"file={path},members=[longest;random]")
    scores_file = tmp_path / "s.csv"
    scores_file.write_text("".join(["id,score\n", *(f"{i.id},1\n" for i in ITEMS)]), "utf-8")
    path = write_rule(tmp_path / "other.json", "longest", f"precomputed,scores={scores_file}")
    with pytest.raises(ConfigError, match="cannot be made from its name and options"):
        jury(f"file={path}")
    assert jury(f"file={path},members=[longest;precomputed,scores={scores_file}]")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("combine=mean", "expected judges, as in members="),
        ("members=[]", "expected judges, as in members="),
        ("members=[longest],min_members=2", "min_members: expected 1 to 1"),
        ("members=[longest],combine=max", "combine='max': expected 'mean' or"),
        ("members=[longest,depth=3]", "unknown option 'depth'"),
        ("members=[longest],file=/no/such.json", "there is no such file"),
    ],
)
def test_options_that_cannot_work(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        jury(text)
    with pytest.raises(UnknownNameError, match="Did you mean 'longest'"):
        jury("members=[lngest]")


def test_the_signature_has_the_members() -> None:
    one, other = (jury(f"members=[longest;random,seed={k}]").signature() for k in (1, 2))
    assert one["members"] != other["members"]
    assert str(one["members"]).startswith("longest@")
    assert ";random,seed=1@" in str(one["members"])
    assert {**one, "members": ""} == {**other, "members": ""}
