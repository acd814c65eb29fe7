"""Parity of two judges, such as one model in process and behind a server.

Both are asked about the same items, without a journal; their prompts, replies and verdicts are
compared.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from videojudge_bench import goldsets, registry
from videojudge_bench._util.hashing import Json
from videojudge_bench._util.options import Scalar, parse_judge, without_secrets
from videojudge_bench.analysis.prompt_difference import PromptParity, compare_prompts
from videojudge_bench.errors import ConfigError
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.registry import BuiltJudge
from videojudge_bench.run._recording_engine import Record, RecordingEngine
from videojudge_bench.run.runner import Run, RunOptions
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed

SCORE_TOLERANCE = 0.02
"""Scores on a rating scale, and probabilities of a preference, may be this far apart."""

_EXACT = 1e-6  # relative, for scores that are on no scale
_PART = re.compile(r"(?:#(?:first|second))?(?:~\d+)?$")


@dataclass(frozen=True)
class ItemParity:
    """One item with the judgements of two judges.

    Attributes:
        prompts: that both judges sent about it; none for judges that ask no model.
        difference: of the two scores or preferences; None where a judge has none.
        is_same: the two verdicts count as the same one.
    """

    id: str
    a: Judgement
    b: Judgement
    prompts: tuple[PromptParity, ...]
    difference: float | None
    is_same: bool


@dataclass(frozen=True)
class Side:
    """One of the two judges."""

    name: str
    signature: Mapping[str, Scalar]
    references: int
    judgements: Mapping[str, Judgement]
    records: Mapping[str, Record]
    is_on_scale: bool


@dataclass(frozen=True)
class Parity:
    """Two judges on the same items."""

    gold_set: str
    a: Side
    b: Side
    items: tuple[ItemParity, ...]

    @property
    def prompts(self) -> list[PromptParity]:
        """All prompts that both judges sent."""
        return [prompt for item in self.items for prompt in item.prompts]

    @property
    def is_same(self) -> bool:
        """True if the two may share a leaderboard row, as far as these items tell."""
        return not self.problems()

    @property
    def differences(self) -> dict[str, float]:
        """Absolute difference of the two scores by item id, where both exist."""
        return {item.id: item.difference for item in self.items if item.difference is not None}

    def settings(self) -> dict[str, tuple[Scalar, Scalar]]:
        """Return the entries in which the signatures of the two judges differ."""
        one, other = self.a.signature, self.b.signature
        names = dict.fromkeys([*one, *other])
        both = {name: (one.get(name), other.get(name)) for name in names}
        return {name: pair for name, pair in both.items() if pair[0] != pair[1]}

    def first_difference(self) -> str:
        """Return the first place where two prompts differ; empty where none is known."""
        differences = (f"{p.id}: {p.difference}" for p in self.prompts if p.difference)
        return next(differences, "")

    def problems(self) -> list[str]:
        """Return why the two verdicts are not the same; empty where they are."""
        count = len(self.items)
        failed = [item for item in self.items if item.a.failed or item.b.failed]
        one_sided = [i for i in self.items if i.difference is None and not i.is_same]
        far = [i for i in self.items if i.difference is not None and not i.is_same]
        parted = [p for p in self.prompts if not p.replies_equal and not p.is_near_tie]
        reasons = []
        if failed:
            reasons.append(
                f"{len(failed)} of {count} items could not be judged: {_failure(failed[0])}"
            )
        if parted:
            unknown = sum(prompt.margin is None for prompt in parted)
            why = f" ({unknown} without log-probabilities to tell)" if unknown else ""
            reasons.append(
                f"{len(parted)} of {len(self.prompts)} replies differ and are no near-tie{why}"
            )
        if far:
            worst = max(far, key=lambda item: item.difference or 0.0)
            reasons.append(
                f"{len(far)} of {count} scores differ too much, by up to {worst.difference:.3g} "
                f"({worst.id})"
            )
        if len(one_sided) > len(failed):
            reasons.append(f"{len(one_sided)} of {count} items have a verdict from one judge alone")
        return reasons

    def to_json(self) -> dict[str, Json]:
        """Return everything as one object."""
        return {
            "gold_set": self.gold_set,
            "same_verdicts": self.is_same,
            "problems": list(self.problems()),
            "first_difference": self.first_difference(),
            "judges": [
                {"name": s.name, "signature": dict(s.signature), "references": s.references}
                for s in (self.a, self.b)
            ],
            "settings": {name: list(pair) for name, pair in self.settings().items()},
            "items": [_item_json(item) for item in self.items],
        }


def compare_judges(
    a: str,
    b: str,
    gold_set: str,
    *,
    limit: int | None = None,
    options: RunOptions | None = None,
) -> Parity:
    """Ask two judges about the same items, and return the comparison.

    Args:
        a: `NAME,option=value,…`, with or without `judge=` before it.
        b: the other judge.
        gold_set: name of the set whose items are judged.
        limit: the first so many of them; None: all.
        options: what the judges are shown; no journal is kept.

    Raises:
        UnknownNameError: no such judge or gold set.
        ConfigError: options that cannot work, a limit below 1, or a judge that does not suit the
            set.
        NoDataError: the set is not on this machine.
        JudgeFailedError: a judge failed on every item.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit {limit}: expected 1 or more items")
    items = goldsets.load(gold_set)
    ids = [example.item.id for example in items.examples[:limit]]
    specs = [parse_judge(text) for text in (a, b)]
    built: list[BuiltJudge] = []
    try:
        built += (registry.build(name, given) for name, given in specs)
        with tempfile.TemporaryDirectory() as folder:
            runs = [
                Run(judge, items, replace(options or RunOptions(), journal=Path(folder) / side))
                for judge, side in zip(built, "ab", strict=True)
            ]
            for run in runs:
                if run.refusal is not None:
                    raise ConfigError(f"not applicable: {run.refusal}")
            sides = [_asked(run, ids, name) for run, name in zip(runs, _names(specs), strict=True)]
    finally:
        for judge in built:
            judge.judge.close()
    a_side, b_side = sides
    prompts = _prompts(a_side, b_side)
    compared = (_item(i, a_side, b_side, tuple(prompts.get(i, ()))) for i in ids)
    return Parity(gold_set, a_side, b_side, tuple(compared))


