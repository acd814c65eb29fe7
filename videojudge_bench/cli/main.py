"""The command `videojudge`: thin verbs over the package."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

from cyclopts import Group, Parameter

from videojudge_bench._util.command import Flag, call, new_app, run
from videojudge_bench._util.terminal import say, settings
from videojudge_bench.cli import (
    analysis,
    bootstrap,
    data,
    describe,
    doctor,
    experiments,
    judge,
    judges,
    jury,
    label,
    leaderboard,
    rank_systems,
    recipes,
    report,
    rubrics,
    select,
    serve,
    train,
)
from videojudge_bench.cli._options import INSPECT, MEASURE, SCORE, SET_UP, TRAIN
from videojudge_bench.version import __version__

app = new_app(
    "videojudge",
    "Measure, compare and train judges of video understanding.\n\n"
    "To score answers:\n"
    "  videojudge judge answers.jsonl --judge NAME -o verdicts.jsonl\n"
    "To run a judge on gold sets:\n"
    "  lmms_eval --model videojudge --model_args judge=NAME --tasks 'videojudge_*'",
    version=f"videojudge-bench {__version__}",
)


@app.meta.default
def _with_settings(
    *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    quiet: Annotated[Flag, Parameter(help="print results, warnings and errors only")] = False,
) -> int:
    settings.quiet = quiet
    return call(app, words)


@app.command(group=SET_UP)
def tasks_path() -> None:
    """Print the folder of our task files.

    For hosts that need it: lmms_eval --include_path "$(videojudge tasks-path)"
    """
    from videojudge_bench.harness.plugin import task_folders

    say(str(folder) for folder in task_folders())


_VERBS: Mapping[Group, Sequence[Callable[..., object]]] = {
    SCORE: (judge.judge, select.select, describe.describe, serve.serve),
    MEASURE: (
        label.label,
        analysis.calibrate,
        analysis.sweep,
        analysis.parity,
        analysis.attack,
        report.compare,
        jury.jury,
        rank_systems.rank_systems,
    ),
    INSPECT: (report.report,),
    TRAIN: (bootstrap.bootstrap, train.train),
    SET_UP: (doctor.doctor,),
}
for group, verbs in _VERBS.items():
    for verb in verbs:
        app.command(verb, group=group)
for group, apps in {
    MEASURE: (leaderboard.app, rubrics.app),
    INSPECT: (judges.app, data.app),
    TRAIN: (recipes.app, experiments.app),
}.items():
    for verbs_of in apps:
        verbs_of.group = group
        app.command(verbs_of)
app.register_install_completion_command(group=SET_UP)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; return its exit status: 0 done, 1 found a failure, 2 used wrongly."""
    return run(app.meta, argv)
