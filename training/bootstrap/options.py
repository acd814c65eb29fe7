"""Options of a bootstrap: recipes in YAML, validated with all problems reported at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from videojudge_bench._util.hashing import Json
from videojudge_bench._util.options import without_secrets
from videojudge_bench.errors import ConfigError
from videojudge_bench.training.bootstrap.calls import Limits
from videojudge_bench.training.bootstrap.loop import Acceptance, Rules
from videojudge_bench.training.bootstrap.roles import RoleName, RoleOptions
from videojudge_bench.training.bootstrap.rows import RowOptions
from videojudge_bench.training.bootstrap.seeds import NONE, SeedOptions
from videojudge_bench.training.recipe_file import checked, read_recipe, recipes_in

RECIPES_FOLDER = Path(__file__).parents[1] / "recipes"

Executor = Literal["local", "ray"]
ReportKind = Literal["auto", "full", "brief"]

_RUN_ONLY = ("concurrency", "max_requests", "max_cost", "max_failures")
_DATACLASSES: Mapping[str, type] = {"seeds": SeedOptions, "export": RowOptions}


class BootstrapOptions(BaseModel):
    """All options of a bootstrap.

    Attributes:
        rubric: role that writes rubrics for rows of that kind; without it, they are assembled
            from the responses.
        report: `full`: with plots, similarities and the text-only baseline, which cost CPU time;
            `brief`: without; `auto`: full from 10,000 seeds on.
        concurrency: seeds in flight, per worker; each has one call at a time.
        max_cost: money that all replies may have cost, in the unit of the engines' prices.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seeds: SeedOptions
    generator: RoleOptions
    evaluator: RoleOptions
    rubric: RoleOptions | None = None
    acceptance: Acceptance = "response"
    alpha: float = Field(0.0, ge=0)
    max_rounds: int = Field(3, ge=1)
    export: RowOptions = RowOptions()
    report: ReportKind = "auto"
    concurrency: int = Field(64, ge=1)
    max_requests: Annotated[int | None, NONE] = Field(None, ge=1)
    max_cost: Annotated[float | None, NONE] = Field(None, gt=0)
    max_failures: int = Field(20, ge=1)

    @property
    def rules(self) -> Rules:
        """Conditions under which a response is accepted."""
        return Rules(self.acceptance, self.alpha, self.max_rounds)

    @property
    def roles(self) -> dict[RoleName, RoleOptions]:
        """Roles by their task."""
        roles: dict[RoleName, RoleOptions] = {
            "generator": self.generator,
            "evaluator": self.evaluator,
        }
        return {**roles, "rubric": self.rubric} if self.rubric else roles

    @property
    def limits(self) -> Limits:
        """Limits at which the run stops."""
        dearest = max(role.reply_cost for role in self.roles.values())
        return Limits(self.max_requests, self.max_cost, self.max_failures, dearest)

    @model_validator(mode="after")
    def _has_prices(self) -> BootstrapOptions:
        if self.max_cost is not None and not any(role.prices for role in self.roles.values()):
            raise ValueError(
                "max_cost needs generator.price_in=…, generator.price_out=…, and those of the "
                "evaluator: the prices of a million tokens"
            )
        return self

    @model_validator(mode="after")
    def _has_rows_for_rubrics(self) -> BootstrapOptions:
        if self.rubric is not None and "rubric" not in self.export.kinds:
            raise ValueError(
                f"rubric: no row needs one with export.kinds={list(self.export.kinds)}; add "
                "`rubric` to the kinds, or leave the role out (--override rubric=null)"
            )
        return self

    def identity(self) -> dict[str, dict[str, Json]]:
        """Return what the responses depend on beside the roles; a later run must not change it."""
        dumped: dict[str, Json] = self.model_dump(mode="json")["seeds"]
        sets = {f.name for f in fields(self.seeds) if isinstance(getattr(self.seeds, f.name), Set)}
        seeds: dict[str, Json] = {
            # Sets are sorted, so that equal options are recorded alike.
            name: sorted(cast("list[str]", value)) if name in sets else value
            for name, value in dumped.items()
        }
        return {"seeds": seeds, "rules": dict(asdict(self.rules))}

    def all_else(self) -> dict[str, Json]:
        """Return the options that may differ from one run on an output to the next; no secrets."""
        dumped: dict[str, Json] = self.model_dump(mode="json")
        roles: dict[str, Json] = {
            role: dict(without_secrets({"kind": spec.kind, **spec.options}))
            for role, spec in self.roles.items()
        }
        return {**roles, "export": dumped["export"], **{k: dumped[k] for k in _RUN_ONLY}}


def recipes() -> list[str]:
    """Return the names of our recipes."""
    return recipes_in(RECIPES_FOLDER)


def load_options(recipe: str, changes: Sequence[str] = ()) -> BootstrapOptions:
    """Return the options of a recipe, one of `recipes()` or a file, with `key=value` changes.

    Raises:
        UnknownNameError: no such recipe.
        ConfigError: the file is no YAML, or options are unknown, missing or of a wrong kind; all
            of them in one message.
    """
    data = read_recipe(recipe, changes, folder=RECIPES_FOLDER)
    inner = {name: [field.name for field in fields(cls)] for name, cls in _DATACLASSES.items()}
    options, problems = checked(BootstrapOptions, data, inner)
    if options is None:
        raise ConfigError.all_of(f"recipe {recipe}", problems)
    return options
