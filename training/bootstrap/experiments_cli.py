"""The verb `videojudge bootstrap-experiment`: measures the loop, and writes down what it gives."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench._util.terminal import Verbs, say
from videojudge_bench.training.bootstrap.order_cli import add_order

if TYPE_CHECKING:
    from videojudge_bench._util.hashing import Json
    from videojudge_bench.metrics.card import Metric
    from videojudge_bench.training.bootstrap.contracts import Seed
    from videojudge_bench.training.bootstrap.experiments import Row
    from videojudge_bench.training.bootstrap.tallies import Cell, Moments, Share, Tallies

FIRST: Mapping[str, Sequence[str]] = {
    "first": (),
    "first_nextqa": ("seeds.sources=[nextqa]", "seeds.allow_overlap=[]"),
}
"""Experiments that are one run of the embedded recipe, and what they change in it."""

_MEASURED: Mapping[str, str] = {
    "first": "the embedded recipe on VATEX: yield, acceptance by round, confusion, similarity to "
    "the gold answer, what the text alone gives away",
    "first_nextqa": "the same on NExT-QA, question and answer made one sentence",
    "refine": "one round against three and five, with a generator and an evaluator that err in 0, "
    "0.1 and 0.3 of what they do: seeds kept, label noise, calls",
    "bias": "evaluators that move chosen ratings up or down: acceptance and label noise",
}


def add_experiments(verbs: Verbs) -> None:
    """Add `bootstrap-experiment` to a parser's verbs."""
    verb = verbs.add_parser(
        "bootstrap-experiment",
        help="measure what the bootstrap loop does, and what its labels are worth",
        description="Measures what the loop does with errors of known rate, and whether others "
        "see the order that its labels say. Writes DIR/NAME/report.md and a JSON file beside it.",
    )
    parts = verb.add_subparsers(title="experiments", required=True, metavar="NAME", dest="name")
    for name, what in _MEASURED.items():
        description = f"Measures {what}. No model is asked; 1,000 seeds take minutes."
        part = parts.add_parser(name, help=what, description=description)
        part.add_argument("-o", "--output", type=Path, metavar="DIR", required=True)
        part.add_argument(
            "--seeds", type=int, metavar="N", default=1_000, help="default: %(default)s"
        )
        part.set_defaults(verb=_experiment)
    add_order(parts)


def _experiment(arguments: argparse.Namespace) -> int:
    name: str = arguments.name
    folder: Path = arguments.output / name
    run = _first if name in FIRST else _settings
    say(f"wrote {path}" for path in run(name, arguments.seeds, folder))
    return 0


def _first(name: str, n: int, folder: Path) -> list[Path]:
    """Run the recipe in a folder that is thrown away, and keep the report and the counts."""
    from videojudge_bench.training.bootstrap.calls import read_calls, spent_on
    from videojudge_bench.training.bootstrap.options import load_options
    from videojudge_bench.training.bootstrap.report import ReportFacts, write_report
    from videojudge_bench.training.bootstrap.run import run_bootstrap
    from videojudge_bench.training.bootstrap.run_folder import RunFolder
    from videojudge_bench.training.bootstrap.tallies import Tallies, read_all

    options = load_options("embedded", [*FIRST[name], f"seeds.n={n}"])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="videojudge-") as scratch:
        run_bootstrap(options, Path(scratch))
        made, tallies = RunFolder(Path(scratch)), Tallies()
        read_all(made.outcomes(), tallies.add)
        spent = spent_on(call for path in made.journals() for call in read_calls(path))
        # By rule, a response is as far from the gold answer as its rating says.
        facts = ReportFacts(name, independent=False, spent=spent)
        report = write_report(made.outcomes, folder, facts)
    return [report, _write_json(folder / "tallies.json", tallies_to_json(tallies))]


