"""Judges and engines by name, and every way to get a name or an option wrong."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from videojudge_bench import registry
from videojudge_bench._util.options import Scalar, scalar, without_secrets
from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.items import Item
from videojudge_bench.judge import Judge
from videojudge_bench.registry import BuiltJudge, build, build_engine, check_options, judge_class
from videojudge_bench.verdicts import Rating

HERE = __name__


class Overlap(Judge):
    """The plug-in of the design page: an own judge in ten lines."""

    requires, scale = frozenset({"references"}), None

    def __init__(self, *, lower: bool = True) -> None:
        self.lower = lower

    def rate(self, item: Item) -> Rating:
        fold = str.lower if self.lower else str
        said = set(fold(item.response).split())
        return Rating(max(len(said & set(fold(ref).split())) for ref in item.references))


class Picky(Judge):
    """Has a mandatory option, an unsigned one and a setting that replaces an option."""

    unsigned = frozenset({"threads"})

    def __init__(self, model: str, *, threads: int = 4, temperature: float = 0.0) -> None:
        if temperature < 0:
            raise ValueError("temperature must not be negative")
        self.model, self.threads, self.temperature = model, threads, temperature

    def settings(self) -> Mapping[str, Scalar]:
        return {"model": f"sha256:{len(self.model)}", "revision": "main"}


class OpenEnded(Judge):
    """Passes what it does not know on to something else."""

    def __init__(self, *, engine: str, **rest: Scalar) -> None:
        self.engine, self.rest = engine, rest


class Broken(Judge):
    def __init__(self) -> None:
        raise ConfigError("the constructor's own words")


class NotAJudge:
    pass


def not_even_a_class() -> None:
    pass


def test_every_built_in_judge_is_a_judge() -> None:
    for name in registry._BUILT_IN:
        assert issubclass(judge_class(name), Judge)


def test_the_names_are_sorted_and_lead_to_classes() -> None:
    names = registry.names()
    assert list(names) == sorted(names)
    assert names["random"] == "videojudge_bench.judges.baselines:Random"


def test_a_class_of_your_own_by_module_and_class() -> None:
    built = build(f"{HERE}:Overlap", {"lower": False})
    assert isinstance(built.judge, Overlap)
    item = Item("a", "v", "do", "A Cat", ("a Cat", "the dog"))
    assert built.judge.rate(item) == Rating(1)
    assert build(f"{HERE}:Overlap", {}).judge.rate(item) == Rating(2)


def test_a_class_in_a_file(tmp_path: Path) -> None:
    text = "from videojudge_bench import Judge, Rating\nclass Two(Judge):\n"
    path = tmp_path / "json.py"  # hides no module of that name
    path.write_text(f"{text}    def rate(self, item):\n        return Rating(2)\n")
    built = build(f"{path}:Two", {})
    assert built.judge.rate(Item("a", "v", "do", "x")) == Rating(2)
    assert built.signature() == {"judge": "json.py:Two"}
    with pytest.raises(UnknownNameError, match="unknown class"):
        build(f"{path}:Three", {})
    with pytest.raises(ConfigError, match="expected a file of Python"):
        build(f"{tmp_path}/none.py:Two", {})


def test_defaults_are_in_the_signature() -> None:
    assert build(f"{HERE}:Overlap", {}).signature() == {"judge": f"{HERE}:Overlap", "lower": True}


def test_settings_replace_options_and_unsigned_ones_are_left_out() -> None:
    built = build(f"{HERE}:Picky", {"model": "/home/me/model", "threads": 8})
    assert built.options == {"model": "/home/me/model", "threads": 8, "temperature": 0.0}
    assert built.signature() == {
        "judge": f"{HERE}:Picky",
        "temperature": 0.0,
        "model": "sha256:14",
        "revision": "main",
    }


def test_an_unsigned_option_does_not_change_the_signature() -> None:
    one, other = (build(f"{HERE}:Picky", {"model": "m", "threads": n}) for n in (1, 2))
    assert one.signature() == other.signature()
    assert one.options != other.options


def test_open_ended_options_are_passed_and_signed() -> None:
    built = build(f"{HERE}:OpenEnded", {"engine": "e", "base_url": "http://x"})
    assert isinstance(built.judge, OpenEnded)
    assert built.judge.rest == {"base_url": "http://x"}
    assert built.signature()["base_url"] == "http://x"


def test_an_unknown_judge_gets_the_nearest_names() -> None:
    with pytest.raises(UnknownNameError) as caught:
        build("rouge", {})
    text = str(caught.value)
    assert text.startswith("unknown judge 'rouge'. Did you mean 'rouge_l'? Known: ")
    assert text.endswith(
        "See `videojudge judges list`. A class of your own is module:Class or ./file.py:Class."
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "no_such_pkg:Judge",
            "the module 'no_such_pkg' cannot be imported (ModuleNotFoundError: No module named",
        ),
        ("no_such_pkg:Judge", "Install the package it belongs to, or run where Python finds it."),
        (f"{HERE}:Overlp", f"unknown class in module {HERE} 'Overlp'. Did you mean 'Overlap'?"),
        (f"{HERE}:not_even_a_class", f"unknown class in module {HERE} 'not_even_a_class'."),
        (f"{HERE}:", f"unknown class in module {HERE} ''."),
        (f"{HERE}:NotAJudge", "expected a subclass of videojudge_bench.Judge"),
        (":Overlap", "cannot be imported"),
        (".relative:Overlap", "cannot be imported"),
        (f"{HERE}:Broken", "the constructor's own words"),
    ],
)
def test_a_class_that_cannot_be_had(name: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(name, {})
    assert text in str(caught.value)


def test_a_module_that_lacks_an_import_of_its_own_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needs_more.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"No module named 'no_such_dependency'\)"):
        build("needs_more:Judge", {})


def test_all_problems_with_options_are_in_one_message() -> None:
    with pytest.raises(ConfigError) as caught:
        build(f"{HERE}:Picky", {"temprature": 0, "xyz": 1})
    assert str(caught.value) == (
        f"judge '{HERE}:Picky', 3 problems:\n"
        "  - unknown option 'temprature'. Did you mean 'temperature'? "
        "Known: model, temperature, threads.\n"
        "  - unknown option 'xyz'. Known: model, temperature, threads.\n"
        "  - option 'model' is missing: give it as model=…"
    )


def test_a_refused_value_is_said_in_the_constructors_words() -> None:
    with pytest.raises(ConfigError) as caught:
        build(f"{HERE}:Picky", {"model": "m", "temperature": -1})
    assert str(caught.value) == (
        f"judge '{HERE}:Picky' refused its options: temperature must not be negative"
    )


def test_a_judge_without_options_lists_none() -> None:
    with pytest.raises(ConfigError, match=r"unknown option 'lower'\.$"):
        build("longest", {"lower": True})


def test_options_are_checked_without_making_the_judge() -> None:
    check_options(f"{HERE}:Broken", [])
    check_options(f"{HERE}:Picky", ["model"])
    with pytest.raises(ConfigError) as caught:
        check_options(f"{HERE}:Overlap", ["videoz"], also_allowed=["videos"])
    assert str(caught.value) == (
        f"judge '{HERE}:Overlap': unknown option 'videoz'. Did you mean 'videos'? "
        "Known: lower, videos."
    )
    with pytest.raises(UnknownNameError, match="Did you mean 'longest'"):
        check_options("longset", [])


def test_open_ended_judges_accept_any_name_but_miss_what_is_mandatory() -> None:
    check_options(f"{HERE}:OpenEnded", ["engine", "base_url"])
    with pytest.raises(ConfigError, match="option 'engine' is missing: give it as engine=…"):
        check_options(f"{HERE}:OpenEnded", ["base_url"])


def test_the_scripted_engine_by_name(replies_file: Path) -> None:
    engine = build_engine("scripted", {"replies": str(replies_file)})
    assert engine.capabilities == {"video"}


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        (
            "scriptd",
            {},
            "unknown engine 'scriptd'. Did you mean 'scripted'? Known: openai, scripted",
        ),
        ("scripted", {}, "engine 'scripted': option 'replies' is missing: give it as replies=…"),
        ("scripted", {"replies": True}, "engine 'scripted': replies=True: expected a text"),
        ("no_such_pkg:Engine", {}, "engine 'no_such_pkg:Engine': the module 'no_such_pkg' cannot"),
    ],
)
def test_an_engine_that_cannot_be_had(name: str, options: dict[str, Scalar], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_engine(name, options)
    assert text in str(caught.value)


def test_a_misspelt_option_of_a_prompted_judge_is_recognised() -> None:
    # What a prompted judge does not know goes to its engine, which does not know it either.
    name = "videojudge_bench.prompted:PromptedJudge"
    with pytest.raises(ConfigError, match=r"option 'temprature'.*Did you mean 'temperature'"):
        build(name, {"engine": "scripted", "replies": "x", "temprature": 0.5})


@pytest.fixture
def installed_plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with two judges, as an installer leaves it."""
    info = tmp_path / "their_plug_in-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-plug-in\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[videojudge_bench.judges]\n"
        "their_judge = their_plug_in:TheirJudge\n"
        "random = their_plug_in:TheirJudge\n"
    )
    (tmp_path / "their_plug_in.py").write_text(
        "from videojudge_bench.judge import Judge\n"
        "class TheirJudge(Judge):\n"
        "    def __init__(self, *, depth: int = 2) -> None:\n"
        "        self.depth = depth\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "their_plug_in", raising=False)
    importlib.invalidate_caches()


@pytest.mark.usefixtures("installed_plug_in")
def test_a_judge_of_an_installed_package_is_found_by_its_name() -> None:
    assert registry.names()["their_judge"] == "their_plug_in:TheirJudge"
    built = build("their_judge", {"depth": 3})
    assert type(built.judge).__name__ == "TheirJudge"
    assert built.signature() == {"judge": "their_judge", "depth": 3}
    with pytest.raises(UnknownNameError, match="Did you mean 'their_judge'"):
        build("there_judge", {})


@pytest.mark.usefixtures("installed_plug_in")
def test_no_package_replaces_a_built_in_judge() -> None:
    assert registry.names()["random"] == "videojudge_bench.judges.baselines:Random"


def test_a_built_judge_puts_its_name_first() -> None:
    built = BuiltJudge("mine", Overlap(), {"z": 1, "a": 2})
    assert list(built.signature()) == ["judge", "z", "a"]


class Typed(Judge):
    """Has an option of every kind."""

    def __init__(
        self,
        *,
        whole: int = 1,
        number: float | None = None,
        text: str = "x",
        either: bool | str = "auto",
        free: object = None,
    ) -> None:
        self.options = whole, number, text, either, free

    def rate(self, item: Item) -> Rating:
        return Rating(3.0)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"number": "none"}, (1, None, "x", "auto", None)),
        ({"number": "None"}, (1, None, "x", "auto", None)),
        ({"number": 2}, (1, 2.0, "x", "auto", None)),
        ({"whole": -1.0}, (-1, None, "x", "auto", None)),
        ({"text": 2024}, (1, None, "2024", "auto", None)),
        ({"text": "none"}, (1, None, "none", "auto", None)),
        ({"either": True, "free": "any"}, (1, None, "x", True, "any")),
    ],
)
def test_values_of_a_command_line_become_what_is_meant(
    given: dict[str, Scalar], meant: tuple[Scalar, ...]
) -> None:
    built = build(f"{HERE}:Typed", given)
    assert isinstance(built.judge, Typed)
    assert built.judge.options == meant
    assert tuple(built.options.values()) == meant


