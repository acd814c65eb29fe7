"""The verbs of `videojudge rubrics`."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from videojudge_bench._util.command import new_app, opened_output
from videojudge_bench._util.terminal import note, say, say_json, show
from videojudge_bench.cli._options import GoldSetName, Json, Output, Overwrite

if TYPE_CHECKING:
    from videojudge_bench.leaderboard.importing import FoundRun

app = new_app(
    "rubrics",
    "Measure rubrics: specific, used by the judge, preferred by people?\n\n"
    "A rubric says what an answer to one instruction about one video must say to deserve each "
    "rating. A file of rubrics has one JSON object a line: video_id, instruction, rubric. Judges "
    "read it by rubric=FILE.",
)


@app.command
def extract(run: Path, /, *, output: Output, overwrite: Overwrite = False) -> None:
    r"""Extract the rubrics from the replies of a run.

    Of a judge that wrote rubrics (rubric=write): of each instruction that of the first response, by
    id, whose reply has a complete <rubric> block.

      lmms_eval --model videojudge --tasks videojudge_llava --model_args \
        judge=videojudge,preset=r-3b,pretrained=DIR,journal=runs
      videojudge rubrics extract runs/llava -o rubrics.jsonl

    Args:
        run: the folder of one run
        output: the file of rubrics; - for standard output
    """
    from videojudge_bench.analysis import rubric_specificity
    from videojudge_bench.analysis.annotation_sheet import write_new

    with opened_output(output, ".jsonl", any_name=True) as target:
        opened = _run_in(run)
        rubrics = rubric_specificity.extract(opened)
        facts = (row.model_dump(exclude_defaults=True) for row in rubrics.rows)
        lines = [json_format.dumps(row, ensure_ascii=False) + "\n" for row in facts]
        write_new({target: "".join(lines)}, overwrite=overwrite)
        counts = f"rubrics of {len(rubrics.rows)} instructions, {rubrics.n_without} have none"
        note(f"{output}: {counts}; by {opened.name} on {opened.gold_set}")


@app.command
def specificity(
    *files: Path,
    gold_set: GoldSetName | None = None,
    among: int = 20,
    seed: int = 0,
    against: Literal["responses", "instruction"] = "responses",
    json: Json = False,
) -> None:
    """Measure whether a rubric finds its own instruction among others.

    Ranks each rubric's own instance (video and instruction) among those of other videos by the
    TF-IDF cosine to the rubric. A rubric that fits any instruction is at chance, one that says what
    is to be seen in its video is near 1. An instance stands for its references or, without any, for
    its best responses by gold. A judge that was shown them (references=…) may have copied them; one
    that rates has seen the response it rates. One rubric for all instructions is measured beside.

      videojudge rubrics specificity rubrics.jsonl --gold-set llava --among 20
      videojudge rubrics specificity AUTO-EVAL-VIDEO.json by-model.jsonl

    Of the file of AutoEval-Video, rubrics and instances are by people: without --gold-set an
    instance stands for the description of its video.

    Args:
        files: files of rubrics
        gold_set: their gold set
        among: candidates
        seed: of the draw
        against: what an instance of the gold set stands for
    """
    from videojudge_bench.analysis.rubric_specificity import compare
    from videojudge_bench.metrics.bootstrap import Resampling

    resampling = Resampling(seed=seed)
    about, measured = compare(files, gold_set, against=against, among=among, resampling=resampling)
    rows = [row for name, each in measured.items() for row in each.rows(name)]
    show(rows, as_json=json)
    if not json:
        notes = [f"{name}: {line}" for name, each in measured.items() for line in each.notes(among)]
        say([about, *notes])


@app.command
def swapped(run: Path, swapped: Path, /, *, json: Json = False) -> None:
    r"""Measure whether a judge uses its rubrics.

    Compares a run with rubric=FILE with one that differs in swap_rubrics=true alone, where every
    instruction has the rubric of another. A judge whose verdicts stay as they were does not read
    its rubric.

      videojudge rubrics swapped runs/llava/qwen3_vl-0a1b2c \
        runs/llava/qwen3_vl-3d4e5f

    Args:
        run: its folder
        swapped: that of the other run
    """
    from videojudge_bench.analysis.rubric_swap import swap_effect
    from videojudge_bench.metrics.bootstrap import Resampling

    own = _run_in(run)
    effect = swap_effect(own, _run_in(swapped), Resampling())
    show(effect.rows(), as_json=json)
    if not json:
        counts = f"{effect.n} items on {effect.n_videos} videos have a verdict in both runs"
        note(f"{own.name} on {own.gold_set}: {counts}, of {effect.n_judged} that both judged")


@app.command
def export(
    a: Path,
    b: Path,
    /,
    *,
    output: Output,
    key: Path,
    limit: int = 50,
    seed: int = 0,
    overwrite: Overwrite = False,
) -> None:
    """Write a blinded sheet for people to compare two files of rubrics.

    A CSV file with two rubrics a row, in an order drawn for each row and stored in the key alone.
    People write 1, 2 or tie into the column `better`. Cells that a spreadsheet would take
    for a formula begin with an apostrophe.

      videojudge rubrics export ours.jsonl theirs.jsonl -o sheet.csv --key key.json

    Args:
        a: a file of rubrics
        b: another one
        output: the sheet
        key: the key; keep it from those who fill in
        limit: rows
        seed: of the draw
    """
    from videojudge_bench.analysis.annotation_sheet import write_sheet
    from videojudge_bench.analysis.rubric_human_eval import make_sheet
    from videojudge_bench.prompts.rubric_book import RubricBook

    book_a, book_b = RubricBook(a), RubricBook(b)
    sheet = make_sheet(book_a, book_b, limit=limit, seed=seed)
    text = sheet.key.model_dump_json(indent=1) + "\n"
    write_sheet(output, sheet.csv_text(), key, text, overwrite=overwrite)
    counts = f"(A {len(book_a.groups)}, B {len(book_b.groups)})"
    note(
        f"{output}: {len(sheet.rows)} rows to fill; the key: {key}",
        f"{sheet.n_both} instructions are in both files {counts}; "
        f"{sheet.n_identical} with identical rubrics left out",
    )


@app.command(name="import")
def import_sheet(sheet: Path, /, *, key: Path, json: Json = False) -> None:
    """Count what people wrote into the sheet.

    How often the rubrics of A were better, with the share that prefers A (ties half), its 95 %
    Wilson interval and the exact sign test. Rows without an answer are counted apart.

      videojudge rubrics import sheet.csv --key key.json

    Args:
        sheet: filled in, as CSV
        key: what export wrote beside it
    """
    from videojudge_bench.analysis.rubric_human_eval import read_answers

    counts, files = read_answers(sheet, key)
    if json:
        say_json({"a": files.a.file, "b": files.b.file, **vars(counts)})
    else:
        show(counts.rows(), as_json=False, title=f"A: {files.a.file} · B: {files.b.file}")


def _run_in(folder: Path) -> FoundRun:
    from videojudge_bench.leaderboard.opening import open_run

    return open_run(folder).record
