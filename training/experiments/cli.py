"""The verb `videojudge bootstrap-experiment`: measures the loop, and writes down what it gives."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench._util.terminal import Parser, Verbs, add_group, add_verb, say, table
from videojudge_bench.errors import ConfigError
from videojudge_bench.training.experiments.loop import EXPERIMENTS

if TYPE_CHECKING:
    from videojudge_bench.training.experiments.order import Blind

_ORDER_HELP = """\
The five responses of 100 instructions of a finished bootstrap are put in order by somebody who
sees no label, and the order is compared with the labels: Kendall's tau, orders that are exactly
right, neighbouring ratings that are swapped; with 95 % intervals by video, beside chance.

  videojudge bootstrap-experiment order run data/vatex -o results/bootstrap
      by MiniLM, the nearness to other right answers: no reader, only a sanity check

  videojudge bootstrap-experiment order run data/vatex -o results/bootstrap \\
      --set engine=openai --set base_url=http://localhost:8000/v1 --set model=Qwen3-32B
      by a model that reads all five at once; its replies are kept, and asked for once
      (exit status 1: calls failed, run it again)

  videojudge bootstrap-experiment order export data/vatex -o sheet.csv --key key.json
  videojudge bootstrap-experiment order import sheet.csv --key key.json
      by people
"""


def add_experiments(verbs: Verbs) -> None:
    """Add `bootstrap-experiment` to a parser's verbs."""
    parts = add_group(
        verbs,
        "bootstrap-experiment",
        "measure what the bootstrap loop does, and what its labels are worth",
        "Measures what the loop does with errors of known rate, and whether others "
        "see the order that its labels say. Writes DIR/NAME/report.md and a JSON file beside it.",
    )
    for name, experiment in EXPERIMENTS.items():
        what = experiment.question
        description = f"Measures {what}. No model is asked; 1,000 seeds take minutes."
        part = add_verb(parts, name, _experiment, what, description)
        part.set_defaults(name=name)
        part.path("-o --output", "DIR", "where the report goes", required=True)
        part.number("--seeds", "how many", default=1_000)
    _add_order(parts)


def _experiment(arguments: argparse.Namespace) -> int:
    from videojudge_bench.training.experiments.loop_measures import run_experiment

    folder = arguments.output / arguments.name
    say(f"wrote {path}" for path in run_experiment(arguments.name, arguments.seeds, folder))
    return 0


def _add_order(experiments: Verbs) -> None:
    what = "do others, who see no label, put the responses in the same order?"
    parts = add_group(experiments, "order", what, _ORDER_HELP)
    what = "by a model, or by MiniLM where none is named"
    run = add_verb(parts, "run", _order, what, what)
    _add_draw(run)
    run.path("-o --output", "DIR", "writes DIR/order/NAME, with the name of DATA", required=True)
    run.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="options",
        help="an option of the model: engine, prompt, temperature, max_tokens, seed, and those of "
        "the engine",
    )  # fmt: skip
    what = "write a sheet for people, and its key"
    export = add_verb(parts, "export", _export, what, what)
    _add_draw(export)
    export.path("-o --output", "SHEET", "the sheet, a CSV file", required=True)
    export.path("--key", "KEY", "keep it from those who fill in", required=True)
    export.flag("--force", "replace what is there")
    what = "compare a filled sheet with the labels"
    imported = add_verb(parts, "import", _import, what, what)
    imported.add_argument("sheet", type=Path, metavar="SHEET", help="filled in, as CSV")
    imported.path("--key", "KEY", "what export wrote beside it", required=True)


def _add_draw(parser: Parser) -> None:
    parser.add_argument("data", type=Path, metavar="DATA", help="the folder of a bootstrap")
    parser.number("--limit", "instructions", default=100)
    parser.number("--seed", "of the draw", default=0)


def _drawn(arguments: argparse.Namespace) -> list[Blind]:
    from videojudge_bench.training.bootstrap.run_folder import FACTS_FILE, RunFolder
    from videojudge_bench.training.experiments.order import blinded

    data: Path = arguments.data
    if arguments.limit < 1:
        raise ConfigError(f"--limit {arguments.limit}: at least 1 instruction is put in order")
    if not (data / FACTS_FILE).is_file():
        raise ConfigError(f"{data} has no {FACTS_FILE}; give the output of `videojudge bootstrap`")
    found = blinded(RunFolder(data).outcomes(), arguments.limit, seed=arguments.seed)
    if not found:
        raise ConfigError(f"{data} has no instruction with all five responses to put in order")
    return found


def _order(arguments: argparse.Namespace) -> int:
    from videojudge_bench._util.options import options_of_words
    from videojudge_bench.training.experiments.order_run import run_order

    folder = arguments.output / "order" / arguments.data.resolve().name
    options = options_of_words(arguments.options)
    say(f"wrote {path}" for path in run_order(_drawn(arguments), folder, options))
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from videojudge_bench.analysis.annotation_sheet import csv_text, write_sheet
    from videojudge_bench.training.experiments.order import COLUMNS, key_of, rows_for

    blinds = _drawn(arguments)
    text, key = csv_text(COLUMNS, rows_for(blinds)), key_of(blinds).model_dump_json(indent=1)
    write_sheet(arguments.output, text, arguments.key, f"{key}\n", force=arguments.force)
    told = f"{arguments.output}: {len(blinds)} rows to fill; {arguments.key} holds the labels"
    say([told, "order: the letters from the best to the worst, = between equal ones (CA=EBD)"])
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from videojudge_bench.training.experiments.order import check_orders, read_orders

    ordered = read_orders(arguments.sheet, arguments.key)
    found = check_orders(ordered)
    table(("", "found", "by lot"), found.rows())
    say([f"{found.n} of {len(ordered)} rows have an order"])
    return 0
