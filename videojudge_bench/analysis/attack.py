"""Attacks on a judge: the rise in score of answers that were changed and are no better."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from itertools import chain

import numpy as np

from videojudge_bench import goldsets, registry
from videojudge_bench._util.options import parse_judge
from videojudge_bench.analysis.attack_kinds import KINDS, Attack, attacks_on
from videojudge_bench.analysis.attack_results import NO_RISE, Attacked, Scores
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Example, Item, NoGold, OptionGold, Pair, RatingGold
from videojudge_bench.metrics.bootstrap import Bools, Floats, Resampling
from videojudge_bench.run.plan import AnyItem
from videojudge_bench.run.runner import Run, RunOptions
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed

_BOTH_ORDERS = ("/ab", "/ba")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def attack_judge(
    judge: str,
    gold_set: str,
    *,
    limit: int | None = None,
    pairwise: bool = False,
    seed: int = 0,
    options: RunOptions | None = None,
) -> Attacked:
    """Change answers of a gold set in ways that make them no better, and return what they gain.

    Judgements are kept in a journal of their own, so that the same call resumes.

    Args:
        judge: `NAME,option=value,…`, with or without `judge=` before it.
        gold_set: name of the set; of pairs, each response is an answer.
        limit: the first so many answers; None: all.
        pairwise: ask which of the changed and the original answer is better, in both orders; a
            judge that cannot rate is asked so in any case.
        seed: of all draws: templates, texts of other videos, resamples of videos.
        options: what the judge is shown, and the folder of the journal.

    Raises:
        UnknownNameError: no such judge or gold set.
        ConfigError: options that cannot work, a limit below 1, a seed below 0, or a judge that does
            not suit the set.
        NoDataError: the set is not on this machine.
        JudgeFailedError: the judge failed on every item.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit {limit}: expected 1 or more answers")
    if seed < 0:
        raise ConfigError(f"--seed {seed}: expected 0 or more")
    loaded = goldsets.load(gold_set)
    name, given = parse_judge(judge)
    built = registry.build(name, given)
    try:
        pairwise = pairwise or "rate" not in built.judge.abilities
        answers = _answers(loaded)
        run = Run(built, _asked_set(loaded, answers, pairwise=pairwise), options)
        is_best = np.array([_is_best(loaded, answer) for answer in answers[:limit]])
        scores = _scores(run, answers, is_best, seed=seed)
        return Attacked(
            judge=built.name,
            gold_set=gold_set,
            signature=run.identity.signature,
            references=run.view.references,
            scale=None if scores.scale is None else str(scores.scale),
            pairwise=pairwise,
            seed=seed,
            reasons=scores.reasons,
            unattacked=scores.unattacked,
            kinds=scores.kinds(Resampling(seed=seed)),
        )
    finally:
        built.judge.close()


def _scores(run: Run, others: Sequence[Item], is_best: Bools, *, seed: int) -> Scores:
    """Ask the judge about the first answers, as many as `is_best` has, and about their attacks."""
    pairwise = run.gold_set.info.shape == "pairs"
    answers, attacks = others[: len(is_best)], {}
    for answer in answers:
        references = run.view.item(answer.id).references or answer.references
        source = replace(answer, references=references)
        attacks[answer.id] = attacks_on(source, others, seed=seed, scale=run.scale)
    asked = chain.from_iterable(_asked(run, a, attacks[a.id].values()) for a in answers)
    judgements = run.judge_shown({item.id: item for item in asked})

    def column(kind: str) -> Floats:
        ids = (_ids(answer.id, kind, pairwise=pairwise) for answer in answers)
        return np.array([_score([judgements.get(item_id) for item_id in each]) for each in ids])

    if pairwise:
        before = np.full(len(answers), NO_RISE)
    else:
        before = np.array([_score([judgements[answer.id]]) for answer in answers])
    return Scores(
        answers,
        is_best,
        attacks,
        before,
        after={kind.name: column(kind.name) for kind in KINDS},
        scale=None if pairwise else run.scale,
        pairwise=pairwise,
        reasons=_reasons(judgements.values()),
    )


