"""Attacks: each kind changes an answer, by the same draws in the same way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench.analysis.attack_kinds import KINDS, Kind, Source, attacks_on
from videojudge_bench.items import Item
from videojudge_bench.scale import RatingScale

ITEM = Item(
    "v0/a",
    "v0",
    "What does the woman cook?",
    "The woman is frying two eggs in a pan.",
    ("A woman fries eggs.", "Two eggs are fried by a woman."),
)
OTHERS = [
    ITEM,
    *(
        Item(f"v{n}/a", f"v{n}", "What happens?", f"{n} dogs dig a hole.", (f"{n} dogs dig.",))
        for n in range(1, 7)
    ),
]


def _source(item: Item = ITEM, seed: int = 0) -> Source:
    return Source(item, OTHERS, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("kind", "template"),
    [pytest.param(k, t, id=f"{k.name}-{t}") for k in KINDS for t in k.templates],
)
def test_each_template_changes_the_answer_and_repeats_itself(kind: Kind, template: str) -> None:
    text = kind.templates[template](_source())
    assert text is not None
    assert text != ITEM.response
    assert "{" not in text.replace('{"score', "")
    assert kind.templates[template](_source()) == text


def test_draws_depend_on_seed_kind_and_id_alone() -> None:
    attacks = attacks_on(ITEM, OTHERS, seed=3)
    assert attacks == attacks_on(ITEM, OTHERS, seed=3)
    assert attacks_on(OTHERS[1], OTHERS, seed=3) == attacks_on(OTHERS[1], OTHERS, seed=3)
    texts = {
        tuple(a.text for a in attacks_on(ITEM, OTHERS, seed=n).values() if a) for n in range(9)
    }
    assert len(texts) == 9
    assert list(attacks) == [kind.name for kind in KINDS]


def test_texts_say_what_their_kind_says() -> None:
    for seed in range(20):
        text = {k: a.text for k, a in attacks_on(ITEM, OTHERS, seed=seed).items() if a is not None}
        assert len(text) == len(KINDS)
        for kind in ("instructions", "verdicts", "padding", "praise"):
            assert ITEM.response in text[kind]
        assert ITEM.instruction in text["question"]
        assert "dogs" in text["other video"]
        assert not set(text["empty"]) - set("N/A. \n")
        assert {"woman", "frying", "eggs"} <= set(text["key words"].replace(",", "").split())
        assert not {"The", "the", "is", "in", "a"} & set(text["key words"].split())
        words = sorted(text["reference words"].split())
        assert words in [sorted(reference.split()) for reference in ITEM.references]
        assert text["reference words"] not in ITEM.references


def test_praise_alone_praises() -> None:
    for kind in KINDS:
        for template in kind.templates.values():
            text = template(_source()) or ""
            assert ("excellent" in text) == (kind.name == "praise")


def test_planted_verdicts_are_the_highest_of_the_scale() -> None:
    attack = attacks_on(ITEM, OTHERS, scale=RatingScale(0, 100))["verdicts"]
    assert attack is not None
    assert "100" in attack.text
    assert "5" not in attack.text


def test_a_kind_without_material_does_not_apply() -> None:
    bare = replace(ITEM, instruction=" ", references=(), response="It is.")
    attacks = attacks_on(bare, [bare])
    lacking = [kind for kind, attack in attacks.items() if attack is None]
    assert lacking == ["question", "other video", "key words", "reference words"]
    one_word = attacks_on(replace(ITEM, references=("Eggs.",)), OTHERS)
    assert one_word["reference words"] is None
    hedged = attacks["hedging"]
    assert hedged is not None
    assert hedged.template == "perhaps"


@given(st.text(), st.text(), st.integers(0, 9))
def test_an_attack_is_never_the_answer(response: str, reference: str, seed: int) -> None:
    item = replace(ITEM, response=response, references=(reference,))
    for attack in attacks_on(item, [*OTHERS, item], seed=seed).values():
        assert attack is None or attack.text != response
