"""The texts of errors: what was asked, what was found, what is allowed, how to fix it."""

from __future__ import annotations

from pathlib import Path

import pytest

from videojudge_bench import errors
from videojudge_bench.errors import (
    ConfigError,
    DataError,
    MissingPackageError,
    NoDataError,
    UnknownNameError,
    VideoJudgeError,
    unknown_name,
)


def test_every_error_of_the_module_is_in_the_tree_and_in_its_drawing() -> None:
    found = [v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, Exception)]
    assert len(found) == 11
    for error in found:
        assert issubclass(error, VideoJudgeError)
        assert error.__name__ in (errors.__doc__ or "")


def test_one_problem_stands_on_the_line_of_its_title() -> None:
    assert str(ConfigError.all_of("judge 'x'", ["it is odd"])) == "judge 'x': it is odd"


def test_several_problems_are_all_listed() -> None:
    error = ConfigError.all_of("judge 'x'", ["one", "two"])
    assert type(error) is ConfigError
    assert str(error) == "judge 'x', 2 problems:\n  - one\n  - two"


def test_unknown_name_puts_the_nearest_first_and_lists_all_sorted() -> None:
    assert unknown_name("judge", "rogue_l", ["rouge_l", "bleu1"], hint="See the list.") == (
        "unknown judge 'rogue_l'. Did you mean 'rouge_l'? Known: bleu1, rouge_l. See the list."
    )


def test_unknown_name_offers_several_near_names() -> None:
    message = unknown_name("judge", "rouge", ["rouge_long", "rouge_l", "cider"])
    assert "Did you mean 'rouge_l' or 'rouge_long'?" in message


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        (["abc"], "unknown judge 'zzz'. Known: abc."),
        ([], "unknown judge 'zzz'."),
    ],
)
def test_unknown_name_guesses_nothing_far_away(allowed: list[str], expected: str) -> None:
    assert unknown_name("judge", "zzz", allowed) == expected


def test_unknown_name_takes_any_iterable_once() -> None:
    assert unknown_name("judge", "zzz", iter(["b", "a"])) == "unknown judge 'zzz'. Known: a, b."


def test_unknown_name_error_is_a_config_error_that_knows_what_was_asked() -> None:
    error = UnknownNameError("judge", "x", ["y"], hint="Look.")
    assert isinstance(error, ConfigError)
    assert (error.what, error.name) == ("judge", "x")
    assert str(error) == "unknown judge 'x'. Known: y. Look."


@pytest.mark.parametrize(
    ("line", "field", "expected"),
    [
        (None, None, "a/b.jsonl: odd"),
        (3, None, "a/b.jsonl, line 3: odd"),
        (None, "rating", "a/b.jsonl, field 'rating': odd"),
        (3, "rating", "a/b.jsonl, line 3, field 'rating': odd"),
    ],
)
def test_data_error_names_the_place(line: int | None, field: str | None, expected: str) -> None:
    error = DataError("odd", path="a/b.jsonl", line=line, field=field)
    assert str(error) == expected
    assert (error.path, error.line, error.field) == (Path("a/b.jsonl"), line, field)


def test_no_data_error_says_how_to_get_them() -> None:
    error = NoDataError("vcg", "run `videojudge data get vcg`")
    assert error.how_to_get == "run `videojudge data get vcg`"
    assert str(error) == "gold set 'vcg' has no data here: run `videojudge data get vcg`"


def test_missing_package_error_says_how_to_install_it() -> None:
    assert str(MissingPackageError("judge minilm", "gt", "pip install gt")) == (
        "judge minilm needs the package 'gt', which is not installed. "
        "Install it with: pip install gt"
    )
