"""Prompts of one's own: where they are looked for, and what goes wrong with them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from fake_engine import FakeEngine, items

from videojudge_bench import registry
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.prompts import PROMPTS_FOLDER
from videojudge_bench.run.runner import Run, RunOptions

PROMPT = (
    "{% block system %}s{% endblock %}{% block shared %}h{% endblock %}"
    "{% block response %}OWN {{ response }}{% endblock %}"
)
MODULE = """
from videojudge_bench.prompted import PromptedJudge

class Strict(PromptedJudge):
    prompts = {"rate": "strict.jinja"}
"""


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a judge `Strict` that wants `strict.jinja`, which is not there yet."""
    package = tmp_path / "their_prompts"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "strict.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("their_prompts", "their_prompts.strict"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return package


def _ask_strict(cls: str = "their_prompts.strict:Strict") -> str:
    built = registry.build(cls, {"engine": "fake_engine:FakeEngine"})
    judge = cast("PromptedJudge", built.judge)
    judge.rate(items(1)[0])
    return cast("FakeEngine", judge.engine).groups[0].continuations[0].text


@pytest.mark.parametrize("place", ["strict.jinja", "prompts/strict.jinja"])
def test_a_prompt_beside_the_module_or_in_its_prompts_folder(own_package: Path, place: str) -> None:
    path = own_package / place
    path.parent.mkdir(exist_ok=True)
    path.write_text(PROMPT)
    assert _ask_strict() == "OWN answer 0"


def test_a_subclass_elsewhere_finds_the_prompts_of_its_base(
    own_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_package / "strict.jinja").write_text(PROMPT)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "stricter_still.py").write_text(
        "from their_prompts.strict import Strict\n\nclass Stricter(Strict):\n    pass\n"
    )
    monkeypatch.syspath_prepend(elsewhere)
    monkeypatch.delitem(sys.modules, "stricter_still", raising=False)
    assert _ask_strict("stricter_still:Stricter") == "OWN answer 0"


def test_a_prompt_of_ones_own_goes_before_that_of_the_package(own_package: Path) -> None:
    (own_package / "strict.py").write_text(MODULE.replace("strict.jinja", "rate.jinja"))
    (own_package / "rate.jinja").write_text(PROMPT)
    assert _ask_strict() == "OWN answer 0"


def test_a_missing_prompt_lists_the_places(own_package: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _ask_strict()
    assert str(caught.value) == (
        "judge Strict: no prompt file 'strict.jinja'; looked at "
        f"{own_package / 'strict.jinja'}, {own_package / 'prompts' / 'strict.jinja'}, "
        f"{PROMPTS_FOLDER / 'strict.jinja'}"
    )


def test_a_prompt_that_asks_for_too_much_ends_the_run(
    own_package: Path, rated_set: GoldSet, journal_root: Path
) -> None:
    (own_package / "strict.jinja").write_text(PROMPT.replace("response }}", "answer }}"))
    built = registry.build("their_prompts.strict:Strict", {"engine": "fake_engine:FakeEngine"})
    run = Run(built, rated_set, RunOptions(journal=journal_root))
    with pytest.raises(ConfigError, match=r"strict\.jinja cannot be rendered: 'answer' is undef"):
        run.judge(list(rated_set.by_id))


def test_a_class_of_a_notebook_uses_the_prompts_of_the_package(replies_file: Path) -> None:
    # Its module has no file. A notebook is where most judges are tried first.
    cell = (
        "from videojudge_bench.items import Item\n"
        "from videojudge_bench.prompted import PromptedJudge\n"
        "class Mine(PromptedJudge):\n"
        "    pass\n"
        f"mine = Mine(engine='scripted', replies={str(replies_file)!r})\n"
        "assert mine.rate(Item('v0/cat', 'v0', 'do', 'x')).value == 4\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", cell], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
