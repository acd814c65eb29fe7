"""The verb `videojudge bootstrap`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from videojudge_bench._util.command import Flag
from videojudge_bench._util.terminal import EXIT_FAILED, note, say, show, warn
from videojudge_bench.cli._options import RECIPE, Json, Output, Override, completed
from videojudge_bench.errors import ConfigError

if TYPE_CHECKING:
    from videojudge_bench.training.bootstrap.options import BootstrapOptions

EXIT_BUDGET = 3

Executor = Literal["local", "ray"]


def _recipes(_: str) -> list[str]:
    from videojudge_bench.training.bootstrap.options import recipes

    return recipes()


def bootstrap(
    *,
    recipe: Annotated[str, completed(_recipes, RECIPE)],
    output: Output | None = None,
    override: Override = None,
    limit: int | None = None,
    dry_run: Flag = False,
    executor: Executor = "local",
    workers: int | None = None,
    json: Json = False,
) -> int:
    r"""Make rated training data from seeds.

    A seed is a video, an instruction and a good answer. For each rating from 1 to 4 a generator
    writes a response that is to deserve it, an evaluator rates it without knowing which, and what
    does not match is written again with the evaluator's feedback. The good answer is the response
    that deserves 5. An instruction with all five is kept.

    Without a model, gold answers degraded by rule, so the true rating is known:
      videojudge bootstrap --recipe embedded --output data/vatex

    Calls and tokens of a run with models, without making any; then without --dry-run:
      videojudge bootstrap --recipe paper_pointwise --output data/paper --dry-run \
        --override 'seeds.sources=[videoinstruct=VideoInstruct100K.json]' \
        --override generator.base_url=http://localhost:8000/v1 \
        --override generator.model=Qwen3-32B \
        --override evaluator.base_url=http://localhost:8000/v1 \
        --override evaluator.model=Qwen3-32B

    Every reply is on disk before it is used. Stopped by Ctrl-C, kill -9, a full disk, a server that
    died or a budget (--override max_requests=… or max_cost=…), the same command resumes, and pays
    for no recorded reply twice. Exit status: 0 done, 1 calls failed (run it again), 2 used wrongly,
    3 the budget is used up (raise it and run it again), 130 interrupted.

    Args:
        output: folder of the data
        limit: draw N seeds: --override seeds.n=N
        dry_run: print calls, tokens and money, and make no call
        executor: local: this process; ray: workers of Ray Data, here or where RAY_ADDRESS says;
            every node must see the folder under the same path
        workers: of Ray; default: one per CPU that it has
        json: of --dry-run: print JSON
    """
    from videojudge_bench.training.bootstrap.options import load_options

    if workers is not None and executor != "ray":
        raise ConfigError("--workers is for --executor ray")
    drawn = [] if limit is None else [f"seeds.n={limit}"]
    options = load_options(recipe, [*(override or ()), *drawn])
    if dry_run:
        _dry_run(options, as_json=json)
        return 0
    if output is None:
        raise ConfigError("--output is missing: the folder that the data go to")
    return _run(options, output, executor, workers)


def _run(options: BootstrapOptions, output: Path, executor: Executor, workers: int | None) -> int:
    from videojudge_bench.training.bootstrap.live import counts_of, progress
    from videojudge_bench.training.bootstrap.run import finish, run_bootstrap
    from videojudge_bench.training.bootstrap.run_folder import RunFolder

    try:
        with progress("bootstrap") as on_progress:
            result = run_bootstrap(
                options, output, executor=executor, workers=workers, on_progress=on_progress
            )
    except KeyboardInterrupt:
        warn("what was done is kept: the same command resumes")
        raise
    say([f"{result.tally.seeds} of {result.seeds} seeds: {counts_of(result.tally)}"])
    if result.budget:
        warn(
            f"stopped: {result.budget}. What was done is kept: raise the limit, and "
            "the same command resumes"
        )
        return EXIT_BUDGET
    note(*(f"wrote {path}" for path in finish(RunFolder(output), options.export, options.report)))
    if result.tally.failed:
        warn(
            f"{result.tally.failed} seeds are kept aside because calls failed; the "
            "same command tries them again"
        )
        return EXIT_FAILED
    return 0


def _dry_run(options: BootstrapOptions, *, as_json: bool) -> None:
    from videojudge_bench.training.bootstrap.estimate import estimate_rows
    from videojudge_bench.training.bootstrap.seeds import collect_seeds

    seeds = list(collect_seeds(options.seeds).seeds)
    rows, unpriced = estimate_rows(seeds, options)
    if as_json:
        show(rows, as_json=True)
        return
    rounds = f"up to {options.max_rounds} rounds a response"
    say([f"{len(seeds)} seeds, 4 responses each, {rounds}."])
    say(["From the least (all are accepted at once) to the most:"])
    show(rows, as_json=False)
    for role in unpriced:
        prices = f"--override {role}.price_in=… --override {role}.price_out=…"
        note(f"For money: {prices}, of a million tokens")
