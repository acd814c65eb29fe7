"""Contract checks of a judge, offline, on a dozen built-in responses and pairs.

`videojudge judges --check module:Class,option=value` prints what `check` returns.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Union

from videojudge_bench import registry
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError, VideoJudgeError
from videojudge_bench.items import Item, Pair
from videojudge_bench.judge import Judge
from videojudge_bench.run.runner import FAILED, NO_VERDICT, answers_of
from videojudge_bench.verdicts import FIRST, SECOND, TIE, Judgement, Preference, Rating, Unparsed

AnyItem = Union[Item, Pair]

FAULTS: tuple[type[Exception], ...] = (
    *(ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError),
    *(OSError, RuntimeError, TypeError, ValueError, VideoJudgeError),
)
"""What a constructor or `settings` may raise; the item boundary of a run takes the rest."""


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check.

    Attributes:
        name: of the check.
        passed: False only for a broken contract; a skipped or merely counted check passes.
        detail: the observation; of a failure with the first item at fault.
    """

    name: str
    passed: bool
    detail: str = ""


def check(name: str, options: Mapping[str, Scalar]) -> list[CheckResult]:
    """Return one result per check; the list ends early when the judge cannot be built.

    The judge, a name or `module:Class`, is built twice, fitted on all items and asked three times.
    One that requires video is built and not asked. An exception of the judge becomes a failed check
    that names the first item at fault; the other items are still asked and checked.
    """
    try:
        built, again = registry.build(name, options), registry.build(name, options)
    except FAULTS as error:
        return [CheckResult("builds", False, _words(error))]
    try:
        return [
            CheckResult("builds", True, type(built.judge).__name__),
            _refuses_unknown_options(name, options),
            _settings_are_scalars(built),
            *_behaviour(built, again),
        ]
    finally:
        built.judge.close()
        again.judge.close()


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, VideoJudgeError) else f"{type(error).__name__}: {error}"


def _result(name: str, problems: Iterable[str], detail: str = "") -> CheckResult:
    """Return the result of a check, which fails with the first of its problems."""
    problem = next(iter(problems), None)
    return CheckResult(name, problem is None, detail if problem is None else problem)


def _refuses_unknown_options(name: str, options: Mapping[str, Scalar]) -> CheckResult:
    what = "refuses an unknown option"
    try:
        built = registry.build(name, {**options, "no_such_option": 1})
    except ConfigError:
        return CheckResult(what, True)
    built.judge.close()
    problem = "it took no_such_option=1: a misspelt option would go unnoticed"
    return CheckResult(what, False, problem)


def _settings_are_scalars(built: registry.BuiltJudge) -> CheckResult:
    what = "signature holds plain values"
    try:
        signature = built.signature()
    except FAULTS as error:
        return CheckResult(what, False, _words(error))
    problems = (
        f"{key!r} is {value!r}; text, finite number, bool or None is allowed"
        for key, value in signature.items()
        if not isinstance(value, (str, int, float, type(None)))
        or (isinstance(value, float) and not math.isfinite(value))
    )
    return _result(what, problems, f"{len(signature)} entries")


def _behaviour(built: registry.BuiltJudge, again: registry.BuiltJudge) -> list[CheckResult]:
    judge = built.judge
    if "video" in judge.requires:
        return [CheckResult("judges", True, "skipped: it requires video, and the check has none")]
    rates, prefers = "rate" in judge.abilities, "prefer" in judge.abilities
    items = [*(_items() if rates else ()), *(_pairs() if prefers else ())]
    first, same = _Watched(judge, items), _Watched(again.judge, items)
    try:
        answers, others = first.answers(items), same.answers(items)
        reverse = same.answers(items[::-1])
    except VideoJudgeError as error:  # the judge refuses all items
        return [CheckResult("judges", False, f"{type(error).__name__}: {error}")]
    return [
        *_exceptions(answers),
        _each_answered_once(items, answers, first.counts),
        _verdicts_are_valid(judge, items, answers),
        _verdicts_agree("two instances agree", answers, others),
        _verdicts_agree("the order of the items changes nothing", others, reverse),
        _survives_json(answers),
        _swap_names_the_same_response(judge, items, answers),
    ]