def test_values_of_another_kind_are_refused_all_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        build(f"{HERE}:Typed", {"whole": 1.5, "number": "much", "text": True, "free": []})  # type: ignore[dict-item]
    assert str(caught.value) == (
        f"judge '{HERE}:Typed', 3 problems:\n"
        "  - number='much': expected a number or none\n"
        "  - text=True: expected a text\n"
        "  - whole=1.5: expected a whole number"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_no_option_is_an_infinite_number_or_none(value: float) -> None:
    assert scalar("nan") == "nan"
    assert scalar("-inf") == "-inf"
    with pytest.raises(ConfigError, match=f"number={value!r}: expected a finite number"):
        build(f"{HERE}:Typed", {"number": value})


OWN = """\
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Optional, Union

from videojudge_bench import Judge, Rating

if TYPE_CHECKING:
    from nowhere import Unknown


class Plain(Judge):
    def __init__(
        self,
        *,
        lower: bool = True,
        power: Optional[float] = None,
        case: Literal["low", "up", 3] = "low",
        words: Optional[Path] = None,
        limit: Union[int, Literal["auto"]] = "auto",
        odd: "Unknown" = None,
    ) -> None:
        self.options = lower, power, case, words, limit, odd

    def rate(self, item):
        return Rating(3.0)
"""
POSTPONED = ["", "from __future__ import annotations\n"]


@pytest.fixture(params=POSTPONED, ids=["plain", "postponed"])
def annotated(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A judge in a module with or without `from __future__ import annotations`."""
    (tmp_path / "mine.py").write_text(request.param + OWN, encoding="utf-8")
    return f"{tmp_path / 'mine.py'}:Plain"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"lower": False, "power": 2}, (False, 2.0, "low", None, "auto", None)),
        ({"power": "none", "case": "up"}, (True, None, "up", None, "auto", None)),
        ({"case": 3.0, "limit": 4.0}, (True, None, 3, None, 4, None)),
        ({"words": 2024, "odd": "any"}, (True, None, "low", Path("2024"), "auto", "any")),
        ({"words": "None"}, (True, None, "low", None, "auto", None)),
    ],
)
def test_options_become_what_their_types_want(
    annotated: str, given: dict[str, Scalar], meant: tuple[object, ...]
) -> None:
    built = build(annotated, given)
    options: tuple[object, ...] = built.judge.options  # type: ignore[attr-defined]
    assert options == meant
    assert [type(option) for option in options] == [type(option) for option in meant]
    json.dumps(built.signature())


def test_options_of_another_type_are_refused(annotated: str) -> None:
    given: dict[str, Scalar] = {"lower": "no", "power": "x", "case": "Up", "words": True}
    with pytest.raises(ConfigError) as caught:
        build(annotated, {**given, "limit": "most"})
    assert str(caught.value).splitlines()[1:] == [
        "  - case='Up': expected 'low' or 'up' or 3",
        "  - limit='most': expected 'auto' or a whole number",
        "  - lower='no': expected true or false",
        "  - power='x': expected a number or none",
        "  - words=True: expected a path or none",
    ]


class Hosted(Judge):
    """Has a key."""

    def __init__(self, *, api_key: str = "", address: str = "") -> None:
        self.options = api_key, address

    def rate(self, item: Item) -> Rating:
        return Rating(3.0)


def test_a_key_is_no_part_of_a_signature() -> None:
    built = build(f"{HERE}:Hosted", {"api_key": "sk-1", "address": "http://me:sk-2@host/v1"})
    assert built.signature() == {"judge": f"{HERE}:Hosted", "address": "http://…@host/v1"}


def test_the_query_of_an_address_is_not_written_down() -> None:
    shown = without_secrets(
        {"base_url": "http://anna:pw@host/v1?key=sk-1&v=2", "prompt": "why? so"}
    )
    assert shown == {"base_url": "http://…@host/v1?…", "prompt": "why? so"}
