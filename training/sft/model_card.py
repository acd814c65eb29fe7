"""The model card: training data and recipe, overlap with gold sets, and use of a judge."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import yaml

from videojudge_bench._util.hashing import Json
from videojudge_bench._util.markdown import code, inert, table
from videojudge_bench.errors import DataError
from videojudge_bench.training.bootstrap.run_folder import COUNTS_FILE, FACTS_FILE
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
        *("## Recipe", "", "```json", json.dumps(recipe.to_json(), indent=1), "```"),
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
    metrics = {
        key.removeprefix("eval_"): value
        for key, value in entry.items()
        if key.startswith("eval_") and isinstance(value, (int, float))
    }
    return ", ".join(f"{name} {value:.3f}" for name, value in metrics.items())


@dataclass(frozen=True)
class Facts:
    """Facts about a trained model beside its recipe.

    Attributes:
        stages: content of `done.json`, by stage.
        made_by: models that wrote and rated the rows' responses, where known.
    """

    data_hash: str
    overlap: tuple[str, ...] = ()
    stages: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    made_by: tuple[str, ...] = ()


def overlaps_of(sources: Iterable[str]) -> tuple[str, ...]:
    """Return the gold sets that rows overlap with, as their bootstrap has noted it.

    A file of rows in a bootstrap's folder, or in `data/` there, counts like the folder. Of other
    files nothing is known.

    Raises:
        DataError: what the bootstrap wrote cannot be read.
    """
    names: set[str] = set()
    for counts in _noted(sources, COUNTS_FILE):
        try:
            named = json.loads(counts.read_bytes()).get("overlap", {})
            names |= {name for name, seeds in named.items() if seeds}
        except (ValueError, AttributeError) as error:
            raise DataError(f"it is not what a bootstrap writes ({error})", path=counts) from error
    return tuple(sorted(names))


def makers_of(sources: Iterable[str]) -> tuple[str, ...]:
    """Return the models that generated and evaluated rows; known, and raises, as `overlaps_of`."""
    names: set[str] = set()
    for facts in _noted(sources, FACTS_FILE):
        try:
            noted = json.loads(facts.read_bytes())
            models = [noted.get(role, {}).get("model") for role in ("generator", "evaluator")]
        except (ValueError, AttributeError) as error:
            raise DataError(f"it is not what a bootstrap writes ({error})", path=facts) from error
        names |= {str(model) for model in models if model}
    return tuple(sorted(names))


def _noted(sources: Iterable[str], file: str) -> Iterator[Path]:
    for source in sources:
        path = Path(source)
        folders = (path, path.parent, path.parent.parent)
        yield from islice((f / file for f in folders if (f / file).is_file()), 1)
