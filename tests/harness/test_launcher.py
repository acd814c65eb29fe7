"""What `lmms_eval` checks before it loads anything heavy. The rest runs in tests/integration."""

from __future__ import annotations

import re
import subprocess
import sys
from argparse import Namespace

import pytest

from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.harness import launcher
from videojudge_bench.harness.host_names import host_models, host_options

KNOWN = (
    "Known: videojudge, videojudge_llava, videojudge_longvideobench, videojudge_nextqa, "
    "videojudge_pairwise, videojudge_pairwise_h, videojudge_vatex, videojudge_vcg, "
    "videojudge_videoautoarena."
)


def asked(
    *,
    model: str | None = "videojudge",
    model_args: str | None = "judge=longest",
    tasks: str | None = "videojudge_vatex",
    include_path: str | None = None,
    use_cache: str | None = None,
) -> Namespace:
    return Namespace(
        model=model,
        model_args=model_args,
        tasks=tasks,
        include_path=include_path,
        config=None,
        use_cache=use_cache,
    )


@pytest.mark.parametrize(
    "good",
    [
        asked(),
        asked(tasks="videojudge_*"),
        asked(tasks="videojudge,videojudge_nextqa,mme"),
        asked(tasks="videojudge_mine", include_path="elsewhere"),
        asked(model="dummy", model_args="response=A"),
        asked(model="dummy", model_args=None),
        asked(
            model_args="judge=random,seed=3,references=all,videos=.,journal=DIR,descriptions=FILE"
        ),
    ],
)
def test_what_can_work_passes(good: Namespace) -> None:
    launcher.check(good)


@pytest.mark.parametrize("tasks", ["videojudge_vatx", "mme,videojudge_vatx", "videojudge_x*"])
def test_an_unknown_task_is_refused(tasks: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown task 'videojudge_") as caught:
        launcher.check(asked(tasks=tasks))
    assert KNOWN in str(caught.value)


def test_an_unknown_judge_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"judge 'longst'\. Did you mean 'longest'\?"):
        launcher.check(asked(model_args="judge=longst"))


@pytest.mark.parametrize("model_args", [None, "", "references=1"])
def test_a_judge_must_be_named(model_args: str | None) -> None:
    with pytest.raises(ConfigError, match="needs --model_args judge=NAME") as caught:
        launcher.check(asked(model_args=model_args))
    assert "longest" in str(caught.value)


def test_all_misspelt_options_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        launcher.check(asked(model_args="judge=random,sed=1,jornal=x"))
    known = "Known: descriptions, journal, judge, max_failures, references, seed, videos."
    assert str(caught.value).splitlines() == [
        "judge 'random', 2 problems:",
        f"  - unknown option 'sed'. Did you mean 'seed'? {known}",
        f"  - unknown option 'jornal'. Did you mean 'journal'? {known}",
    ]


def test_an_option_without_a_value_is_refused() -> None:
    """The host's own reader of model arguments raises a bare ValueError for it."""
    with pytest.raises(ConfigError, match="'seed'"):
        launcher.check(asked(model_args="judge=random,seed"))


def test_a_comma_inside_a_quoted_value_is_no_separator() -> None:
    """As the host reads it."""
    launcher.check(asked(model_args="""judge=random,seed='{"a":1,"b":2}'"""))


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (
            ["--model=videojudge", "--model_args=judge=longst", "--tasks=videojudge"],
            ["unknown judge 'longst'"],
        ),
        (["eval", "--tasks", "videojudge_vatx"], ["unknown task 'videojudge_vatx'", KNOWN]),
    ],
)
def test_a_mistake_ends_the_command_with_a_sentence(
    arguments: list[str], texts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert launcher.main(arguments) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith("lmms_eval: error: ")
    assert all(text in written.err for text in texts)


def test_tasks_must_be_named() -> None:
    with pytest.raises(ConfigError, match="--tasks is missing: give for example --tasks 'videoj"):
        launcher.check(asked(tasks=None))


def test_the_hosts_cache_is_refused_for_our_model_alone() -> None:
    with pytest.raises(ConfigError, match="--use_cache is not needed with --model videojudge"):
        launcher.check(asked(use_cache="folder"))
    launcher.check(asked(model="async_openai", model_args="model=x", use_cache="folder"))


def test_a_config_file_may_hold_the_model_arguments() -> None:
    """`--config` gives every argument that the command line leaves out."""
    namespace = asked(model_args=None)
    namespace.config = "run.yaml"
    launcher.check(namespace)


def test_checking_loads_nothing_heavy() -> None:
    program = (
        "import sys; from videojudge_bench.harness import launcher; "
        "launcher.main(['--model=videojudge', '--model_args=judge=longst', '--tasks=x']); "
        "print(sorted({'torch', 'transformers', 'lmms_eval', 'pandas'} & sys.modules.keys()))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "videojudg"], "unknown model 'videojudg'. Did you mean 'videojudge'"),
        (
            ["--model", "videojudge", "--taks", "x"],
            "unknown option '--taks'. Did you mean '--tasks'",
        ),
        (
            ["--model", "videojudge", "--tasks", "videojudge_vatx"],
            "unknown task 'videojudge_vatx'. Did you mean 'videojudge_vatex'",
        ),
        (
            [
                *("--model", "videojudge", "--tasks", "videojudge_vcg"),
                *("--model_args", "judge=longest,videos=/nonexistent"),
            ],
            "the video folder '/nonexistent' does not exist",
        ),
        (
            [
                "--model",
                "videojudge",
                "--tasks",
                "videojudge_vcg",
                "--model_args",
                "judge=./no.py:X",
            ],
            "judge './no.py:X': expected a file of Python, got './no.py'",
        ),
    ],
)
def test_a_mistake_is_answered_before_the_host_is_loaded(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {name for name in sys.modules if name.partition(".")[0] == "lmms_eval"}
    assert launcher.main(words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert {name for name in sys.modules if name.partition(".")[0] == "lmms_eval"} == before


def test_the_names_of_the_host_are_those_that_it_has() -> None:
    import lmms_eval.__main__ as host
    from lmms_eval.models import list_available_models

    assert host_models() == {*list_available_models(include_aliases=True), launcher.MODEL}
    printed = subprocess.run(
        [sys.executable, "-c", f"import {host.__name__} as m; m.parse_eval_args()", "--help"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert host_options() == set(re.findall(r"(--[a-z][\w-]*)(?=[ ,\n])", printed)) & host_options()
    assert {"--model", "--tasks", "--process_docs_parallel", "--std-b"} <= host_options()
