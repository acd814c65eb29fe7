"""The verbs of `videojudge rubrics`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench._util.terminal import Parser, Verbs, say, table

if TYPE_CHECKING:
    from videojudge_bench.metrics import Metric


def add_rubrics(verbs: Verbs) -> None:
    """Add `rubrics` and its verbs to a parser's verbs."""
    rubrics = verbs.add_parser(
        "rubrics",
        help="measure rubrics: specific, heeded, preferred by people?",
        description="A rubric says what an answer to one instruction about one video must say to "
        "deserve each rating. A file of rubrics has one JSON object a line: video_id, instruction, "
        "rubric. Judges read it by rubric=FILE.",
    )
    parts = rubrics.add_subparsers(title="verbs", required=True, metavar="VERB")
    _add_extract(parts)
    _add_specificity(parts)
    _add_swapped(parts)
    _add_export(parts)
    _add_import(parts)


def _verb(parts: Verbs, name: str, help_text: str, description: str, example: str) -> Parser:
    return parts.add_parser(
        name,
        help=help_text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"{description}\n\nexample:\n{example}",
    )


def _add_extract(parts: Verbs) -> None:
    extract = _verb(
        parts,
        "extract",
        "take the rubrics out of a run's replies",
        "Takes the rubrics that a judge wrote (rubric=write) out of its replies: of each\n"
        "instruction that of the first response, by id, whose reply has a complete <rubric> block.",
        "  lmms_eval --model videojudge --tasks videojudge_llava \\\n"
        "    --model_args judge=videojudge,preset=r-3b,pretrained=DIR,journal=runs\n"
        "  videojudge rubrics extract runs/llava -o rubrics.jsonl",
    )
    extract.add_argument("run", type=Path, metavar="RUN", help="the folder of one run")
    extract.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    _add_force(extract)
    extract.set_defaults(verb=_extract)


def _add_specificity(parts: Verbs) -> None:
    specificity = _verb(
        parts,
        "specificity",
        "does a rubric find its own instruction among others?",
        "Ranks each rubric's own instance (video and instruction) among those of other videos by\n"
        "the TF-IDF cosine to the rubric. A rubric that fits any instruction is at chance, one\n"
        "that says what is to be seen in its video is near 1. An instance stands for its\n"
        "references or, without any, for its best responses by gold. A judge that was shown them\n"
        "(references=…) may have copied them; one that rates has seen the response it rates.",
        "  videojudge rubrics specificity rubrics.jsonl --set llava --among 20",
    )
    specificity.add_argument("file", type=Path, metavar="RUBRICS", help="a file of rubrics")
    specificity.add_argument("--set", required=True, metavar="SET", help="their gold set")
    specificity.add_argument("--among", type=int, default=20, help="default: %(default)s")
    specificity.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    specificity.add_argument(
        "--against",
        choices=("responses", "instruction"),
        default="responses",
        help="what an instance stands for; default: %(default)s",
    )
    specificity.set_defaults(verb=_specificity)


def _add_swapped(parts: Verbs) -> None:
    swapped = _verb(
        parts,
        "swapped",
        "does a judge heed its rubrics?",
        "Compares a run with rubric=FILE with one that differs in swap_rubrics=true alone, where\n"
        "every instruction has the rubric of another. A judge whose verdicts stay as they were\n"
        "does not read its rubric.",
        "  videojudge rubrics swapped runs/llava/qwen3_vl-0a1b2c runs/llava/qwen3_vl-3d4e5f",
    )
    swapped.add_argument("run", type=Path, metavar="RUN", help="its folder")
    swapped.add_argument("swapped", type=Path, metavar="SWAPPED", help="that of the other run")
    swapped.set_defaults(verb=_swapped)


def _add_export(parts: Verbs) -> None:
    export = _verb(
        parts,
        "export",
        "write a blinded sheet for people to compare two files of rubrics",
        "Writes a CSV file with two rubrics a row, in an order drawn for each row; only the key\n"
        "tells which is whose. People write 1, 2 or tie into the column `better`. Cells that a\n"
        "spreadsheet would take for a formula begin with an apostrophe.",
        "  videojudge rubrics export ours.jsonl theirs.jsonl -o sheet.csv --key key.json",
    )
    export.add_argument("a", type=Path, metavar="A", help="a file of rubrics")
    export.add_argument("b", type=Path, metavar="B", help="another one")
    export.add_argument("-o", "--output", type=Path, required=True, metavar="SHEET")
    export.add_argument("--key", type=Path, required=True, help="keep it from those who fill in")
    export.add_argument("--limit", type=int, default=50, help="rows; default: %(default)s")
    export.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    _add_force(export)
    export.set_defaults(verb=_export)