def _asked(run: Run, item_ids: Sequence[str], name: str) -> Side:
    judge, recorder = run.built.judge, None
    if isinstance(judge, PromptedJudge):
        judge.engine = recorder = RecordingEngine(judge.engine)
    judgements = run.judge(item_ids)
    return Side(
        name,
        run.built.signature(),
        run.view.references,
        judgements,
        {} if recorder is None else recorder.records,
        judge.scale is not None,
    )


def _names(specs: Sequence[tuple[str, Mapping[str, Scalar]]]) -> list[str]:
    """Return the judges' names, with the options in which two of one name differ."""
    (one, ours), (other, theirs) = specs
    if one != other:
        return [one, other]
    names = []
    for given, also in ((ours, theirs), (theirs, ours)):
        own = {k: v for k, v in without_secrets(given).items() if also.get(k) != given[k]}
        names.append(",".join([one, *(f"{key}={value}" for key, value in own.items())]))
    return names if names[0] != names[1] else [f"{one} (A)", f"{one} (B)"]


def _prompts(a: Side, b: Side) -> dict[str, list[PromptParity]]:
    by_item: dict[str, list[PromptParity]] = {}
    for prompt_id in a.records:
        if prompt_id in b.records:
            prompt_parity = compare_prompts(prompt_id, a.records[prompt_id], b.records[prompt_id])
            by_item.setdefault(_PART.sub("", prompt_id), []).append(prompt_parity)
    return by_item


def _item(item_id: str, a: Side, b: Side, prompts: tuple[PromptParity, ...]) -> ItemParity:
    one, other = a.judgements[item_id], b.judgements[item_id]
    apart = _apart(one, other)
    size = max(1.0, abs(one.verdict.value)) if isinstance(one.verdict, Rating) else 1.0
    allowed = SCORE_TOLERANCE if a.is_on_scale and b.is_on_scale else _EXACT * size
    both_unparsed = all(isinstance(judgement.verdict, Unparsed) for judgement in (one, other))
    is_same = both_unparsed if apart is None else apart <= allowed
    if not (one.probabilities and other.probabilities):
        # Two equally likely replies may state verdicts that are far apart.
        parted = [prompt for prompt in prompts if not prompt.replies_equal]
        is_same = is_same or bool(parted and all(prompt.is_near_tie for prompt in parted))
    is_same = is_same and not (one.failed or other.failed)
    return ItemParity(item_id, one, other, prompts, apart, is_same)


def _apart(a: Judgement, b: Judgement) -> float | None:
    one, other = a.verdict, b.verdict
    if isinstance(one, Rating) and isinstance(other, Rating):
        return abs(one.value - other.value)
    if isinstance(one, Preference) and isinstance(other, Preference):
        return abs(one.p_first - other.p_first)
    return None


def _failure(item: ItemParity) -> str:
    verdict = (item.a if item.a.failed else item.b).verdict
    return verdict.reason if isinstance(verdict, Unparsed) else ""


def _item_json(item: ItemParity) -> dict[str, Json]:
    prompts: list[Json] = [
        {
            "id": prompt.id,
            "tokens": list(prompt.tokens),
            "prompts_compared": prompt.is_known,
            "difference": prompt.difference,
            "replies_equal": prompt.replies_equal,
            "margin": prompt.margin if math.isfinite(prompt.margin or 0.0) else None,
        }
        for prompt in item.prompts
    ]
    return {
        "id": item.id,
        "same_verdict": item.is_same,
        "difference": item.difference,
        "judgements": [item.a.to_json(), item.b.to_json()],
        "prompts": prompts,
    }
