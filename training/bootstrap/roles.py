"""Generators and evaluators by name, and classes of one's own as `module:Class`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from videojudge_bench import registry
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError
from videojudge_bench.training.bootstrap.contracts import (
    Evaluator,
    Generator,
    RubricWriter,
    Seed,
)

GENERATORS = {
    "prompted": "videojudge_bench.training.bootstrap.prompted:PromptedGenerator",
    "perturb": "videojudge_bench.training.bootstrap.perturb:Perturb",
    "small_world": "videojudge_bench.training.small_world.generator:Degrade",
}
EVALUATORS = {
    "prompted": "videojudge_bench.training.bootstrap.prompted:PromptedEvaluator",
    "truth": "videojudge_bench.training.bootstrap.known_error:TruthEvaluator",
    "biased": "videojudge_bench.training.bootstrap.known_error:BiasedTruthEvaluator",
}
RUBRIC_WRITERS = {
    "prompted": "videojudge_bench.training.bootstrap.prompted:PromptedRubrics",
}

CORPUS = "corpus"
"""A generator whose constructor has a parameter of this name gets all seeds of the run by it."""

_PARALLEL = "max_concurrency"
_NEEDED = {"generator": "write", "evaluator": "rate", "rubric": "rubric"}


@dataclass(frozen=True)
class Roles:
    """Who writes, who rates, and who writes rubrics where somebody does."""

    generator: Generator
    evaluator: Evaluator
    rubrics: RubricWriter | None = None

    def close(self) -> None:
        """Close them."""
        self.generator.close()
        self.evaluator.close()
        if self.rubrics is not None:
            self.rubrics.close()


@dataclass(frozen=True)
class RoleSpec:
    """Who writes, who rates, or who writes rubrics, by name.

    Attributes:
        kind: a key of `GENERATORS`, `EVALUATORS` or `RUBRIC_WRITERS`, or `module:Class`.
        options: for the constructor.
    """

    kind: str
    options: Mapping[str, Scalar]


def build_roles(
    generator: RoleSpec,
    evaluator: RoleSpec,
    rubric: RoleSpec | None,
    *,
    seeds: Callable[[], Iterator[Seed]],
    concurrency: int,
) -> Roles:
    """Return them all; see `build_generator`."""
    writes = build_generator(generator, seeds=seeds, concurrency=concurrency)
    rates = build_evaluator(evaluator, concurrency=concurrency)
    if rubric is None:
        return Roles(writes, rates)
    return Roles(writes, rates, build_rubric_writer(rubric, concurrency=concurrency))


def build_generator(
    spec: RoleSpec, *, seeds: Callable[[], Iterator[Seed]], concurrency: int
) -> Generator:
    """Return a generator.

    Args:
        spec: which, and its options.
        seeds: gives the seeds of the run, for generators that learn from them (`CORPUS`).
        concurrency: of the run; an engine with a bound of its own gets this one by default.

    Raises:
        UnknownNameError: no such kind.
        ConfigError: unknown or missing options, or values that are refused.
    """
    cls = _class("generator", spec.kind, GENERATORS)
    given = {CORPUS: seeds()} if CORPUS in registry.options_of(cls) else {}
    options = _in_parallel(spec.options, concurrency)
    made = registry.make(_what("generator", spec.kind), cls, options, given=given)
    return cast("Generator", made)


def build_evaluator(spec: RoleSpec, *, concurrency: int) -> Evaluator:
    """Return an evaluator; arguments and errors are those of `build_generator`."""
    cls = _class("evaluator", spec.kind, EVALUATORS)
    options = _in_parallel(spec.options, concurrency)
    made = registry.make(_what("evaluator", spec.kind), cls, options)
    return cast("Evaluator", made)


def build_rubric_writer(spec: RoleSpec, *, concurrency: int) -> RubricWriter:
    """Return a writer of rubrics; arguments and errors are those of `build_generator`."""
    cls = _class("rubric", spec.kind, RUBRIC_WRITERS)
    options = _in_parallel(spec.options, concurrency)
    made = registry.make(_what("rubric", spec.kind), cls, options)
    return cast("RubricWriter", made)


def _class(role: str, kind: str, known: Mapping[str, str]) -> type:
    cls = registry.find_class(role, kind, known)
    if not hasattr(cls, _NEEDED[role]):
        raise ConfigError(f"{_what(role, kind)}: it has no method `{_NEEDED[role]}`")
    return cls


def _what(role: str, kind: str) -> str:
    return f"{role} {kind!r}"


def _in_parallel(options: Mapping[str, Scalar], concurrency: int) -> dict[str, Scalar]:
    """The options, and the run's concurrency for an engine that would allow less by default."""
    engine = options.get("engine")
    if not isinstance(engine, str) or _PARALLEL in options:
        return dict(options)
    if _PARALLEL not in registry.options_of(registry.engine_class(engine)):
        return dict(options)
    return {**options, _PARALLEL: concurrency}
