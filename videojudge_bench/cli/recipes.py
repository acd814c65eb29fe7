"""The verbs of `videojudge recipes`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from videojudge_bench._util.command import new_app
from videojudge_bench._util.terminal import show
from videojudge_bench.cli._options import Json

app = new_app("recipes", "List the recipes of bootstrap and train.")


@app.command(name="list")
def list_recipes(*, json: Json = False) -> None:
    """List the recipes, and the configurations of accelerate to train by."""
    from videojudge_bench.training.bootstrap import options
    from videojudge_bench.training.sft import recipe

    by_verb: dict[str, Sequence[str | Path]] = {
        "bootstrap": options.recipes(),
        "train": recipe.recipes(),
        "accelerate": recipe.configurations(),
    }
    rows = [{"for": verb, "recipe": str(name)} for verb, names in by_verb.items() for name in names]
    show(rows, as_json=json)
