"""What keeps the controls of prompted judges honest: other videos, other rubrics, descriptions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import cast

import pytest
from fake_engine import FakeEngine, Replies, items, make_judge
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench import registry
from videojudge_bench._util.hashing import others_by_hash
from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import Capability, PromptGroup, Reply
from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Item
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.run.runner import Run, RunOptions
from videojudge_bench.verdicts import Rating, Unparsed

JUDGE = "videojudge_bench.prompted:PromptedJudge"
ENGINE = "fake_engine:FakeEngine"


def _run(
    gold_set: GoldSet, root: Path, told: Mapping[str, Path], **options: Scalar
) -> tuple[Run, FakeEngine]:
    built = registry.build(JUDGE, {"engine": ENGINE, **options})
    paths = RunOptions(
        videos=told.get("videos"), descriptions=told.get("descriptions"), journal=root
    )
    engine = cast("FakeEngine", cast("PromptedJudge", built.judge).engine)
    return Run(built, gold_set, paths), engine


def _shown(engine: FakeEngine) -> dict[str, str]:
    """The video file that each group was asked about, by its video id."""
    return {
        group.continuations[0].id.partition("/")[0]: str(
            group.prefix.video and group.prefix.video.stem
        )
        for group in engine.groups
    }


# Other videos.


def test_another_video_that_arrives_shuffles_anew(
    rated_set: GoldSet, journal_root: Path, videos: Path
) -> None:
    """Which video is shown depends on which are there: what is journalled must not be mixed."""
    ids, folders, signatures = list(rated_set.by_id), set[Path](), set[str]()
    for arrives in (None, "v1.mp4", "of_another_set.mp4"):
        if arrives:
            (videos / arrives).touch()
        run, engine = _run(rated_set, journal_root, {"videos": videos}, video="shuffled")
        found = run.judge(ids)
        there = {path.stem for path in videos.iterdir()} - {"of_another_set"}
        assert {i for i, j in found.items() if isinstance(j.verdict, Rating)} == {
            i for i in ids if i.partition("/")[0] in there
        }
        shown = _shown(engine)
        assert set(shown) == set(shown.values()) == (there if len(engine.groups) else set())
        assert not [v for v, other in shown.items() if v == other]
        folders.add(run.folder)
        signatures.add(str(run.signature(ids)))
    assert engine.groups == []  # the third run finds all of the second
    assert len(folders) == len(signatures) == 2


def test_a_judge_that_sees_its_own_videos_goes_on_when_another_arrives(
    rated_set: GoldSet, journal_root: Path, videos: Path
) -> None:
    run, _ = _run(rated_set, journal_root, {"videos": videos}, video="frames")
    run.judge(list(rated_set.by_id))
    (videos / "v1.mp4").touch()
    again, engine = _run(rated_set, journal_root, {"videos": videos}, video="frames")
    again.judge(list(rated_set.by_id))
    assert _shown(engine) == {"v1": "v1"}
    assert again.folder == run.folder


@given(st.sets(st.text(max_size=3), min_size=2, max_size=30), st.randoms(use_true_random=False))
def test_every_one_gets_another_whatever_their_order(names: set[str], random: Random) -> None:
    ordered = sorted(names)
    found = others_by_hash(ordered, what="this", of="names")
    assert sorted(found) == sorted(found.values()) == ordered
    assert not [name for name, other in found.items() if name == other]
    random.shuffle(ordered)
    assert others_by_hash(ordered, what="this", of="names") == found


def test_the_next_by_name_is_no_rule() -> None:
    """Names that follow each other are often parts of one film."""
    names = [f"film-{n:02}" for n in range(40)]
    found = others_by_hash(names, what="this", of="names")
    assert sum(found[one] == other for one, other in pairwise(names)) < 10


def test_another_id_of_the_same_file_is_no_other_video(tmp_path: Path) -> None:
    judge, engine = make_judge(video="shuffled")
    seen = [replace(item, video=tmp_path / f"{n // 2}.mp4") for n, item in enumerate(items(6))]
    judge.fit(seen)
    list(judge.judge(seen))
    own = {item.video_id: item.video.stem for item in seen if item.video}
    assert not [v for v, other in _shown(engine).items() if own[v] == other]
    assert sorted(map(str, _shown(engine).values())) == ["0", "0", "1", "1", "2", "2"]


def test_without_other_videos_nothing_is_asked(tmp_path: Path) -> None:
    judge, engine = make_judge(video="shuffled")
    (item,) = items(1)
    assert judge.rate(replace(item, video=tmp_path / "v0.mp4")) == Unparsed(
        "engine: video=shuffled: `fit` was shown no file of video 'v0'"
    )
    assert engine.groups == []


# Other rubrics.


def _rubrics(path: Path, *texts: str) -> Path:
    rows = [
        {"video_id": f"v{n}", "instruction": "do", "rubric": text} for n, text in enumerate(texts)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def test_without_other_rubrics_nothing_is_asked(tmp_path: Path) -> None:
    path = _rubrics(tmp_path / "r.jsonl", "its own", "another")
    judge, engine = make_judge(rubric=str(path), swap_rubrics=True)
    assert judge.rate(items(1)[0]) == Unparsed("engine: no rubric for its instruction in r.jsonl")
    assert engine.groups == []


def test_a_single_rubric_cannot_be_swapped(tmp_path: Path) -> None:
    judge, _ = make_judge(rubric=str(_rubrics(tmp_path / "r.jsonl", "one")), swap_rubrics=True)
    with pytest.raises(ConfigError) as caught:
        judge.fit(items(3))
    assert str(caught.value) == (
        "swap_rubrics=true needs at least two instructions with rubrics, and there are 1 here"
    )


def test_the_signature_says_which_rubrics(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    signed = {
        str(make_judge(rubric=str(_rubrics(path, *texts)))[0].settings()["rubric"])
        for texts in (("one", "two"), ("one", "three"))
    }
    assert len(signed) == 2


def test_an_empty_rubric_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2.*rubric"):
        make_judge(rubric=str(_rubrics(tmp_path / "r.jsonl", "one", "")))


# Descriptions from a file.


def _descriptions(path: Path, **texts: str) -> Path:
    rows = [{"video_id": video, "description": text} for video, text in texts.items()]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def test_descriptions_of_a_file_go_before_those_of_the_set(
    rated_set: GoldSet, journal_root: Path, tmp_path: Path
) -> None:
    told = {"descriptions": _descriptions(tmp_path / "d.jsonl", v1="A dog barks.")}
    run, engine = _run(rated_set, journal_root, told, video="description")
    run.judge(list(rated_set.by_id))
    texts = {g.continuations[0].id[:2]: g.prefix.text for g in engine.groups}
    assert [v for v, text in texts.items() if "A dog barks." in text] == ["v1"]
    assert [v for v, text in texts.items() if "on a sofa" in text] == ["v0", "v2", "v3"]


def test_only_what_a_set_is_told_of_its_videos_is_in_its_signature(
    rated_set: GoldSet, journal_root: Path, tmp_path: Path
) -> None:
    def signed(**texts: str) -> Scalar:
        told = {"descriptions": _descriptions(tmp_path / "d.jsonl", **texts)}
        run, _ = _run(rated_set, journal_root, told, video="description")
        assert run.facts()["signature"] == run.signature([]).judge
        return run.signature([]).judge.get("descriptions")

    one = signed(v0="A cat.", v1="A dog.")
    assert str(one).startswith("sha256:")
    assert signed(v1="A dog.", of_another_set="An owl.", v0="A cat.") == one
    assert signed(v0="A cat.", v1="A fox.") != one
    assert signed(of_another_set="An owl.") is None


def test_a_file_that_describes_none_of_a_sets_videos_is_not_applicable(
    option_set: GoldSet, journal_root: Path, tmp_path: Path
) -> None:
    told = {"descriptions": _descriptions(tmp_path / "d.jsonl", of_another_set="An owl.")}
    run, _ = _run(option_set, journal_root, told, video="description")
    assert run.refusal == (
        f"judge {JUDGE} requires descriptions of the videos; d.jsonl has none of "
        "videojudge_tinyoptions"
    )


def test_a_judge_that_requires_both_is_given_what_was_asked_for_alone() -> None:
    class Both(PromptedJudge):
        requires = frozenset({"video", "description", "references"})

    needs = {video: make_judge(Both, video=video)[0].requires for video in ("none", "frames")}
    assert needs == {"none": {"references"}, "frames": {"references", "video"}}


# What a group shares.


def test_no_item_is_judged_with_the_video_of_another(tmp_path: Path) -> None:
    one, other = (replace(item, video_id="v", video=tmp_path / item.id[:2]) for item in items(2))
    judge, engine = make_judge()
    list(judge.judge([one, other]))
    assert [group.prefix.video for group in engine.groups] == [one.video, other.video]


@pytest.mark.parametrize("block", ["system", "shared"])
def test_a_response_among_what_a_group_shares_ends_the_run(tmp_path: Path, block: str) -> None:
    """The others would be judged by the first one's text."""
    blocks = {"system": "s", "shared": "h", "response": "r", block: "{{ response }}"}
    path = tmp_path / "own.jinja"
    path.write_text(
        "".join(f"{{% block {name} %}}{text}{{% endblock %}}" for name, text in blocks.items())
    )
    judge, _ = make_judge(prompt=str(path))
    with pytest.raises(ConfigError) as caught:
        list(judge.judge(items(1, each=2)))
    assert str(caught.value) == (
        "prompt own.jinja: its blocks 'system' and 'shared' differ between the responses to one "
        "instruction; what differs belongs into the block 'response'"
    )


