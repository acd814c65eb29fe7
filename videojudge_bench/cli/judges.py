"""The verb `videojudge judges`."""

from __future__ import annotations

import argparse

from videojudge_bench import registry
from videojudge_bench._util.options import options_of_words
from videojudge_bench._util.terminal import Verbs, add_verb, say, table
from videojudge_bench.errors import ConfigError

EXIT_FAILED = 1


def add_judges(verbs: Verbs) -> None:
    """Add `judges` to a parser's verbs."""
    judges = add_verb(
        verbs,
        "judges",
        _judges,
        "list the judges, explain one, or check one of your own",
        "Without arguments: what judges there are and what each requires. With a "
        "name: what that judge does and what its options mean. With --check: run the contract of "
        "a judge on a few built-in items, without any data: verdict types, determinism, "
        "independence of order, A/B swap.",
    )
    judges.add_argument("--check", metavar="JUDGE", help="a name or module:Class")
    what = "the judge to explain; with --check, options of the judge to check"
    judges.words("JUDGE | option=value", what, name="words")


def _judges(arguments: argparse.Namespace) -> int:
    if arguments.check is not None:
        return _check(arguments.check, arguments.words)
    if arguments.words:
        for name in arguments.words:
            _explain(name)
        return 0
    rows = [_row(name) for name in registry.names()]
    table(("judge", "requires", "ratings", "own options"), rows)
    say(["More options, and what they mean: videojudge judges NAME"])
    return 0


def _check(name: str, words: list[str]) -> int:
    from videojudge_bench.analysis.conformance import check

    results = check(name, options_of_words(words))
    table(
        ("", "check", "detail"),
        [("ok" if r.passed else "FAILED", r.name, r.detail) for r in results],
    )
    return 0 if all(result.passed for result in results) else EXIT_FAILED


def _explain(name: str) -> None:
    from videojudge_bench.cli._judge_help import help_of

    found = help_of(name)
    say([f"{name}: {found.summary}"])
    table(("option", "default", "meaning"), [(o.name, o.default, o.meaning) for o in found.options])


def _row(name: str) -> tuple[str, str, str, str]:
    from videojudge_bench.cli._judge_help import own_options, written

    try:
        cls = registry.judge_class(name)
    except ConfigError as error:
        return (name, "", "", f"cannot be loaded: {error}")
    parameters = registry.options_of(cls)
    shown = [f"{option}={written(parameters[option])}" for option in own_options(cls)]
    scale = f"{cls.scale}" if cls.scale is not None else "only rank"
    return (name, " ".join(sorted(cls.requires)) or "nothing", scale, " ".join(shown))
