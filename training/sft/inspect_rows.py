"""Preview of training rows: texts, the tokens that are learnt, frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from videojudge_bench.errors import ConfigError
from videojudge_bench.training.sft.base_model import BaseModel
from videojudge_bench.training.sft.packing import IGNORED, PackedRows, pack
from videojudge_bench.training.sft.plan import Bundle
from videojudge_bench.training.sft.recipe import Recipe
from videojudge_bench.training.sft.run import prepare
from videojudge_bench.video import load_frames

_SHOWN_FRAMES, _THUMBNAIL = 12, 112
_LEARNT, _VERDICT, _END = "«", "⟦", "⟧"


def inspect_recipe(recipe: Recipe, number: int, folder: Path) -> Iterator[str]:
    """Yield lines about the first packed rows of each stage, as `inspect` writes them."""
    if number < 1:
        raise ConfigError(f"--inspect: expected 1 or more, got {number}")
    base = BaseModel(recipe.model, recipe.frames)
    base.check()
    for stage in recipe.stages:
        plan = prepare(recipe, stage, base).train
        yield f"stage {stage.name}: {plan.rows:,} rows"
        yield from inspect(plan.bundles[:number], base, folder / stage.name)
        yield from (f"left out: {d.row}: {d.reason}" for d in plan.dropped[:number])


def inspect(bundles: Sequence[Bundle], base: BaseModel, pictures: Path) -> Iterator[str]:
    """Yield lines about bundles, and write a picture of the frames of each.

    In the texts, `«…»` is learnt, `⟦…⟧` in it is the verdict, and all else is only read.
    """
    for number, bundle in enumerate(bundles):
        frames = load_frames(bundle.video, base.policy)
        seen = base.reader.video_part(bundle.rows[0].begins, frames)
        row = pack(bundle.rows, seen, scheme=base.scheme, tokens_per_second=base.tokens_per_second)
        time, height, width = frames.frames.shape[:3]
        picture = _contact_sheet(frames.frames, pictures / f"{number}.png")
        grid = [f"{b.time} x {b.height} x {b.width}" for b in seen.blocks[:1]]
        yield f"--- {bundle.video.name}: {len(bundle.rows)} rows, {len(row.tokens)} tokens packed"
        yield (
            f"    {time} frames of {width} x {height}, {seen.video_tokens} tokens in "
            f"{len(seen.blocks)} block(s) of {', '.join(grid)}; frames: {picture}"
        )
        yield f"    apart they had {bundle.separate_tokens} tokens"
        yield from (f"    {line}" for line in _texts(row, bundle, base))


def _texts(row: PackedRows, bundle: Bundle, base: BaseModel) -> Iterator[str]:
    tokenizer = base.reader.tokenizer
    shared = tokenizer.decode(list(base.reader.before_video(bundle.rows[0].begins)))
    yield f"read before and with the video: {shared!r}"
    learnt = int((row.labels != IGNORED).sum())
    yield f"{learnt} of {len(row.labels)} tokens are learnt"
    for encoded in bundle.rows:
        parts = [tokenizer.decode([token]) for token in encoded.reply]
        for index in encoded.verdict:
            parts[index] = f"{_VERDICT}{parts[index]}{_END}"
        reply = "".join(parts)
        yield f"{encoded.row.id}:"
        yield f"  {tokenizer.decode(list(encoded.prompt))!r} {_LEARNT}{reply}»"


def _contact_sheet(frames: object, path: Path) -> Path:
    import numpy as np
    from PIL import Image

    array = np.asarray(frames)
    chosen = np.linspace(0, len(array) - 1, min(_SHOWN_FRAMES, len(array))).round().astype(int)
    small = []
    for index in chosen:
        picture = Image.fromarray(array[index])
        picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
        small.append(picture)
    width = sum(picture.width for picture in small)
    sheet = Image.new("RGB", (width, max(picture.height for picture in small)))
    at = 0
    for picture in small:
        sheet.paste(picture, (at, 0))
        at += picture.width
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    return path
