"""Best of n by a judge in the small world: what its score gains, and what the truth gains.

As in Gao et al. 2023 (arXiv 2210.10760), with an exact truth in place of a large reward model: of n
answers drawn from a policy the one that the judge scores highest is kept, and as n grows the answer
is optimised against the judge. Its distance from the policy is log n - (n - 1) / n nats.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, cast

import numpy as np
from scipy.special import gammaln

from videojudge_bench._util import charts
from videojudge_bench._util.charts import Axis, Mark
from videojudge_bench._util.files import write_whole
from videojudge_bench._util.markdown import table
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Item, RatingGold
from videojudge_bench.metrics.bootstrap import Floats, Resampling, codes, means
from videojudge_bench.metrics.card import measure
from videojudge_bench.training.experiments.experiment import Figures, cell
from videojudge_bench.training.experiments.world_measures import Judgements, Number, rounded
from videojudge_bench.training.small_world.files import question
from videojudge_bench.training.small_world.loop import WORLD, LoopFolder
from videojudge_bench.training.small_world.world import (
    BEST,
    KINDS,
    SLOTS,
    VALUES,
    Kind,
    Scene,
    answer,
    kind_of,
    rng_of,
    scene_of,
    text_of,
    video_id,
)
from videojudge_bench.verdicts import Rating

Policy = Literal["words", "free"]
"""`words`: four words of the kind that is asked for. `free`: one to eight words of all kinds."""

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
DRAWS = SIZES[-1]
VIDEOS = 20

JUDGE, TRUTH, MOST = "judge's score", "truth", "most there is"
CURVES = (JUDGE, TRUTH, MOST)
FALL = "fall"
RESAMPLING = Resampling(2_000)

EVERY_WORD = tuple(dict.fromkeys(chain.from_iterable(VALUES.values())))
LONGEST = 2 * SLOTS


@dataclass(frozen=True)
class Drawn:
    """The policy that answers, and the number of its answers to a question."""

    policy: Policy
    answers: int = DRAWS

    @property
    def sizes(self) -> list[int]:
        """Each n of the best of n."""
        return [n for n in SIZES if n <= self.answers]


def draws(scene: Scene, kind: Kind, policy: Policy) -> list[str]:
    """Return `DRAWS` answers to a question, drawn independently; some may be equal."""
    rng = rng_of("draws", policy, scene.seed, scene.video_id, kind)
    if policy == "words":
        words = rng.integers(len(VALUES[kind]), size=(DRAWS, SLOTS))
        return [text_of(kind, row) for row in words.tolist()]
    lengths = rng.integers(1, LONGEST + 1, size=DRAWS)
    return [" ".join(rng.choice(EVERY_WORD, size=length)) for length in lengths]


def deserved(scene: Scene, kind: Kind, text: str) -> int:
    """Return the rating of any answer: 5 less its errors, and 1 at least.

    Errors are words of the right answer that are not at their place, and words after the fourth.
    """
    words = text.split()
    right = sum(a == b for a, b in zip(words, answer(scene, kind).split(), strict=False))
    return max(1, BEST - (SLOTS - right) - max(0, len(words) - SLOTS))


def write_gold(loop: LoopFolder, name: str, drawn: Drawn) -> str:
    """Write different answers with their true ratings into the world; return the file's name."""
    rows = (
        {**question(scene, kind), "response": text, "ratings": [deserved(scene, kind, text)]}
        for scene in (scene_of(video_id("test", n), WORLD.seed) for n in range(VIDEOS))
        for kind in KINDS
        for text in dict.fromkeys(draws(scene, kind, drawn.policy)[: drawn.answers])
    )
    file = f"gold_{name}.jsonl"
    write_whole(loop.world / file, "".join(f"{json.dumps(row)}\n" for row in rows))
    return file


def best_of(scores: Floats, values: Floats, sizes: Sequence[int]) -> Floats:
    """Return the expected value of the best by score of n, over all subsets of n of the draws.

    The k-th smallest of N scores is the largest in C(k-1, n-1) of the C(N, n) subsets; of equal
    scores any one is kept, each as likely.

    Args:
        scores: float64 of shape (N,); what the best is chosen by.
        values: float64 of shape (N,); what is averaged: the scores themselves, or the truth.
        sizes: each n, 1..N.

    Returns:
        float64 of shape (len(sizes),).
    """
    _, level = np.unique(scores, return_inverse=True)
    of_level = np.bincount(level, values) / np.bincount(level)
    by_rank = of_level[np.sort(level)]
    return np.array([by_rank @ _largest(len(scores), n) for n in sizes])


def _largest(total: int, n: int) -> Floats:
    """Return for each rank 1..total the probability that it is the largest of n ranks."""
    ranks = np.arange(n, total + 1)
    subsets = gammaln(total + 1) - gammaln(n + 1) - gammaln(total - n + 1)
    logs = gammaln(ranks) - gammaln(n) - gammaln(ranks - n + 1) - subsets
    return np.concatenate([np.zeros(n - 1), np.exp(logs)])


def divergence(n: int) -> float:
    """Return KL(best of n, policy) in nats: log n - (n - 1) / n."""
    return math.log(n) - (n - 1) / n