class _Watched(Judge):
    """A judge that is fitted before its first item and whose answers are counted."""

    def __init__(self, judge: Judge, items: Sequence[AnyItem]) -> None:
        self._judge, self._to_fit = judge, items
        self.counts: Counter[str] = Counter()

    def answers(self, items: Sequence[AnyItem]) -> list[Judgement]:
        """Return one answer per item, as a run gets them: also where the judge raises."""
        self.counts.clear()
        return list(answers_of(registry.BuiltJudge("", self, {}), items))

    def judge(self, items: Iterable[AnyItem]) -> Iterator[Judgement]:
        """Yield the answers of the judge."""
        if self._to_fit:
            self._judge.fit(self._to_fit)
            if self._judge.fits_on_dev:
                rated = [item for item in self._to_fit if isinstance(item, Item)]
                self._judge.fit_dev([(item, _GOLD[item.id]) for item in rated])
            self._to_fit = ()
        for judgement in self._judge.judge(items):
            self.counts[judgement.item_id] += 1
            yield judgement


def _raised(answers: Sequence[Judgement]) -> dict[str, str]:
    """Return the exceptions of the judge by item id."""
    reasons = {a.item_id: a.verdict.reason for a in answers if isinstance(a.verdict, Unparsed)}
    return {
        item_id: reason.removeprefix(f"{FAILED}: ")
        for item_id, reason in reasons.items()
        if reason.startswith(FAILED) and reason != NO_VERDICT
    }


def _exceptions(answers: Sequence[Judgement]) -> list[CheckResult]:
    """Return a failed check where the judge raised, no check where it did not."""
    raised = _raised(answers)
    return [
        CheckResult("judges", False, f"{item_id!r}: {words}; {len(raised)} of {len(answers)} fail")
        for item_id, words in list(raised.items())[:1]
    ]


def _each_answered_once(
    items: Sequence[AnyItem], answers: Sequence[Judgement], counts: Mapping[str, int]
) -> CheckResult:
    what, raised = "every item is answered once", _raised(answers)
    for item in items:
        times = counts.get(item.id, 0)
        if times != 1 and item.id not in raised:
            return CheckResult(what, False, f"{item.id!r} was answered {times} times")
    extra = counts.keys() - {item.id for item in items}
    if extra:
        return CheckResult(what, False, f"{sorted(extra)[0]!r} was answered and not asked")
    given = [answer.verdict for answer in answers if answer.item_id not in raised]
    unparsed = [verdict.reason for verdict in given if isinstance(verdict, Unparsed)]
    rest = f", {len(unparsed)} of them Unparsed: {unparsed[0]}" if unparsed else ""
    return CheckResult(what, True, f"{len(given)} verdicts{rest}")


def _verdicts_are_valid(
    judge: Judge, items: Sequence[AnyItem], answers: Sequence[Judgement]
) -> CheckResult:
    what = "verdicts are of the right kind" + (f" and on {judge.scale}" if judge.scale else "")
    kinds = {item.id: Rating if isinstance(item, Item) else Preference for item in items}
    for answer in answers:
        kind, verdict = kinds[answer.item_id], answer.verdict
        if not isinstance(verdict, (kind, Unparsed)):
            allowed = f"{kind.__name__} or Unparsed is allowed"
            return CheckResult(what, False, f"{answer.item_id!r}: {verdict!r}; {allowed}")
        if isinstance(verdict, Rating) and judge.scale and verdict.value not in judge.scale:
            return CheckResult(what, False, f"{answer.item_id!r}: {verdict.value} is off the scale")
    return CheckResult(what, True)


def _verdicts_agree(what: str, one: Sequence[Judgement], other: Sequence[Judgement]) -> CheckResult:
    others = {answer.item_id: answer.verdict for answer in other}
    pairs = ((a.item_id, a.verdict, others.get(a.item_id)) for a in one)
    return _result(
        what, (f"{i!r}: {first}, then {then}" for i, first, then in pairs if first != then)
    )


def _survives_json(answers: Sequence[Judgement]) -> CheckResult:
    what = "judgements survive the journal"
    for answer in answers:
        try:
            back = Judgement.from_json(json.loads(json.dumps(answer.to_json())))
        except (TypeError, ValueError, AttributeError) as error:
            return CheckResult(what, False, f"{answer.item_id!r}: {error}")
        if back != answer:
            return CheckResult(what, False, f"{answer.item_id!r}: {answer} came back as {back}")
    return CheckResult(what, True)


