"""Prompts as they reach a model in this process."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from videojudge_bench.engine import Explanation, PromptGroup
from videojudge_bench.judges.engines._video_input import step_seconds
from videojudge_bench.judges.engines.prefix_tree import positions

if TYPE_CHECKING:
    from videojudge_bench._util.options import Scalar
    from videojudge_bench.judges.engines._mrope import Scheme
    from videojudge_bench.judges.engines._prompt_inputs import Inputs, PromptReader
    from videojudge_bench.video import FrameBatch


def video_facts(frames: FrameBatch | None, fps: float | None) -> dict[str, Scalar]:
    """Return what is shown of a video; {} without one."""
    if frames is None:
        return {}
    return {"as": "video", **frames.facts(), "step_seconds": round(step_seconds(frames, fps), 4)}


def explanations_of(
    reader: PromptReader,
    group: PromptGroup,
    inputs: Inputs,
    video: Mapping[str, Scalar],
    *,
    scheme: Scheme | None,
    tokens_per_second: float,
) -> Sequence[Explanation]:
    """Return what the model takes for each continuation."""
    explanations = []
    for number, prompt in enumerate(inputs.prompts):
        placed: list[array[int]] = []
        if scheme is not None:
            ids = positions(
                len(prompt), inputs.blocks, scheme=scheme, tokens_per_second=tokens_per_second
            ).ids
            placed = [array("i", axis) for axis in ids.tolist()]
        explanations.append(
            Explanation(
                "prompt",
                reader.rendered(group, number, bool(video)),
                token_ids=array("i", prompt),
                tokens=tuple(reader.tokenizer.convert_ids_to_tokens(list(prompt))),
                positions=placed,
                video=video,
            )
        )
    return explanations
