"""What can be imported from the package itself, and how little that loads."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version

import pytest

import videojudge_bench

HEAVY = ("torch", "transformers", "lmms_eval", "pandas", "scipy", "sklearn", "av", "decord")


def test_the_public_names() -> None:
    # A name that is added here has to be kept; one that goes breaks somebody's judge.
    assert videojudge_bench.__all__ == [
        "Continuation",
        "Engine",
        "EngineError",
        "Example",
        "GoldSet",
        "Item",
        "Judge",
        "JudgeInfo",
        "Judgement",
        "LoadedRun",
        "OptionGold",
        "Pair",
        "Preference",
        "PreferenceGold",
        "Prefix",
        "PromptGroup",
        "PromptedJudge",
        "Rating",
        "RatingGold",
        "RatingScale",
        "Reply",
        "RunComparison",
        "RunOptions",
        "Sampling",
        "Unparsed",
        "Usage",
        "VideoJudgeError",
        "compare",
        "judge_answers",
        "list_judges",
        "load_run",
        "parse_preference",
        "parse_rating",
    ]


def test_every_public_name_is_there_and_documented() -> None:
    for name in videojudge_bench.__all__:
        assert getattr(videojudge_bench, name).__doc__, name


def test_the_version_is_that_of_the_distribution() -> None:
    assert videojudge_bench.__version__ == version("videojudge-bench")
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", videojudge_bench.__version__)


@pytest.mark.parametrize(
    "module",
    [
        "videojudge_bench",
        "videojudge_bench.answers.judging",
        "videojudge_bench.goldsets",
        "videojudge_bench.run.journal",
        "videojudge_bench.prompted",
        "videojudge_bench.registry",
        "videojudge_bench.run.runner",
        "videojudge_bench.video",
        "videojudge_bench.goldsets.view",
        "videojudge_bench.judges.scripted",
    ],
)
def test_importing_loads_no_heavy_library(module: str) -> None:
    program = f"import sys, {module}; print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("\n", "")


def test_importing_the_package_loads_only_itself_and_the_standard_library() -> None:
    program = (
        "import sys; before = set(sys.modules); import videojudge_bench\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "videojudge_bench\n"
