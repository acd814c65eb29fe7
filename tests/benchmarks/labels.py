"""Labels that intervals of one width take, picked actively and at random, on VATEX-EVAL.

Prints JSON. The six captions of a video are the answers of six systems, whose order no part of the
picking is told; a label is the mean of the three ratings; the judge is `compact` with one
reference. A simulation draws videos from the 3,000, with replacement, so that the truth is the mean
of all 3,000; picks labels; and takes the corrected estimate and its interval, as `videojudge judge
--gold-subset` does, with 500 resamples. Ways to pick:

- active: `videojudge label`, a third of the labels in a first round;
- random: `videojudge label --pick random`, which keeps the answers to one question together;
- scattered: answers one by one, each with the same probability.

`labels_ratio` is the number of labels that active takes, divided by the number of the other way for
the same mean width. `bound` is what no choice within a system can be below: it is reached by
probabilities proportional to the true size of the errors in 20 classes of score.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from videojudge_bench import goldsets
from videojudge_bench.answers.ppi import Rated, corrected_means, design_weights, difference_key
from videojudge_bench.items import RatingGold
from videojudge_bench.labelling.picks import Pool, draw, predicted_sizes
from videojudge_bench.leaderboard.stored import read_run
from videojudge_bench.metrics.bootstrap import Floats, Ints, Resampling, resampled_weights
from videojudge_bench.verdicts import Rating

RUN = Path(__file__).parents[2] / "results" / "runs" / "vatex" / "compact-1ref"
CANDIDATES = 6
RESAMPLES = 500
COVERAGE_RUNS, WIDTH_RUNS = 2_000, 80
"""Simulations of what is looked at for coverage, and where widths alone are."""
MORE = (1.0, 1.25, 1.5)
"""Numbers of labels of the other ways, as multiples of the active one's."""


@dataclass(frozen=True)
class World:
    """Ratings and scores, shape (videos, candidates)."""

    human: Floats
    scores: Floats

    @classmethod
    def of_vatex(cls) -> World:
        """Return VATEX-EVAL with the stored verdicts of `compact`."""
        verdicts = read_run(RUN).verdicts
        examples = goldsets.load("vatex").examples
        videos = {v: k for k, v in enumerate(sorted({e.item.video_id for e in examples}))}
        human, scores = np.empty((2, len(videos), CANDIDATES))
        for example in examples:
            place = videos[example.item.video_id], int(example.labels["candidate"])
            verdict = verdicts[example.item.id]
            assert isinstance(example.gold, RatingGold)
            assert isinstance(verdict, Rating)
            human[place], scores[place] = example.gold.mean, verdict.value
        return cls(human, scores)

    def bound(self) -> float:
        """Return the least ratio of labels, see above, the mean over systems."""
        ratios = []
        for human, score in zip(self.human.T, self.scores.T, strict=True):
            errors = human - np.polyval(np.polyfit(score, human, 1), score)
            classes = np.array_split(errors[np.argsort(score)], 20)
            sizes = np.array([np.sqrt((errors**2).mean()) for errors in classes])
            ratios.append(sizes.mean() ** 2 / (sizes**2).mean())
        return float(np.mean(ratios))


@dataclass(frozen=True)
class Case:
    """A number of videos and systems, and of labels."""

    videos: int
    systems: int
    labels: int


def rated(world: World, case: Case, way: str, rng: np.random.Generator) -> dict[str, Rated]:
    """Return the answers of a simulation with the labels that a way picks, by candidate."""
    videos = rng.integers(0, len(world.human), case.videos)
    candidates = rng.permutation(CANDIDATES)[: case.systems]
    human, scores = (x[videos][:, candidates].T.ravel() for x in (world.human, world.scores))
    none = np.full(len(human), np.nan)
    systems = np.repeat(np.arange(case.systems), case.videos)
    clusters = np.tile(np.arange(case.videos), case.systems)
    pool = Pool(scores, none, none, systems, clusters, clusters)
    rounds, probabilities = picked(pool, human, case.labels, way, rng)
    labelled = np.where(rounds > 0, human, np.nan)
    answers = {}
    for system, candidate in enumerate(candidates.tolist()):
        mine = systems == system
        weights = np.zeros(case.videos)
        of = rounds[mine] > 0
        weights[of] = design_weights(rounds[mine][of], probabilities[mine][of], case.videos)
        answer = Rated(scores[mine], labelled[mine], clusters[mine], weights)
        answers[str(candidate)] = replace(answer, weights=None) if way == "scattered" else answer
    return answers


