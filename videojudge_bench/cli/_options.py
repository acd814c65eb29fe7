"""Options that several verbs share, and the values that a shell completes them to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from videojudge_bench._util.command import Flag
from videojudge_bench._util.options import scalar

if TYPE_CHECKING:
    from cyclopts.completion import CompletionContext

    from videojudge_bench.run.runner import RunOptions

SCORE, MEASURE, INSPECT, TRAIN, SET_UP = (
    Group(name, sort_key=place)
    for place, name in enumerate(("Score", "Measure", "Inspect", "Train", "Set up"))
)

RECIPE = "a recipe (videojudge recipes list), or a .yaml file"
JUDGE = "NAME[,option=value…]; a judge of your own is module:Class or ./file.py:Class"


def completed(values: Callable[[str], Iterable[str]], text: str | None = None) -> Parameter:
    """Return a parameter whose values a shell completes, where cyclopts can (from 5.0).

    `values` returns the words for the text typed so far; `text` is the help of the parameter.
    """

    def words(context: CompletionContext) -> list[str]:
        return list(values(context.incomplete))

    # A help of None would win over that of the docstring.
    parameter = Parameter() if text is None else Parameter(help=text)
    if "completer" not in inspect.signature(Parameter).parameters:
        return parameter
    return Parameter.combine(parameter, Parameter(completer=words))


def judge_words(typed: str) -> list[str]:
    """Return the names of judges or, after a comma, the options of the judge that is named."""
    from videojudge_bench import registry

    given, comma, _ = typed.rpartition(",")
    if not comma:
        return list(registry.names())
    options = registry.options_of(registry.judge_class(given.partition(",")[0]))
    return [f"{given},{option}=" for option in options]


def gold_set_words(_: str) -> list[str]:
    """Return the names of gold sets."""
    from videojudge_bench import goldsets

    return list(goldsets.names())


JudgeText = Annotated[str, completed(judge_words, JUDGE)]
GoldSetName = Annotated[str, completed(gold_set_words)]
Json = Annotated[bool, Parameter(negative="", show_default=False, help="print JSON, for programs")]
Overwrite = Annotated[Flag, Parameter(help="replace what is there")]
Output = Annotated[Path, Parameter(alias="-o")]
Override = Annotated[
    list[str] | None,
    Parameter(help="KEY=VALUE: change an option of the recipe, inside with a dot; repeatable"),
]


@Parameter(name="*")
@dataclass(frozen=True)
class RunArguments:
    """Options of verbs that run a judge.

    Attributes:
        videos: folder with the video files
        references: references shown to the judge: 0, 1, … or all
        descriptions: the file that `videojudge describe` wrote
        journal: folder for the journals
    """

    videos: Path | None = None
    references: str | None = None
    descriptions: Path | None = None
    journal: Path | None = None

    def options(self) -> RunOptions:
        """Return the options that were given; raises ConfigError for an invalid --references."""
        from videojudge_bench.run.runner import RunOptions

        return RunOptions(
            references=read_references(self.references),
            videos=self.videos,
            journal=self.journal,
            descriptions=self.descriptions,
        )


def read_references(text: str | None) -> int | Literal["all"] | None:
    """Return the value of --references; None where it is not given."""
    from videojudge_bench.goldsets.view import checked_references

    return None if text is None else checked_references(scalar(text))
