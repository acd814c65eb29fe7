"""The verb `videojudge jury`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from videojudge_bench._util.command import Flag, opened_output
from videojudge_bench._util.terminal import note, say, say_json, table
from videojudge_bench.cli._options import Json, Output

if TYPE_CHECKING:
    from videojudge_bench._util.hashing import Json as JsonValue


def jury(
    *runs: Annotated[str, Parameter(help="folders with a run each, or FILE.csv[:COLUMN]")],
    combine: Literal["mean", "median", "fitted", "trees"] = "fitted",
    scales: Literal["rank", "map"] = "rank",
    min_members: int | None = None,
    seed: int = 0,
    dev_only: Flag = False,
    resamples: int = 1000,
    output: Output | None = None,
    json: Json = False,
) -> None:
    r"""Put the verdicts of several judges together, and see what each is worth.

    Reads runs on the same items, and asks nothing again. Shows how far the members agree
    (Krippendorff's alpha, correlations of their errors), the jury against its best members with
    intervals and a paired test, what each member adds, and how many members pay. What is chosen or
    fitted is so on the dev half of the videos; figures come from the test half, and the looks at it
    are counted. A set without a dev half is reported whole, by mean or median.

      videojudge jury results/runs/vatex/compact-9ref \
        results/runs/vatex/cider-9ref --combine mean
      videojudge jury results/runs/vatex/compact-9ref \
        results/published/vatex_nv_embed_gas.csv:gas_9ref -o jury.json

    jury.json is a rule for new answers: --judge jury,file=jury.json,members=[...;...]

    Args:
        combine: fitted: weights that are not negative; trees: a boosted ensemble
        scales: bring scores together as ranks, or by calibration to the gold ratings
        min_members: fewest members with a verdict for the jury to have one; default: half
        seed: of the trees
        dev_only: choose on dev, and leave the test half closed
        resamples: of videos, for the intervals
        output: the rule, as .json; - for standard output
    """
    from videojudge_bench.analysis.jury import JuryOptions, Study
    from videojudge_bench.analysis.jury_panel import open_panel
    from videojudge_bench.errors import ConfigError

    if resamples < 1:
        raise ConfigError(f"--resamples: expected 1 or more, got {resamples}")
    options = JuryOptions(combine, scales, min_members, seed, dev_only, resamples)
    with opened_output(output, ".json") as target:
        study = Study(open_panel(runs), options)
        facts = study.to_json()
        if json:
            say_json(facts)
        else:
            _print(facts)
        if target is not None:
            study.saved().write(target)
            note(f"wrote {output}")


def _print(facts: dict[str, JsonValue]) -> None:
    from videojudge_bench.analysis.jury_tables import lines_of, tables_of

    for title, head, rows in tables_of(facts):
        table(head, rows, title=title)
    say(lines_of(facts))
