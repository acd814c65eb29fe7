"""M-RoPE schemes: where the tokens of a video, and of what follows it, stand.

Importing this module does not load torch.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Literal, get_args

from videojudge_bench.errors import UnknownNameError
from videojudge_bench.judges.engines._model_source import ModelSource

Scheme = Literal["qwen", "transformers4", "transformers5"]
"""Whose positions a Qwen2.5-VL gets; for Qwen3-VL and for text all schemes are the same.

- `qwen`: that of the first published code and of vLLM (read in transformers 4.49.0 and in vLLM
  0.32.0). A step in time is exact: positions are cut to integers after the product with
  `tokens_per_second`, rounded as in vLLM. What follows a video comes after its largest position.
- `transformers4` (read in 4.57.1): a step is cut to whole seconds first.
- `transformers5` (read in 5.23.0 and 5.24.0): a step is exact, and what follows a video comes after
  the larger side of one frame, wherever in time the video has ended.

In all of them a reply goes on where its prompt ends.
"""

SCHEMES: tuple[Scheme, ...] = get_args(Scheme)

logger = logging.getLogger(__name__)


def chosen_scheme(asked: str | None, source: ModelSource) -> Scheme | None:
    """Return the scheme of a model: the one asked for, else the one it records, else `qwen`.

    Warns, once a model, if a Qwen2.5-VL was trained with another scheme, or records none.

    Returns:
        None for a model that has no M-RoPE positions of ours.

    Raises:
        UnknownNameError: there is no such scheme.
        ConfigError: what the model records cannot be read.
    """
    if asked is not None and asked not in SCHEMES:
        raise UnknownNameError("mrope", asked, SCHEMES)
    if source.kind not in ("qwen2_5_vl", "qwen3_vl"):
        return None
    recorded = source.recorded_scheme
    if recorded is not None and recorded not in SCHEMES:
        raise UnknownNameError("mrope", recorded, SCHEMES, hint=f"{source.pretrained} records it.")
    differs = source.kind == "qwen2_5_vl"
    if differs and None not in (asked, recorded) and asked != recorded:
        _warn(
            f"pretrained={source.pretrained} was trained with mrope={recorded}, and mrope={asked} "
            "is given: its scores will differ. Leave the option out"
        )
    if differs and asked is None and recorded is None:
        _warn(
            f"pretrained={source.pretrained} records no M-RoPE scheme, so mrope=qwen is used, that "
            "of Qwen's own code and of vLLM. For a model that was trained with transformers 4 or 5 "
            "give mrope=transformers4 or mrope=transformers5"
        )
    return asked or recorded or "qwen"


@cache
def _warn(message: str) -> None:
    logger.warning("%s", message)
