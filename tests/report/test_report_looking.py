"""Frames and prompts of the worst disagreements, or why there are none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from pages import judged, plain, renamed, with_replies
from registered import registered

from videojudge_bench import goldsets, registry
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.leaderboard.opening import OpenRun, open_run
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.report.looking import prompts_of, thumbnails


def plain_prompts(runs: list[OpenRun], item_ids: list[str]) -> Any:
    return plain(prompts_of(runs, item_ids))


def plain_thumbnails(run: OpenRun, item_ids: list[str], videos: Path | None) -> Any:
    return plain(thumbnails(run, item_ids, videos))


@pytest.fixture
def described(rated_set: GoldSet) -> Iterator[GoldSet]:
    with registered(renamed(rated_set, "described")) as gold_set:
        yield gold_set


@pytest.fixture
def run(described: GoldSet, tmp_path: Path) -> OpenRun:
    journal = with_replies(described, tmp_path / "journal", lambda _: "<score>3</score>")
    return open_run(journal)


def test_the_prompt_is_the_one_that_the_judge_sent(run: OpenRun, tmp_path: Path) -> None:
    built = registry.build("scripted", {"replies": str(tmp_path / "journal" / "replies.jsonl")})
    judge = cast(PromptedJudge, built.judge)
    item = run.gold_set.by_id["v0/cat"].item
    (sent,) = judge.templates.render([replace(item, references=())], judge.scale)
    prompt = plain_prompts([run], ["v0/cat"])["v0/cat"][0]
    assert prompt == f"[system]\n{sent.system}\n\n[user]\n{sent.shared}{sent.response}".strip()
    assert "A cat lies on a sofa." in prompt


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"prompt_rate": "0123"}, "the run used another version of it (0123, here "),
        ({"rubric": "sha256:12"}, "it was shown rubrics from a file"),
        ({"descriptions": "sha256:12"}, "it was shown descriptions from a file"),
        ({"judge": "nobody"}, "unknown judge 'nobody'."),
    ],
)
def test_a_prompt_that_cannot_be_rendered(
    run: OpenRun, change: dict[str, str], reason: str
) -> None:
    record = replace(run.record, judge={**run.record.judge, **change})
    (prompt,) = plain_prompts([replace(run, record=record)], ["v0/cat"])["v0/cat"]
    assert str(prompt).startswith(f"the prompt cannot be rendered here: {reason}")


def test_a_judge_that_asks_no_model_has_no_prompt(described: GoldSet, tmp_path: Path) -> None:
    run = open_run(judged(described, tmp_path, "random", {}))
    assert plain_prompts([run], ["v0/cat"]) == {"v0/cat": [""]}


def test_frames_of_a_video_that_is_missing_or_broken(run: OpenRun, videos: Path) -> None:
    found = plain_thumbnails(run, ["v0/cat", "v0/dog", "v1/cat"], videos)
    assert list(found) == ["v0", "v1"]
    assert found["v0"][:2] == found["v1"][:2] == [[], []]
    assert str(found["v0"][2]).startswith("v0.mp4: ")
    missing = "the video is not on this machine; give its folder with --videos DIR"
    assert found["v1"][2] == missing


def test_frames_are_small_pictures(tmp_path: Path) -> None:
    gold_set = goldsets.load("pairwise")
    run = open_run(judged(gold_set, tmp_path, "random", {}, limit=2))
    (seen,) = plain_thumbnails(run, list(run.judgements), None).values()
    pictures, times, problem = seen
    assert (len(pictures), len(times), problem) == (4, 4, "")
    assert all(len(str(picture)) < 30_000 for picture in pictures)
