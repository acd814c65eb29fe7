"""What the verbs that run a recipe have in common on the command line.

Apart from `recipe_file`, so that `--help` does not wait for pydantic.
"""

from __future__ import annotations

from videojudge_bench._util.terminal import Parser


def add_recipe_options(verb: Parser, output: str) -> None:
    """Add what every verb that runs a recipe has; `output` says what --output is."""
    verb.add_argument(
        "--recipe", metavar="NAME|FILE", help="a recipe of ours (see --recipes), or a .yaml file"
    )
    verb.flag("--recipes", "list our recipes, and end")
    verb.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="changes",
        help="change an option of the recipe, inside with a dot; may be given often",
    )  # fmt: skip
    verb.path("-o --output", "DIR", output)
