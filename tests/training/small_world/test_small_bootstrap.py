"""From the small world's seeds to training rows: graded by rule, asked with its own prompts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from videojudge_bench import registry
from videojudge_bench.errors import ConfigError
from videojudge_bench.items import Item, Pair
from videojudge_bench.prompts import PromptOptions, load_prompt
from videojudge_bench.scale import RatingScale
from videojudge_bench.training.bootstrap.contracts import Draft, Outcome, Seed, Unable
from videojudge_bench.training.bootstrap.export import DATA_FOLDER, write_rows
from videojudge_bench.training.bootstrap.options import BootstrapOptions, load_options
from videojudge_bench.training.bootstrap.rows import RowOptions, responses_of
from videojudge_bench.training.bootstrap.run import run_bootstrap
from videojudge_bench.training.bootstrap.run_folder import RunFolder
from videojudge_bench.training.small_world.files import WorldOptions, make
from videojudge_bench.training.small_world.generator import Degrade
from videojudge_bench.training.small_world.language import (
    PREFER_PROMPT,
    RATE_PROMPT,
    seed_of,
    system_text,
    texts,
)
from videojudge_bench.training.small_world.world import (
    INSTRUCTIONS,
    KINDS,
    VALUES,
    scene_of,
    video_id,
)


def rows_in(folder: Path, kind: str, part: str) -> list[dict[str, Any]]:
    """Return the rows that an export has written into a file."""
    path = folder / DATA_FOLDER / f"{kind}_{part}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


SEEDS = [seed_of(scene_of(video_id("train", n)), kind) for n in range(100) for kind in KINDS]


@pytest.fixture(scope="module")
def seeds_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "world"
    make(folder, WorldOptions(train=8, validation=2, test=0))
    return folder / "seeds.jsonl"


def options_of(seeds_file: Path, *changes: str) -> BootstrapOptions:
    return load_options("small_world", [f"seeds.sources=[jsonl={seeds_file}]", *changes])


def bootstrap(options: BootstrapOptions, output: Path) -> list[Outcome]:
    run_bootstrap(options, output)
    found = list(RunFolder(output).outcomes())
    write_rows(found, output, options.export)
    return found


# The recipe.


def test_all_seeds_are_kept_with_five_responses_of_known_truth(
    seeds_file: Path, tmp_path: Path
) -> None:
    found = bootstrap(options_of(seeds_file, "export.kinds=[pointwise,pairwise]"), tmp_path)
    assert len(found) == 40
    assert all(outcome.kept for outcome in found)
    for outcome in found:
        scene, asked = scene_of(outcome.seed.video_id), outcome.seed.labels["kind"]
        (kind,) = [k for k in KINDS if k == asked]
        right = [VALUES[kind][word] for word in scene.words[kind]]
        for response in responses_of(outcome):
            wrong = sum(a != b for a, b in zip(response.text.split(), right, strict=True))
            assert response.rating == response.truth == 5 - wrong
    rated = [r for part in ("train", "validation") for r in rows_in(tmp_path, "pointwise", part)]
    parts = Counter((row["part"], row["video_id"].partition("-")[0]) for row in rated)
    assert parts == {("train", "train"): 8 * 20, ("validation", "validation"): 2 * 20}
    pairs = rows_in(tmp_path, "pairwise", "train")
    assert len(pairs) == 8 * 4 * 5


def test_rows_ask_with_this_worlds_prompts(seeds_file: Path, tmp_path: Path) -> None:
    bootstrap(options_of(seeds_file, "export.kinds=[pointwise,pairwise]"), tmp_path)
    row = rows_in(tmp_path, "pointwise", "train")[0]
    response = row["responses"][0]["text"]
    assert (row["system"], row["reply"]) == (system_text(), "<score>1</score>")
    assert row["user"] == f"{row['instruction']}\n{response}\nRate it."
    pair = rows_in(tmp_path, "pairwise", "train")[0]
    first, second = (each["text"] for each in pair["responses"])
    assert pair["user"] == (f"{pair['instruction']}\nA: {first}\nB: {second}\nWhich is better?")
    assert pair["reply"] in ("<answer>A</answer>", "<answer>B</answer>")


def test_a_judge_that_is_given_the_prompts_asks_what_the_rows_ask(seeds_file: Path) -> None:
    prompt = options_of(seeds_file).export.rate_prompt
    item = Item("x", "v", INSTRUCTIONS["count"], "one two one two", video=Path("v.mp4"))
    asked = load_prompt(RATE_PROMPT).render(item, RatingScale(), PromptOptions(feedback=False))
    assert prompt.render(item, RatingScale(), PromptOptions(feedback=False)) == asked
    pair = Pair("x", "v", INSTRUCTIONS["count"], "one", "two", video=Path("v.mp4"))
    other = load_prompt(PREFER_PROMPT).render(pair, RatingScale(), PromptOptions(feedback=False))
    # A pair and a response share their prefix with all else that is said of the video.
    assert (asked.system, asked.shared) == (other.system, other.shared)
    assert asked.shared == "How many bars has each corner?\n"


@pytest.mark.parametrize("changes", [{"feedback": False}, {"rubric": "write"}])
def test_a_judge_can_ask_with_these_prompts_for_all_that_they_must_ask(
    changes: dict[str, bool | str], tmp_path: Path
) -> None:
    replies = tmp_path / "replies.jsonl"
    replies.write_text('{"id": "*", "reply": "<score>1</score>"}\n')
    files = {"prompt": str(RATE_PROMPT), "pair_prompt": str(PREFER_PROMPT)}
    given = {"engine": "scripted", "replies": str(replies), **files, **changes}
    registry.build("videojudge_bench.prompted:PromptedJudge", given).judge.close()


def test_prompts_ask_for_reasoning_and_rubrics_in_few_words() -> None:
    item = Item("x", "v", INSTRUCTIONS["count"], "one two one two")
    for wanted, end in (
        (PromptOptions(feedback=True), "Think. Rate it."),
        (PromptOptions(feedback=False), "Rate it."),
        (PromptOptions(feedback=True, write_rubric=True), "Write a rubric. Think. Rate it."),
        (PromptOptions(feedback=False, write_rubric=True), "Write a rubric. Rate it."),
    ):
        made = load_prompt(RATE_PROMPT).render(item, RatingScale(), wanted)
        assert made.response == f"one two one two\n{end}"
    given = load_prompt(RATE_PROMPT).render(
        item, RatingScale(), PromptOptions(rubric="5: all right")
    )
    assert given.shared == "How many bars has each corner?\n5: all right\n"


def test_reasoning_and_rubric_name_what_is_wrong(seeds_file: Path, tmp_path: Path) -> None:
    changes = ["export.feedback=true", "export.kinds=[pointwise,rubric]"]
    bootstrap(options_of(seeds_file, *changes), tmp_path)
    fours = [r for r in rows_in(tmp_path, "pointwise", "train") if r["verdict"] == "4"]
    for row in fours:
        (wrong,) = row["responses"][0]["changes"]
        assert row["reply"] == f"<thinking>{wrong}</thinking>\n<score>4</score>"
        assert row["user"].endswith("\nThink. Rate it.")
    rubrics = rows_in(tmp_path, "rubric", "train")
    assert rubrics
    assert all(row["reply"].startswith("<rubric>1: ") for row in rubrics)


# Degrade.


def drafts(generator: Degrade, seeds: Sequence[Seed] = SEEDS) -> list[tuple[int, Draft]]:
    made = [(target, generator.draft(seed, target)) for seed in seeds for target in range(1, 5)]
    assert all(isinstance(draft, Draft) for _, draft in made)
    return [(target, draft) for target, draft in made if isinstance(draft, Draft)]


def test_noise_is_the_share_of_drafts_that_deserve_another_rating() -> None:
    made = drafts(Degrade(noise=0.3))
    others = [draft.truth for target, draft in made if draft.truth != target]
    # 4 standard deviations of a share of 1,600
    assert len(others) / len(made) == pytest.approx(0.3, abs=0.046)
    assert set(others) == {1, 2, 3, 4}
    assert all(len(draft.changes) == 5 - (draft.truth or 0) for _, draft in made)


def test_equal_arguments_give_equal_drafts_and_another_seed_or_round_others() -> None:
    assert drafts(Degrade()) == drafts(Degrade())
    assert drafts(Degrade(seed=1)) != drafts(Degrade())
    again = [Degrade().draft(seed, 2, round_=1) for seed in SEEDS[:20]]
    assert again != [Degrade().draft(seed, 2) for seed in SEEDS[:20]]


def test_other_seeds_are_no_business_of_this_generator() -> None:
    for instruction, gold in (("What is it?", "red red red red"), (SEEDS[0].instruction, "a cat")):
        found = Degrade().draft(Seed("s", "made", "v", instruction, gold), 2)
        assert isinstance(found, Unable)
        assert "no seed of the small world" in found.reason


def test_settings_and_what_is_no_share() -> None:
    assert Degrade(noise=0.5, seed=2).settings() == {
        "generator": "small_world",
        "version": 2,
        "noise": 0.5,
        "seed": 2,
    }
    with pytest.raises(ConfigError, match="noise=2: expected a share of the drafts, from 0 to 1"):
        Degrade(noise=2)


# A biased evaluator.


def test_a_recipe_can_name_a_biased_evaluator(seeds_file: Path, tmp_path: Path) -> None:
    changes = ["generator.noise=0.5", "max_rounds=10", "evaluator.kind=biased"]
    given = ["evaluator.when=2", "evaluator.shift=1", "evaluator.rate=1.0"]
    found = bootstrap(options_of(seeds_file, *changes, *given), tmp_path)
    wrong = Counter(
        (rated.target, rated.attempts[-1].draft.truth)
        for outcome in found
        for rated in outcome.rated
        if rated.accepted and rated.attempts[-1].draft.truth != rated.target
    )
    # Whatever deserves 2 is taken for a 3, and nothing else is mistaken.
    assert set(wrong) == {(3, 2)}
    assert all(not outcome.rated[1].accepted for outcome in found)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "when=two",
            r"when='two': expected ratings from 1 to 5 with commas between them, such as 2",
        ),
        ("when=7", r"when=7: expected ratings from 1 to 5"),
        ("rate=2", r"rate=2.0: expected a share, from 0 to 1"),
        ("error=-1", r"error=-1.0: expected a share, from 0 to 1"),
        ("bias=1", r"unknown option 'bias'.*Known: error, rate, seed, shift, when"),
    ],
)
def test_a_biased_evaluator_says_what_it_takes(
    change: str, said: str, seeds_file: Path, tmp_path: Path
) -> None:
    options = options_of(seeds_file, "evaluator={kind: biased}", f"evaluator.{change}")
    with pytest.raises(ConfigError, match=said):
        run_bootstrap(options, tmp_path)


# Options of the rows.


def test_a_label_that_names_no_part_is_refused() -> None:
    options = RowOptions(part_label="part")
    test_seed = seed_of(scene_of("test-00000"), "count")
    with pytest.raises(ConfigError, match="label of seed 'test-00000/count' is 'test'; it is one"):
        options.part(test_seed)


def test_a_prompt_that_is_not_there_is_said_at_the_start(seeds_file: Path) -> None:
    with pytest.raises(ConfigError, match=r"prompt file small_wrold/rate\.jinja: .*No such file"):
        options_of(seeds_file, "export.prompt=small_wrold/rate.jinja")


# Texts.


def test_the_texts_hold_all_that_is_said(seeds_file: Path, tmp_path: Path) -> None:
    said = texts()
    words = {word for text in said for word in text.replace(";", " ").replace(",", " ").split()}
    for kind in KINDS:
        assert set(VALUES[kind]) <= words
        assert INSTRUCTIONS[kind] in said
    for rating in range(1, 6):
        assert f"<score>{rating}</score>" in said
    assert {"<answer>A</answer>", "<answer>B</answer>", system_text()} <= set(said)
    assert any(text.startswith("<rubric>") for text in said)
    assert any(text.startswith("<thinking>first is ") for text in said)
    bootstrap(options_of(seeds_file, "export.feedback=true"), tmp_path)
    for row in rows_in(tmp_path, "pointwise", "train"):
        for text in (row["system"], row["user"], row["reply"]):
            assert set(text.replace(";", " ").replace(",", " ").split()) <= words
