"""`videojudge bootstrap`: recipes, options, the dry run, exit statuses, help."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from talk import TalkEngine, options_for

from videojudge_bench.cli.main import main
from videojudge_bench.errors import ConfigError
from videojudge_bench.run._counting_engine import CHARACTERS_PER_TOKEN
from videojudge_bench.training.bootstrap.estimate import estimate
from videojudge_bench.training.bootstrap.options import RECIPES_FOLDER, load_options, recipes
from videojudge_bench.training.bootstrap.prompted import PromptedEvaluator, PromptedGenerator
from videojudge_bench.training.bootstrap.roles import Roles
from videojudge_bench.training.bootstrap.run import run_bootstrap
from videojudge_bench.training.bootstrap.run_folder import RunFolder
from videojudge_bench.training.bootstrap.seeds import collect_seeds

HERE = Path(__file__).parent
SEEDS = 24


def _recipe(folder: Path, count: int = SEEDS) -> str:
    options_for(folder, count)
    return str(folder / "recipe.yaml")


def _run(folder: Path, *arguments: str) -> int:
    return main(["bootstrap", "--recipe", _recipe(folder), "-o", str(folder / "out"), *arguments])


def test_the_verb_makes_data_and_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tmp_path) == 0
    said = capsys.readouterr().out
    kept = sum(outcome.kept for outcome in RunFolder(tmp_path / "out").outcomes())
    assert f"24 of 24 seeds: kept {100 * kept / SEEDS:.1f} %" in said
    assert "cost " in said
    assert (tmp_path / "out" / "report.md").exists()
    rows = list((tmp_path / "out" / "data").glob("pointwise_*.jsonl"))
    assert sum(len(path.read_text().splitlines()) for path in rows) == 5 * kept
    facts = json.loads((tmp_path / "out" / "bootstrap.json").read_text())
    assert facts["rules"] == {"acceptance": "response", "alpha": 0.0, "max_rounds": 3}
    assert facts["generator"]["model"] == "talk-1"
    assert len(facts["generator"]["prompt"]) == 12
    assert facts["seeds"]["n"] is None


def test_keys_are_written_nowhere(tmp_path: Path) -> None:
    key = "sk-never-to-be-written-down"
    arguments = [
        *("--override", "generator.engine=openai", "--override", "generator.model=m"),
        *("--override", "generator.base_url=http://user:hunter2@127.0.0.1:9/v1"),
        *("--override", f"generator.api_key={key}", "--override", "max_failures=1"),
    ]
    assert _run(tmp_path, *arguments) != 0
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            assert key not in path.read_text(), path
            assert "hunter2" not in path.read_text(), path


def test_a_budget_ends_with_a_status_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tmp_path, "--override", "max_requests=50") == 3
    said = capsys.readouterr()
    assert "stopped: max_requests=50 is used up" in said.err
    assert "the same command resumes" in said.err
    assert "50 replies" in said.out
    assert not (tmp_path / "out" / "data").exists()


def test_the_dry_run_counts_without_a_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    prices = ("generator.price_in=2", "generator.price_out=8", "generator.engine=openai")
    changes = [word for price in prices for word in ("--override", price)]
    assert _run(tmp_path, "--dry-run", *changes, "--override", f"evaluator.log={log}") == 0
    said = capsys.readouterr().out
    assert "24 seeds, 4 responses each, up to 3 rounds a response" in said
    assert "96 to 288" in said
    assert "For money: --override evaluator.price_in=… --override evaluator.price_out=…" in said
    assert not log.exists()
    assert not (tmp_path / "out").exists()


def test_the_least_of_the_estimate_is_what_a_run_without_mismatches_takes(tmp_path: Path) -> None:
    options = options_for(tmp_path, SEEDS, "generator.price_in=2", "generator.price_out=8")
    found = estimate(collect_seeds(options.seeds).seeds, options)
    generator = found["generator"]
    assert generator is not None
    assert generator.cost is not None
    assert (generator.calls.least, generator.calls.most) == (96, 288)
    into, out = generator.input_tokens, generator.output_tokens
    assert generator.cost.least == pytest.approx((2 * into.least + 8 * out.least) / 1e6)
    assert generator.cost.most == pytest.approx((2 * into.most + 8 * out.most) / 1e6)
    assert out.most == 288 * 1024  # max_tokens
    # The prompts of a real run, counted in the same way.
    engine = TalkEngine()
    engine.answer = lambda prompt: f"<answer>A {len(engine.prompts)}th red ball.</answer>"
    roles = Roles(PromptedGenerator(engine=engine), PromptedEvaluator(engine=TalkEngine()))
    once = options.model_copy(update={"max_rounds": 1})
    run_bootstrap(once, tmp_path / "out", roles=roles)
    lengths = [len(prompt) for prompt in engine.prompts]
    assert len(lengths) == 96
    assert sum(lengths) / CHARACTERS_PER_TOKEN == pytest.approx(into.least, rel=0.01)


def test_a_generator_without_a_model_costs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bootstrap", "--recipe", "embedded", "--limit", "50", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "50 seeds" in said
    assert said.count("no model is asked") == 2


@pytest.mark.parametrize("name", recipes())
def test_every_recipe_is_complete_and_gives_a_reason_for_each_choice(name: str) -> None:
    options = load_options(name)
    assert options.max_rounds == 3
    text = (RECIPES_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    given = yaml.safe_load(text)
    assert {"seeds", "generator", "evaluator", "alpha", "export"} <= given.keys()
    assert text.startswith("# ")


def test_the_recipes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "list"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[1] for row in rows if row[:1] == ["bootstrap"]] == [
        *("embedded", "meta_llava", "meta_vcg", "paper_pairwise", "paper_pointwise"),
        *("paper_rubric", "small_world"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "parameter --recipe requires an argument"),
        (("--recipe", "embeded"), "unknown recipe 'embeded'. Did you mean 'embedded'?"),
        (("--recipe", "mine.yaml"), "recipe mine.yaml cannot be read: "),
        (("--recipe", "embedded"), "--output is missing"),
        (("--recipe", "embedded", "--workers", "2"), "--workers is for --executor ray"),
        (
            ("--recipe", "embedded", "--override", "alpha"),
            "--override: expected KEY=VALUE, got 'alpha'",
        ),
        (("--recipe", "embedded", "--override", "alpha=[1"), "the value is no YAML"),
        (("--recipe", "embedded", "--override", "alpha.beta=1"), "alpha holds no options"),
        (("--recipe", "embedded", "--override", "alhpa=1"), "Did you mean 'alpha'?"),
        (
            ("--recipe", "embedded", "--override", "seeds.limit=1"),
            "unknown option in seeds 'limit'",
        ),
        (("--recipe", "embedded", "--override", "export.kind=[pairwise]"), "Did you mean 'kinds'?"),
        (("--recipe", "embedded", "--override", "acceptance=sum"), "'response' or 'instruction'"),
        (
            ("--recipe", "embedded", "--override", "max_cost=5"),
            "max_cost needs generator.price_in=…",
        ),
        (
            ("--recipe", "embedded", "--override", "generator.noise=[1]"),
            "expected a text, a number",
        ),
    ],
)
def test_what_was_used_wrongly_is_said(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bootstrap", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_all_problems_of_a_recipe_come_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_options("embedded", ["max_rounds=0", "alpha=-1", "concurency=2"])
    assert "3 problems" in str(caught.value)
    for part in ("max_rounds: ", "alpha: ", "'concurency'. Did you mean 'concurrency'?"):
        assert part in str(caught.value)


def test_the_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bootstrap", "--help"]) == 0
    said = capsys.readouterr().out
    for part in ("videojudge bootstrap --recipe embedded", "--dry-run", "resumes", "Exit status"):
        assert part in said
    assert max(map(len, said.splitlines())) <= 80


def test_ctrl_c_is_quiet_and_says_how_to_go_on(tmp_path: Path) -> None:
    arguments = ["bootstrap", "--recipe", _recipe(tmp_path), "-o", str(tmp_path / "out")]
    log = tmp_path / "log"
    slow = ["--override", "generator.delay_seconds=30", "--override", f"generator.log={log}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "videojudge_bench.cli", *arguments, *slow],
        cwd=HERE.parents[1],
        env={**os.environ, "PYTHONPATH": str(HERE)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        until = time.monotonic() + 60
        while not log.exists() and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in out + err
    assert "the same command resumes" in err
    assert err.endswith("videojudge: interrupted\n")