def picked(
    pool: Pool, human: Floats, labels: int, way: str, rng: np.random.Generator
) -> tuple[Ints, Floats]:
    """Return the round in which each answer is picked, 0 for none, and its probability."""
    rounds, probabilities = np.zeros(len(human), dtype=np.int64), np.ones(len(human))
    if way == "scattered":
        rounds[rng.permutation(len(human))[:labels]] = 1
        return rounds, probabilities
    first = labels // 3 if way == "active" else labels
    for number, count in enumerate((first, labels - first), start=1):
        if count:
            places, p = draw(pool, predicted_sizes(pool), count, rng)
            rounds[places], probabilities[places] = number, p[places]
            pool = replace(pool, human=np.where(rounds > 0, human, np.nan))
    return rounds, probabilities


def simulated(world: World, case: Case, way: str, runs: int) -> dict[str, float]:
    """Return mean widths and coverage of the intervals of systems and of differences."""
    rng = np.random.default_rng([case.videos, case.labels, len(way)])
    resampling = Resampling(RESAMPLES)
    weights = np.concatenate([*resampled_weights(case.videos, resampling)])
    truth = {str(k): mean for k, mean in enumerate(world.human.mean(axis=0).tolist())}
    seen: dict[str, list[tuple[float, bool]]] = {"systems": [], "differences": []}
    for _ in range(runs):
        answers = rated(world, case, way, rng)
        values = corrected_means(answers, case.videos).evaluate(weights)
        goals = {name: truth[name] for name in answers}
        goals |= {difference_key(a, b): truth[a] - truth[b] for a, b in combinations(answers, 2)}
        ends = np.nanpercentile(np.array([values[key] for key in goals]), [2.5, 97.5], axis=1)
        for key, low, high in zip(goals, *ends.tolist(), strict=True):
            kind = "systems" if key in answers else "differences"
            seen[kind].append((high - low, low <= goals[key] <= high))
    means = {kind: np.mean(np.array(rows, dtype=np.float64), axis=0) for kind, rows in seen.items()}
    return {
        **{f"{kind}_width": round(float(m[0]), 4) for kind, m in means.items()},
        **{f"{kind}_coverage": round(float(m[1]), 4) for kind, m in means.items()},
    }


def ratio(active: dict[str, float], other: dict[int, dict[str, float]], key: str, n: int) -> float:
    """Return n over the labels with which the other way has the same width.

    The square of a width is a straight line in 1 / labels.
    """
    inverse = np.array([1 / labels for labels in other])
    squares = np.array([numbers[key] ** 2 for numbers in other.values()])
    slope, constant = np.polyfit(inverse, squares, 1)
    return round(float(n * (active[key] ** 2 - constant) / slope), 3)


def compared(world: World, case: Case) -> dict[str, object]:
    """Return the numbers of all ways in one case."""
    active = simulated(world, case, "active", COVERAGE_RUNS)
    report: dict[str, object] = {**vars(case), "active": active}
    for way in ("random", "scattered"):
        others = {
            round(case.labels * more): simulated(
                world,
                replace(case, labels=round(case.labels * more)),
                way,
                COVERAGE_RUNS if more == 1.0 and case.videos < 1_000 else WIDTH_RUNS,
            )
            for more in MORE
        }
        report[way] = others
        report[f"labels_ratio_to_{way}"] = {
            kind: ratio(active, others, f"{kind}_width", case.labels)
            for kind in ("systems", "differences")
        }
    sys.stderr.write(json.dumps(report) + "\n")
    return report


def main() -> None:
    """Simulate and print."""
    world = World.of_vatex()
    cases = (Case(100, 3, 120), Case(3_000, 6, 1_200))
    report = {
        "runs": {"coverage": COVERAGE_RUNS, "widths": WIDTH_RUNS},
        "bound": round(world.bound(), 3),
        "cases": [compared(world, case) for case in cases],
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
