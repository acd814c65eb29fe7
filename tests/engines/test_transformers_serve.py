"""A trained judge behind `transformers serve`: what it can do, and what is said of the rest."""

from __future__ import annotations

from typing import cast

import pytest
from engine_bench import ITEMS, Bench

from videojudge_bench.analysis.parity import compare_judges

pytest_plugins = ("engine_bench",)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

REFUSED = {
    "score=text": "send=frames",
    "send=frames": "score=text",
    "send=frames,feedback=false": "score=text",
}
"""What it cannot serve of a judge that is sent videos and read by probabilities, and what helps."""


def test_images_are_judged(bench: Bench) -> None:
    served = bench.transformers()
    asked = bench.asked(served, "send=frames,score=text")
    found = compare_judges(asked, asked, "vcg", limit=ITEMS)
    row = bench.keep(found, [served.program] * 2, "send=frames,score=text")
    assert found.is_same, found.problems()
    # It was trained on videos, and may state none about images.
    assert min(cast("list[int]", row["verdicts"])) > ITEMS // 2


@pytest.mark.parametrize("options", REFUSED)
def test_what_it_refuses_is_said_before_the_first_item(bench: Bench, options: str) -> None:
    served = bench.transformers()
    what = f"{served.program}, {options}"
    assert REFUSED[options] in bench.refusal(served, bench.asked(served, options), what)
