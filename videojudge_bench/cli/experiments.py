"""The verbs of `videojudge experiments`: measure the bootstrap loop and its labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from videojudge_bench._util.command import new_app
from videojudge_bench._util.options import parse_named
from videojudge_bench._util.terminal import note, show
from videojudge_bench.cli._options import Json, Output, Overwrite, completed
from videojudge_bench.errors import UnknownNameError

app = new_app("experiments", "Measure what the bootstrap loop does, and what its labels are worth.")

Limit = Annotated[int, Parameter(help="instructions")]
Draw = Annotated[int, Parameter(help="of the draw")]


def _experiments(_: str = "") -> dict[str, str]:
    from videojudge_bench.training.experiments.loop import EXPERIMENTS

    return {name: experiment.question for name, experiment in EXPERIMENTS.items()}


@app.command(name="list")
def list_experiments(*, json: Json = False) -> None:
    """List the experiments, and what each measures."""
    rows = [{"experiment": name, "measures": what} for name, what in _experiments().items()]
    show(rows, as_json=json)


@app.command
def run(
    name: Annotated[str, completed(_experiments)], /, *, output: Output, seeds: int = 1000
) -> None:
    """Run an experiment: the bootstrap loop with an evaluator that errs at a set rate.

    No model is asked; 1,000 seeds take minutes. Writes OUTPUT/NAME/report.md and a JSON file beside
    it.

    Args:
        name: of the experiment; videojudge experiments list
        output: folder of the results
        seeds: how many
    """
    from videojudge_bench.training.experiments.loop_measures import run_experiment

    if name not in _experiments():
        raise UnknownNameError("experiment", name, _experiments())
    note(*(f"wrote {path}" for path in run_experiment(name, seeds, output / name)))


@app.command
def order(
    data: Path,
    /,
    *,
    output: Output,
    engine: str | None = None,
    limit: Limit = 100,
    seed: Draw = 0,
) -> None:
    r"""Compare the order that a reader gives to responses with their labels.

    The five responses of 100 instructions of a finished bootstrap are put in order without the
    labels: Kendall's tau, orders that are exactly right, neighbouring ratings that are swapped;
    with 95 % intervals by video, beside chance.

    By MiniLM, the nearness to other right answers: no reader, only a sanity check:
      videojudge experiments order data/vatex -o results/bootstrap

    By a model that reads all five at once; its replies are kept, and asked for once (exit status 1:
    calls failed, run it again):
      videojudge experiments order data/vatex -o results/bootstrap \
        --engine openai,base_url=http://localhost:8000/v1,model=Qwen3-32B

    By people:
      videojudge experiments export data/vatex -o sheet.csv --key key.json
      videojudge experiments import sheet.csv --key key.json

    Args:
        data: the folder of a bootstrap
        output: writes OUTPUT/order/NAME, with the name of DATA
        engine: NAME[,option=value…] of the model; prompt, temperature, max_tokens and seed are
            options too
    """
    from videojudge_bench.training.experiments.order import drawn
    from videojudge_bench.training.experiments.order_run import run_order

    options = {}
    if engine is not None:
        name, others = parse_named("engine", engine)
        options = {"engine": name, **others}
    folder = output / "order" / data.resolve().name
    note(*(f"wrote {path}" for path in run_order(drawn(data, limit, seed), folder, options)))


@app.command
def export(
    data: Path,
    /,
    *,
    output: Output,
    key: Path,
    limit: Limit = 100,
    seed: Draw = 0,
    overwrite: Overwrite = False,
) -> None:
    """Write a sheet for people to put responses in order, and its key.

    Args:
        data: the folder of a bootstrap
        output: the sheet
        key: the key; keep it from those who fill in
    """
    from videojudge_bench._util.tabular import csv_text
    from videojudge_bench.analysis.annotation_sheet import write_sheet
    from videojudge_bench.training.experiments.order import COLUMNS, drawn, key_of, rows_for

    blinds = drawn(data, limit, seed)
    text = f"{key_of(blinds).model_dump_json(indent=1)}\n"
    cells = csv_text(COLUMNS, rows_for(blinds), line_end="\r\n")
    write_sheet(output, cells, key, text, overwrite=overwrite)
    note(
        f"{output}: {len(blinds)} rows to fill; {key} holds the labels",
        "order: the letters from the best to the worst, = between equal ones (CA=EBD)",
    )


@app.command(name="import")
def import_sheet(sheet: Path, /, *, key: Path, json: Json = False) -> None:
    """Compare a filled sheet with the labels.

    Args:
        sheet: filled in, as CSV
        key: what export wrote beside it
    """
    from videojudge_bench.training.experiments.order import check_orders, read_orders

    ordered = read_orders(sheet, key)
    checked = check_orders(ordered)
    rows = [dict(zip(("", "found", "by lot"), row, strict=True)) for row in checked.rows()]
    show(rows, as_json=json)
    if not json:
        note(f"{checked.n} of {len(ordered)} rows have an order")
