"""Texts of the small world: prompts, rows that teach a model to look, and answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from videojudge_bench._util.hashing import Json
from videojudge_bench.items import Item
from videojudge_bench.prompts import load_prompt
from videojudge_bench.scale import RatingScale
from videojudge_bench.training.bootstrap.contracts import (
    TARGETS,
    Attempt,
    Draft,
    Evaluation,
    Outcome,
    Rated,
    Seed,
)
from videojudge_bench.training.bootstrap.rows import KINDS as ROW_KINDS
from videojudge_bench.training.bootstrap.rows import RowOptions, rows_of
from videojudge_bench.training.small_world import world
from videojudge_bench.training.small_world.generator import Degrade

RATE_PROMPT = Path(__file__).parent / "prompts" / "rate.jinja"
PREFER_PROMPT = Path(__file__).parent / "prompts" / "prefer.jinja"

DESCRIBE = "Describe the video."

SOURCE = "small_world"  # the source of this world's seeds, for the bootstrap
_SCENES = 100
_TIMES = 20
_ROWS = tuple(
    RowOptions(
        ROW_KINDS, feedback=feedback, prompt=str(RATE_PROMPT), pair_prompt=str(PREFER_PROMPT)
    )
    for feedback in (False, True)
)


def system_text() -> str:
    """Return the system message of the prompts: the same in all rows of this world."""
    item = Item("", "", "", "")
    return load_prompt(RATE_PROMPT).render(item, RatingScale()).system


def file_of(video: str) -> str:
    """Return the name of a video's file in the folder of videos."""
    return f"{video}.mp4"


def seed_of(scene: world.Scene, kind: world.Kind) -> Seed:
    """Return a question with its right answer as a seed of the bootstrap."""
    return Seed(
        id=f"{scene.video_id}/{kind}",
        source=SOURCE,
        video_id=scene.video_id,
        instruction=world.INSTRUCTIONS[kind],
        gold=world.answer(scene, kind),
        video=file_of(scene.video_id),
        labels={"kind": kind, "part": scene.part},
    )


def describing_rows(scene: world.Scene) -> Iterator[dict[str, Json]]:
    """Yield rows that teach to look: the whole description, then each answer by itself."""
    asked = {"describe": (DESCRIBE, " ".join(world.answer(scene, kind) for kind in world.KINDS))}
    asked |= {kind: (world.INSTRUCTIONS[kind], world.answer(scene, kind)) for kind in world.KINDS}
    system = system_text()
    for name, (user, reply) in asked.items():
        yield {
            "id": f"{scene.video_id}/{name}",
            "kind": "chat",
            "part": "train" if scene.part == "lesson" else scene.part,
            "video_id": scene.video_id,
            "video": file_of(scene.video_id),
            "system": system,
            "user": user,
            "reply": reply,
        }


def texts() -> list[str]:
    """Return texts to train a tokenizer on: those of real rows of a hundred videos.

    Rows come with and without reasoning and rubrics; common parts are repeated, to become few
    tokens.
    """
    samples: list[str] = [*_TIMES * [DESCRIBE, system_text()]]
    for number in range(_SCENES):
        scene = world.scene_of(world.video_id("train", number))
        for row in describing_rows(scene):
            samples += [str(row["user"]), str(row["reply"])]
        for kind in world.KINDS:
            outcome = _outcome(scene, kind)
            rows = (row for options in _ROWS for row in rows_of(outcome, options))
            samples += [text for row in rows for text in (row.system, row.user, row.reply)]
    return samples


def _outcome(scene: world.Scene, kind: world.Kind) -> Outcome:
    """Return the responses of a bootstrap without errors."""
    seed, generator = seed_of(scene, kind), Degrade()
    rated: list[Rated] = []
    for target in TARGETS:
        draft = generator.draft(seed, target)
        assert isinstance(draft, Draft), "a seed of this world can be degraded"
        evaluation = Evaluation(float(target), "; ".join(draft.changes))
        rated.append(Rated(target, (Attempt(draft, evaluation),), accepted=True))
    return Outcome(seed, tuple(rated), kept=True)
