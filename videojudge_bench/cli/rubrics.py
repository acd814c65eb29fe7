"""The verbs of `videojudge rubrics`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench._util.terminal import Verbs, add_group, add_verb, say, table

if TYPE_CHECKING:
    from videojudge_bench.leaderboard.importing import FoundRun
    from videojudge_bench.metrics import Metric


_SPECIFICITY = """\
Ranks each rubric's own instance (video and instruction) among those of other videos by the TF-IDF
cosine to the rubric. A rubric that fits any instruction is at chance, one that says what is to be
seen in its video is near 1. An instance stands for its references or, without any, for its best
responses by gold. A judge that was shown them (references=…) may have copied them; one that rates
has seen the response it rates.

  videojudge rubrics specificity rubrics.jsonl --set llava --among 20"""

_EXTRACT = """\
Takes the rubrics that a judge wrote (rubric=write) out of its replies: of each instruction that of
the first response, by id, whose reply has a complete <rubric> block.

  lmms_eval --model videojudge --tasks videojudge_llava \\
    --model_args judge=videojudge,preset=r-3b,pretrained=DIR,journal=runs
  videojudge rubrics extract runs/llava -o rubrics.jsonl"""

_SWAPPED = """\
Compares a run with rubric=FILE with one that differs in swap_rubrics=true alone, where every
instruction has the rubric of another. A judge whose verdicts stay as they were does not read its
rubric.

  videojudge rubrics swapped runs/llava/qwen3_vl-0a1b2c runs/llava/qwen3_vl-3d4e5f"""

_EXPORT = """\
Writes a CSV file with two rubrics a row, in an order drawn for each row; only the key tells which
is whose. People write 1, 2 or tie into the column `better`. Cells that a spreadsheet would take for
a formula begin with an apostrophe.

  videojudge rubrics export ours.jsonl theirs.jsonl -o sheet.csv --key key.json"""

_IMPORT = """\
Counts how often the rubrics of A were better, with the share that prefers A (ties half), its 95 %
Wilson interval and the exact sign test. Rows without an answer are counted apart.

  videojudge rubrics import sheet.csv --key key.json"""


def add_rubrics(verbs: Verbs) -> None:
    """Add `rubrics` and its verbs to a parser's verbs."""
    parts = add_group(
        verbs,
        "rubrics",
        "measure rubrics: specific, heeded, preferred by people?",
        "A rubric says what an answer to one instruction about one video must say to "
        "deserve each rating. A file of rubrics has one JSON object a line: video_id, instruction, "
        "rubric. Judges read it by rubric=FILE.",
    )
    what = "take the rubrics out of a run's replies"
    extract = add_verb(parts, "extract", _extract, what, _EXTRACT)
    extract.add_argument("run", type=Path, metavar="RUN", help="the folder of one run")
    extract.path("-o --output", "FILE", "the file of rubrics", required=True)
    extract.flag("--force", "replace what is there")
    what = "does a rubric find its own instruction among others?"
    specificity = add_verb(parts, "specificity", _specificity, what, _SPECIFICITY)
    specificity.add_argument("file", type=Path, metavar="RUBRICS", help="a file of rubrics")
    specificity.add_argument("--set", required=True, metavar="SET", help="their gold set")
    specificity.number("--among", "candidates", default=20)
    specificity.number("--seed", "of the draw", default=0)
    specificity.add_argument(
        "--against",
        choices=("responses", "instruction"),
        default="responses",
        help="what an instance stands for; default: %(default)s",
    )
    swapped = add_verb(parts, "swapped", _swapped, "does a judge heed its rubrics?", _SWAPPED)
    swapped.add_argument("run", type=Path, metavar="RUN", help="its folder")
    swapped.add_argument("swapped", type=Path, metavar="SWAPPED", help="that of the other run")
    _add_sheets(parts)


def _add_sheets(parts: Verbs) -> None:
    what = "write a blinded sheet for people to compare two files of rubrics"
    export = add_verb(parts, "export", _export, what, _EXPORT)
    export.add_argument("a", type=Path, metavar="A", help="a file of rubrics")
    export.add_argument("b", type=Path, metavar="B", help="another one")
    export.path("-o --output", "SHEET", "the sheet", required=True)
    export.path("--key", "KEY", "keep it from those who fill in", required=True)
    export.number("--limit", "rows", default=50)
    export.number("--seed", "of the draw", default=0)
    export.flag("--force", "replace what is there")
    what = "count what people wrote into the sheet"
    imported = add_verb(parts, "import", _import, what, _IMPORT)
    imported.add_argument("sheet", type=Path, metavar="SHEET", help="filled in, as CSV")
    imported.path("--key", "KEY", "what export wrote beside it", required=True)


