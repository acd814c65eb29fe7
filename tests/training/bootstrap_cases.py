"""Outcomes made by hand, for the tests of what becomes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from videojudge_bench.training.bootstrap.contracts import (
    TARGETS,
    Attempt,
    Draft,
    Evaluation,
    Outcome,
    Rated,
    Seed,
)
from videojudge_bench.training.bootstrap.export import DATA_FOLDER
from videojudge_bench.verdicts import Usage


def rows_in(folder: Path, kind: str, part: str) -> list[dict[str, Any]]:
    """Return the rows that an export has written into a file."""
    path = folder / DATA_FOLDER / f"{kind}_{part}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def seed(number: int, *, video: int | None = None) -> Seed:
    """Return a seed with texts of its own, on a video of its own unless told."""
    name = f"v{number if video is None else video}"
    return Seed(
        id=f"seed{number}",
        source="made",
        video_id=name,
        instruction=f"What happens in film {number}?",
        gold=f"Gold {number} runs home.",
        description=f"Film {number} shows Gold {number} running home.",
        video=f"{name}.mp4",
        labels={"kind": "odd" if number % 2 else "even"},
    )


def rated(number: int, target: int, *, rounds: int = 1, rating: float | None = None) -> Rated:
    """Return a target that was reached in the last of its rounds."""
    attempts = tuple(
        Attempt(
            Draft(
                f"Draft {target}.{n} of {number}.",
                truth=target,
                changes=(f"change {target}",),
                usage=Usage(10, 5, 0.5, 0.25),
            ),
            Evaluation(
                float(target) if n == rounds - 1 and rating is None else rating or 5.0,
                feedback=f"Feedback {target}.",
                usage=Usage(20, 2, 0.25, 0.5),
            ),
        )
        for n in range(rounds)
    )
    return Rated(target, attempts, accepted=True)


def kept(number: int, *, video: int | None = None, rounds: int = 1) -> Outcome:
    """Return an outcome with all five responses."""
    return Outcome(
        seed(number, video=video),
        tuple(rated(number, target, rounds=rounds) for target in TARGETS),
        kept=True,
    )


def aside(number: int) -> Outcome:
    """Return an outcome of a seed that lacks a response that deserves 2."""
    found = [rated(number, target) for target in TARGETS]
    found[1] = Rated(2, found[1].attempts, accepted=False, problem="rated 5 in round 1")
    return Outcome(seed(number), tuple(found), kept=False, problem="2: rated 5 in round 1")
