"""Options of all verbs that run a judge: inputs that it is shown, and the journal's folder."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from videojudge_bench._util.options import scalar
from videojudge_bench._util.terminal import Parser

if TYPE_CHECKING:
    from videojudge_bench.run.runner import RunOptions


def add_run_options(verb: Parser, *, references: str) -> None:
    """Add the options; `references` says what --references is."""
    verb.path("--videos", "DIR", "folder with the video files")
    verb.add_argument("--references", metavar="N", help=references)
    verb.path("--descriptions", "FILE", "what videojudge describe wrote")
    verb.path("--journal", "DIR", "folder for the journals")


def run_options(arguments: argparse.Namespace) -> RunOptions:
    """Return the options that were given.

    Raises:
        ConfigError: --references is neither a number nor `all`.
    """
    from videojudge_bench.goldsets.view import checked_references
    from videojudge_bench.run.runner import RunOptions

    references = arguments.references
    return RunOptions(
        references=None if references is None else checked_references(scalar(references)),
        videos=arguments.videos,
        journal=arguments.journal,
        descriptions=arguments.descriptions,
    )
