"""Rubrics that a model writes: read, asked for again, recorded, paid once, and taught."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from bootstrap_cases import kept
from talk import TalkEngine, made_seed, options_for, outputs, talk

from videojudge_bench.engine import EngineError
from videojudge_bench.errors import ConfigError
from videojudge_bench.training.bootstrap.calls import read_calls
from videojudge_bench.training.bootstrap.contracts import Draft, Seed, Unable
from videojudge_bench.training.bootstrap.estimate import estimate
from videojudge_bench.training.bootstrap.loop import Rules, with_rubric
from videojudge_bench.training.bootstrap.options import BootstrapOptions, load_options
from videojudge_bench.training.bootstrap.prompted import (
    PromptedEvaluator,
    PromptedGenerator,
    PromptedRubrics,
)
from videojudge_bench.training.bootstrap.roles import Roles
from videojudge_bench.training.bootstrap.rows import RowOptions, rows_of
from videojudge_bench.training.bootstrap.run import finish, run_bootstrap
from videojudge_bench.training.bootstrap.run_folder import RunFolder
from videojudge_bench.training.bootstrap.seeds import collect_seeds
from videojudge_bench.training.bootstrap.usable import read_rubric

GOOD = "1: a red ball\n2: an orange ball\n3: a yellow ball\n4: a green ball\n5: a blue ball"
SEEDS = 40
ROLE = json.dumps({"kind": "prompted", "engine": "talk:TalkEngine"})


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"Rubric for the ball:\n{GOOD}",
        "\n".join(reversed(GOOD.splitlines())),
        GOOD.replace(": ", ". ").replace("3.", "**Score 3** -"),
        GOOD.replace("3: a yellow ball", "3: a yellow\n   ball"),
        GOOD.replace("1: ", "- Level 1: "),
    ],
)
def test_one_line_a_rating_is_a_rubric(text: str) -> None:
    assert read_rubric(text) == (GOOD, "")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it has no line for the rating 1, 2, 3, 4, 5"),
        ("All of it must be right.", "it has no line for the rating 1, 2, 3, 4, 5"),
        (GOOD.replace("2: an orange ball\n", ""), "it has no line for the rating 2"),
        (GOOD.replace("an orange ball", "..."), "it has no line for the rating 2"),
        (GOOD.replace("3:", "2:"), "two of its lines are for the rating 2"),
        (f"{GOOD}\n6: a violet ball", "a line is for the rating 6; they are 1 to 5"),
    ],
)
def test_what_is_no_rubric_says_why(text: str, problem: str) -> None:
    assert read_rubric(text) == ("", problem)


class _Said:
    """Gives what it was told to, one round after another."""

    def __init__(self, *texts: Draft | EngineError) -> None:
        self._texts = texts
        self.asked: list[tuple[int, str]] = []

    async def rubric(self, seed: Seed, number: int, problem: str) -> Draft | EngineError:
        self.asked.append((number, problem))
        return self._texts[number - 1]


def test_a_text_that_is_none_is_asked_for_again_with_the_reason() -> None:
    said = _Said(Draft("Sorry."), Draft(GOOD))
    outcome = asyncio.run(with_rubric(kept(1), said, Rules(max_rounds=2)))
    assert outcome == replace(kept(1), rubric=GOOD)
    assert said.asked == [(1, ""), (2, "it has no line for the rating 1, 2, 3, 4, 5")]


def test_without_a_rubric_in_all_rounds_there_are_no_rows_with_one() -> None:
    said = _Said(Draft("Sorry."), Draft("1: wrong"))
    outcome = asyncio.run(with_rubric(kept(1), said, Rules(max_rounds=2)))
    assert outcome.kept
    assert outcome.rubric_problem == "it has no line for the rating 2, 3, 4, 5"
    assert list(rows_of(outcome, RowOptions(kinds=("rubric",)))) == []
    assert len(list(rows_of(outcome, RowOptions()))) == 5


def test_errors_are_tried_again_later_and_what_cannot_be_done_is_not() -> None:
    failed = asyncio.run(with_rubric(kept(1), _Said(EngineError("429")), Rules()))
    assert (failed.kept, failed.problem) == (False, "call failed: rubric: 429")
    unable = asyncio.run(with_rubric(kept(1), _Said(Unable("no words for it")), Rules()))
    assert (unable.kept, unable.rubric_problem) == (True, "no words for it")


def test_the_writer_sees_seed_and_problem_and_no_response() -> None:
    engine = TalkEngine()
    engine.answer = lambda _: f"Here.\n<rubric>\n{GOOD}\n</rubric>"
    writer = PromptedRubrics(engine=engine)
    said = asyncio.run(writer.rubric(made_seed(3), 2, "it has no line for the rating 4"))
    assert isinstance(said, Draft)
    assert said.text == GOOD
    (prompt,) = engine.prompts
    for shown in (made_seed(3).gold, made_seed(3).instruction, "no line for the rating 4"):
        assert shown in prompt
    assert engine.ids == ["s3/rubric/2"]
    assert writer.settings()["prompt"]


def _talk(prompt: str) -> str:
    if "Write a rubric for this instruction" not in prompt:
        return talk(prompt)
    return f"<rubric>\n{GOOD}\n</rubric>" if "could not be used" in prompt else "<rubric>?</rubric>"


def _roles(engine: TalkEngine, *, writer: bool = True) -> Roles:
    engine.answer = _talk
    rubrics = PromptedRubrics(engine=engine) if writer else None
    return Roles(PromptedGenerator(engine=engine), PromptedEvaluator(engine=engine), rubrics)


def _options(folder: Path, *changes: str) -> BootstrapOptions:
    return options_for(folder, SEEDS, "export.kinds=[pointwise, rubric]", *changes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run that wrote rubrics and that nobody disturbed."""
    folder = tmp_path_factory.mktemp("rubrics")
    run_bootstrap(_options(folder), folder / "out", roles=_roles(TalkEngine()))
    return folder / "out"


