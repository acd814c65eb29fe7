"""Prompt templates of a judge: which there are, and the prompts of the items of a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Union

from videojudge_bench._util.options import Scalar
from videojudge_bench.criteria import Criterion
from videojudge_bench.errors import ConfigError
from videojudge_bench.items import Item, Pair
from videojudge_bench.judge import Ability
from videojudge_bench.prompted.config import DESCRIPTION, RATE, WRITE, PromptedConfig
from videojudge_bench.prompts import PromptTemplate, RenderedPrompt, find_prompt, load_prompt
from videojudge_bench.scale import RatingScale

AnyItem = Union[Item, Pair]

CRITERIA_PROMPT = "criteria.jinja"
"""What single responses are rated with by criteria, in place of the class's prompt."""


class JudgeTemplates:
    """The templates that a judge asks with."""

    def __init__(
        self, names: Mapping[Ability, str], cls: type, base: type, config: PromptedConfig
    ) -> None:
        rates_pairs = config.pairs == RATE or config.criteria is not None
        self._config, self._rates_pairs = config, rates_pairs and "prefer" in names
        self._can_rate, own = "rate" in names, config.prompt_files
        if self._can_rate and config.criteria is not None:
            names = {**names, "rate": CRITERIA_PROMPT}
        self._by_ability = {
            ability: load_prompt(Path(own[ability] or find_prompt(cls, name, base)))
            for ability, name in names.items()
            if not (ability == "prefer" and rates_pairs)
        }

    def problems(self) -> list[str]:
        """Return which options would have no effect, as the templates do not use them."""
        config, problems = self._config, list[str]()
        if config.pairs == RATE and not self._can_rate:
            problems.append("pairs=rate needs a judge with a rating prompt; give pairs=prefer")
        if config.criteria is not None and not self._can_rate:
            problems.append("criteria=FILE needs a judge with a rating prompt")
        needed = {
            "rubric": ("rubric=FILE", config.rubric_file is not None),
            "write_rubric": ("rubric=write", config.rubric == WRITE),
            "criteria": ("criteria=FILE", config.criteria is not None),
            "feedback": ("feedback=false", not config.feedback and not config.expected),
            "description": ("video=description", config.video == DESCRIPTION),
        }
        problems += [
            f"prompt {template.name} does not use {name!r}, so {option} would change nothing"
            for template in self._by_ability.values()
            for name, (option, asked) in needed.items()
            if asked and name not in template.uses
        ]
        problems += [
            f"{file}: the judge has no prompt to {ability} with that it could replace"
            for ability, file in config.prompt_files.items()
            if file is not None and ability not in self._by_ability
        ]
        return problems

    @property
    def abilities(self) -> frozenset[Ability]:
        """The judge's abilities; one that rates can also prefer: the higher rating wins."""
        return frozenset(self._by_ability) | ({"prefer"} if self._can_rate else frozenset())

    def of(self, item: AnyItem) -> PromptTemplate:
        """Return the template for an item, as `parts` gives it."""
        return self._by_ability[ability_of(item)]

    def parts(self, item: AnyItem) -> Sequence[AnyItem]:
        """Return what is asked about: the item, or both responses of a pair that is rated."""
        if isinstance(item, Pair) and "prefer" not in self._by_ability:
            return item.sides()
        return (item,)

    def render(
        self,
        parts: Sequence[AnyItem],
        scale: RatingScale,
        rubric: str = "",
        criteria: tuple[Criterion, ...] = (),
    ) -> list[RenderedPrompt]:
        """Return the prompts of the parts of one group.

        Raises:
            ConfigError: what they share differs between them, or a prompt cannot be rendered.
        """
        template = self.of(parts[0])
        options = self._config.prompt_options(rubric, criteria)
        prompts = [template.render(part, scale, options) for part in parts]
        if len({(prompt.system, prompt.shared) for prompt in prompts}) > 1:
            raise ConfigError(
                f"prompt {template.name}: its blocks 'system' and 'shared' differ between the "
                "responses to one instruction; what differs belongs into the block 'response'"
            )
        return prompts

    def settings(self) -> dict[str, Scalar]:
        """Return the templates' hashes, and whether pairs are rated in place of compared."""
        shas = {f"prompt_{a}": self._by_ability[a].sha for a in sorted(self._by_ability)}
        return {**shas, **({"pairs": RATE} if self._rates_pairs else {})}


def ability_of(item: AnyItem) -> Ability:
    """Return what it takes to judge an item."""
    return "rate" if isinstance(item, Item) else "prefer"
