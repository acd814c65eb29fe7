"""`python -m videojudge_bench.training.small_world`: writes the small world into a folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, cast

from cyclopts import Parameter

from videojudge_bench._util.command import new_app, run
from videojudge_bench._util.terminal import say
from videojudge_bench.training.small_world.base import build_base
from videojudge_bench.training.small_world.files import WorldOptions
from videojudge_bench.training.small_world.files import make as make_world
from videojudge_bench.training.small_world.world import DOMAINS, Domain

Folder = Annotated[Path, Parameter(help="the folder, new or begun")]
Seed = Annotated[int, Parameter(help="of the weights and of the order of rows")]

app = new_app(
    "python -m videojudge_bench.training.small_world",
    "Make a small world: procedural videos whose truth is exact.",
)
_DEFAULT = WorldOptions()


@app.command
def make(
    folder: Folder,
    /,
    *,
    train: int = _DEFAULT.train,
    lessons: int = _DEFAULT.lessons,
    validation: int = _DEFAULT.validation,
    test: int = _DEFAULT.test,
    seed: int = _DEFAULT.seed,
    domains: str = ",".join(DOMAINS),
    workers: int = os.cpu_count() or 1,
) -> None:
    r"""Write a world into a folder.

    Procedural videos whose truth is exact, questions about them, and responses that deserve a
    rating from 1 to 5 by construction. It is a working scale model that a tiny model learns on a
    CPU, and no claim about real video.

    Videos, seeds, rows that teach to look, and held-out gold sets of three domains:
      python -m videojudge_bench.training.small_world make out/small_world --workers 2

    Five rated responses a question, as rows to train on:
      videojudge bootstrap --recipe small_world --output out/small_world_rows \
        --override 'seeds.sources=[jsonl=out/small_world/seeds.jsonl]'

    The task videojudge_small_world, to judge held-out videos with lmms_eval:
      videojudge data add out/small_world/gold.jsonl --name small_world \
        --videos out/small_world/videos --kind constructed

    Stopped by Ctrl-C or kill -9, the same command resumes: videos that are there are not made
    again. A folder holds one world: other options need another folder.

    Args:
        train: videos to train on
        lessons: easier videos beside those, to learn to look by
        validation: videos like those, to watch the training by
        test: held-out videos of each domain, whose properties go together as in no other
        seed: other seeds give other videos
        domains: of the held-out videos: seen (as in training), unseen (other shapes, background
            and speeds), longer (24 frames)
        workers: processes that render; default: one per CPU
    """
    names = cast("tuple[Domain, ...]", tuple(domains.split(",")))
    options = WorldOptions(train, lessons, validation, test, names, seed)
    world = make_world(folder, options, workers=workers, on_progress=_progress)
    if world.existed:
        say([f"{folder}: this world is there already, nothing to do"])
        return
    files = ", ".join(f"{name} {n}" for name, n in world.counts.items())
    say([f"{folder}: {world.rendered} videos rendered; in all {files}"])


@app.command
def model(folder: Folder, /, *, seed: Seed = 0) -> None:
    """Write a tiny Qwen2.5-VL with random weights, for this world.

    Of 0.8 million weights, with a tokenizer that knows the words of this world: what `videojudge
    train --recipe small_world` begins with.
    """
    say([str(build_base(folder, seed))])


@app.command
def loop(folder: Folder, /, *, seed: Seed = 0, results: Path | None = None) -> None:
    """Run it all: world, bootstrap, training, lmms_eval, leaderboard.

    Makes a world, rated rows of it and a judge from nothing, runs the judge by lmms_eval on
    held-out videos beside the same judge without the video, with another video, and untrained, and
    writes a leaderboard and a summary by kind of question. About half an hour on two cores.
    Stopped, the same command resumes.

    Args:
        results: folder of the summary; default: FOLDER/results/small_world
    """
    from videojudge_bench.training.experiments.world_measures import summarise
    from videojudge_bench.training.small_world.loop import run_loop

    finished = run_loop(folder, seed=seed, say=_say)
    page = summarise(finished, results or finished.results / "small_world")
    say(page.read_text(encoding="utf-8").splitlines())
    say([f"wrote {page}", f"the leaderboard: {finished.results / 'leaderboard.md'}"])


@app.command
def experiments(
    *loops: Path,
    results: Path,
    only: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
) -> None:
    """Measure what of the paper holds here: frames, pairs, rubrics, evaluators.

    Runs experiments on finished loops, one for each seed, and writes RESULTS/numbers.json and
    tables.md. Trainings and verdicts are kept in the loops' folders: stopped, the same command
    resumes.

    Args:
        loops: folders of `loop`
        results: folder of the numbers
        only: some experiments, in place of all
    """
    from videojudge_bench.training.experiments import world

    say([f"wrote {world.run_experiments(loops, only or [], results, say=_say)}"])


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        sys.stderr.write(f"\r{done} of {total} videos{end}")


def _say(line: str) -> None:
    say([line])


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; return its exit status: 0 done, 1 stopped (run it again), 2 used wrongly."""
    return run(app, argv, program="small_world")


if __name__ == "__main__":
    sys.exit(main())