def _extract(arguments: argparse.Namespace) -> int:
    from videojudge_bench.analysis.annotation_sheet import write_new
    from videojudge_bench.analysis.rubric_specificity import extract

    run = _run_in(arguments.run)
    found = extract(run)
    lines = [json.dumps(row.model_dump(), ensure_ascii=False) + "\n" for row in found.rows]
    write_new({arguments.output: "".join(lines)}, force=arguments.force)
    counts = f"rubrics of {len(found.rows)} instructions, {found.n_without} have none"
    say([f"{arguments.output}: {counts}; by {run.name} on {run.gold_set}"])
    return 0


def _specificity(arguments: argparse.Namespace) -> int:
    from videojudge_bench import goldsets
    from videojudge_bench.analysis.rubric_specificity import specificity
    from videojudge_bench.metrics.bootstrap import Resampling
    from videojudge_bench.prompts.rubric_book import RubricBook

    gold_set = goldsets.load(arguments.set)
    found = specificity(
        RubricBook(arguments.file),
        gold_set,
        against=arguments.against,
        among=arguments.among,
        resampling=Resampling(seed=arguments.seed),
    )
    rows = [
        ("accuracy at 1", *_cells(found.accuracy), f"{found.chance_accuracy:.3f}"),
        ("mean reciprocal rank", *_cells(found.mrr), f"{found.chance_mrr:.3f}"),
    ]
    table(("specificity", "value", "95 % interval", "chance"), rows)
    counts = f"{found.n} rubrics on {found.n_videos} videos, each among {found.among}"
    info = gold_set.info
    lines = [f"{info.task} ({info.data}): {counts}; instances by {arguments.against}"]
    if found.among < arguments.among:
        lines.append(f"among {found.among}, not {arguments.among}: the set has no more videos")
    if found.n_tied:
        lines.append(f"{found.n_tied} rubrics tie with another candidate; ties share the credit")
    if found.n_unknown:
        lines.append(f"{found.n_unknown} rubrics left out: the set lacks their instructions")
    say(lines)
    return 0


def _swapped(arguments: argparse.Namespace) -> int:
    from videojudge_bench.analysis.rubric_swap import swap_effect
    from videojudge_bench.metrics.bootstrap import Resampling

    run = _run_in(arguments.run)
    found = swap_effect(run, _run_in(arguments.swapped), Resampling())
    rows = [(name, *_cells(metric)) for name, metric in found.changes.items()]
    table(("own against swapped rubrics", "value", "95 % interval"), rows)
    rows = [("own", *_cells(found.own)), ("swapped", *_cells(found.swapped))]
    table(("rubrics", found.statistic, "95 % interval"), rows)
    counts = f"{found.n} items on {found.n_videos} videos have a verdict in both runs"
    say([f"{run.name} on {run.gold_set}: {counts}, of {found.n_judged} that both judged"])
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from videojudge_bench.analysis.annotation_sheet import write_sheet
    from videojudge_bench.analysis.rubric_human_eval import make_sheet
    from videojudge_bench.prompts.rubric_book import RubricBook

    a, b = RubricBook(arguments.a), RubricBook(arguments.b)
    sheet = make_sheet(a, b, limit=arguments.limit, seed=arguments.seed)
    key = sheet.key.model_dump_json(indent=1) + "\n"
    write_sheet(arguments.output, sheet.csv_text(), arguments.key, key, force=arguments.force)
    both = f"{sheet.n_both} instructions are in both files (A {len(a.groups)}, B {len(b.groups)})"
    say(
        [
            f"{arguments.output}: {len(sheet.rows)} rows to fill; the key: {arguments.key}",
            f"{both}; {sheet.n_identical} with identical rubrics left out",
        ]
    )
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from videojudge_bench.analysis.rubric_human_eval import read_answers

    found, key = read_answers(arguments.sheet, arguments.key)
    p_value = "undefined (only ties)" if found.p_value is None else f"{found.p_value:.4f}"
    rows = [
        ("A is better", str(found.wins)),
        ("tie", str(found.ties)),
        ("B is better", str(found.losses)),
        ("no answer", str(found.n_empty)),
        ("prefer A, ties half", f"{found.share:.3f} [{found.low:.3f}, {found.high:.3f}]"),
        ("p, sign test", p_value),
    ]
    table(("rows", ""), rows, title=f"A: {key.a.file} · B: {key.b.file}")
    return 0


def _run_in(folder: Path) -> FoundRun:
    from videojudge_bench.leaderboard.opening import open_run

    return open_run(folder).found


def _cells(metric: Metric) -> tuple[str, str]:
    if metric.value is None:
        return f"undefined ({metric.undefined})", ""
    if metric.low is None or metric.high is None:
        return f"{metric.value:.3f}", f"none ({metric.no_interval})"
    return f"{metric.value:.3f}", f"{metric.low:.3f} to {metric.high:.3f}"
