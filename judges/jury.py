"""Several judges as one: their verdicts put together by a rule."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Literal

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError
from videojudge_bench.items import Item, Pair
from videojudge_bench.judge import Judge, Need
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed, Usage, Verdict

if TYPE_CHECKING:
    from videojudge_bench.analysis.jury_model import Combine, JuryModel

logger = logging.getLogger(__name__)

_CHUNK_ITEMS = 128
_SAMPLE_ITEMS = 500


class Jury(Judge):
    """Several judges as one: mean, median, or a rule that learns from gold.

    Members on one scale are put together as they are. Other scores become ranks among the scores of
    500 items of the set, drawn by a hash. `fitted` (weights that are not negative) and `trees` (a
    boosted ensemble) learn from the dev part and are reported on test. A member without a verdict
    is left out, and counted.

    Args:
        members: the judges, in brackets with ; between: `[compact;qwen2_5_vl,size=7b]`. With
            `file` they can be left out where names and options in the file make them.
        combine: mean, median, fitted or trees; a file has its own.
        min_members: fewest members with a verdict for the jury to have one; by default half.
        file: a rule that `videojudge jury RUN RUN -o FILE` has fitted, for any items.
        seed: of the trees.

    Raises:
        ConfigError: no member, one that cannot be made, or others than those of the file.
    """

    unsigned = frozenset({"seed"})  # `settings` names it where it counts

    def __init__(
        self,
        members: str = "",
        combine: Literal["mean", "median", "fitted", "trees"] = "mean",
        *,
        min_members: int | None = None,
        file: Path | None = None,
        seed: int = 0,
    ) -> None:
        # `judges list` need not wait for pydantic
        from videojudge_bench.analysis.jury_model import FITTED, enough_of, read_jury
        from videojudge_bench.judges import _jury_members

        saved = None if file is None else read_jury(Path(file).expanduser())
        self._combine: Combine = combine if saved is None else saved.model.combine
        built = _jury_members.built_members(members, () if saved is None else saved.members)
        self._members = [member for member, _ in built]
        self._judges = [member.judge for member, _ in built]
        self._names = [text for _, text in built]
        if saved is not None and min_members is None:
            min_members = saved.model.min_members
        self._fewest = enough_of(len(built), min_members)
        self._model: JuryModel | None = None
        self._learns = saved is None and combine in FITTED
        trained_on = "" if saved is None else str(saved.fitted_on["set"])
        self._extra = _jury_members.marks(self._members, overlap=trained_on)
        if saved is not None:
            self._model = saved.model.model_copy(update={"min_members": self._fewest})
            self._extra["file"] = f"sha256:{saved.hash}"
        if self._learns and combine == "trees":
            self._extra["seed"] = seed
        self._seed = seed
        self._take_properties(raw=saved is None and not self._learns)
        self._to_learn: list[tuple[Item, float | None]] = []
        self._known: dict[str, list[Judgement]] = {}
        self._missing: Counter[str] = Counter()

    def _take_properties(self, *, raw: bool) -> None:
        """Take what the members require; `raw`: their verdicts are put together as they are."""
        scales = {judge.scale for judge in self._judges}
        self.scale = scales.pop() if raw and len(scales) == 1 else None
        self.takes_scale = self.scale is not None and all(j.takes_scale for j in self._judges)
        self._ranks = self.scale is None and self._model is None
        self._compares = raw
        self.requires = frozenset[Need]().union(*(judge.requires for judge in self._judges))
        self.fits_on_dev = self._learns or any(judge.fits_on_dev for judge in self._judges)
        self.fits_on_videos = any(judge.fits_on_videos for judge in self._judges)
        self.abilities = frozenset.intersection(*(judge.abilities for judge in self._judges))
        if not self.abilities or not (raw or "rate" in self.abilities):
            raise ConfigError(f"combine={self._combine}: expected members that all rate responses")
        if not raw:  # the two responses of a pair are rated
            self.abilities = frozenset({"rate", "prefer"})

    @property
    def learns_from_set(self) -> bool:
        """True for ranks and rules that learn, and where a member does."""
        return self._ranks or any(judge.learns_from_set for judge in self._judges)

    def fit(self, items: Sequence[Item | Pair]) -> None:
        """Let the members look at the set; where scores become ranks, draw the items for that."""
        for judge in self._judges:
            judge.fit([judge.visible(item) for item in items])
        if self._ranks:
            self._model, self._known = None, {}
            rated = [item for item in items if isinstance(item, Item)]
            rated.sort(key=lambda item: (unit_interval("jury", item.id), item.id))
            self._to_learn = [(item, None) for item in rated[:_SAMPLE_ITEMS]]

    def fit_dev(self, dev: Sequence[tuple[Item, float]]) -> None:
        """Give members and rule the rated items of the dev part."""
        for judge in self._judges:
            if judge.fits_on_dev:
                judge.fit_dev(dev)
        if self._learns and not dev:
            raise ConfigError(
                f"combine={self._combine}: expected a set with ratings and a dev part, got none; "
                "fit a rule on another set (videojudge jury RUN RUN -o FILE) and give file=FILE"
            )
        if self._learns:
            self._to_learn = list(dev)

    def rate(self, item: Item) -> Rating | Unparsed:
        """Return the members' score; `Unparsed` where too few have a verdict."""
        (judgement,) = self._judged([item])
        assert not isinstance(judgement.verdict, Preference)
        return judgement.verdict

    def judge(self, items: Iterable[Item | Pair]) -> Iterator[Judgement]:
        """Yield one judgement per item, in their order; 128 items go to each member at once."""
        stream = iter(items)
        while chunk := list(islice(stream, _CHUNK_ITEMS)):
            rated = [item for item in chunk if isinstance(item, Item)]
            if self._compares or len(rated) == len(chunk):
                yield from self._judged(chunk)
            else:
                yield from super().judge(chunk)

    def visible(self, item: Item | Pair) -> Item | Pair:
        """Return an item with what at least one member uses of it."""
        seen = [judge.visible(item) for judge in self._judges]
        used = {}
        for name in (field.name for field in fields(item)):
            whole, values = getattr(item, name), [getattr(each, name) for each in seen]
            used[name] = whole if whole in values else values[0]
        return replace(item, **used)

    def settings(self) -> Mapping[str, Scalar]:
        """Return the members with given options and identities, the rule, and what it is from."""
        return {
            "members": ";".join(self._names),
            "combine": self._combine,
            "min_members": self._fewest,
            **self._extra,
        }

    def sources(self) -> tuple[type, ...]:
        """Return the classes of the members, too."""
        return (type(self), *(each for judge in self._judges for each in judge.sources()))

    def files(self) -> Iterable[Path]:
        """Return the members' files."""
        return [path for judge in self._judges for path in judge.files()]

    def server_statements(self) -> Sequence[Mapping[str, str]]:
        """Return the statements of all members' servers."""
        return [each for judge in self._judges for each in judge.server_statements()]

    def close(self) -> None:
        """Close the members, and log how often each had no verdict."""
        for name, count in (+self._missing).items():
            logger.warning("jury: %s had no verdict on %d items and was left out", name, count)
        self._missing.clear()
        for judge in self._judges:
            judge.close()

    def _judged(self, items: Sequence[Item | Pair]) -> list[Judgement]:
        if self._to_learn:
            self._learn()
        rows = self._asked(items)
        as_they_are = self.scale is not None or isinstance(items[0], Pair)
        scores = self._combined([self._numbers(row) for row in rows], as_they_are=as_they_are)
        parts = zip(items, scores, rows, strict=True)
        return [self._judgement(item, score, row) for item, score, row in parts]

    def _asked(self, items: Sequence[Item | Pair]) -> list[list[Judgement]]:
        """Return the members' judgements of each item."""
        from videojudge_bench.run.runner import answers_of

        new = [item for item in items if item.id not in self._known]
        rows: dict[str, list[Judgement]] = {item.id: [] for item in new}
        for name, member in zip(self._names, self._members, strict=True):
            if self.takes_scale:
                member.judge.scale = self.scale
            asked = [member.judge.visible(item) for item in new]
            answers = {each.item_id: each for each in answers_of(member, asked)}
            for item in new:
                rows[item.id].append(replace(answers[item.id], item_id=name))
            unread = (isinstance(each.verdict, Unparsed) for each in answers.values())
            self._missing[name] += sum(unread)
        return [rows[i.id] if i.id in rows else self._known[i.id] for i in items]

    def _numbers(self, row: Sequence[Judgement]) -> list[float]:
        """Return a number for each verdict; NaN for none, and for one off the member's scale."""
        numbers = []
        for judge, judgement in zip(self._judges, row, strict=True):
            verdict, number = judgement.verdict, math.nan
            if isinstance(verdict, Preference):
                number = verdict.p_first
            elif isinstance(verdict, Rating) and (not judge.scale or verdict.value in judge.scale):
                number = verdict.value
            numbers.append(number)
        return numbers

    def _learn(self) -> None:
        """Fit the rule to the drawn items, or to the dev part, which the members judge first."""
        import numpy as np

        from videojudge_bench.analysis.jury_model import fit_model

        items, gold = zip(*self._to_learn, strict=True)
        self._to_learn = []
        rows = self._asked(items)
        self._known = {item.id: row for item, row in zip(items, rows, strict=True)}
        self._model = fit_model(
            np.array([self._numbers(row) for row in rows]),
            np.array(gold) if self._learns else None,
            self._combine,
            min_members=self._fewest,
            seed=self._seed,
        )

    def _combined(self, numbers: Sequence[Sequence[float]], *, as_they_are: bool) -> list[float]:
        """Return a score for each row of numbers; NaN where too few members have one."""
        if not as_they_are:
            import numpy as np

            if self._model is None:
                raise ConfigError(
                    "judge jury puts scores on no common scale together by their ranks in a set: "
                    "call fit(items) before judging, or give file=FILE of videojudge jury -o FILE"
                )
            return [float(score) for score in self._model(np.array(numbers))]
        middle = median if self._combine == "median" else fmean
        parsed = [[number for number in row if not math.isnan(number)] for row in numbers]
        return [middle(row) if len(row) >= self._fewest else math.nan for row in parsed]

    def _judgement(self, item: Item | Pair, score: float, row: Sequence[Judgement]) -> Judgement:
        if math.isnan(score):
            verdict: Verdict = self._too_few(row)
        else:
            verdict = Rating(score) if isinstance(item, Item) else Preference(score)
        usage = sum((judgement.usage for judgement in row), Usage())
        failed = isinstance(verdict, Unparsed) and any(judgement.failed for judgement in row)
        return Judgement(item.id, verdict, usage=usage, failed=failed, samples=tuple(row))

    def _too_few(self, row: Sequence[Judgement]) -> Unparsed:
        unread = {j.item_id: j.verdict for j in row if isinstance(j.verdict, Unparsed)}
        reasons = "; ".join(f"{name}: {verdict.reason}" for name, verdict in unread.items())
        n_parsed = sum(not math.isnan(number) for number in self._numbers(row))
        return Unparsed(
            f"too few members: {n_parsed} of {len(row)} have a verdict, "
            f"{self._fewest} needed ({reasons})"
        )
