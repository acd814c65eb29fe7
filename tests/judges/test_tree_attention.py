"""Trees whose trunks attend without a mask give what one mask over all of a row gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText

from videojudge_bench.judges.engines import _tree_attention
from videojudge_bench.judges.engines._tree_attention import (
    attend_to_trunks_apart,
    takes_branches_alone,
    tree_attention,
)
from videojudge_bench.judges.engines.prefix_tree import nested_mask, trunk_of
from videojudge_bench.judges.tiny_qwen import FAMILIES, Family, build

# Two trees, the second one shorter and filled up: three tokens are seen by all behind them.
UNTIL = torch.tensor([[8, 8, 8, 8, 6, 6, 8, 8], [6, 6, 6, 5, 5, 6, 0, 0]])


def model_of(folder: Path, family: Family, attention: str = "sdpa") -> Any:
    auto: Any = AutoModelForImageTextToText
    return auto.from_pretrained(build(folder, family=family), attn_implementation=attention)


def test_the_trunk_is_what_all_rows_have_before_they_branch() -> None:
    assert trunk_of(UNTIL) == 3
    assert trunk_of(UNTIL[:1]) == 4
    assert trunk_of(torch.tensor([[4, 4, 4, 4]])) == 3  # a row without branches keeps its last
    assert trunk_of(torch.tensor([[1]])) == 0


def test_a_mask_past_the_trunk_is_the_end_of_the_whole_one() -> None:
    whole = nested_mask(UNTIL)
    for trunk in range(UNTIL.shape[1]):
        assert torch.equal(nested_mask(UNTIL, trunk=trunk), whole[:, :, trunk:])


@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_and_gradients_are_those_of_one_mask(
    tmp_path: Path, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, ...]] = []

    def noted(*arguments: Any, **options: Any) -> tuple[torch.Tensor, None]:
        asked.append(tuple(arguments[4].shape))
        return tree_attention(*arguments, **options)

    monkeypatch.setattr(_tree_attention, "tree_attention", noted)
    tokens = torch.randint(1, 90, UNTIL.shape, generator=torch.Generator().manual_seed(0))
    known = torch.stack([UNTIL[0] > 0, UNTIL[1] > 0])
    found = []
    for trunk in (0, 3):
        text = model_of(tmp_path / family, family).model.language_model.double()
        if trunk:
            attend_to_trunks_apart(text)
            assert takes_branches_alone(text)
        mask = nested_mask(UNTIL, trunk=trunk)
        states = text(input_ids=tokens, attention_mask=mask, use_cache=False).last_hidden_state
        # Their squares alone would say nothing: the last norm keeps each token's sum as it is.
        states[known][:, ::2].square().sum().backward()
        weight = next(p for n, p in text.named_parameters() if n.endswith("q_proj.weight"))
        found.append((states[known].detach(), weight.grad.clone()))
    assert asked
    assert set(asked) == {(2, 1, 5, 8)}
    torch.testing.assert_close(found[1][0], found[0][0])
    assert float(found[0][1].abs().max()) > 0
    torch.testing.assert_close(found[1][1], found[0][1])


@pytest.mark.parametrize("family", FAMILIES)
def test_other_masks_mean_what_they_meant(tmp_path: Path, family: Family) -> None:
    tokens = torch.randint(1, 90, (2, 6), generator=torch.Generator().manual_seed(0))
    filled = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
    for mask in (None, torch.ones_like(filled), filled):
        found = []
        for apart in (False, True):
            text = model_of(tmp_path / family, family).model.language_model
            if apart:
                attend_to_trunks_apart(text)
            with torch.no_grad():
                made = text(input_ids=tokens, attention_mask=mask, use_cache=False)
            found.append(made.last_hidden_state[filled > 0])
        assert torch.equal(*found)


def test_another_implementation_is_left_alone(tmp_path: Path) -> None:
    model = model_of(tmp_path / "model", "qwen2_5_vl", "eager")
    attend_to_trunks_apart(model)
    assert not takes_branches_alone(model)
    assert model.config.get_text_config()._attn_implementation == "eager"