def gains(gold_set: GoldSet, judgements: Judgements, drawn: Drawn) -> Figures:
    """Return the figures of `summary` for the curves of `CURVES` by n."""
    known: dict[tuple[str, str, str], tuple[float, float]] = {}
    for item_id, example in gold_set.by_id.items():
        item, gold, verdict = example.item, example.gold, judgements[item_id].verdict
        assert isinstance(item, Item), "answers are rated here"
        assert isinstance(gold, RatingGold), "the truth is a rating here"
        # An answer without a verdict is never preferred to another.
        score = verdict.value if isinstance(verdict, Rating) else 1.0
        known[item.video_id, item.instruction, item.response] = (score, gold.mean)
    questions = sorted({(video, instruction) for video, instruction, _ in known})
    curves = np.array([_curves(video, text, drawn, known) for video, text in questions])
    by_name = {
        name: {str(n): curves[:, row, column] for column, n in enumerate(drawn.sizes)}
        for row, name in enumerate(CURVES)
    }
    return summary(by_name, [video for video, _ in questions])


def summary(curves: Mapping[str, Mapping[str, Floats]], videos: Sequence[str]) -> Figures:
    """Return the curves of means, where the truth is highest (`peak`), and how far it falls after.

    Each figure is a mean over questions with its 95 % interval over resampled videos. `fall` is the
    truth at the end less the truth at `peak`.

    Args:
        curves: by name and by point, in order: a value a question. `TRUTH` is one of them.
        videos: of the questions.
    """
    truth = curves[TRUTH]
    peak = max(truth, key=lambda point: truth[point].mean())
    values = {
        f"{name} {point}": v for name, by_point in curves.items() for point, v in by_point.items()
    }
    figures = _with_intervals({**values, FALL: [*truth.values()][-1] - truth[peak]}, videos)
    by_point = {
        name: {point: figures[f"{name} {point}"] for point in points}
        for name, points in curves.items()
    }
    return {**rounded({**by_point, FALL: {"points": figures[FALL]}}), "peak": int(peak)}


def _curves(
    video: str,
    instruction: str,
    drawn: Drawn,
    known: Mapping[tuple[str, str, str], tuple[float, float]],
) -> Floats:
    """Return the curves of one question, float64 of shape (len(CURVES), len(drawn.sizes))."""
    kind = kind_of(instruction)
    assert kind is not None, "a question of this world"
    texts = draws(scene_of(video, WORLD.seed), kind, drawn.policy)[: drawn.answers]
    scores, truth = np.array([known[video, instruction, text] for text in texts]).T
    chosen = ((scores, scores), (scores, truth), (truth, truth))
    return np.array([best_of(by, values, drawn.sizes) for by, values in chosen])


def _with_intervals(values: Mapping[str, Floats], videos: Sequence[str]) -> dict[str, Number]:
    clusters = codes(np.array(videos))
    count = int(clusters.max()) + 1
    statistic = means(values, clusters, count)
    metrics = measure([statistic], count, lambda _: "no answer", RESAMPLING, shares=())
    return {key: (m.value, m.low, m.high) for key, m in metrics.items()}


def table_of(rows: Mapping[str, Figures]) -> Iterator[str]:
    """Yield the lines of a table with the curves of each arm by n."""
    yield from ("The best of n answers by the judge's score, in points of the scale 1-5:", "")
    yield from curve_table(rows, CURVES)


def curve_table(rows: Mapping[str, Figures], curves: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a table of the figures of `summary`, which have the same points."""
    points = _points(next(iter(rows.values())))
    cells = []
    for name, row in rows.items():
        for curve in curves:
            by_point = cast("Mapping[str, Number]", row[curve])
            fall = cast("Mapping[str, Number]", row[FALL])["points"]
            end = (str(row["peak"]), cell(fall)) if curve == TRUTH else ("", "")
            cells.append([name, curve, *(cell(by_point[p], ".2f") for p in points), *end])
    header = ("", "", *points, "highest at", "change after")
    yield from (*table(header, cells, rule="---"), "")


def chart(row: Figures) -> str:
    """Return an SVG file with the curves of one arm against the distance from the policy."""
    most = int(_points(row)[-1])
    x = Axis.over("log n - (n - 1) / n: distance from the policy, nats", [0.0, divergence(most)])
    y = Axis.over("rating of the best of n", [1.0, 5.0])
    return curve_chart(row, CURVES, (x, y), divergence)


def curve_chart(
    row: Figures, curves: Sequence[str], axes: tuple[Axis, Axis], place: Callable[[int], float]
) -> str:
    """Return an SVG file with curves of `summary`; `place` says where on the x axis a point is."""
    items = int(_points(row)[-1])
    series = [
        [
            Mark(place(int(point)), value or 0.0, items, low, high)
            for point, (value, low, high) in cast("Mapping[str, Number]", row[curve]).items()
        ]
        for curve in curves
    ]
    return charts.document(charts.curves(series, *axes, names=curves))


def _points(row: Figures) -> list[str]:
    return [*cast("Mapping[str, Number]", row[TRUTH])]
