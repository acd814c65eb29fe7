"""A model made of rules, which plays generator and evaluator: a pure function of the prompt.

A response has a colour, and each rating has its colour; the evaluator names the rating of the
colour it finds. The generator now and then takes the next colour, leaks, or forgets its tags; the
evaluator now and then says nothing. Which of it happens depends on the prompt alone.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import Capability, Deliver, EngineError, PromptGroup, Reply
from videojudge_bench.training.bootstrap.contracts import Seed, to_json
from videojudge_bench.training.bootstrap.options import BootstrapOptions, load_options
from videojudge_bench.verdicts import Usage

_THINGS = (
    *("house", "barn", "mill", "church", "tower", "bridge", "well", "gate", "fence", "pond"),
    *("lake", "river", "field", "orchard", "garden", "shed", "stable", "kiosk", "bakery"),
    *("school", "library", "museum", "station", "harbour", "pier", "cinema", "stadium"),
    *("market", "fountain", "statue", "park"),
)
COLOURS = {1: "red", 2: "orange", 3: "yellow", 4: "green", 5: "blue"}
_WANTED = re.compile(r"(?:to the instruction|another one) that deserves (\d)")
_TO_GRADE = "The answer to grade:"


def talk(prompt: str) -> str:
    """Return the reply to a prompt of ours."""
    return _grade(prompt) if _TO_GRADE in prompt else _write(prompt)


def _write(prompt: str) -> str:
    found = _WANTED.search(prompt)
    assert found, prompt
    target, drawn = int(found[1]), unit_interval("write", prompt)
    place = f"{unit_interval('place', prompt):.6f}"
    if drawn < 0.05:
        return f"<answer>A ball rolls by {place}, a {target}-star answer.</answer>"
    if drawn < 0.1:
        return f"A ball rolls by {place}."
    level = target + 1 if drawn < 0.3 else target
    return f"Sure!\n<answer>A {COLOURS[level]} ball rolls by {place}.</answer> Good luck."


def _grade(prompt: str) -> str:
    said = prompt.partition(_TO_GRADE)[2]
    if unit_interval("grade", prompt) < 0.05:
        return "Hard to say."
    level = next((n for n, colour in COLOURS.items() if f"A {colour} ball" in said), 1)
    return f"<feedback>The ball is {COLOURS[level]}.</feedback>\n<score>{level}</score>"


class TalkEngine:
    """Answers with `talk`, or with a function that a test gives it.

    Args:
        log: a file that gets a line for each call.
        delay_seconds: before each answer.
    """

    capabilities: frozenset[Capability] = frozenset()

    def __init__(self, log: str = "", delay_seconds: float = 0.0) -> None:
        self._log, self._delay_seconds = log, delay_seconds
        self.answer: Callable[[str], str | EngineError] = talk
        self.prompts: list[str] = []
        self.ids: list[str] = []
        self.closed = 0

    async def complete(self, group: PromptGroup, deliver: Deliver) -> None:
        (tail,) = group.continuations
        prompt = group.prefix.system + group.prefix.text + tail.text
        self.prompts.append(prompt)
        self.ids.append(tail.id)
        self._note(tail.id)
        if self._delay_seconds:
            # Calls that end in another order than they began.
            share = unit_interval("delay", prompt)
            await asyncio.sleep(self._delay_seconds * share)
        said = self.answer(prompt)
        if isinstance(said, str):
            usage = Usage(len(prompt) // 4, len(said) // 4, 0.0, 0.01)
            await deliver(0, Reply(said, usage=usage))
        else:
            await deliver(0, said)

    def _note(self, call_id: str) -> None:
        if self._log:
            with Path(self._log).open("a") as file:
                file.write(f"{call_id}\n")

    def settings(self) -> Mapping[str, Scalar]:
        return {"model": "talk-1"}

    def close(self) -> None:
        self.closed += 1


def made_seed(number: int) -> Seed:
    """Return a seed with texts of its own, which no filter takes for another's."""
    place = f"{_THINGS[number % 31]} {_THINGS[number // 31 % 31]} {number}"
    return Seed(
        id=f"s{number}",
        source="made",
        video_id=f"v{number}",
        instruction=f"What rolls past the {place}?",
        gold=f"A blue ball rolls past the {place}.",
        description=f"A blue ball rolls down a street, past the {place}.",
    )


def write_seeds(path: Path, count: int) -> None:
    """Write a file of so many seeds, as the source `jsonl` reads it."""
    rows = (to_json(made_seed(number)) for number in range(count))
    lines = (json.dumps({k: v for k, v in row.items() if k != "id"}) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def options_for(
    folder: Path, count: int, *changes: str, engine: str = "talk:TalkEngine"
) -> BootstrapOptions:
    """Return the options of a run on so many seeds, whose file is made in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_seeds(folder / "seeds.jsonl", count)
    recipe = folder / "recipe.yaml"
    role = {"kind": "prompted", "engine": engine}
    seeds = {"sources": [f"jsonl={folder / 'seeds.jsonl'}"]}
    recipe.write_text(json.dumps({"seeds": seeds, "generator": role, "evaluator": role}))
    return load_options(str(recipe), changes)


def outputs(folder: Path) -> dict[str, bytes]:
    """Return the files that must not depend on how a run came to its end."""
    found = [folder / "seeds.jsonl", *sorted((folder / "shards").iterdir())]
    return {path.name: path.read_bytes() for path in found}
