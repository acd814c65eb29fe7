"""`python -m videojudge_bench.training.compact`: tune and test the encoder of judge `compact`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from videojudge_bench._util.command import new_app, run
from videojudge_bench._util.terminal import say
from videojudge_bench.judges.compact_encoder import packaged_weights, read_weights
from videojudge_bench.judges.minilm import DEFAULT_MODEL
from videojudge_bench.training.compact.against import report
from videojudge_bench.training.compact.captions import BatchSizes
from videojudge_bench.training.compact.crossfit import crossfit as judge_by_folds
from videojudge_bench.training.compact.crossfit import scorer_beside
from videojudge_bench.training.compact.make import make_weights
from videojudge_bench.training.compact.tune import TuneOptions

app = new_app(
    "python -m videojudge_bench.training.compact",
    "Tune the encoder of judge `compact` without any human rating.\n\n"
    "Stopped, the same command resumes.",
)


@app.command
def tune(captions: Path, /, *, output: Path, model: str = DEFAULT_MODEL, steps: int = 40) -> None:
    r"""Make the weights that travel with the package.

    Tuned on captions of COCO's images and on the same captions made wrong by degrees; no text of
    VATEX. The file is COCO's (CC BY 4.0), from annotations_trainval2017.zip of
    https://cocodataset.org

      python -m videojudge_bench.training.compact tune captions_val2017.json \
        --output out/compact

    Args:
        captions: captions in COCO's format
        output: folder of the results
        model: the encoder to begin with
        steps: up to 100
    """
    _say(f"wrote {make_weights(captions, output, model, steps, _say)}")


@app.command
def crossfit(*, output: Path, beside: str | None = None, steps: int = 300) -> None:
    """Judge VATEX-EVAL, two folds of its videos.

    Each is judged by an encoder that was tuned on the references of the other, and with --beside by
    a larger one too. The scores are for the judge `precomputed`, with overlap=vatex.

      python -m videojudge_bench.training.compact crossfit --output out/crossfit

    Args:
        output: folder of the results
        beside: a larger sentence encoder with BERT's vocabulary, a folder or a name on the hub,
            whose score counts as much
        steps: of the tuning
    """
    start, sizes = read_weights(packaged_weights()), BatchSizes(pairs=64, ladders=0)
    options = TuneOptions(steps=steps, horizon=steps, sizes=sizes, max_tokens=32)
    other = scorer_beside(beside, start) if beside else None
    _say(f"wrote {judge_by_folds(start, output, options, _say, other)}")


@app.command
def against(to_beat: Path, /, *runs: Path, part: Literal["dev", "test"] = "test") -> None:
    r"""Compare runs on the test videos, with paired intervals of the differences.

      python -m videojudge_bench.training.compact against \
        results/runs/vatex/gas-nv-embed-9ref results/runs/vatex/compact-9ref

    Args:
        to_beat: folder of the run to beat
        runs: folders of others
        part: of the videos
    """
    say(report(runs, to_beat, part))


def _say(text: object) -> None:
    say([str(text)])


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; return 0 when done, 1 when stopped, 2 when used wrongly."""
    return run(app, argv, program="compact")


if __name__ == "__main__":
    sys.exit(main())
