"""Options of prompted judges: what is seen, rubrics, and what cannot work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from fake_engine import items, make_judge

from videojudge_bench import registry
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError
from videojudge_bench.items import Item, Pair
from videojudge_bench.judge import Ability
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.verdicts import Judgement, Rating, Unparsed


class Rater(PromptedJudge):
    """Has a prompt for single responses alone."""

    prompts: Mapping[Ability, str] = {"rate": "rate.jinja"}  # type: ignore[misc]


# What is seen of a video.


def _described(number: int, folder: Path) -> Item:
    name = f"v{number}"
    return Item(
        f"{name}/0", name, "do", "x", description=f"text {name}", video=folder / f"{name}.mp4"
    )


@pytest.mark.parametrize(
    ("video", "needs", "sees", "reads"),
    [
        ("frames", {"video"}, True, False),
        ("description", {"description"}, False, True),
        ("none", set(), False, False),
    ],
)
def test_what_is_seen_is_the_only_thing_that_differs(
    tmp_path: Path, video: str, needs: set[str], sees: bool, reads: bool
) -> None:
    judge, engine = make_judge(video=video)
    item = _described(0, tmp_path)
    judge.rate(item)
    assert judge.requires == needs
    prefix = engine.groups[0].prefix
    assert prefix.video == (item.video if sees else None)
    assert ("the video above" in prefix.text) == sees
    assert ("text v0" in prefix.text) == reads
    assert judge.settings()["video"] == video


def test_shuffled_shows_every_video_to_another_one(tmp_path: Path) -> None:
    judge, engine = make_judge(video="shuffled")
    all_items = [_described(n, tmp_path) for n in range(7)]
    judge.fit(all_items)
    list(judge.judge(all_items[:4]))  # --limit
    limited = {g.continuations[0].id: g.prefix.video for g in engine.groups}
    list(judge.judge(all_items))
    shown = {g.continuations[0].id: g.prefix.video for g in engine.groups[4:]}
    assert limited == {i: shown[i] for i in limited}
    own = {item.id: item.video for item in all_items}
    assert not [i for i in own if shown[i] == own[i]]
    assert sorted(map(str, shown.values())) == sorted(map(str, own.values()))
    assert "text v" not in "".join(g.prefix.text for g in engine.groups)


def test_one_video_cannot_be_shuffled(tmp_path: Path) -> None:
    judge, _ = make_judge(video="shuffled")
    with pytest.raises(ConfigError) as caught:
        judge.fit([_described(0, tmp_path)])
    assert str(caught.value) == ("video=shuffled needs at least two videos, and there are 1 here")


# Rubrics.


@pytest.fixture
def rubrics(tmp_path: Path) -> Path:
    path = tmp_path / "rubrics.jsonl"
    rows = [{"video_id": f"v{n}", "instruction": "do", "rubric": f"rubric {n}"} for n in range(3)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_a_rubric_from_a_file_is_in_the_prefix_of_its_group(rubrics: Path) -> None:
    judge, engine = make_judge(rubric=str(rubrics))
    found = list(judge.judge(items(4)))
    assert [f"rubric {n}" in g.prefix.text for n, g in enumerate(engine.groups)] == [True] * 3
    assert found[3] == Judgement(
        "v3/0",
        Unparsed("engine: no rubric for its instruction in rubrics.jsonl"),
        failed=True,
    )
    assert str(judge.settings()["rubric"]).startswith("sha256:")


def test_swapped_rubrics_are_those_of_other_instructions(rubrics: Path) -> None:
    judge, engine = make_judge(rubric=str(rubrics), swap_rubrics=True)
    for _ in range(2):  # a second gold set: not swapped twice
        judge.fit(items(3))
        list(judge.judge(items(3)))
    given = [g.prefix.text.partition("rubric ")[2][0] for g in engine.groups]
    assert given[:3] == given[3:]
    assert sorted(given[:3]) == ["0", "1", "2"]
    assert not [n for n in range(3) if given[n] == str(n)]


def test_a_judge_that_writes_its_rubric_is_asked_to() -> None:
    reply = "<rubric>5: <score>5</score></rubric>\n<thinking>so</thinking>\n<score>2</score>"
    judge, engine = make_judge(rubric="write", reply=reply)
    assert judge.rate(items(1)[0]) == Rating(2.0)
    text = engine.groups[0].prefix.text
    assert text.index("<rubric>") < text.index("<thinking>") < text.index("<score>")


def test_a_comparison_goes_by_a_rubric_as_well(rubrics: Path) -> None:
    pair = Pair("p", "v1", "do", "x", "y")
    judge, engine = make_judge(rubric=str(rubrics))
    judge.prefer(pair)
    assert "rubric 1" in engine.groups[0].prefix.text
    judge, engine = make_judge(rubric="write")
    judge.prefer(pair)
    text = engine.groups[0].prefix.text
    assert text.index("<rubric>") < text.index("<thinking>") < text.index("<answer>")


# Options that cannot work.

PLAIN_PROMPT = (
    "{% block system %}s{% endblock %}{% block shared %}h{% endblock %}"
    "{% block response %}{{ response }}{% endblock %}"
)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"score": "mean"}, "unknown score 'mean'. Known: expected, text."),
        ({"samples": 0}, "samples: expected a whole number from 1 up, got 0"),
        ({"samples": 5}, "samples=5 with temperature=0 would be the same reply"),
        ({"max_tokens": 0}, "max_tokens: expected a whole number from 1 up, got 0"),
        ({"temperature": -0.5}, "temperature: expected a number from 0 up, got -0.5"),
        ({"temperature": float("nan")}, "temperature=nan: expected a finite number"),
        ({"temperature": float("inf")}, "temperature=inf: expected a finite number"),
        ({"video": "frame"}, "unknown video 'frame'. Did you mean 'frames'?"),
        ({"swap_rubrics": True}, "swap_rubrics=true needs rubrics to swap; give rubric=FILE"),
        ({"rubric": "writ"}, "rubric: expected none, write or a file of rubrics, got 'writ'"),
        ({"pairs": "both"}, "unknown pairs 'both'. Known: prefer, rate."),
        ({"pairs": "rate", "pair_prompt": "a.jinja"}, "a.jinja: the judge has no prompt to prefer"),
        ({"score": "expected"}, "gives none here; give score=text"),
        ({"engine": ""}, "option 'engine' is missing: give it as engine=…"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Scalar], text: str) -> None:
    given = {"engine": "fake_engine:FakeEngine", **options}
    with pytest.raises(ConfigError) as caught:
        registry.build("videojudge_bench.prompted:PromptedJudge", given)
    assert text in str(caught.value)


def test_an_option_that_a_prompt_takes_no_notice_of_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plain.jinja"
    path.write_text(PLAIN_PROMPT)
    with pytest.raises(ConfigError) as caught:
        make_judge(
            Rater, prompt=str(path), feedback=False, rubric="write", video="description",
            pair_prompt="pair.jinja",
        )  # fmt: skip
    assert str(caught.value) == (
        "judge Rater, 4 problems:\n"
        "  - prompt plain.jinja does not use 'write_rubric', so rubric=write would change nothing\n"
        "  - prompt plain.jinja does not use 'feedback', so feedback=false would change nothing\n"
        "  - prompt plain.jinja does not use 'description', so video=description would change "
        "nothing\n"
        "  - pair.jinja: the judge has no prompt to prefer with that it could replace"
    )


def test_a_prompt_of_ones_own_by_its_file(tmp_path: Path) -> None:
    path = tmp_path / "plain.jinja"
    path.write_text(PLAIN_PROMPT)
    judge, engine = make_judge(Rater, prompt=str(path))
    judge.rate(items(1)[0])
    assert engine.groups[0].prefix.system == "s"
    built = registry.build(
        f"{__name__}:Rater", {"engine": "fake_engine:FakeEngine", "prompt": str(path)}
    )
    assert str(path) not in str(built.signature())
