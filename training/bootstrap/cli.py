"""The verb `videojudge bootstrap`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench._util.terminal import Verbs, add_verb, say, table, warn
from videojudge_bench.errors import ConfigError
from videojudge_bench.training.recipe_arguments import add_recipe_options

if TYPE_CHECKING:
    from videojudge_bench.training.bootstrap.estimate import Range
    from videojudge_bench.training.bootstrap.options import BootstrapOptions

EXIT_FAILED, EXIT_BUDGET = 1, 3

_HELP = """\
Makes rated training data from seeds (a video, an instruction, a good answer): for each
rating from 1 to 4 a generator writes a response that is to deserve it, an evaluator rates it
without knowing which, and what does not match is written again with the evaluator's feedback.
The good answer is the response that deserves 5. An instruction with all five is kept.

  videojudge bootstrap --recipe embedded --output data/vatex
      without a model: gold answers are degraded by rule, so the true rating is known

  videojudge bootstrap --recipe paper_pointwise --output data/paper --dry-run \\
      --set 'seeds.sources=[videoinstruct=VideoInstruct100K.json]' \\
      --set generator.base_url=http://localhost:8000/v1 --set generator.model=Qwen3-32B \\
      --set evaluator.base_url=http://localhost:8000/v1 --set evaluator.model=Qwen3-32B
      how many calls and tokens that takes, without making any; then without --dry-run

Every reply is on disk before it is used. Stopped by Ctrl-C, kill -9, a full disk, a server that
died or a budget (--set max_requests=… or max_cost=…), the same command goes on, and pays for no
recorded reply twice. Exit status: 0 done, 1 calls failed (run it again), 2 used wrongly, 3 the
budget is used up (raise it and run it again), 130 interrupted.
"""


def add_bootstrap(verbs: Verbs) -> None:
    """Add `bootstrap` to a parser's verbs."""
    verb = add_verb(verbs, "bootstrap", _bootstrap, "make rated training data from seeds", _HELP)
    add_recipe_options(verb, "where the data go")
    verb.number("--limit", "draw N seeds: --set seeds.n=N")
    verb.flag("--dry-run", "print calls, tokens and money, and make no call")
    verb.add_argument(
        "--executor", choices=("local", "ray"), default="local",
        help="local: this process; ray: workers of Ray Data, here or where RAY_ADDRESS says; "
        "every node must see DIR under the same path; default: %(default)s",
    )  # fmt: skip
    verb.number("--workers", "of Ray; by default one per CPU that it has")


def _bootstrap(arguments: argparse.Namespace) -> int:
    from videojudge_bench.training.bootstrap.options import load_options, recipes

    if arguments.recipes:
        say(recipes())
        return 0
    if arguments.recipe is None:
        raise ConfigError(f"--recipe is missing; it is one of {', '.join(recipes())}, or a file")
    if arguments.workers is not None and arguments.executor != "ray":
        raise ConfigError("--workers is for --executor ray")
    changes = list(arguments.changes)
    if arguments.limit is not None:
        changes.append(f"seeds.n={arguments.limit}")
    options = load_options(arguments.recipe, changes)
    if arguments.dry_run:
        return _dry_run(options)
    if arguments.output is None:
        raise ConfigError("--output is missing: the folder that the data go to")
    return _run(arguments, options)


def _run(arguments: argparse.Namespace, options: BootstrapOptions) -> int:
    from videojudge_bench.training.bootstrap.live import progress, said_of
    from videojudge_bench.training.bootstrap.run import finish, run_bootstrap
    from videojudge_bench.training.bootstrap.run_folder import RunFolder

    output: Path = arguments.output
    try:
        with progress("bootstrap") as on_progress:
            result = run_bootstrap(
                options,
                output,
                executor=arguments.executor,
                workers=arguments.workers,
                on_progress=on_progress,
            )
    except KeyboardInterrupt:
        warn("what was done is kept: the same command goes on with it")
        raise
    say([f"{result.tally.seeds} of {result.seeds} seeds: {said_of(result.tally)}"])
    if result.budget:
        warn(
            f"stopped: {result.budget}. What was done is kept: raise the limit, and "
            "the same command goes on with it"
        )
        return EXIT_BUDGET
    say(f"wrote {path}" for path in finish(RunFolder(output), options.export, options.report))
    if result.tally.failed:
        warn(
            f"{result.tally.failed} seeds are kept aside because calls failed; the "
            "same command tries them again"
        )
        return EXIT_FAILED
    return 0


def _dry_run(options: BootstrapOptions) -> int:
    from videojudge_bench.training.bootstrap.estimate import estimate
    from videojudge_bench.training.bootstrap.seeds import collect_seeds

    seeds = list(collect_seeds(options.seeds).seeds)
    say([f"{len(seeds)} seeds, 4 responses each, up to {options.max_rounds} rounds a response."])
    say(["From the least (all are accepted at once) to the most:"])
    rows: list[tuple[str, ...]] = []
    unpriced: list[str] = []
    for role, found in estimate(seeds, options).items():
        if found is None:
            rows.append((role, "no model is asked", "-", "-", "-"))
            continue
        numbers = (found.calls, found.input_tokens, found.output_tokens)
        money = "no prices" if found.cost is None else _range(found.cost, ".2f")
        unpriced += [role] if found.cost is None else []
        rows.append((role, *(_range(number, ",.0f") for number in numbers), money))
    table(("", "calls", "tokens in", "tokens out", "money"), rows)
    say(
        f"For money: --set {role}.price_in=… --set {role}.price_out=…, of a million tokens"
        for role in unpriced
    )
    return 0


def _range(found: Range, form: str) -> str:
    return f"{found.least:{form}} to {found.most:{form}}"