def test_instructions_that_need_a_rubric_get_one_and_rows_teach_it(
    whole: Path, tmp_path: Path
) -> None:
    options, folder = _options(tmp_path), RunFolder(whole)
    made = [outcome for outcome in folder.outcomes() if outcome.kept]
    need = [outcome for outcome in made if options.export.need_rubric(outcome.seed.id)]
    assert 0 < len(need) < len(made)
    assert {o.seed.id: o.rubric for o in made if o.rubric} == {o.seed.id: GOOD for o in need}
    rows = [row for outcome in made for row in rows_of(outcome, RowOptions(kinds=("rubric",)))]
    assert {row.seed_id for row in rows} == {outcome.seed.id for outcome in need}
    assert all(row.reply.startswith(f"<rubric>{GOOD}</rubric>\n<thinking>") for row in rows)
    facts = folder.facts()["rubric"]
    assert isinstance(facts, Mapping)
    assert facts["prompt"] == PromptedRubrics(engine=TalkEngine()).settings()["prompt"]
    finish(folder, options.export)
    report = (whole / "report.md").read_text(encoding="utf-8")
    assert f"Written for {len(need)} of {len(need)} (100.0 %) instructions" in report
    assert f"| rubric | {2 * len(need)} |" in report  # the first round gave none
    assert f"| prompt | {facts['prompt']} |" in (whole / "README.md").read_text(encoding="utf-8")


def test_rubrics_count_against_the_budget_and_are_paid_once(whole: Path, tmp_path: Path) -> None:
    engine, output = TalkEngine(), tmp_path / "out"
    for most in (100, 200, 300):
        limited = _options(tmp_path, f"max_requests={most}", "concurrency=4")
        assert run_bootstrap(limited, output, roles=_roles(engine)).budget
        assert len(engine.prompts) == most
    run_bootstrap(_options(tmp_path), output, roles=_roles(engine))
    assert outputs(output) == outputs(whole)
    calls = read_calls(output / "journal" / "00000.jsonl")
    assert len(engine.prompts) == sum(call.role != "check" for call in calls)


def test_a_finished_folder_is_given_rubrics_without_another_draft(
    whole: Path, tmp_path: Path
) -> None:
    output, before, after = tmp_path / "out", TalkEngine(), TalkEngine()
    run_bootstrap(options_for(tmp_path, SEEDS), output, roles=_roles(before, writer=False))
    run_bootstrap(_options(tmp_path), output, roles=_roles(after))
    assert outputs(output) == outputs(whole)
    assert after.ids
    assert all("/rubric/" in call_id for call_id in after.ids)
    with pytest.raises(ConfigError, match=r"rubric: engine was 'TalkEngine' and is None"):
        run_bootstrap(_options(tmp_path), output, roles=_roles(TalkEngine(), writer=False))


def test_the_role_is_one_of_the_recipe_and_needs_rows_of_its_kind(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"rubric: no row needs one with export.kinds=\['pointw"):
        options_for(tmp_path, 4, f"rubric={ROLE}")
    options = _options(tmp_path, f"rubric={ROLE}", "rubric.max_tokens=100")
    found = estimate(list(collect_seeds(options.seeds).seeds), options)["rubric"]
    assert found is not None
    needed = sum(options.export.need_rubric(s.id) for s in collect_seeds(options.seeds).seeds)
    assert (found.calls.least, found.calls.most) == (needed, 3 * needed)
    assert found.output_tokens.most == 300 * needed
    recipe = load_options("paper_rubric")
    assert recipe.rubric is not None
    assert load_options("paper_rubric", ["rubric=null"]).rubric is None
    assert yaml.safe_load(json.dumps(recipe.all_else()))["rubric"]["engine"] == "openai"


def test_a_role_that_is_unknown_is_said(tmp_path: Path) -> None:
    options = _options(tmp_path, 'rubric={"kind": "promted", "engine": "talk:TalkEngine"}')
    with pytest.raises(ConfigError, match=r"unknown rubric 'promted'. Did you mean 'prompted'"):
        run_bootstrap(options, tmp_path / "out")
