"""The verbs `videojudge calibrate`, `sweep`, `parity` and `attack`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from videojudge_bench._util.command import Flag, opened_output
from videojudge_bench._util.options import parse_judge
from videojudge_bench._util.terminal import EXIT_FAILED, note, say, say_json, show, table, warn
from videojudge_bench.cli._options import (
    GoldSetName,
    Json,
    JudgeText,
    Output,
    RunArguments,
    read_references,
)

if TYPE_CHECKING:
    from videojudge_bench.analysis.attack_results import Attacked
    from videojudge_bench.analysis.calibration import Calibration
    from videojudge_bench.analysis.sweep import SweepRow
    from videojudge_bench.metrics import Metric


def calibrate(
    run: Path,
    /,
    *,
    method: Literal["isotonic", "affine"] = "isotonic",
    output: Output | None = None,
    json: Json = False,
) -> None:
    r"""Fit a judge's scores to the rating scale, on dev videos alone.

    Fits a map from a run's scores to gold ratings on the dev half of the videos, and shows the
    errors of raw and mapped scores on the test half, with 95 % intervals by resampling videos.
    Scores on no scale (ROUGE, a cosine) get one. Judge a whole rated set first; samples have no dev
    half:

      lmms_eval --model videojudge --model_args judge=rouge_l,journal=runs \
        --tasks videojudge_vatex
      videojudge calibrate runs/vatex --output map.json

    Args:
        run: folder with one run's journal
        method: any map that never falls, or a straight line clipped to the scale
        output: write the map as JSON; - for standard output
    """
    from videojudge_bench.analysis import calibration
    from videojudge_bench.leaderboard.opening import open_run

    with opened_output(output, ".json") as target:
        fitted = calibration.calibrate(open_run(run).record, method)
        if json:
            say_json(fitted.measures())
        else:
            _print_calibration(fitted)
        if target is not None:
            fitted.write(target)
            note(f"wrote {output}")


def sweep(
    *,
    judge: JudgeText,
    gold_set: GoldSetName,
    vary: list[str],
    run: RunArguments = RunArguments(),
    limit: int | None = None,
    output: Output | None = None,
    dry_run: Flag = False,
    json: Json = False,
) -> int:
    r"""Run a judge under a grid of settings, and compare them in one table.

    Runs every combination of the values, each with a journal of its own: the same command resumes.
    All options and values are checked before the first run.

      videojudge sweep --judge qwen2_5_vl,pretrained=DIR --gold-set llava,vcg \
        --vary max_frames=30,60,120,180 --vary score=text,expected -o frames.csv
      videojudge sweep --judge rouge_l --gold-set vatex --vary references=1,3,9 \
        --dry-run

    Args:
        gold_set: NAME[,NAME…]: the gold sets
        vary: option=value,value: an option of the judge, or references; repeatable
        limit: the first N items of every set
        output: all numbers, as .csv or .json; - for CSV on standard output
        dry_run: print the runs, and judge nothing
    """
    from videojudge_bench._util import tabular
    from videojudge_bench.analysis import sweep as sweeping

    name, options = parse_judge(judge)
    sets = [part.strip() for part in gold_set.split(",")]
    values = sweeping.read_vary(vary)
    with opened_output(output, *tabular.OUTPUTS) as target:
        plan = sweeping.SweepPlan(name, sets, values, options, run.options(), limit)
        cells = sweeping.prepare(plan)
        title = sweeping.title_of(plan)
        if dry_run:
            planned, calls = sweeping.plan_rows(cells)
            show(planned, as_json=json, title=title)
            if not json:
                say([f"{len(cells)} runs, {calls} judge calls, without those in the journals."])
            return 0
        rows = sweeping.run_sweep(cells, on_row=_warn_of)
        if json:
            say_json([row.to_json() for row in rows])
        else:
            show(sweeping.result_rows(rows), as_json=False, title=title)
            note(
                "Brackets hold 95 % intervals from resamples of videos.", "All numbers: -o FILE.csv"
            )
        if target is not None:
            tabular.write_rows([row.to_json() for row in rows], target)
            note(f"wrote {output}")
    return EXIT_FAILED if any(row.failed for row in rows) else 0


def parity(
    judge_a: Annotated[str, Parameter(help="NAME[,option=value…]")],
    judge_b: Annotated[str, Parameter(help="another one")],
    /,
    *,
    gold_set: GoldSetName,
    limit: int = 100,
    videos: Path | None = None,
    references: str | None = None,
    output: Output | None = None,
    json: Json = False,
) -> int:
    r"""Compare the verdicts of two judges, such as one model on two engines.

    Before a server is trusted to run a judge that was measured in process, say. Shows tokens a
    prompt, equal replies, how far scores are apart, and the first place where prompts or positions
    differ.

      videojudge parity videojudge,pretrained=DIR \
        videojudge,pretrained=DIR,engine=openai,base_url=URL,model=NAME \
        --gold-set llava --limit 30

    "Same verdicts": every reply is equal or parts where two tokens are equally likely (0.01 in
    log-probability), and every score is within 0.02. No journal is read or kept. Exit status: 0
    same verdicts, 1 different verdicts, 2 used wrongly.

    Args:
        gold_set: the set whose items are judged
        limit: the first N items
        videos: folder with the video files
        references: shown to both judges: 0, 1, … or all
        output: write a page, .html; - for standard output
    """
    from videojudge_bench.analysis import parity_summary
    from videojudge_bench.analysis.parity import compare_judges
    from videojudge_bench.report import making, page
    from videojudge_bench.run.runner import RunOptions

    with opened_output(output, ".html") as target:
        options = RunOptions(references=read_references(references), videos=videos)
        both = compare_judges(judge_a, judge_b, gold_set, limit=limit, options=options)
        facts, findings = parity_summary.facts(both), parity_summary.findings(both)
        names = (both.a.name, both.b.name)
        if json:
            say_json(both.to_json())
        else:
            table(("", *(f"{k}: {name}" for k, name in zip("AB", names, strict=True))), facts)
            say(f"{name}: {text}" for name, text in findings)
        if target is not None:
            rows = (parity_summary.ITEM_HEAD, parity_summary.item_rows(both))
            content = making.parity_page(
                both.gold_set, names, facts, findings, rows, notes=parity_summary.NOTES
            )
            page.write(content, target)
    return 0 if both.is_same else EXIT_FAILED


def attack(
    judge: Annotated[str, Parameter(help="NAME[,option=value…]")],
    /,
    *,
    gold_set: GoldSetName,
    run: RunArguments = RunArguments(),
    limit: int | None = None,
    pairwise: Flag = False,
    max_rise: float | None = None,
    seed: int = 0,
    output: Output | None = None,
    json: Json = False,
) -> int:
    r"""Measure what an answer gains by changes that make it no better.

    Before a model is trained against a judge, or ranked by it. Ten kinds of change: instructions to
    the judge, planted verdicts, padding, hedging, the question copied, praise, an answer about
    another video, none at all, key words without grammar, a reference's words in a wrong order.
    Shows the mean rise in score, the share of answers that rise, and the share that reach the top,
    with 95 % intervals by video. The same command resumes.

      videojudge attack compact --gold-set vatex --limit 600
      videojudge attack videojudge,pretrained=DIR --gold-set llava --max-rise 0.2 \
        -o attack.html

    Exit status: 0 done, 1 a kind exceeds --max-rise or nothing could be measured, 2 used wrongly.

    Args:
        gold_set: the set whose answers are changed
        limit: the first N answers
        pairwise: ask which is better, the changed or the original answer
        max_rise: in points of the judge's scale; the upper end of no interval may exceed it
        seed: of all draws
        output: a page, .html, or all numbers, .json; - for JSON on standard output
    """
    from videojudge_bench.analysis import attack_summary
    from videojudge_bench.analysis.attack import attack_judge

    with opened_output(output, ".json", ".html") as target:
        attacked = attack_judge(
            judge, gold_set, limit=limit, pairwise=pairwise, seed=seed, options=run.options()
        )
        if json:
            say_json(attacked.to_json())
        else:
            title = f"{attacked.judge} on videojudge_{gold_set}"
            table(attack_summary.head(attacked), attack_summary.rows(attacked), title=title)
            say(f"{name}: {text}" for name, text in attack_summary.facts(attacked))
            note(*attack_summary.notes(attacked))
        if target is not None:
            _write_attack(attacked, target)
            note(f"wrote {output}")
    if not attacked.is_measured:
        warn("no answer has a verdict both before and after; nothing was measured")
        return EXIT_FAILED
    if max_rise is None:
        return 0
    above = attacked.above(max_rise)
    (warn if above else note)(attack_summary.verdict(above, max_rise))
    return EXIT_FAILED if above else 0


def _write_attack(attacked: Attacked, target: Path) -> None:
    """Write an attack as a page or as JSON, by the suffix."""
    from json import dumps

    from videojudge_bench._util.files import write_whole
    from videojudge_bench.analysis import attack_summary
    from videojudge_bench.report import making, page

    if target.suffix == ".json":
        write_whole(target, dumps(attacked.to_json(), indent=1, ensure_ascii=False) + "\n")
        return
    tables = [
        page.Table("Kinds of attack", attack_summary.head(attacked), attack_summary.rows(attacked)),
        page.Table(
            "Templates", attack_summary.TEMPLATE_HEAD, attack_summary.template_rows(attacked)
        ),
    ]
    content = making.attack_page(
        attacked.judge,
        attacked.gold_set,
        attack_summary.facts(attacked),
        tables,
        attack_summary.chart(attacked),
        notes=attack_summary.notes(attacked),
    )
    page.write(content, target)


def _print_calibration(fitted: Calibration) -> None:
    run = fitted.run
    count = f"{run.references} reference{'' if run.references == 1 else 's'}"
    rows = [
        {"on test videos": key, "raw": _metric(raw), "calibrated": _metric(fitted.calibrated[key])}
        for key, raw in fitted.raw.items()
    ]
    show(rows, as_json=False, title=f"{run.name} on videojudge_{run.gold_set}, {count}")
    dev, test = (
        f"{len(part.examples)} items of {part.n_videos} videos"
        for part in (fitted.dev, fitted.test)
    )
    note(
        f"{fitted.score_map}",
        f"Fitted on dev ({dev}), measured on test ({test}).",
        "Brackets hold 95 % intervals from resamples of videos.",
        "Rank statistics (tau, rho, pairwise accuracies) stay those of the raw scores.",
    )


def _metric(metric: Metric) -> str:
    return f"{metric} (no interval: {metric.no_interval})" if metric.no_interval else str(metric)


def _warn_of(row: SweepRow) -> None:
    """Warn at once of a run without numbers: the table comes at the end of hours."""
    from videojudge_bench.analysis.sweep import problem_of

    if row.problem:
        warn(problem_of(row))
