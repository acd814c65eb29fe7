"""Judging prompts of lmms-eval's tasks, and prompts that are none."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from videojudge_bench.criteria import Criterion
from videojudge_bench.prompts import load_prompt
from videojudge_bench.serving.chat_tasks import ChatTask, chat_tasks

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "videojudge_bench/prompts", "training/bootstrap/prompts", "training/small_world/prompts"
)  # fmt: skip
GIVEN = {
    "question": "What happens?",
    "reference": "A dog digs.",
    "prediction": "A dog digs a hole.",
    "description": "A garden.",
    "context": "A dog likes holes.",
}


def task_named(name: str) -> ChatTask:
    """Return a declaration."""
    (task,) = (task for task in chat_tasks() if name in task.tasks)
    return task


def filled(fixed: tuple[str, ...] | list[str], task: ChatTask, given: Mapping[str, str]) -> str:
    """Return the user message with its fields."""
    values = [given.get(name, given.get(name[:-2], "")) for name in task.fields]
    return fixed[0] + "".join(f"{a}{b}" for a, b in zip(values, fixed[1:], strict=True))


def messages(task: ChatTask, given: Mapping[str, str] | None = None) -> list[dict[str, str]]:
    """Return the messages of a task's prompt."""
    user = filled(task.fixed, task, {**GIVEN, **(given or {})})
    system = [{"role": "system", "content": task.system}] if task.system else []
    return [*system, {"role": "user", "content": user}]


def other_prompts(n: int) -> Iterator[tuple[str, str]]:
    """Yield system and user messages that are no prompt of a known task, always the same ones.

    A third are our own prompts to judge, to write and to grade, some of them about a known prompt;
    the others are known prompts with a word or a mark less, or with another letter.
    """
    chance = random.Random(0)
    known = {(task.system, task.user) for task in chat_tasks()}
    files = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.jinja"))
    while n > 0:
        task = chance.choice(chat_tasks())
        given = {name: f"{text} {chance.random()}" for name, text in GIVEN.items()}
        whole = filled(task.fixed, task, given)
        if n % 3 == 0:
            yield _own(chance.choice(files), {**given, "prediction": chance.choice([whole, "A."])})
        else:
            system, fixed = _changed(chance, task)
            if (system, _template(fixed, task)) in known:
                continue
            yield system, filled(fixed, task, given)
        n -= 1


def _template(fixed: list[str], task: ChatTask) -> str:
    return filled(fixed, task, {name: f"{{{name}}}" for name in task.fields})


def _own(file: Path, given: Mapping[str, str]) -> tuple[str, str]:
    values: dict[str, object] = {
        "instruction": given["question"], "references": [given["reference"]],
        "description": given["description"], "subtitles": (), "has_video": False, "low": 1,
        "high": 5, "feedback": True, "rubric": "", "write_rubric": False, "gold": "A dog digs.",
        "response": given["prediction"], "first": given["prediction"], "second": "A cat.",
        "problem": "", "unread": 0, "target": 3, "round": 1, "earlier": "", "rating": 2,
        "answers": [("A", given["prediction"])], "criteria": [Criterion("right", "Is it right?")],
    }  # fmt: skip
    prompt = load_prompt(file).render_with(values, purpose="tests")
    return prompt.system, prompt.shared + prompt.response


def _changed(chance: random.Random, task: ChatTask) -> tuple[str, list[str]]:
    """Return system and fixed text with a change."""
    parts = [task.system, *task.fixed]
    place = chance.choice([n for n, part in enumerate(parts) if part.strip()])
    part = parts[place]
    how = chance.randrange(3)
    if how == 0:
        parts[place] = ""
    elif how == 1:
        word = chance.choice([*re.finditer(r"\S+", part)])
        parts[place] = part[: word.start()] + part[word.end() :]
    else:
        letter = chance.choice([*re.finditer(r"\S", part)])
        other = "x" if letter[0] != "x" else "y"
        parts[place] = part[: letter.start()] + other + part[letter.end() :]
    return parts[0], parts[1:]
