"""Whose M-RoPE positions: known without torch."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Literal

Rule = Literal[4, 5]
"""Whose M-RoPE positions: those of transformers 4 or of transformers 5.

They differ for Qwen2.5-VL (read in 4.57.1, 5.23.0 and 5.24.0). In 4, a step of a video takes its
whole seconds, fractions cut off, and what follows the video comes after its last position. In 5 the
step is not cut off, and what follows comes after the larger side of one frame, wherever in time the
video has ended. In both a reply goes on where its prompt ends.
"""


@cache
def installed_rule() -> Rule:
    """Return the rule of the transformers that is installed."""
    return 4 if version("transformers").startswith("4.") else 5
