"""Generators, evaluators and writers of rubrics by name, and classes of one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from pydantic import BaseModel, ConfigDict, model_validator

from videojudge_bench import registry
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError
from videojudge_bench.training.bootstrap.contracts import (
    Evaluator,
    Generator,
    Role,
    RubricWriter,
    Seed,
)

RoleName = Literal["generator", "evaluator", "rubric"]

_OURS = "videojudge_bench.training.bootstrap"
KINDS: Mapping[RoleName, Mapping[str, str]] = {
    "generator": {
        "prompted": f"{_OURS}.prompted:PromptedGenerator",
        "perturb": f"{_OURS}.perturb:Perturb",
        "small_world": "videojudge_bench.training.small_world.generator:Degrade",
    },
    "evaluator": {
        "prompted": f"{_OURS}.prompted:PromptedEvaluator",
        "truth": f"{_OURS}.known_error:TruthEvaluator",
        "biased": f"{_OURS}.known_error:BiasedTruthEvaluator",
    },
    "rubric": {"prompted": f"{_OURS}.prompted:PromptedRubrics"},
}
_METHODS: Mapping[RoleName, str] = {"generator": "write", "evaluator": "rate", "rubric": "rubric"}

CORPUS = "corpus"  # a constructor with a parameter of this name gets all seeds of the run
PER_PRICE = 1_000_000  # prices are for so many tokens, as the engines have them
_PARALLEL = "max_concurrency"


class RoleOptions(BaseModel):
    """A role: a key of `KINDS` or `module:Class`, and its options beside it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str

    @property
    def options(self) -> dict[str, Scalar]:
        """The options of the constructor."""
        return dict(self.model_extra or {})

    @property
    def prices(self) -> tuple[float, float] | None:
        """Of a token of a prompt and of a reply; None where they are not given."""
        given = [self.options.get(name) for name in ("price_in", "price_out")]
        if not all(isinstance(price, (int, float)) for price in given):
            return None
        price_in, price_out = (float(str(price)) / PER_PRICE for price in given)
        return price_in, price_out

    @property
    def reply_cost(self) -> float:
        """Cost of the longest reply; 0 where no price or no length is given."""
        length = self.options.get("max_tokens", 0)
        return self.prices[1] * float(str(length)) if self.prices and length else 0.0

    @model_validator(mode="after")
    def _has_plain_values(self) -> RoleOptions:
        plain = (str, int, float, type(None))
        wrong = [name for name, value in self.options.items() if not isinstance(value, plain)]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: expected a text, a number, true, false or none")
        return self


@dataclass(frozen=True)
class Roles:
    """Generator, evaluator and, where there is one, writer of rubrics."""

    generator: Generator
    evaluator: Evaluator
    rubrics: RubricWriter | None = None

    def close(self) -> None:
        """Close them."""
        for role in (self.generator, self.evaluator, self.rubrics):
            if role is not None:
                role.close()


def build_roles(
    options: Mapping[RoleName, RoleOptions],
    *,
    seeds: Callable[[], Iterator[Seed]],
    concurrency: int,
) -> Roles:
    """Return all roles of a run; see `build_role`."""
    roles = {name: build_role(name, options[name], seeds, concurrency) for name in options}
    return Roles(
        cast("Generator", roles["generator"]),
        cast("Evaluator", roles["evaluator"]),
        cast("RubricWriter | None", roles.get("rubric")),
    )


def build_role(
    name: RoleName, spec: RoleOptions, seeds: Callable[[], Iterator[Seed]], concurrency: int
) -> Role:
    """Return a role that is ready to be asked.

    `seeds` gives the seeds of the run to a role with a parameter `corpus`; an engine with a bound
    on requests in flight gets `concurrency` by default.

    Raises:
        UnknownNameError: no such kind.
        ConfigError: unknown or missing options, or values that are refused.
    """
    what = f"{name} {spec.kind!r}"
    cls = registry.find_class(name, spec.kind, KINDS[name])
    if not hasattr(cls, _METHODS[name]):
        raise ConfigError(f"{what}: expected a method `{_METHODS[name]}`, got a class without it")
    given = {CORPUS: seeds()} if CORPUS in registry.options_of(cls) else {}
    role = registry.make(what, cls, _in_parallel(spec.options, concurrency), given=given)
    return cast("Role", role)


def _in_parallel(options: Mapping[str, Scalar], concurrency: int) -> dict[str, Scalar]:
    """The options, and the run's concurrency for an engine with a lower default."""
    engine = options.get("engine")
    if not isinstance(engine, str) or _PARALLEL in options:
        return dict(options)
    if _PARALLEL not in registry.options_of(registry.engine_class(engine)):
        return dict(options)
    return {**options, _PARALLEL: concurrency}
