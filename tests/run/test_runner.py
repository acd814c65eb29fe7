"""Runs: what is journalled, what is asked again, and what may share a journal."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from videojudge_bench import __version__
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import JournalBusyError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.goldsets.view import References
from videojudge_bench.items import Item, Pair
from videojudge_bench.judge import Judge
from videojudge_bench.registry import BuiltJudge, build
from videojudge_bench.run.journal import RUN_FILE, Journal
from videojudge_bench.run.runner import Run, RunOptions
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed

AnyItem = Item | Pair


class Recorder(Judge):
    """Rates by the length of the response and remembers all that it was shown."""

    scale = None

    def __init__(self, *, bonus: int = 0, stop_at: int | None = None) -> None:
        self.bonus, self.stop_at = bonus, stop_at
        self.asked: list[AnyItem] = []
        self.fitted: list[list[AnyItem]] = []

    def fit(self, items: Sequence[AnyItem]) -> None:
        self.fitted.append(list(items))

    def rate(self, item: Item) -> Rating | Unparsed:
        if self.stop_at is not None and len(self.asked) == self.stop_at:
            raise KeyboardInterrupt
        self.asked.append(item)
        return Rating(len(item.response) + self.bonus)


def _run(
    judge: Judge, gold_set: GoldSet, root: Path, options: Mapping[str, Scalar] | None = None
) -> Run:
    return Run(BuiltJudge("mine", judge, options or {}), gold_set, RunOptions(journal=root))


def _ids(gold_set: GoldSet) -> list[str]:
    return list(gold_set.by_id)


def test_every_item_gets_its_judgement_in_the_order_asked(
    rated_set: GoldSet, journal_root: Path
) -> None:
    found = _run(Recorder(), rated_set, journal_root).judge(["v1/dog", "v0/cat"])
    assert list(found.items()) == [
        ("v1/dog", Judgement("v1/dog", Rating(5))),
        ("v0/cat", Judgement("v0/cat", Rating(12))),
    ]


def test_pairs_get_preferences(pair_set: GoldSet, journal_root: Path) -> None:
    found = _run(Recorder(), pair_set, journal_root).judge(_ids(pair_set))
    assert [j.verdict for j in found.values()] == [Preference(p) for p in (1.0, 0.0, 1.0, 0.0)]


def test_no_items_no_work(rated_set: GoldSet, journal_root: Path) -> None:
    judge = Recorder()
    assert _run(judge, rated_set, journal_root).judge([]) == {}
    assert (judge.asked, judge.fitted) == ([], [])


def test_an_unknown_id_is_refused_before_anything_is_asked(
    rated_set: GoldSet, journal_root: Path
) -> None:
    judge = Recorder()
    with pytest.raises(KeyError, match="v9"):
        _run(judge, rated_set, journal_root).judge(["v0/cat", "v9"])
    assert judge.asked == []


def test_an_item_asked_for_twice_is_judged_once(rated_set: GoldSet, journal_root: Path) -> None:
    judge = Recorder()
    assert len(_run(judge, rated_set, journal_root).judge(["v0/cat", "v0/cat"])) == 1
    assert len(judge.asked) == 1


def test_a_second_run_asks_for_nothing(rated_set: GoldSet, journal_root: Path) -> None:
    judge = Recorder()
    first = _run(judge, rated_set, journal_root).judge(_ids(rated_set))
    again = _run(judge, rated_set, journal_root).judge(_ids(rated_set))
    assert again == first
    assert list(again) == list(first)
    assert (len(judge.asked), len(judge.fitted)) == (8, 1)


def test_a_limited_run_shares_its_journal_with_the_full_one(
    rated_set: GoldSet, journal_root: Path
) -> None:
    judge = Recorder()
    limited = _run(judge, rated_set, journal_root)
    limited.judge(_ids(rated_set)[:3])
    full = _run(judge, rated_set, journal_root)
    assert full.folder == limited.folder
    assert len(full.judge(_ids(rated_set))) == 8
    assert [item.id for item in judge.asked] == _ids(rated_set)


def test_another_rank_goes_on_with_what_the_first_has_done(
    rated_set: GoldSet, journal_root: Path
) -> None:
    judge = Recorder()
    for rank, ids in ((0, _ids(rated_set)[:5]), (1, _ids(rated_set)[3:])):
        options = RunOptions(journal=journal_root, rank=rank)
        Run(BuiltJudge("mine", judge, {}), rated_set, options).judge(ids)
    assert len(judge.asked) == 8


@pytest.mark.parametrize("stop_at", [0, 1, 5, 7])
def test_ctrl_c_keeps_what_is_done_and_the_next_run_asks_for_the_rest(
    rated_set: GoldSet, journal_root: Path, stop_at: int, caplog: pytest.LogCaptureFixture
) -> None:
    ids = _ids(rated_set)
    judge = Recorder(stop_at=stop_at)
    run = _run(judge, rated_set, journal_root)
    with caplog.at_level(logging.WARNING), pytest.raises(KeyboardInterrupt):
        run.judge(ids)
    (message,) = caplog.messages
    assert message.startswith(
        f"interrupted: {stop_at} of 8 judgements are in {run.folder}; the same"
    )
    judge.stop_at = None
    found = run.judge(ids)
    assert [item.id for item in judge.asked] == ids  # no item twice, none left out
    assert found == _run(Recorder(), rated_set, journal_root / "undisturbed").judge(ids)


def test_what_is_unparsed_is_a_result_and_is_not_asked_again(
    rated_set: GoldSet, journal_root: Path
) -> None:
    class Silent(Recorder):
        def rate(self, item: Item) -> Rating | Unparsed:
            super().rate(item)
            return Unparsed("no words")

    judge = Silent()
    for _ in range(2):
        found = _run(judge, rated_set, journal_root).judge(_ids(rated_set))
        assert {j.verdict for j in found.values()} == {Unparsed("no words")}
    assert len(judge.asked) == 8


def test_the_journal_of_another_process_is_busy(rated_set: GoldSet, journal_root: Path) -> None:
    run = _run(Recorder(), rated_set, journal_root)
    with Journal(run.folder), pytest.raises(JournalBusyError, match="give this run a journal"):
        run.judge(_ids(rated_set))


def test_the_facts_of_a_run_are_in_its_journal(rated_set: GoldSet, journal_root: Path) -> None:
    run = _run(Recorder(), rated_set, journal_root, {"bonus": 2})
    run.judge(["v0/cat"])
    assert json.loads((run.folder / RUN_FILE).read_text()) == {
        "videojudge_bench": __version__,
        "gold_set": "tinyrated",
        "gold_set_version": "1",
        "gold_set_hash": rated_set.content_hash,
        "references": 0,
        "part": "all",
        "on_scale": False,
        "judge": "mine",
        "signature": {"judge": "mine", "bonus": 2},
    }


def test_judgements_are_on_disk_before_the_next_is_asked_for(
    rated_set: GoldSet, journal_root: Path
) -> None:
    class Counting(Recorder):
        def judge(self, items: Iterable[AnyItem]) -> Iterator[Judgement]:
            for number, judgement in enumerate(super().judge(items)):
                assert len(path.read_text().splitlines()) == number
                yield judgement

    run = _run(Counting(), rated_set, journal_root)
    path = run.folder / "judgements-0.jsonl"
    run.judge(_ids(rated_set))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["id"] for line in lines] == _ids(rated_set)
    assert not any(line.get("failed") for line in lines)


# What may share a journal, and what may not.


def _changed_item(gold_set: GoldSet, **changes: object) -> GoldSet:
    first = gold_set.examples[0]
    item = replace(cast(Item, first.item), **changes)  # type: ignore[arg-type]
    return replace(gold_set, examples=(replace(first, item=item), *gold_set.examples[1:]))


@pytest.mark.parametrize(
    "change",
    [
        {"response": "another"},
        {"references": ("another",)},
        {"description": "another"},
        {"instruction": "another"},
    ],
)
def test_a_changed_item_is_judged_again(
    rated_set: GoldSet, journal_root: Path, change: dict[str, object]
) -> None:
    changed = _changed_item(rated_set, **change)
    judge = Recorder()
    judge.requires = frozenset({"references"})
    one, other = _run(judge, rated_set, journal_root), _run(judge, changed, journal_root)
    assert one.folder != other.folder  # a judge may have been fitted on the whole set
    one.judge(_ids(rated_set))
    other.judge(_ids(changed))
    assert len(judge.asked) == 16


def test_the_key_of_a_judgement_depends_on_all_that_is_shown(
    rated_set: GoldSet, journal_root: Path
) -> None:
    base = Item("a", "v", "do", "x", ("r",), "d", Path("v.mp4"))
    run = _run(Recorder(), rated_set, journal_root)
    others = [
        replace(base, id="b"),
        replace(base, video_id="w"),
        replace(base, instruction="do it"),
        replace(base, response="y"),
        replace(base, references=()),
        replace(base, references=("r", "r")),
        replace(base, description=None),
        replace(base, video=None),
    ]
    assert len({run.key(item) for item in (base, *others)}) == 1 + len(others)
    assert run.key(replace(base, video=Path("/elsewhere/v.mp4"))) == run.key(base)


def test_other_options_settings_references_or_judges_have_another_folder(
    rated_set: GoldSet, journal_root: Path
) -> None:
    class Settled(Recorder):
        def settings(self) -> Mapping[str, Scalar]:
            return {"revision": "main"}

    def folder(
        judge: Judge, bonus: int = 0, *, name: str = "mine", references: References = 0
    ) -> Path:
        built = BuiltJudge(name, judge, {"bonus": bonus})
        return Run(built, rated_set, RunOptions(references, journal=journal_root)).folder

    same = {folder(Recorder()), folder(Recorder()), folder(Recorder(), references=0)}
    assert len(same) == 1
    others = [
        folder(Recorder(), 1),
        folder(Settled()),
        folder(Recorder(), name="yours"),
        folder(Recorder(), references=1),
        folder(Recorder(), references="all"),
    ]
    assert len(same.union(others)) == 6


def test_all_references_by_number_or_by_name_share_a_folder(
    rated_set: GoldSet, journal_root: Path
) -> None:
    built = BuiltJudge("mine", Recorder(), {})
    folders = {
        Run(built, rated_set, RunOptions(references, journal=journal_root)).folder
        for references in cast("list[References]", [2, 99, "all"])
    }
    assert len(folders) == 1


def test_the_folder_is_named_after_set_and_judge(rated_set: GoldSet, journal_root: Path) -> None:
    built = build(f"{__name__}:Recorder", {})
    folder = Run(built, rated_set, RunOptions(journal=journal_root)).folder
    assert folder.parent == journal_root / "tinyrated"
    assert folder.name.startswith(f"{__name__}.Recorder-")


def test_without_a_folder_the_journal_is_in_the_users_cache(
    rated_set: GoldSet, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = BuiltJudge("mine", Recorder(), {})
    root = cache_home / "videojudge_bench" / "journals"
    assert Run(built, rated_set).folder.parent == root / "tinyrated"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(cache_home / "home"))
    home = cache_home / "home" / ".cache" / "videojudge_bench" / "journals"
    assert Run(built, rated_set).folder.parent == home / "tinyrated"
