"""Parts of the frames of training rows are hidden: which, and from whom."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sft_cases import VIDEOS, base_of, recipe_for, sample_rows, tiny_model
from videojudge_bench.training.sft.dataset import BundleDataset
from videojudge_bench.training.sft.hiding import CELLS, hidden
from videojudge_bench.training.sft.run import prepare, train

from videojudge_bench.cli import main
from videojudge_bench.video import FrameBatch

SHARE = 0.3


def noise(time: int = 200, height: int = 30, width: int = 44) -> FrameBatch:
    """Frames of noise, whose sides are no multiples of the cells."""
    pixels = np.random.default_rng(0).integers(0, 256, (time, height, width, 3), dtype=np.uint8)
    pixels.flags.writeable = False
    times = tuple(float(second) for second in range(time))
    return FrameBatch(
        times_seconds=times,
        duration_seconds=float(time),
        wanted=time,
        source_fps=1.0,
        decoder="none",
        frames=pixels,
    )


def cells_of(changed: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> list[set[bool]]:
    """What was found in each cell of each frame: whether its pixels changed."""
    found = []
    time, height, width = changed.shape
    rows, columns = (np.arange(side) * CELLS // side for side in (height, width))
    for frame in range(time):
        for row in range(CELLS):
            for column in range(CELLS):
                cell = changed[frame][np.ix_(rows == row, columns == column)]
                found.append(set(cell.ravel().tolist()))
    return found


def test_whole_cells_get_the_mean_colour_of_their_frame_and_the_others_stay() -> None:
    frames = noise()
    made = hidden(frames, SHARE, ["row"])
    changed = (made.frames != frames.frames).any(axis=-1)
    means = frames.frames.mean(axis=(1, 2)).round()
    expected = np.where(changed[..., None], means[:, None, None], frames.frames)
    assert np.array_equal(made.frames, expected)
    assert made.frames.dtype == np.uint8
    # A pixel of noise may have the mean colour already, in every channel: one in millions.
    cells = cells_of(changed)
    assert all(len(cell) == 1 for cell in cells)
    share = sum(cell == {True} for cell in cells) / len(cells)
    assert share == pytest.approx(SHARE, abs=4 * (SHARE * (1 - SHARE) / len(cells)) ** 0.5)
    assert any(not np.array_equal(changed[0], other) for other in changed[1:])
    assert (made.times_seconds, made.wanted) == (frames.times_seconds, frames.wanted)


def test_the_same_rows_hide_the_same_cells_and_others_hide_others() -> None:
    frames = noise(time=4)
    first = hidden(frames, SHARE, ["a", "b"]).frames
    assert np.array_equal(first, hidden(frames, SHARE, ["a", "b"]).frames)
    assert not np.array_equal(first, hidden(frames, SHARE, ["ab"]).frames)


def test_nothing_is_hidden_unless_asked() -> None:
    frames = noise(time=2)
    assert hidden(frames, 0, ["row"]) is frames


def test_a_row_is_shown_alike_whenever_it_comes_and_its_texts_stay(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "tiny")
    rows = sample_rows(tmp_path / "rows.jsonl", feedback=False)
    recipe, base = recipe_for(model, rows), base_of(model)
    bundles = prepare(recipe, recipe.stages[0], base).train.bundles[:3]
    shown, again = (BundleDataset(bundles, base, hide=SHARE) for _ in range(2))
    plain = BundleDataset(bundles, base)
    first = [shown[n] for n in (0, 1, 2)]
    for n in (2, 0, 1):
        later, whole = again[n], plain[n]
        assert all(torch.equal(first[n][name], later[name]) for name in later)
        differs = {name for name in whole if not torch.equal(first[n][name], whole[name])}
        assert differs == {"pixel_values_videos"}


def test_inspect_shows_what_is_hidden(tmp_path: Path) -> None:
    model, rows = tiny_model(tmp_path / "tiny"), sample_rows(tmp_path / "rows.jsonl")
    pictures = []
    for share in (0, SHARE):
        changes = (
            *(f"model.pretrained={model}", f"data.rows=[{rows}]", f"data.videos={VIDEOS}"),
            *("frames.max_frames=2", f"data.hide={share}"),
        )
        given = [word for change in changes for word in ("--set", change)]
        run = tmp_path / f"run{share}"
        assert (
            main(["train", "--recipe", "smoke_cpu", "-o", str(run), "--inspect", "1", *given]) == 0
        )
        with Image.open(run / "inspect" / "train" / "0.png") as picture:
            pictures.append(np.asarray(picture))
    whole, holes = pictures
    assert whole.shape == holes.shape
    assert not np.array_equal(whole, holes)


def test_training_rows_have_holes_and_validation_rows_have_none(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "tiny")
    rows = sample_rows(tmp_path / "rows.jsonl", feedback=False)
    losses = []
    for share in (0, SHARE):
        # A step so small that it changes nothing: both validate the same weights.
        changes = (f"data.hide={share}", "training.steps=1", "training.learning_rate=1.0e-12")
        run = tmp_path / f"run{share}"
        train(recipe_for(model, rows, *changes), run)
        lines = (run / "train" / "log.jsonl").read_text(encoding="utf-8").splitlines()
        log = {k: v for line in lines for k, v in json.loads(line).items()}
        losses.append((log["loss"], log["eval_loss"]))
    (whole, validated), (holes, also_validated) = losses
    assert holes != pytest.approx(whole, rel=1e-6)
    assert also_validated == pytest.approx(validated, rel=1e-6)