def _settings(name: str, n: int, folder: Path) -> list[Path]:
    from videojudge_bench.training.bootstrap import experiments
    from videojudge_bench.training.bootstrap.options import load_options
    from videojudge_bench.training.bootstrap.perturb import Perturb
    from videojudge_bench.training.bootstrap.seeds import collect_seeds

    seeds: list[Seed] = list(collect_seeds(load_options("embedded", [f"seeds.n={n}"]).seeds).seeds)
    rows = list((experiments.refine if name == "refine" else experiments.bias)(seeds))
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / "report.md"
    lines = [
        f"# {name}",
        "",
        f"{len(seeds)} seeds of VATEX.",
        "",
        *table_of(rows, by_target=name == "bias"),
    ]
    report.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found: dict[str, Json] = {
        "experiment": name,
        "seeds": len(seeds),
        "generator": dict(Perturb(seeds).settings()),
        "rows": [row_to_json(row) for row in rows],
    }
    return [report, _write_json(folder / "rows.json", found)]


def table_of(rows: Sequence[Row], *, by_target: bool) -> list[str]:
    """Return the lines of a Markdown table, one a row, with 95 % intervals by video.

    Args:
        rows: one at least, all with the same names in their settings.
        by_target: whether acceptance and label noise of each target are shown.
    """
    from videojudge_bench.training.bootstrap.contracts import TARGETS
    from videojudge_bench.training.bootstrap.experiments import CALLS, KEPT, NOISE

    shares = {KEPT: "kept %", NOISE: "label noise %"}
    if by_target:
        shares |= {f"accepted_{t}": f"accepted {t} %" for t in TARGETS}
        shares |= {f"{NOISE}_{t}": f"noise {t} %" for t in TARGETS}
    head = [*rows[0].setting, "graded", *shares.values(), "calls a kept seed"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        lines.append(
            [
                *(f"{v:g}" if isinstance(v, float) else str(v) for v in row.setting.values()),
                str(row.seeds),
                *(_cell(row.metrics[k], 100, interval=k in (KEPT, NOISE)) for k in shares),
                _cell(row.metrics[CALLS], 1, interval=True),
            ]
        )
    return [f"| {' | '.join(line)} |" for line in lines]


def _cell(metric: Metric, factor: int, *, interval: bool) -> str:
    if metric.value is None:
        return "-"
    text = f"{factor * metric.value:.1f}"
    if not interval or metric.low is None or metric.high is None:
        return text
    return f"{text} [{factor * metric.low:.1f}, {factor * metric.high:.1f}]"


def row_to_json(row: Row) -> dict[str, Json]:
    """Return a row as JSON: each metric as value, low and high, or why it is undefined."""
    metrics: dict[str, Json] = {
        key: metric.undefined or [metric.value, metric.low, metric.high]
        for key, metric in row.metrics.items()
    }
    return {**row.setting, "graded": row.seeds, "unable": row.unable, "metrics": metrics}


def tallies_to_json(tallies: Tallies) -> dict[str, Json]:
    """Return what a run counted; a share is [part, whole], a confusion one object a cell."""
    return {
        "seeds": _share(tallies.seeds),
        "by_source": {name: _share(share) for name, share in tallies.by_source.items()},
        "by_gold_words": {str(end): _share(share) for end, share in tallies.by_length.items()},
        "by_target": {str(target): _share(share) for target, share in tallies.by_target.items()},
        "by_round": [
            {"target": target, "round": number, "accepted": share.part, "entered": share.whole}
            for (target, number), share in sorted(tallies.by_round.items())
        ],
        "first_round": _cells(tallies.first_round, ("target", "rated")),
        "all_rounds": _cells(tallies.all_rounds, ("target", "rated")),
        "accepted_truth": _cells(tallies.truth, ("target", "truth")),
        "evaluator_error": _cells(tallies.error, ("truth", "rated")),
        "label_noise": _share(tallies.label_noise),
        "words": {str(rating): _moments(m) for rating, m in sorted(tallies.words.items())},
        "problems": dict(tallies.problems),
        "repeated": _share(tallies.repeated),
    }


def _share(share: Share) -> list[Json]:
    return [share.part, share.whole]


def _cells(cells: Mapping[Cell, int], names: tuple[str, str]) -> list[Json]:
    return [{names[0]: row, names[1]: column, "n": n} for (row, column), n in sorted(cells.items())]


def _moments(moments: Moments) -> dict[str, Json]:
    return {"n": moments.n, "mean": moments.mean, "deviation": moments.deviation}


def _write_json(path: Path, data: Mapping[str, Json]) -> Path:
    path.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return path
