"""From the replies to one item to its judgement: text, expected score, several samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Union, cast

from videojudge_bench.engine import EngineError, Reply
from videojudge_bench.items import Item, Pair
from videojudge_bench.judge import preference_from_ratings
from videojudge_bench.replies.reply_format import parse_preference, parse_rating
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed, Usage, Verdict

LOST_MASS = 0.2
"""A model that gives more than this to what is no verdict has not understood the question."""

LABELS = ("A", "B")
ENGINE = "engine: "
CUT_OFF = "cut off at max_tokens"


def choices_for(item: Item | Pair, scale: RatingScale) -> tuple[str, ...]:
    """Return the texts between which the expected score of an item or pair is taken."""
    return tuple(map(str, scale.values)) if isinstance(item, Item) else LABELS


def read_reply(
    item: Item | Pair, reply: Reply | EngineError, scale: RatingScale, lost_mass: float | None
) -> Judgement:
    """Return the judgement that one reply amounts to.

    The verdict is what the text says or, with a `lost_mass`, the mean of the probabilities, of
    which so much may lie beside the verdicts.
    """
    if isinstance(reply, EngineError):
        return Judgement(item.id, Unparsed(f"{ENGINE}{reply.reason}"), failed=True)
    verdict: Verdict = Unparsed(CUT_OFF)  # the rest might have taken a verdict back
    if reply.finished and lost_mass is None:
        verdict = _stated(item, reply.text, scale)
    elif reply.finished and lost_mass is not None:
        verdict = _expected(item, reply, scale, lost_mass)
    return Judgement(item.id, verdict, reply.text, reply.probabilities, reply.usage)


def _stated(item: Item | Pair, text: str, scale: RatingScale) -> Verdict:
    return parse_rating(text, scale) if isinstance(item, Item) else parse_preference(text)


def _expected(item: Item | Pair, reply: Reply, scale: RatingScale, lost_mass: float) -> Verdict:
    """G-Eval's probability-weighted score (Liu et al. 2023, arXiv 2303.16634), renormalised."""
    given = probabilities_of(reply, choices_for(item, scale))
    if isinstance(item, Item):
        return expected_rating(given, scale, lost_mass)
    return _lost(given, lost_mass) or Preference(min(1.0, given[0] / sum(given)))


def probabilities_of(reply: Reply, choices: Sequence[str]) -> list[float]:
    """Return the probabilities of choices in a reply; empty where they are not known."""
    known = reply.probabilities
    return [known.get(c, 0.0) for c in choices] if not known.keys().isdisjoint(choices) else []


def expected_rating(
    given: Sequence[float], scale: RatingScale, lost_mass: float
) -> Rating | Unparsed:
    """Return the mean of a scale's values by their probabilities, as `_expected` does."""
    if problem := _lost(given, lost_mass):
        return problem
    mean = sum(value * p for value, p in zip(scale.values, given, strict=True)) / sum(given)
    return Rating(scale.clip(mean))


def _lost(given: Sequence[float], lost_mass: float) -> Unparsed | None:
    mass = sum(given)
    if not given:
        return Unparsed("no probabilities: the reply has no verdict in its tag, or none came")
    if 1.0 - mass > lost_mass or not mass:
        return Unparsed(f"lost mass {1.0 - mass:.2f}: {lost_mass:g} may go to what is no verdict")
    return None


def mean_of_samples(item_id: str, samples: Sequence[Judgement]) -> Judgement:
    """Return the mean of several judgements of one item, if more than half have a verdict.

    `probabilities` is the mean of theirs: a verdict without any has all its mass at itself.
    """
    if len(samples) == 1:
        return samples[0]
    criteria = dict.fromkeys(name for sample in samples for name in sample.criteria)
    parsed = [(s, s.verdict) for s in samples if not isinstance(s.verdict, Unparsed)]
    spread: Counter[str] = Counter()
    for sample, v in parsed:
        label = f"{v.value:g}" if isinstance(v, Rating) else v.choice
        spread.update(sample.probabilities or {label: 1.0})
    if 2 * len(parsed) > len(samples):
        total = sum(v.value if isinstance(v, Rating) else v.p_first for _, v in parsed)
        verdict: Verdict = type(parsed[0][1])(total / len(parsed))
    else:
        reason = next(s.verdict.reason for s in samples if isinstance(s.verdict, Unparsed))
        count = f"{len(samples) - len(parsed)} of {len(samples)} samples have no verdict"
        verdict = Unparsed(f"{count}; the first: {reason}")
    return Judgement(
        item_id,
        verdict,
        reply="\n\n".join(s.reply for s in samples),
        probabilities={label: spread[label] / len(parsed) for label in sorted(spread)},
        usage=sum((s.usage for s in samples), Usage()),
        failed=isinstance(verdict, Unparsed) and any(s.failed for s in samples),
        samples=tuple(samples),
        criteria={name: _mean([s.criteria.get(name) for s in samples]) for name in criteria},
    )


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of those that are there, None unless they are more than half."""
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if 2 * len(there) > len(values) else None


def joined(pair: Pair, first: Judgement, second: Judgement) -> Judgement:
    """Return the preference that the judgements of a pair's two responses amount to."""
    one, two = (cast("Union[Rating, Unparsed]", j.verdict) for j in (first, second))
    return Judgement(
        pair.id,
        preference_from_ratings(one, two),
        reply=f"{first.reply}\n\n{second.reply}",
        usage=first.usage + second.usage,
        failed=first.failed or second.failed,
        samples=(first, second),
    )


def replies_of(judgement: Judgement) -> list[Reply | EngineError]:
    """Return the replies that a judgement was read from, in the order in which they came."""
    if judgement.samples:
        return [reply for sample in judgement.samples for reply in replies_of(sample)]
    reason = judgement.verdict.reason if isinstance(judgement.verdict, Unparsed) else ""
    if judgement.failed:
        return [EngineError(reason.removeprefix(ENGINE))]
    finished = not reason.startswith(CUT_OFF)
    return [Reply(judgement.reply, judgement.probabilities, judgement.usage, finished)]


def text_agrees(item: Item | Pair, reply: Reply | EngineError, scale: RatingScale) -> bool:
    """Return whether a reply's text holds no other verdict than its probabilities favour.

    Otherwise they were taken at another place; of a reply in a journal, the right ones are unknown.
    """
    if isinstance(reply, EngineError) or not reply.probabilities:
        return True
    verdict = read_reply(item, reply, scale, None).verdict
    favoured = max(reply.probabilities, key=lambda choice: reply.probabilities[choice])
    if isinstance(verdict, Rating):
        return f"{verdict.value:g}" == favoured
    return isinstance(verdict, Unparsed) or favoured == LABELS[verdict.p_first < 0.5]