def _is_best(gold_set: GoldSet, answer: Item) -> bool:
    example = gold_set.by_id.get(answer.id)  # none of the side of a pair
    gold = None if example is None else example.gold
    if isinstance(gold, RatingGold):
        return gold.mean >= gold_set.info.scale.high - 0.5
    return isinstance(gold, OptionGold) and gold.correct


def _reasons(judgements: Iterable[Judgement]) -> dict[str, int]:
    """Return the reasons of judgements without a verdict, with counts, the most frequent first.

    Details behind a colon and numbers are left out: each reply has its own.
    """
    verdicts = (judgement.verdict for judgement in judgements)
    texts = (v.reason.partition(":")[0] for v in verdicts if isinstance(v, Unparsed))
    return dict(Counter(_NUMBER.sub("…", text) for text in texts).most_common())


def _answers(gold_set: GoldSet) -> list[Item]:
    """Return the responses of a set, those of a pair apart and each once."""
    answers: dict[object, Item] = {}
    for item in (example.item for example in gold_set.examples):
        if isinstance(item, Item):
            answers[item.id] = item
        else:
            for side in item.sides():
                answers.setdefault((*side.group, side.response), side)
    return list(answers.values())


def _asked_set(gold_set: GoldSet, answers: Sequence[Item], *, pairwise: bool) -> GoldSet:
    """Return the set that the judge learns from, where it does, under a name of its own.

    The name keeps the journal apart from those of runs on the set itself.
    """
    info = replace(gold_set.info, name=f"attack-{gold_set.info.name}")
    if not pairwise and info.shape != "pairs":
        return replace(gold_set, info=info)
    info = replace(
        info, kind="none", shape="pairs" if pairwise else "ratings", recipe=None, systems=False
    )
    items = [_beside_itself(answer) if pairwise else answer for answer in answers]
    examples = tuple(Example(item, NoGold(), unit=item.id) for item in items)
    return replace(gold_set, info=info, examples=examples)


def _beside_itself(item: Item) -> Pair:
    shared = {f.name: getattr(item, f.name) for f in fields(item) if f.name != "response"}
    return Pair(first=item.response, second=item.response, **shared)


def _asked(run: Run, answer: Item, attacks: Iterable[Attack | None]) -> Iterator[AnyItem]:
    """Yield what the judge is asked about an answer: as it was, then each change of it."""
    item, visible = run.view.item(answer.id), run.built.judge.visible
    if isinstance(item, Item):
        yield visible(item)
    for attack in attacks:
        if attack is None:
            continue
        ids = _ids(answer.id, attack.kind, pairwise=isinstance(item, Pair))
        if isinstance(item, Item):
            yield visible(replace(item, id=ids[0], response=attack.text))
        else:
            texts = (attack.text, answer.response)
            for item_id, (first, second) in zip(ids, (texts, texts[::-1]), strict=True):
                yield visible(replace(item, id=item_id, first=first, second=second))


def _ids(answer_id: str, kind: str, *, pairwise: bool) -> list[str]:
    return [f"{answer_id}#{kind}{order}" for order in (_BOTH_ORDERS if pairwise else ("",))]


def _score(judgements: Sequence[Judgement | None]) -> float:
    """Return the rating, or the probability of the changed answer over both orders; NaN: none."""
    verdicts = [None if judgement is None else judgement.verdict for judgement in judgements]
    if isinstance(verdicts[0], Rating):
        return verdicts[0].value
    preferences = [v.p_first for v in verdicts if isinstance(v, Preference)]
    if len(preferences) < len(_BOTH_ORDERS):
        return float("nan")
    return (preferences[0] + 1 - preferences[1]) / 2
