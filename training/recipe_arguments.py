"""What the verbs that run a recipe have in common on the command line.

Apart from `recipe_file`, so that `--help` does not wait for pydantic.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_recipe_options(verb: argparse.ArgumentParser, output: str) -> None:
    """Add what every verb that runs a recipe has; `output` says what --output is."""
    verb.add_argument(
        "--recipe", metavar="NAME|FILE", help="a recipe of ours (see --recipes), or a .yaml file"
    )
    verb.add_argument("--recipes", action="store_true", help="list our recipes, and end")
    verb.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="changes",
        help="change an option of the recipe, inside with a dot; may be given often",
    )  # fmt: skip
    verb.add_argument("-o", "--output", type=Path, metavar="DIR", help=output)
