"""Options of prompted judges, validated together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from videojudge_bench.criteria import Criterion
from videojudge_bench.engine import Sampling
from videojudge_bench.errors import unknown_name
from videojudge_bench.judge import Ability, Need
from videojudge_bench.prompted.forms import FREE, JSON, STRUCTURED
from videojudge_bench.prompts import PromptOptions
from videojudge_bench.replies._reading import LOST_MASS

SCORES = (TEXT, EXPECTED) = ("text", "expected")
PAIRS = (PREFER, RATE) = ("prefer", "rate")
WRITE, NO_RUBRIC = "write", "none"
OVERALLS = (WEIGHTS, MODEL) = ("weights", "model")
SHUFFLED, DESCRIPTION = "shuffled", "description"

VIDEO_NEEDS: Mapping[str, frozenset[Need]] = {
    "frames": frozenset({"video"}),
    SHUFFLED: frozenset({"video"}),
    DESCRIPTION: frozenset({"description"}),
    "none": frozenset(),
}
"""What an item must have for each value of the option `video`."""


@dataclass(frozen=True, kw_only=True)
class PromptedConfig:
    """Options of a judge, its engine's left out; `PromptedJudge` explains each of them."""

    score: str
    feedback: bool
    rubric: str
    swap_rubrics: bool
    video: str | None
    samples: int
    temperature: float
    max_tokens: int
    seed: int
    prompt: str | None
    pair_prompt: str | None
    pairs: str
    lost_mass: float
    structured: str
    criteria: str | None
    overall: str
    concurrency: int

    CHOICES: ClassVar = {
        "score": SCORES,
        "video": (None, *VIDEO_NEEDS),
        "pairs": PAIRS,
        "structured": STRUCTURED,
        "overall": OVERALLS,
    }

    def problems(self) -> list[str]:
        """Return everything that is wrong with the values and their combinations."""
        return [*self._unknown_names(), *self._wrong_numbers(), *self._conflicts()]

    def _unknown_names(self) -> list[str]:
        problems = [
            unknown_name(option, str(value), filter(None, allowed))
            for option, allowed in self.CHOICES.items()
            if (value := getattr(self, option)) not in allowed
        ]
        if self.rubric_file is not None and not self.rubric_file.is_file():
            problems.append(
                f"rubric: expected none, write or a file of rubrics, got {self.rubric!r}, which "
                "is no file"
            )
        if self.criteria is not None and not Path(self.criteria).is_file():
            problems.append(
                f"criteria: expected a file (YAML, JSON), got {self.criteria!r}, which is no file"
            )
        return problems

    def _wrong_numbers(self) -> list[str]:
        counts = ("samples", "max_tokens", "concurrency")
        problems = [
            f"{option}: expected a whole number from 1 up, got {value}"
            for option in counts
            if (value := getattr(self, option)) < 1
        ]
        if not 0 <= self.temperature < math.inf:
            problems.append(f"temperature: expected a number from 0 up, got {self.temperature}")
        if not 0 <= self.lost_mass <= 1:
            problems.append(f"lost_mass: expected a share from 0 to 1, got {self.lost_mass:g}")
        return problems

    def _conflicts(self) -> list[str]:
        samples, sampled = self.samples, self.temperature > 0
        checks = {
            f"samples={samples} with temperature=0 would be the same reply again and again; give "
            "temperature=0.7, say": samples > 1 and not sampled and not self.verdict_first,
            "with score=expected and feedback=false nothing is sampled; give samples=1 and "
            "temperature=0": self.verdict_first and (samples > 1 or sampled),
            "with score=expected and feedback=false no reply is written that could have a form; "
            "give structured=none": self.verdict_first and self.structured != FREE,
            "score=expected reads a verdict in its tag; give structured=regex": (
                self.expected and self.structured == JSON
            ),
            "lost_mass is for score=expected alone": (
                self.lost_mass != LOST_MASS and not self.expected
            ),
            "overall=model is for criteria; give criteria=FILE": (
                self.overall == MODEL and self.criteria is None
            ),
            "the criteria's form has tags; give structured=regex or none": (
                self.criteria is not None and self.structured == JSON
            ),
            "swap_rubrics=true needs rubrics to swap; give rubric=FILE": (
                self.swap_rubrics and self.rubric_file is None
            ),
        }
        return [problem for problem, applies in checks.items() if applies]

    @property
    def expected(self) -> bool:
        """True if the verdict is the mean of the probabilities and not the text."""
        return self.score == EXPECTED

    @property
    def verdict_first(self) -> bool:
        """True if the reply begins with the verdict and only its probabilities are read."""
        writes = self.feedback or self.rubric == WRITE or self.criteria is not None
        return self.expected and not writes

    @property
    def rubric_file(self) -> Path | None:
        """The file of rubrics to judge by, None without one."""
        return None if self.rubric in (WRITE, NO_RUBRIC) else Path(self.rubric)

    @property
    def prompt_files(self) -> dict[Ability, str | None]:
        """The user's own prompt files."""
        return {"rate": self.prompt, "prefer": self.pair_prompt}

    @property
    def sampling(self) -> Sampling:
        """The decoding of replies."""
        return Sampling(float(self.temperature), int(self.max_tokens), int(self.seed))

    def prompt_options(
        self, rubric: str = "", criteria: tuple[Criterion, ...] = ()
    ) -> PromptOptions:
        """Return what prompts ask for beside the verdict, with what to judge by."""
        return PromptOptions(bool(self.feedback), self.rubric == WRITE, rubric, criteria)