def _swap_names_the_same_response(
    judge: Judge, items: Sequence[AnyItem], answers: Sequence[Judgement]
) -> CheckResult:
    """Fail only a judge that compares two ratings: the order may change a model's preference."""
    what = "a swapped pair has the same winner"
    verdicts = {answer.item_id: answer.verdict for answer in answers}
    swapped = {FIRST: SECOND, SECOND: FIRST, TIE: TIE}
    consistent: list[str] = []
    inconsistent: list[str] = []
    for pair in items:
        one, other = verdicts[pair.id], verdicts.get(_swapped_id(pair.id))
        if isinstance(one, Preference) and isinstance(other, Preference):
            agree = one.choice == swapped[other.choice]
            (consistent if agree else inconsistent).append(pair.id)
    total = (len(consistent) + len(inconsistent)) // 2
    if not total:
        return CheckResult(what, True, "skipped: no pair has a preference in both orders")
    detail = f"order consistent {len(consistent) // 2} of {total}"
    rates_both = type(judge).prefer is Judge.prefer and type(judge).rate is not Judge.rate
    if rates_both and inconsistent:
        return CheckResult(what, False, f"{detail}; first at fault {inconsistent[0]!r}")
    return CheckResult(what, True, detail)


@dataclass(frozen=True)
class _Scene:
    """A made-up video of the check, with three responses from good to bad."""

    instruction: str
    description: str
    references: tuple[str, ...]
    responses: tuple[str, str, str]


_SCENES = (
    _Scene(
        "What is the man doing?",
        "A man in a red apron chops carrots on a wooden board and drops them into a pot.",
        ("A man is chopping carrots.", "He cuts vegetables and puts them into a pot."),
        ("The man chops carrots and puts them into a pot.", "He is cooking.", "He paints a wall."),
    ),
    _Scene(
        "Describe the video.",
        "A brown dog runs along a beach, picks up a stick and carries it back to a girl.",
        ("A dog fetches a stick on the beach.", "A brown dog brings a stick back to a girl."),
        (
            "A brown dog brings a stick to a girl on a beach.",
            "A dog is outside.",
            "Two cats sleep.",
        ),
    ),
    _Scene(
        "How many people cross the street?",
        "Three people with umbrellas wait at a crossing and then walk over together.",
        ("Three people cross the street.", "Three."),
        ("Three people, all with umbrellas.", "Some people do.", "Nobody: the street is empty."),
    ),
    _Scene(
        "What happens at the end?",
        "A child stacks blocks into a tower; at the end the tower falls over and she laughs.",
        ("The tower falls over.", "The tower of blocks falls and the child laughs."),
        ("The tower falls and the child laughs.", "Something falls.", "The child goes to sleep."),
    ),
)
_RATINGS = (5.0, 3.0, 1.0)
_GOLD = {f"check-{v}/{r}": gold for v in range(len(_SCENES)) for r, gold in enumerate(_RATINGS)}


def _items() -> list[AnyItem]:
    return [
        Item(
            id=f"check-{number}/{rank}",
            video_id=f"check-{number}",
            instruction=scene.instruction,
            response=response,
            references=scene.references,
            description=scene.description,
        )
        for number, scene in enumerate(_SCENES)
        for rank, response in enumerate(scene.responses)
    ]


def _pairs() -> list[AnyItem]:
    """Each scene's best response against the other two and against itself, in both orders."""
    pairs: list[AnyItem] = []
    for number, scene in enumerate(_SCENES):
        best = scene.responses[0]
        for rank, response in enumerate(scene.responses):
            pair = Pair(
                id=f"check-{number}/0-{rank}/ab",
                video_id=f"check-{number}",
                instruction=scene.instruction,
                first=best,
                second=response,
                references=scene.references,
                description=scene.description,
            )
            swapped = replace(pair, id=_swapped_id(pair.id), first=response, second=best)
            pairs += [pair, swapped]
    return pairs


def _swapped_id(pair_id: str) -> str:
    stem, _, order = pair_id.rpartition("/")
    return f"{stem}/{'ba' if order == 'ab' else 'ab'}"