# What an engine is, and says.


class HotEngine(FakeEngine):
    """Has an option that the judge has as well: it is the judge's."""

    def __init__(self, *, reply: str = "<score>4</score>", temperature: float = 0.5) -> None:
        super().__init__(reply=reply)
        self.temperature = temperature


def test_the_judges_own_options_stay_in_the_signature() -> None:
    engine = f"{__name__}:HotEngine"
    built = registry.build(JUDGE, {"engine": engine, "temperature": 0.7, "reply": "x"})
    assert built.signature()["temperature"] == 0.7
    assert "reply" not in built.signature()


def test_none_on_a_command_line_is_the_option_of_that_name() -> None:
    assert registry.build(JUDGE, {"engine": ENGINE, "video": "none"}).signature()["video"] == "none"


class SilentServer(FakeEngine):
    """Finds out with its first request that the server gives no probabilities."""

    capabilities: frozenset[Capability] = frozenset({"logprobs"})

    async def same(self, group: PromptGroup) -> Replies:
        self.capabilities = frozenset()
        return [Reply("<score>4</score>") for _ in group.continuations]


def test_a_server_without_probabilities_ends_a_run_that_needs_them(
    rated_set: GoldSet, journal_root: Path
) -> None:
    built = registry.build(JUDGE, {"engine": f"{__name__}:SilentServer", "score": "expected"})
    run = Run(built, rated_set, RunOptions(journal=journal_root))
    with pytest.raises(ConfigError, match="the engine gives none here; give score=text"):
        run.judge(list(rated_set.by_id))
    assert not any(path.read_text() for path in run.folder.glob("*.jsonl"))


def test_a_text_is_read_whatever_probabilities_there_are() -> None:
    judge, _ = make_judge(engine="TextEngine")
    assert judge.rate(Item("a", "v", "do", "x")) == Rating(4.0)
