"""The verb `videojudge bootstrap-experiment`: measures the loop, and writes down what it gives."""

from __future__ import annotations

import argparse
from pathlib import Path

from videojudge_bench._util.terminal import Verbs, say
from videojudge_bench.training.experiments.loop import EXPERIMENTS
from videojudge_bench.training.experiments.order_cli import add_order


def add_experiments(verbs: Verbs) -> None:
    """Add `bootstrap-experiment` to a parser's verbs."""
    verb = verbs.add_parser(
        "bootstrap-experiment",
        help="measure what the bootstrap loop does, and what its labels are worth",
        description="Measures what the loop does with errors of known rate, and whether others "
        "see the order that its labels say. Writes DIR/NAME/report.md and a JSON file beside it.",
    )
    parts = verb.add_subparsers(title="experiments", required=True, metavar="NAME", dest="name")
    for name, experiment in EXPERIMENTS.items():
        what = experiment.question
        description = f"Measures {what}. No model is asked; 1,000 seeds take minutes."
        part = parts.add_parser(name, help=what, description=description)
        part.add_argument("-o", "--output", type=Path, metavar="DIR", required=True)
        part.add_argument(
            "--seeds", type=int, metavar="N", default=1_000, help="default: %(default)s"
        )
        part.set_defaults(verb=_experiment)
    add_order(parts)


def _experiment(arguments: argparse.Namespace) -> int:
    from videojudge_bench.training.experiments.loop_measures import run_experiment

    folder = arguments.output / arguments.name
    say(f"wrote {path}" for path in run_experiment(arguments.name, arguments.seeds, folder))
    return 0
