"""Windows at once give what windows one by one give: outputs and gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText

from videojudge_bench.judges.engines import _windows
from videojudge_bench.judges.engines._windows import attend_in_windows_at_once, windows_attention
from videojudge_bench.judges.tiny_qwen import FAMILIES, Family, TinySize, build

# Frames whose windows are of several sizes: 5 x 7 merged patches, windows of 2 x 2.
GRID = torch.tensor([[2, 10, 14], [1, 4, 4]])
SIZE = TinySize(vision_layers=3, window_pixels=56)


def vision_of(folder: Path, family: Family, *, at_once: bool) -> Any:
    auto: Any = AutoModelForImageTextToText
    model = auto.from_pretrained(build(folder, family=family, size=SIZE))
    if at_once:
        attend_in_windows_at_once(model)
    return model.model.visual


@pytest.mark.parametrize("family", FAMILIES)
def test_features_and_gradients_are_those_of_windows_one_by_one(
    tmp_path: Path, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def counted(*arguments: Any, **options: Any) -> tuple[torch.Tensor, None]:
        calls.append(1)
        return windows_attention(*arguments, **options)

    monkeypatch.setattr(_windows, "windows_attention", counted)
    width = 1176 if family == "qwen2_5_vl" else 1536
    pixels = torch.randn(int(GRID.prod(1).sum()), width, generator=torch.Generator().manual_seed(0))
    found = []
    for at_once in (False, True):
        tower = vision_of(tmp_path / family, family, at_once=at_once)
        made = tower(pixels.clone().requires_grad_(), grid_thw=GRID)
        features = made.pooler_output if hasattr(made, "pooler_output") else made
        features = features[0] if isinstance(features, tuple) else features
        features.square().sum().backward()
        weight = next(p for n, p in tower.named_parameters() if n.endswith("qkv.weight"))
        found.append((features.detach(), weight.grad.clone()))
    assert len(calls) == SIZE.vision_layers  # one call a layer, whatever the number of windows
    (features, gradient), (features_at_once, gradient_at_once) = found
    torch.testing.assert_close(features_at_once, features, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient_at_once, gradient, rtol=1e-4, atol=1e-6)


def test_tokens_see_their_own_window_alone() -> None:
    query, key, value = (
        torch.randn(1, 2, 7, 4, generator=torch.Generator().manual_seed(n)) for n in range(3)
    )
    bounds = torch.tensor([0, 3, 5, 7])
    found, _ = windows_attention(torch.nn.Identity(), query, key, value, cu_seq_lens_q=bounds)
    for start, end in ((0, 3), (3, 5), (5, 7)):
        part = slice(start, end)
        scores = query[:, :, part] @ key[:, :, part].transpose(-1, -2) / 2  # root of the width
        expected = (scores.softmax(-1) @ value[:, :, part]).transpose(1, 2)
        torch.testing.assert_close(found[:, part], expected)


def test_another_implementation_is_left_alone(tmp_path: Path) -> None:
    auto: Any = AutoModelForImageTextToText
    model = auto.from_pretrained(build(tmp_path / "tiny"), attn_implementation="eager")
    attend_in_windows_at_once(model)
    assert model.config.vision_config._attn_implementation == "eager"
