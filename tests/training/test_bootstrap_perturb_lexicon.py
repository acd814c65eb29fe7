"""Tests of how wrong fillers are drawn: as often wrong as right, and never the same again."""

from __future__ import annotations

from collections import Counter

import pytest

from videojudge_bench.training.bootstrap.perturb import lexicon as lexicon_module
from videojudge_bench.training.bootstrap.perturb.lexicon import Circle, Lexicon
from videojudge_bench.training.bootstrap.perturb.slots import Slot, take_apart

TYPE = "place/in//1"


def slot_of(text: str) -> Slot:
    return take_apart(text).phrases[0].slot


def circle_of(counts: dict[str, int]) -> Circle:
    lexicon = Lexicon()
    for text, times in counts.items():
        for number in range(times):
            lexicon.add(slot_of(text), f"video {text} {number}")
    circle = lexicon.circle(TYPE)
    assert circle is not None
    return circle


def drawn(circle: Circle, counts: dict[str, int], steps: int = 120) -> Counter[str]:
    """Draw for every slot of a corpus, at every point of a grid."""
    found: Counter[str] = Counter()
    for text, times in counts.items():
        group = slot_of(text).group
        for i in range(steps):
            if not circle.exchangeable(group, (i + 0.5) / steps):
                continue
            for j in range(steps):
                for k in range(0, steps, 12):
                    made = circle.draw(group, (j + 0.5) / steps, (k + 0.5) / steps)
                    assert made.group != group
                    found[made.text] += times
    return found


def test_each_filler_is_drawn_as_often_as_it_is_right() -> None:
    counts = {"in a gym": 9, "in the gym": 3, "in a pool": 8, "in a room": 7, "in a boat": 3}
    found = drawn(circle_of(counts), counts)
    for text, times in counts.items():
        assert found[text] / found.total() == pytest.approx(times / 30, abs=0.01)


def test_a_group_of_more_than_half_takes_part_as_often_as_all_others() -> None:
    counts = {"in a gym": 24, "in a pool": 4, "in a room": 2}
    found = drawn(circle_of(counts), counts)
    assert found["in a gym"] / found.total() == pytest.approx(1 / 2, abs=0.01)
    assert found["in a pool"] / found["in a room"] == pytest.approx(2, abs=0.1)


def test_what_is_of_one_video_alone_names_it() -> None:
    lexicon = Lexicon()
    for text in ("in a gym", "in a pool", "in a room"):
        for number in range(4):
            lexicon.add(slot_of(text), "v" if text == "in a gym" else f"v{number}")
    circle = lexicon.circle(TYPE)
    assert circle is not None
    videos = {filler.text: filler.video for filler in circle.fillers}
    assert videos == {"in a gym": "v", "in a pool": "", "in a room": ""}


def test_too_few_fillers_are_no_circle() -> None:
    lexicon = Lexicon()
    for _ in range(40):
        lexicon.add(slot_of("in a gym"), "v")
    assert lexicon.circle(TYPE) is None


def test_rare_types_share_a_circle_and_frequent_ones_do_not() -> None:
    lexicon = Lexicon()
    for number in range(6):
        lexicon.add(slot_of(f"near a gym{number}"), "v")
        lexicon.add(slot_of(f"behind a pool{number}"), "v")
    for number in range(12):
        lexicon.add(slot_of(f"in a room{number}"), "v")
    shared = lexicon.circle("place/near//1")
    assert shared is not None
    assert {filler.text.split()[0] for filler in shared.fillers} == {"near", "behind"}
    assert shared is lexicon.circle("place/behind//1")
    assert shared is not lexicon.circle(TYPE)


def test_a_large_corpus_is_cut_the_same_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexicon_module, "MOST_FILLERS", 20)
    texts = [f"in a room{number % 70}" for number in range(210)]
    circles = []
    for order in (texts, texts[::-1]):
        lexicon = Lexicon()
        for text in order:
            lexicon.add(slot_of(text), "v")
        circles.append(lexicon.circle(TYPE))
    assert circles[0] is not None
    assert circles[0] == circles[1]
    assert len(circles[0].fillers) == 20
    assert circles[0].longest == pytest.approx(1 / 20)
