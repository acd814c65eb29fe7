"""`python -m videojudge_bench.training.small_world`: writes the small world into a folder."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from videojudge_bench._util.files import cannot_write
from videojudge_bench._util.terminal import Parser, add_verb, say, warn
from videojudge_bench.errors import RunStoppedError, VideoJudgeError
from videojudge_bench.training.small_world.base import build_base
from videojudge_bench.training.small_world.files import WorldOptions, make
from videojudge_bench.training.small_world.world import DOMAINS, Domain

EXIT_FAILED, EXIT_USAGE = 1, 2

_HELP = """\
Makes a small world: procedural videos whose truth is exact, questions about them, and responses
that deserve a rating from 1 to 5 by construction. It is a working scale model that a tiny model
learns on a CPU, and no claim about real video.

  python -m videojudge_bench.training.small_world make out/small_world --workers 2
      videos, seeds, rows that teach to look, and held-out gold sets of three domains
  videojudge bootstrap --recipe small_world --output out/small_world_rows \\
      --set 'seeds.sources=[jsonl=out/small_world/seeds.jsonl]'
      five rated responses a question, as rows to train on
  videojudge data add out/small_world/gold.jsonl --name small_world \\
      --videos out/small_world/videos --kind constructed
      the task videojudge_small_world, to judge held-out videos with lmms_eval

Stopped by Ctrl-C or kill -9, the same command goes on: videos that are there are not made again.
A folder holds one world: other options need another folder.
"""

_MODEL = (
    "Writes a Qwen2.5-VL of 0.8 million random weights, whose tokenizer knows the words of "
    "this world: what `videojudge train --recipe small_world` begins with."
)
_LOOP = (
    "Makes a world, rated rows of it and a judge from nothing, runs the judge by lmms_eval on "
    "held-out videos beside the same judge without the video, with another video, and untrained, "
    "and writes a leaderboard and a summary by kind of question. About half an hour on two cores. "
    "Stopped, the same command goes on."
)
_EXPERIMENTS = (
    "Runs experiments on finished loops, one for each seed, and writes RESULTS/numbers.json and "
    "tables.md. Trainings and verdicts are kept in the loops' folders: stopped, the same command "
    "goes on."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; return its exit status: 0 done, 1 stopped (run it again), 2 used wrongly."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.verb(arguments))
    except OSError as error:
        problem: VideoJudgeError = cannot_write(error.filename or "a file", error)
    except VideoJudgeError as error:
        problem = error
    warn(f"error: {problem}", program="small_world")
    return EXIT_FAILED if isinstance(problem, RunStoppedError) else EXIT_USAGE


def _parser() -> Parser:
    parser = Parser(
        prog="python -m videojudge_bench.training.small_world",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _add_make(add_verb(verbs, "make", _make, "write a world into a folder", _HELP))
    what = "write a tiny Qwen2.5-VL with random weights, for this world"
    model = add_verb(verbs, "model", _model, what, _MODEL)
    model.add_argument("folder", type=Path, metavar="OUT", help="the folder, new or empty")
    model.number("--seed", "of the weights", default=0)
    what = "the whole circle: world, bootstrap, training, lmms_eval, leaderboard"
    loop = add_verb(verbs, "loop", _loop, what, _LOOP)
    loop.add_argument("folder", type=Path, metavar="OUT", help="the folder, new or begun")
    loop.number("--seed", "of the weights and of the order of rows", default=0)
    loop.path("--results", "DIR", "where the summary goes; default: OUT/results/small_world")
    what = "what of the paper holds here: frames, pairs, rubrics, biased evaluators …"
    experiments = add_verb(verbs, "experiments", _experiments, what, _EXPERIMENTS)
    experiments.add_argument(
        "loops", type=Path, nargs="+", metavar="LOOP", help="folders of `loop`"
    )
    experiments.add_argument(
        "--only", nargs="*", default=[], metavar="NAME", help="some of them; by default all"
    )
    experiments.path("--results", "RESULTS", "where the numbers go", required=True)
    return parser


def _add_make(verb: Parser) -> None:
    default = WorldOptions()
    verb.add_argument("folder", type=Path, metavar="OUT", help="the folder, new or empty")
    for name, what in (
        ("train", "videos to train on"),
        ("lessons", "easier videos beside those, to learn to look by"),
        ("validation", "videos like those, to watch the training by"),
        ("test", "held-out videos of each domain, whose properties go together as in no other"),
        ("seed", "other seeds give other videos"),
    ):
        verb.number(f"--{name}", what, default=getattr(default, name))
    verb.add_argument(
        "--domains", default=",".join(DOMAINS), metavar="D,D",
        help="of the held-out videos: seen (as in training), unseen (other shapes, background and "
        "speeds), longer (24 frames); default: %(default)s",
    )  # fmt: skip
    verb.number(
        "--workers", "processes that render, by default one a CPU", default=os.cpu_count() or 1
    )


def _make(arguments: argparse.Namespace) -> int:
    options = WorldOptions(
        arguments.train,
        arguments.lessons,
        arguments.validation,
        arguments.test,
        cast("tuple[Domain, ...]", tuple(arguments.domains.split(","))),
        arguments.seed,
    )
    made = make(arguments.folder, options, workers=arguments.workers, on_progress=_progress)
    if made.was_there:
        done = "this world is there already, nothing to do"
    else:
        files = ", ".join(f"{name} {n}" for name, n in made.counts.items())
        done = f"{made.rendered} videos rendered; in all {files}"
    say([f"{arguments.folder}: {done}"])
    return 0


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        sys.stderr.write(f"\r{done} of {total} videos{end}")


def _model(arguments: argparse.Namespace) -> int:
    say([str(build_base(arguments.folder, arguments.seed))])
    return 0


def _loop(arguments: argparse.Namespace) -> int:
    from videojudge_bench.training.experiments.world_measures import summarise
    from videojudge_bench.training.small_world.loop import run_loop

    loop = run_loop(arguments.folder, seed=arguments.seed, say=_say)
    page = summarise(loop, arguments.results or loop.results / "small_world")
    say(page.read_text(encoding="utf-8").splitlines())
    say([f"wrote {page}", f"the leaderboard: {loop.results / 'leaderboard.md'}"])
    return 0


def _experiments(arguments: argparse.Namespace) -> int:
    from videojudge_bench.training.experiments import world

    path = world.run_experiments(arguments.loops, arguments.only, arguments.results, say=_say)
    say([f"wrote {path}"])
    return 0


def _say(line: str) -> None:
    say([line])


if __name__ == "__main__":
    sys.exit(main())
