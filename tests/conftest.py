"""What every test may use: small gold sets made by hand, scripted replies, a journal folder."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from videojudge_bench.goldsets.base import GoldKind, GoldSet, GoldSetInfo, Shape
from videojudge_bench.items import (
    Example,
    Item,
    OptionGold,
    Pair,
    PreferenceGold,
    RatingGold,
)

# By `part_of`, v0 and v1 are test videos, v2 and v3 are dev videos (asserted in test_items.py).
INSTRUCTION = "Describe the video."

# Workers of pytest-xdist have COLUMNS=80, and a pipe without COLUMNS leaves tables whole.
os.environ.pop("COLUMNS", None)

# No time limit on generated examples: the speed of a machine says nothing about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure() -> None:
    """Let Ctrl-C reach the tests of Ctrl-C, and the processes that they start.

    A shell that runs the tests in the background has SIGINT ignored, and every child inherits that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache and data folders for this test alone: no test touches the real ones."""
    home = tmp_path / "xdg-cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg-data"))
    return home


@pytest.fixture
def journal_root(tmp_path: Path) -> Path:
    """A folder for journals, not made yet."""
    return tmp_path / "journals"


@pytest.fixture
def rated_set() -> GoldSet:
    """Four videos, two responses each, two raters, two references; human gold."""
    examples: list[Example] = []
    for video, (good, bad) in {
        "v0": ((5.0, 4.0), (1.0, 2.0)),
        "v1": ((4.0, 4.0), (2.0, 2.0)),
        "v2": ((5.0, 5.0), (1.0, 1.0)),
        "v3": ((4.0, 3.0), (2.0, 1.0)),
    }.items():
        for response, ratings in (("a cat sleeps", good), ("a dog", bad)):
            item = Item(
                id=f"{video}/{response.split()[1]}",
                video_id=video,
                instruction=INSTRUCTION,
                response=response,
                references=("a cat sleeps on a sofa", "the cat is asleep"),
                description="A cat lies on a sofa.",
            )
            examples.append(Example(item, RatingGold(ratings), unit=video))
    return GoldSet(_info("tinyrated", kind="human", shape="ratings"), tuple(examples))


@pytest.fixture
def option_set() -> GoldSet:
    """Two questions with three options each, no references, no descriptions."""
    examples: list[Example] = []
    for video, options in {"v0": ("red", "green", "blue"), "v2": ("one", "two", "three")}.items():
        for number, text in enumerate(options):
            item = Item(f"{video}/{text}", video, f"Which of the {len(options)} is it?", text)
            examples.append(Example(item, OptionGold(number == 1), unit=video))
    return GoldSet(_info("tinyoptions", kind="options", shape="options"), tuple(examples))


@pytest.fixture
def pair_set() -> GoldSet:
    """Two pairs in both orders (`/ab`, `/ba`, adjacent), without references."""
    examples: list[Example] = []
    for video, better, worse in (("v0", "a cat sleeps", "a dog"), ("v2", "it rains", "sun")):
        for order, first, second, p_first in (
            ("ab", better, worse, 1.0),
            ("ba", worse, better, 0.0),
        ):
            pair = Pair(f"{video}/{order}", video, INSTRUCTION, first, second)
            examples.append(Example(pair, PreferenceGold(p_first), unit=video))
    return GoldSet(_info("tinypairs", kind="human", shape="pairs"), tuple(examples))


@pytest.fixture
def replies_file(tmp_path: Path) -> Path:
    """Scripted replies: a rating of 4 for `v0/cat`, and of 2 for every other item."""
    path = tmp_path / "replies.jsonl"
    rows = [
        {"id": "v0/cat", "reply": "<thinking>right</thinking>\n<score>4</score>"},
        {"id": "*", "reply": "<thinking>wrong</thinking>\n<score>2</score>"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A folder with an (empty) video file for v0 and v2, none for the other videos."""
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "v0.mp4").touch()
    (folder / "v2.webm").touch()
    return folder


def _info(name: str, *, kind: GoldKind, shape: Shape) -> GoldSetInfo:
    return GoldSetInfo(
        name=name,
        title=f"{name}, made for tests",
        kind=kind,
        shape=shape,
        licence="CC0-1.0",
        source="tests/conftest.py",
        how_to_get="it is made by the tests",
    )
