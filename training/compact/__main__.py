"""`python -m videojudge_bench.training.compact`: weights of `compact`, and its other row."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from videojudge_bench._util.hashing import file_hash
from videojudge_bench._util.terminal import Parser, add_verb, say, warn
from videojudge_bench.errors import VideoJudgeError
from videojudge_bench.judges.compact_encoder import packaged_weights, read_weights, write_weights
from videojudge_bench.judges.minilm import DEFAULT_MODEL
from videojudge_bench.training.compact.against import report
from videojudge_bench.training.compact.captions import BatchSizes, held_out, ladders, read_coco
from videojudge_bench.training.compact.crossfit import crossfit, scorer_beside
from videojudge_bench.training.compact.tune import TuneOptions, tune
from videojudge_bench.training.compact.weights import balanced, between, start_weights

SHARE = 0.5
"""Of the tuned encoder in the weights that are written; the rest is the encoder as it came."""

_HELP = """\
Tunes the encoder of judge `compact` without any human rating. What was stopped
goes on when the same command is given again.

  python -m videojudge_bench.training.compact tune captions_val2017.json --output out/compact
      the weights that travel with the package: tuned on captions of COCO's images and on the same
      captions made wrong by degrees; no text of VATEX. The file is COCO's (CC BY 4.0), from
      annotations_trainval2017.zip of https://cocodataset.org

  python -m videojudge_bench.training.compact crossfit --output out/crossfit
      scores of VATEX-EVAL, two folds of its videos: each is judged by an encoder that was tuned on
      the references of the other, and with --beside by a larger one too. For the judge
      `precomputed`, with overlap=vatex

  python -m videojudge_bench.training.compact against results/runs/vatex/gas-nv-embed-9ref \\
      results/runs/vatex/compact-9ref
      figures on the test videos, with paired intervals of the differences
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return 0 when done, 2 when used wrongly."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.verb(arguments))
    except VideoJudgeError as error:
        warn(f"error: {error}", program="compact")
        return 2


def _parser() -> Parser:
    parser = Parser(
        prog="python -m videojudge_bench.training.compact",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=_HELP,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    what = "make the packaged weights"
    tuned = add_verb(commands, "tune", _tune, what, what)
    tuned.add_argument("captions", type=Path, metavar="FILE", help="captions in COCO's format")
    tuned.add_argument(
        "--model", default=DEFAULT_MODEL, help="the encoder to begin with; default: %(default)s"
    )
    tuned.number("--steps", "up to 100", default=40)
    what = "judge VATEX-EVAL, each half by the other's"
    crossed = add_verb(commands, "crossfit", _crossfit, what, what)
    crossed.add_argument(
        "--beside", metavar="MODEL",
        help="a larger sentence encoder with BERT's vocabulary, a folder or a name on the hub, "
        "whose score counts as much; default: none",
    )  # fmt: skip
    crossed.number("--steps", "of each fold", default=300)
    for command in (tuned, crossed):
        command.path("--output", "DIR", "for what is made", required=True)
    what = "compare runs on the test videos"
    against = add_verb(commands, "against", _against, what, what)
    against.add_argument("against", type=Path, metavar="RUN", help="folder of the run to beat")
    against.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of others")
    against.add_argument("--part", choices=("dev", "test"), default="test", help="of the videos")
    return parser


def _tune(arguments: argparse.Namespace) -> int:
    groups = read_coco(arguments.captions)
    start = start_weights(arguments.model, [text for group in groups for text in group])
    made_wrong = ladders(groups)
    options = TuneOptions(steps=arguments.steps, sizes=BatchSizes(pairs=48, ladders=8))
    tuned = tune(start, groups, made_wrong, arguments.output, options, keep_some=True, told=_say)
    about = {
        "model": arguments.model,
        "captions": f"sha256:{file_hash(arguments.captions)[:12]}",
        "steps": arguments.steps,
        "share": SHARE,
        "licence": "Apache-2.0",
    }
    made = replace(start, network=between(start.network, tuned, SHARE), about=about)
    kept = [ladder for ladder in made_wrong if held_out(ladder.group)]
    path: Path = arguments.output / "compact.safetensors"
    write_weights(balanced(made, kept), path)
    say([f"wrote {path}"])
    return 0


def _crossfit(arguments: argparse.Namespace) -> int:
    start = read_weights(packaged_weights())
    options = TuneOptions(
        steps=arguments.steps,
        horizon=arguments.steps,
        sizes=BatchSizes(pairs=64, ladders=0),
        max_tokens=32,
    )
    beside = scorer_beside(arguments.beside, start) if arguments.beside else None
    path = crossfit(start, arguments.output, options, _say, beside)
    say([f"wrote {path}"])
    return 0


def _against(arguments: argparse.Namespace) -> int:
    say(report(arguments.runs, arguments.against, arguments.part))
    return 0


def _say(line: object) -> None:
    say([str(line)])


if __name__ == "__main__":
    sys.exit(main())
