"""Which sets there are: those of this package, of other packages, and of the user."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from videojudge_bench import goldsets
from videojudge_bench.errors import ConfigError, DataError, NoDataError, UnknownNameError
from videojudge_bench.goldsets import schema, store
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo

Install = Callable[..., None]

INFO = GoldSetInfo("theirs", "Theirs", "human", "ratings", "CC0-1.0", "the tests", "ask them")
BUILT_IN = [
    "llava",
    "longvideobench",
    "nextqa",
    "pairwise",
    "pairwise_h",
    "vatex",
    "vcg",
    "videoautoarena",
]
MODULE = """\
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.items import Example, Item, RatingGold

INFO = GoldSetInfo("theirs", "Theirs", "human", "ratings", "CC0-1.0", "the tests", "ask them")


def load():
    return GoldSet(INFO, (Example(Item("a", "v", "do", "x"), RatingGold((3.0,)), unit="v"),))
"""


def forget() -> None:
    goldsets.load.cache_clear()
    goldsets._of_packages.cache_clear()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a package as pip leaves it: a module, and a folder with its entry points."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)

    def install(source: str, *points: str, package: str = "their-sets") -> None:
        module = package.replace("-", "_")
        (site / f"{module}.py").write_text(source, encoding="utf-8")
        folder = site / f"{module}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8"
        )
        lines = [f"[{goldsets.GROUP}]", *points]
        (folder / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        forget()

    yield install
    for name in set(sys.modules) - before:
        if name.startswith(("their_", "other_")):
            del sys.modules[name]
    forget()


@pytest.fixture(autouse=True)
def fresh_sets() -> Iterator[None]:
    forget()
    yield
    forget()


def add(name: str) -> GoldSetInfo:
    info = replace(INFO, name=name, title="Mine")
    row = schema.RatingRow(video_id="v", instruction="do", response="x", ratings=(3.0,))
    store.write(info, [row], None)
    return info


def test_the_sets_of_this_package() -> None:
    assert goldsets.names() == BUILT_IN
    assert goldsets.extra_names() == []
    for name in BUILT_IN:
        assert goldsets.info(name).name == name


def test_a_set_of_another_package(install: Install) -> None:
    install(MODULE, "theirs = their_sets")
    assert goldsets.names() == sorted([*BUILT_IN, "theirs"])
    assert goldsets.extra_names() == ["theirs"]
    assert goldsets.info("theirs") == INFO
    assert [example.item.id for example in goldsets.load("theirs").examples] == ["a"]
    assert goldsets.load("theirs") is goldsets.load("theirs", "full")
    with pytest.raises(NoDataError, match="the form 'sample-9' is wanted, and 'full' is here"):
        goldsets.load("theirs", "sample-9")


def test_an_object_with_info_and_load_does_as_well(install: Install) -> None:
    source = MODULE + "\n\nclass Both:\n    INFO = INFO\n    load = staticmethod(load)\n"
    install(source, "theirs = their_sets:Both")
    assert isinstance(goldsets.load("theirs"), GoldSet)


def test_it_is_not_imported_to_be_listed(install: Install) -> None:
    install("raise SystemExit('imported')", "theirs = their_sets")
    assert "theirs" in goldsets.names()


@pytest.mark.parametrize(
    ("source", "point", "problem"),
    [
        ("import no_such_module", "their_sets", "No module named 'no_such_module'"),
        ("from os import nothing", "their_sets", "cannot import name 'nothing' from 'os'"),
        ("def broken(:", "their_sets", "SyntaxError"),
        ("x = undefined", "their_sets", "name 'undefined' is not defined"),
        ("x = 1 / 0", "their_sets", "ZeroDivisionError"),
        ("open('/no/such/file')", "their_sets", "No such file or directory"),
        ("{}['key']", "their_sets", "KeyError('key')"),
        ("assert 1 > 2, 'never'", "their_sets", "AssertionError('never')"),
        ("raise RuntimeError('no GPU')", "their_sets", "RuntimeError('no GPU')"),
        (MODULE, "their_sets:Missing", "has no attribute 'Missing'"),
        (MODULE, "no_such_package", "No module named 'no_such_package'"),
    ],
)
def test_a_package_that_is_broken_is_named(
    install: Install, source: str, point: str, problem: str
) -> None:
    install(source, f"theirs = {point}")
    text = "the gold set 'theirs' of the package their-sets cannot be imported: "
    for use in (goldsets.info, goldsets.load):
        with pytest.raises(ConfigError, match=re.escape(text)) as caught:
            use("theirs")
        assert problem in str(caught.value)
    assert goldsets.info("vatex").name == "vatex"


@pytest.mark.parametrize(
    "source",
    [
        "",
        "INFO = 3\ndef load(): ...",
        MODULE.replace("def load", "def read"),
        MODULE.replace("INFO = ", "ABOUT = ").replace("GoldSet(INFO", "GoldSet(ABOUT"),
    ],
)
def test_a_module_that_is_no_gold_set(install: Install, source: str) -> None:
    install(source, "theirs = their_sets")
    text = (
        "the gold set 'theirs' of the package their-sets is 'their_sets'; it must be a module or "
        "an object with INFO (a GoldSetInfo) and load()"
    )
    with pytest.raises(ConfigError, match=re.escape(text)):
        goldsets.load("theirs")


def test_its_two_names_must_be_equal(install: Install) -> None:
    install(MODULE, "others = their_sets")
    text = "the package their-sets offers a gold set as 'others', and its INFO says 'theirs'; the"
    with pytest.raises(ConfigError, match=re.escape(text)):
        goldsets.info("others")


def test_a_name_of_ours_is_not_given_away(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    ours = goldsets.info("vatex")
    install(MODULE, "vatex = their_sets", "theirs = their_sets")
    with caplog.at_level(logging.WARNING):
        assert goldsets.extra_names() == ["theirs"]
        assert goldsets.names() == sorted([*BUILT_IN, "theirs"])
    assert goldsets.info("vatex") is ours
    assert caplog.messages == [
        "gold set 'vatex' of their_sets is left out: the name is taken",
    ]


def test_of_two_packages_with_one_name_one_is_taken(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install(MODULE, "theirs = their_sets")
    install(MODULE, "theirs = other_sets", package="other-sets")
    with caplog.at_level(logging.WARNING):
        assert goldsets.extra_names() == ["theirs"]
    (message,) = caplog.messages
    assert re.fullmatch(
        "gold set 'theirs' of (their|other)_sets is left out: the name is taken", message
    )
    assert goldsets.info("theirs") == INFO


@pytest.mark.parametrize(
    "name", ["My-Set", "9lives", "a.b", "ünï", "_x", "../vatex", "a/b", "!function os", "x" * 65]
)
def test_a_name_that_is_none_is_left_out(
    install: Install, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """It would become a line of YAML and the name of a file."""
    install(MODULE, f"{name} = their_sets", "theirs = their_sets")
    with caplog.at_level(logging.WARNING):
        assert goldsets.extra_names() == ["theirs"]
    assert caplog.messages == [
        f"gold set {name!r} of their_sets is left out: a name has lower-case letters, digits and _"
    ]
    with pytest.raises(UnknownNameError):
        goldsets.info(name)


# The user's own.


def test_a_set_of_the_users_own() -> None:
    info = add("mine")
    assert goldsets.names() == sorted([*BUILT_IN, "mine"])
    assert goldsets.extra_names() == ["mine"]
    assert goldsets.info("mine").title == info.title
    assert goldsets.load("mine").info == goldsets.info("mine")


def test_a_package_comes_before_a_set_of_the_same_name_in_the_store(install: Install) -> None:
    install(MODULE, "theirs = their_sets")
    add("theirs")
    assert goldsets.extra_names() == ["theirs"]
    assert goldsets.info("theirs").title == "Theirs"


def test_a_damaged_set_is_known_and_says_what_is_wrong() -> None:
    add("mine")
    (store.root() / "mine" / "set.json").write_text("{}", encoding="utf-8")
    assert "mine" in goldsets.names()
    with pytest.raises(DataError, match=r"set\.json, field 'format': the field is missing"):
        goldsets.info("mine")


def test_an_unknown_name_lists_all_that_are_known(install: Install) -> None:
    install(MODULE, "theirs = their_sets")
    add("mine")
    with pytest.raises(UnknownNameError) as caught:
        goldsets.load("mime")
    text = str(caught.value)
    assert text.startswith("unknown gold set 'mime'. Did you mean 'mine'?")
    for name in (*BUILT_IN, "mine", "theirs"):
        assert re.search(rf"\b{name}\b", text)
    assert text.endswith("See `videojudge data list`.")
