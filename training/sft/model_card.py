"""The model card: what a judge was trained on and how, what it overlaps with, how to ask it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import yaml

from videojudge_bench._util.hashing import Json
from videojudge_bench._util.markdown import code, inert, table
from videojudge_bench.training.sft.facts import Facts
from videojudge_bench.training.sft.recipe import Recipe

_WHAT = (
    "It rates an answer to an instruction about a video, or names the better of two. Trained by "
    "`videojudge train`."
)

_COMMAND = (
    "lmms_eval --model videojudge --model_args judge=videojudge,pretrained=THIS_FOLDER "
    "--tasks 'videojudge_*'"
)


def model_card(recipe: Recipe, facts: Facts, asked: Mapping[str, Json]) -> str:
    """Return the card in Markdown, in the form of the Hugging Face hub."""
    front: dict[str, object] = {
        "base_model": recipe.model.pretrained,
        "library_name": "transformers",
        "pipeline_tag": "video-text-to-text",
        "tags": ["videojudge", *(f"overlap:{name}" for name in facts.overlap)],
    }
    lines = [
        "---",
        yaml.safe_dump(front, sort_keys=False).rstrip(),
        "---",
        "",
        "# A judge of video understanding",
        "",
        _WHAT,
        "",
        *_asking(asked),
        *_data(facts),
        *_results(facts),
        *_recipe(recipe),
    ]
    return "\n".join(lines) + "\n"


def _asking(asked: Mapping[str, Json]) -> Iterator[str]:
    yield from ("## Ask it as it was trained", "", "```", _COMMAND, "```", "")
    yield from (
        "How it was trained to be asked is in `videojudge.json`, and the judge heeds it:",
        "",
        *(f"- {code(f'{name}={value}')}" for name, value in asked.items()),
        "",
    )


def _data(facts: Facts) -> Iterator[str]:
    yield from ("## Data", "", f"Hash of all rows: `{facts.data_hash}`.", "")
    rows = (
        [inert(name), *(str(done.get(key)) for key in ("rows", "dropped", "steps"))]
        for name, done in facts.stages.items()
    )
    yield from (*table(("stage", "rows", "left out", "steps"), rows), "")
    if not facts.overlap:
        yield "No gold set is known to overlap with them."
    for name in facts.overlap:
        yield (
            f"**`overlap:{name}`**: the rows hold videos or texts of the gold set `{name}`, so its "
            "results there stay off the main table."
        )
    if facts.made_by:
        named = ", ".join(code(name) for name in facts.made_by)
        yield f"Their responses were written and rated by {named}: sets that these made are not"
        yield "measured independently (`same_recipe`)."
    yield ""


def _results(facts: Facts) -> Iterator[str]:
    yield from ("## Evaluations while training", "", *table(("stage", "step", "result"), ()))
    for name, done in facts.stages.items():
        log = done.get("log")
        for entry in log if isinstance(log, list) else ():
            if isinstance(entry, Mapping) and any(key.startswith("eval_") for key in entry):
                yield f"| {inert(name)} | {entry.get('step')} | {_metrics(entry)} |"
    yield from (
        "",
        "On the validation part of the training rows: not a measurement of quality.",
        "",
    )


def _metrics(entry: Mapping[str, Json]) -> str:
    found = {
        key.removeprefix("eval_"): value
        for key, value in entry.items()
        if key.startswith("eval_") and isinstance(value, (int, float))
    }
    return ", ".join(f"{name} {value:.3f}" for name, value in found.items())


def _recipe(recipe: Recipe) -> Iterator[str]:
    yield from ("## Recipe", "", "```json", json.dumps(recipe.to_json(), indent=1), "```")
