"""End-to-end run in the small world: videos, rated rows, a trained judge, the leaderboard.

A loop's folder gets

- `world/`: videos, seeds, rows that teach to look, held-out gold sets;
- `base/`: the random weights that training begins with;
- `rows/`: the output of the bootstrap;
- `judge/`: the training, and in `judge/model` the judge;
- `home/`: the gold set for lmms-eval, apart from the user's own;
- `journal/`: the verdicts of every judge;
- `results/`: the leaderboard, and `README.md` with the results.

Every step resumes where it was stopped.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from videojudge_bench import goldsets
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import RunStoppedError
from videojudge_bench.goldsets import adding
from videojudge_bench.training.bootstrap.card import write_card
from videojudge_bench.training.bootstrap.export import DATA_FOLDER, write_rows
from videojudge_bench.training.bootstrap.options import load_options
from videojudge_bench.training.bootstrap.run import run_bootstrap
from videojudge_bench.training.bootstrap.run_folder import RunFolder
from videojudge_bench.training.sft.recipe import load_recipe
from videojudge_bench.training.sft.run import train
from videojudge_bench.training.small_world.base import build_base
from videojudge_bench.training.small_world.files import VIDEOS, WorldOptions, make
from videojudge_bench.training.small_world.language import PREFER_PROMPT, RATE_PROMPT

GOLD_SET = "small_world"
HOME_VARIABLE = "XDG_DATA_HOME"

WORLD = WorldOptions(train=4_000, lessons=1_200, validation=100, test=150)
"""Large enough that the videos are not learnt by heart."""

Say = Callable[[str], None]


class LoopFolder:
    """Folders of a loop, as the module's docstring says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.world, self.base, self.rows = path / "world", path / "base", path / "rows"
        self.videos = self.world / VIDEOS
        self.judge = path / "judge"
        self.model = self.judge / "model"
        self.journal, self.results = path / "journal", path / "results"


def run_loop(
    folder: Path,
    *,
    world: WorldOptions | None = None,
    seed: int = 0,
    changes: Sequence[str] = (),
    say: Say = print,
) -> LoopFolder:
    """Run all steps; return the folder."""
    loop = LoopFolder(folder.absolute())
    with _timed(say, "world"):
        make(loop.world, world or WORLD, workers=os.cpu_count() or 1)
    build_base(loop.base, seed)
    with _timed(say, "bootstrap"):
        bootstrap(loop.rows, loop.world)
    with _timed(say, "training"):
        train_judge(loop, seed=seed, changes=changes, say=say)
    with own_home(loop):
        add_gold_set(loop)
        for name, options in judges_of(loop).items():
            with _timed(say, f"judging, {name}"):
                _lmms_eval(loop, options)
        results = ("--results", str(loop.results))
        _call("videojudge", "leaderboard", "add", str(loop.journal), *results, "--overwrite")
        _call("videojudge", "leaderboard", *results)
    return loop


def bootstrap(output: Path, world: Path, changes: Sequence[str] = ()) -> None:
    """Make rated rows of a world's seeds, with a card; without the report, which takes minutes."""
    options = load_options(
        "small_world", [f"seeds.sources=[jsonl={world / 'seeds.jsonl'}]", *changes]
    )
    result = run_bootstrap(options, output)
    if result.budget or result.tally.failed:
        raise RunStoppedError(f"the bootstrap in {output} did not come to an end; run it again")
    if not (output / DATA_FOLDER).is_dir():
        folder = RunFolder(output)
        write_card(output, write_rows(folder.outcomes(), output, options.export), options.export)


def train_judge(
    loop: LoopFolder, *, seed: int = 0, changes: Sequence[str] = (), say: Say = print
) -> Path:
    """Train by recipe `small_world` on the rows of a loop; return the model."""
    own = [
        f"model.pretrained={loop.base}",
        f"seed={seed}",
        f"stages.look.data.rows=[{loop.world / 'language.jsonl'}]",
        f"stages.look.data.videos={loop.videos}",
        *rows_of_stages(loop.rows, loop.videos),
    ]
    return train(load_recipe("small_world", [*own, *changes]), loop.judge, say=say)


def rows_of_stages(rows: Path, videos: Path) -> list[str]:
    """Return the changes of the recipe that train both judging stages on these rows."""
    return [
        f"stages.{stage}.data.{name}={value}"
        for stage in ("tell", "judge")
        for name, value in (("rows", f"[{rows}]"), ("videos", str(videos)))
    ]


def judges_of(loop: LoopFolder) -> dict[str, dict[str, Scalar]]:
    """Return name and options of the judges that a loop compares."""
    # A judge without video input or training puts probability outside the scale; its verdicts
    # count all the same, so that all judges are compared on the same responses.
    any_mass: dict[str, Scalar] = {"lost_mass": 1}
    trained: dict[str, Scalar] = {
        "judge": "videojudge",
        "device": "cpu",
        "pretrained": str(loop.model),
    }
    untrained: dict[str, Scalar] = {
        **trained,
        **any_mass,
        "pretrained": str(loop.base),
        "score": "expected",
        "feedback": False,
        "prompt": str(RATE_PROMPT),
        "pair_prompt": str(PREFER_PROMPT),
        "max_frames": 16,
        "min_pixels": 3136,
        "max_pixels": 3136,
    }
    return {
        "trained": trained,
        "blind": {**trained, **any_mass, "video": "none"},
        "shuffled": {**trained, **any_mass, "video": "shuffled"},
        "untrained": untrained,
        "random": {"judge": "random"},
    }


@contextmanager
def own_home(loop: LoopFolder) -> Iterator[None]:
    """Keep added gold sets in the loop's folder, apart from the user's own."""
    before = os.environ.get(HOME_VARIABLE)
    os.environ[HOME_VARIABLE] = str(loop.path / "home")
    try:
        yield
    finally:
        if before is None:
            del os.environ[HOME_VARIABLE]
        else:
            os.environ[HOME_VARIABLE] = before


def add_gold_set(loop: LoopFolder, file: str = "gold.jsonl", name: str = GOLD_SET) -> None:
    """Make a gold set of held-out rows, if it is not one already; inside `own_home`."""
    if name not in goldsets.names():
        adding.add(
            adding.Request(
                loop.world / file,
                name,
                videos=loop.videos,
                kind="constructed",
                title="the small world: held-out videos and combinations",
                licence="Apache-2.0",
            )
        )


def _lmms_eval(loop: LoopFolder, options: Mapping[str, Scalar]) -> None:
    given = {**options, "journal": str(loop.journal)}
    arguments = ",".join(f"{name}={value}" for name, value in given.items())
    _call(
        "lmms_eval",
        *("--model", "videojudge", "--model_args", arguments),
        *("--tasks", f"videojudge_{GOLD_SET}", "--output_path", str(loop.path / "lmms_eval")),
    )


def _call(program: str, *arguments: str) -> None:
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise RunStoppedError(f"`{' '.join(command)}` ended with {done.returncode}:\n{last}")


@contextmanager
def _timed(say: Say, what: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - start:.0f} s")
