"""The verbs of `videojudge judges`."""

from __future__ import annotations

from typing import Annotated

from videojudge_bench import registry
from videojudge_bench._util.command import Flag, new_app
from videojudge_bench._util.options import parse_judge
from videojudge_bench._util.terminal import EXIT_FAILED, note, say, say_json, show
from videojudge_bench.cli._options import Json, JudgeText, completed, judge_words
from videojudge_bench.errors import ConfigError

app = new_app(
    "judges",
    """List the judges, explain one, or check one of your own.

Without NAME: the judges and what each requires. With --check: run a judge of your own on a few
built-in items, without any data: verdict types, determinism, independence of order, A/B swap. Exit
status: 0 all passed, 1 a check failed.

  videojudge judges qwen2_5_vl
  videojudge judges --check my_pkg:Overlap,lower=false""",
)


@app.default
def judges(
    name: Annotated[str | None, completed(judge_words)] = None,
    /,
    *,
    check: JudgeText | None = None,
    advanced: Flag = False,
    json: Json = False,
) -> int:
    """List the judges, explain one, or check one of your own.

    Args:
        name: of the judge to explain, module:Class or ./file.py:Class
        advanced: the options that few need, too
    """
    if check is not None:
        return _check(check, as_json=json)
    if name is None:
        list_judges(json=json)
    else:
        _explain(name, advanced=advanced, as_json=json)
    return 0


@app.command(name="list")
def list_judges(*, json: Json = False) -> None:
    """List the judges and what each requires."""
    show([_row(name) for name in registry.names()], as_json=json)
    if not json:
        note("More options, and what they mean: videojudge judges NAME")


def _explain(name: str, *, advanced: bool, as_json: bool) -> None:
    from videojudge_bench.analysis.judge_help import help_of

    text = help_of(name)
    if as_json:
        every = [vars(option) for option in text.options]
        say_json({"name": name, "summary": text.summary, "options": every})
        return
    say([f"{name}: {text.summary}"])
    options = [option for option in text.options if advanced or not option.advanced]
    rows = [{"option": o.name, "default": o.default, "meaning": o.meaning} for o in options]
    show(rows or [{"option": "none"}], as_json=False)
    if len(options) < len(text.options):
        note(f"{len(text.options) - len(options)} more: videojudge judges {name} --advanced")


def _check(judge: str, *, as_json: bool) -> int:
    from videojudge_bench.analysis import conformance

    results = conformance.check(*parse_judge(judge))
    rows = [
        {"": "ok" if r.passed else "FAILED", "check": r.name, "detail": r.detail} for r in results
    ]
    show(rows, as_json=as_json)
    return 0 if all(result.passed for result in results) else EXIT_FAILED


def _row(name: str) -> dict[str, str]:
    from videojudge_bench.analysis.judge_help import own_parameters, written

    try:
        cls = registry.judge_class(name)
    except ConfigError as error:
        problem = f"cannot be loaded: {error}"
        return {"judge": name, "requires": "", "ratings": "", "own options": problem}
    own = own_parameters(cls).items()
    return {
        "judge": name,
        "requires": " ".join(sorted(cls.requires)) or "nothing",
        "ratings": f"{cls.scale}" if cls.scale is not None else "ordinal",
        "own options": " ".join(f"{option}={written(parameter)}" for option, parameter in own),
    }