def _add_import(parts: Verbs) -> None:
    imported = _verb(
        parts,
        "import",
        "count what people wrote into the sheet",
        "Counts how often the rubrics of A were better, with the share that prefers A (ties\n"
        "half), its 95 % Wilson interval and the exact sign test. Rows without an answer are\n"
        "counted apart.",
        "  videojudge rubrics import sheet.csv --key key.json",
    )
    imported.add_argument("sheet", type=Path, metavar="SHEET", help="filled in, as CSV")
    imported.add_argument("--key", type=Path, required=True, help="what export wrote beside it")
    imported.set_defaults(verb=_import)


def _add_force(parser: Parser) -> None:
    parser.add_argument("--force", action="store_true", help="replace what is there")


def _extract(arguments: argparse.Namespace) -> int:
    from videojudge_bench.analysis.annotation_sheet import write_new
    from videojudge_bench.analysis.rubric_specificity import extract, only_run

    run = only_run(arguments.run)
    found = extract(run)
    lines = [json.dumps(row.model_dump(), ensure_ascii=False) + "\n" for row in found.rows]
    write_new({arguments.output: "".join(lines)}, force=arguments.force)
    say(
        [
            (
                f"{arguments.output}: rubrics of {len(found.rows)} instructions, by {run.name} on "
                f"{run.gold_set}; {found.n_without} have none"
            )
        ]
    )
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
    lines = [
        (
            f"{found.n} rubrics on {found.n_videos} videos of {gold_set.info.task} "
            f"({gold_set.info.data}), each among {found.among}; instances by {arguments.against}"
        )
    ]
    if found.among < arguments.among:
        lines.append(f"among {found.among}, not {arguments.among}: the set has no more videos")
    if found.n_tied:
        lines.append(f"{found.n_tied} rubrics tie with another candidate; ties share the credit")
    if found.n_unknown:
        lines.append(f"{found.n_unknown} rubrics left out: the set lacks their instructions")
    say(lines)
    return 0


def _swapped(arguments: argparse.Namespace) -> int:
    from videojudge_bench.analysis.rubric_specificity import only_run
    from videojudge_bench.analysis.rubric_swap import swap_effect
    from videojudge_bench.metrics.bootstrap import Resampling

    run = only_run(arguments.run)
    found = swap_effect(run, only_run(arguments.swapped), Resampling())
    rows = [(name, *_cells(metric)) for name, metric in found.changes.items()]
    table(("own against swapped rubrics", "value", "95 % interval"), rows)
    rows = [("own", *_cells(found.own)), ("swapped", *_cells(found.swapped))]
    table(("rubrics", found.statistic, "95 % interval"), rows)
    say(
        [
            (
                f"{run.name} on {run.gold_set}: {found.n} items on {found.n_videos} videos have a "
                f"verdict in both runs, of {found.n_judged} that both judged"
            )
        ]
    )
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from videojudge_bench.analysis.annotation_sheet import write_sheet
    from videojudge_bench.analysis.rubric_human_eval import make_sheet
    from videojudge_bench.prompts.rubric_book import RubricBook

    a, b = RubricBook(arguments.a), RubricBook(arguments.b)
    sheet = make_sheet(a, b, limit=arguments.limit, seed=arguments.seed)
    key = sheet.key.model_dump_json(indent=1) + "\n"
    write_sheet(arguments.output, sheet.csv_text(), arguments.key, key, force=arguments.force)
    say(
        [
            (
                f"{arguments.output}: {len(sheet.rows)} rows to fill; "
                f"{arguments.key} tells whose is which"
            ),
            (
                f"{sheet.n_both} instructions are in both files (A {len(a.groups)}, B "
                f"{len(b.groups)}); {sheet.n_identical} with identical rubrics left out"
            ),
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


def _cells(metric: Metric) -> tuple[str, str]:
    if metric.value is None:
        return f"undefined ({metric.undefined})", ""
    if metric.low is None or metric.high is None:
        return f"{metric.value:.3f}", f"none ({metric.no_interval})"
    return f"{metric.value:.3f}", f"{metric.low:.3f} to {metric.high:.3f}"
