"""The blind check of the labels: what is shown, how orders are read, and what they are worth."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from bootstrap_cases import aside, kept
from scipy.stats import kendalltau
from talk import TalkEngine

from videojudge_bench.cli.main import main
from videojudge_bench.engine import EngineError
from videojudge_bench.metrics.bootstrap import Resampling
from videojudge_bench.training.bootstrap.run_folder import RunFolder
from videojudge_bench.training.experiments.order import (
    Blind,
    Ordered,
    blinded,
    check_orders,
    read_order,
)
from videojudge_bench.training.experiments.order_run import comparable, order_of

FEW = Resampling(resamples=200)
OUTCOMES = [*(kept(n) for n in range(30)), aside(30)]
EXPERIMENT = ("experiments",)


def test_instructions_and_letters_are_drawn_and_ratings_stay_apart() -> None:
    found = blinded(OUTCOMES, 10, seed=0)
    assert blinded(reversed(OUTCOMES), 10, seed=0) == found
    assert blinded(OUTCOMES, 10, seed=1) != found
    assert len(found) == 10
    assert all(sorted(blind.ratings) == [1, 2, 3, 4, 5] for blind in found)
    assert len({blind.ratings for blind in found}) > 5
    number = found[0].seed.id.removeprefix("seed")
    for text, rating in zip(found[0].texts, found[0].ratings, strict=True):
        written = f"Draft {rating}.0 of {number}."
        assert text == (f"Gold {number} runs home." if rating == 5 else written)


def test_a_gold_answer_that_is_shown_is_not_put_in_order() -> None:
    (blind,) = blinded([kept(1)], 1, seed=0)
    assert comparable(blind) == blind
    bare = replace(blind, seed=replace(blind.seed, description=None))
    assert sorted(comparable(bare).ratings) == [1, 2, 3, 4]
    assert "Gold 1 runs home." not in comparable(bare).texts
    known = replace(bare, seed=replace(bare.seed, references=("He runs.",)))
    assert comparable(known) == known


@pytest.mark.parametrize(
    ("said", "scores"),
    [
        ("CAEBD", (4, 2, 5, 1, 3)),
        ("c > a > e > b > d", (4, 2, 5, 1, 3)),
        (" C, A, E, B, D.\n", (4, 2, 5, 1, 3)),
        ("CA=EBD", (4, 3, 5, 2, 4)),
        ("A = B = C = D = E", (5, 5, 5, 5, 5)),
    ],
)
def test_an_order_is_read(said: str, scores: tuple[float, ...]) -> None:
    assert read_order(said, 5) == scores


@pytest.mark.parametrize("said", ["", "CAEB", "CAEBDF", "CAEBA", "C is best", "=CAEBD", "CAEBD="])
def test_what_is_no_order_says_why(said: str) -> None:
    assert read_order(said, 5) == f"{said!r} does not name each of A, B, C, D, E once"


def test_the_last_tags_of_a_reply_count() -> None:
    (blind,) = blinded([kept(1)], 1, seed=0)
    assert order_of("<order>ABCDE</order> no, <order>CAEBD</order>", blind).scores == (
        4,
        2,
        5,
        1,
        3,
    )
    thought = "<think>Is it <order>ABCDE</order>?</think> I do not know."
    assert order_of(thought, blind).problem == "no <order> tags in the reply"
    assert order_of("CAEBD", blind).problem == "no <order> tags in the reply"
    assert "does not name each" in order_of("<order>A</order>", blind).problem


def _ordered(n: int, *scores: float) -> Ordered:
    """Scores of the responses that are labelled 1, 2, …"""
    ratings = tuple(range(1, len(scores) + 1))
    return Ordered(Blind(kept(n).seed, ("",) * len(scores), ratings), scores)


def test_the_measures_by_hand() -> None:
    ordered = [
        _ordered(0, 1, 2, 3, 4, 5),
        _ordered(1, 2, 1, 3, 4, 5),
        _ordered(2, 1, 2, 2, 4, 3),
        _ordered(3, 4, 3, 2, 1),
        Ordered(_ordered(4, 1).blind, None, "no order"),
    ]
    found = check_orders(ordered, FEW)
    taus = [kendalltau(range(len(o.scores)), o.scores).statistic for o in ordered if o.scores]
    values = {key: metric.value for key, metric in found.metrics.items()}
    assert values == {
        "tau": pytest.approx(sum(taus) / 4),
        "exact": 1 / 4,
        "swapped_1_2": 2 / 4,
        "tied_1_2": 0,
        "swapped_2_3": 1 / 4,
        "tied_2_3": 1 / 4,
        "swapped_3_4": 1 / 4,
        "tied_3_4": 0,
        "swapped_4_5": pytest.approx(1 / 3),  # the fourth has no gold answer
        "tied_4_5": 0,
    }
    assert found.chance["exact"] == pytest.approx((3 / 120 + 1 / 24) / 4)
    assert (found.n, found.problems) == (4, ("no order",))


def test_an_order_that_ties_all_has_no_tau() -> None:
    found = check_orders([_ordered(0, 1, 1, 1, 1, 1)], FEW)
    assert found.metrics["tau"].undefined == "all responses tie in every order"
    assert found.metrics["exact"].value == 0


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = RunFolder(tmp_path / "made")
    with folder.locked():
        folder.record("rules", {})
        folder.write_seeds([outcome.seed for outcome in OUTCOMES], {})
        (shard,) = folder.shards()
        folder.write_outcomes(shard, OUTCOMES)
    return folder.path


def test_minilm_finds_the_answer_that_is_nearest(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*EXPERIMENT, "order", str(data), "-o", str(tmp_path), "--limit", "5"]) == 0
    assert str(tmp_path / "order" / "made" / "report.md") in capsys.readouterr().out
    report = (tmp_path / "order" / "made" / "report.md").read_text(encoding="utf-8")
    assert "5 of 5 instructions were put in order." in report
    assert "sanity check" in report
    assert "| Kendall's tau with the labels | " in report
    rows = json.loads((tmp_path / "order" / "made" / "rows.json").read_text(encoding="utf-8"))
    assert len(rows["rows"]) == 5


class OrderEngine(TalkEngine):
    """Puts the answers in the order of their draft's number; fails once, where it is told to."""

    def __init__(self, log: str = "", broken: str = "") -> None:
        super().__init__(log)
        self._broken = Path(broken) if broken else None
        self.answer = self._said

    def _said(self, prompt: str) -> str | EngineError:
        if "film 7?" in prompt and self._broken is not None and self._broken.exists():
            return EngineError("503")
        if "film 8?" in prompt:
            return "I cannot."
        found = {}
        for line in prompt.splitlines():
            if line.startswith("Answer "):
                letter, _, text = line.removeprefix("Answer ").partition(": ")
                found[letter] = text.split()[1] if text.startswith("Draft") else "9"
        return f"<order>{' > '.join(sorted(found, key=found.__getitem__, reverse=True))}</order>"


def test_a_model_is_asked_once_for_each_and_its_order_is_compared(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, broken = tmp_path / "log", tmp_path / "broken"
    broken.touch()
    engine = f"test_experiments_order:OrderEngine,log={log},broken={broken}"
    told = [*EXPERIMENT, "order", str(data), "-o", str(tmp_path), "--engine", engine]
    assert main(told) == 1
    assert "1 of 30 calls failed; the last: 503. Replies are kept" in capsys.readouterr().err
    broken.unlink()
    assert main(told) == 0
    asked = log.read_text().splitlines()
    assert len(asked) == 31
    assert len(set(asked)) == 30
    report = (tmp_path / "order" / "made" / "report.md").read_text(encoding="utf-8")
    assert "29 of 30 instructions were put in order." in report
    assert "- 1 were not: no <order> tags in the reply" in report
    assert "| Kendall's tau with the labels | 1.000 [1.000, 1.000] | 0.000 |" in report
    assert "| exactly the labels' order | 1.000" in report
    assert main([*told[:-1], f"{engine},temperature=0.5"]) == 2
    assert "by: temperature was 0.0 and is 0.5" in capsys.readouterr().err


# The sheet.


@pytest.fixture
def sheet(data: Path, tmp_path: Path) -> tuple[Path, Path]:
    sheet, key = tmp_path / "sheet.csv", tmp_path / "key.json"
    told = [*EXPERIMENT, "export", str(data), "-o", str(sheet), "--key", str(key), "--limit", "3"]
    assert main(told) == 0
    return sheet, key


def _fill(sheet: Path, orders: list[str], **cells: str) -> None:
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, order in zip(rows, orders, strict=True):
        row["order"] = order
    rows[0].update(cells)
    with sheet.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)


def _right(key: Path) -> list[str]:
    rows = json.loads(key.read_text(encoding="utf-8"))["rows"].values()
    return ["".join(_by_rating(row["ratings"])) for row in rows]


def _by_rating(ratings: list[float]) -> list[str]:
    return sorted("ABCDE", key=lambda letter: -ratings["ABCDE".index(letter)])


def test_the_sheet_shows_no_rating_and_is_read_again(
    sheet: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path, key = sheet
    text = path.read_text(encoding="utf-8-sig")
    assert "rating" not in text.lower()
    assert "Film " in text  # the description
    right = _right(key)
    _fill(path, [right[0], right[1][::-1], ""])
    assert main([*EXPERIMENT, "import", str(path), "--key", str(key)]) == 0
    said = capsys.readouterr().out
    assert "2 of 3 rows have an order" in said
    assert " 0.500 " in next(line for line in said.splitlines() if "exactly" in line)


@pytest.mark.parametrize(
    ("orders", "cells", "message"),
    [
        (["", "", ""], {}, "none of the 3 rows has an order; write one like CA=EBD"),
        (["ABC", "", ""], {}, "'ABC' does not name each of A, B, C, D, E once; write them from"),
        (["ABCDE", "", ""], {"id": "r9"}, "unknown id 'r9'; the key knows r001 to r003"),
        (["ABCDE", "", ""], {"answer_B": "Edited."}, "belongs to another sheet, or a text was"),
    ],
)
def test_a_sheet_that_was_filled_wrongly_is_said_where(
    orders: list[str],
    cells: dict[str, str],
    message: str,
    sheet: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    _fill(sheet[0], orders, **cells)
    assert main([*EXPERIMENT, "import", str(sheet[0]), "--key", str(sheet[1])]) == 2
    assert message in capsys.readouterr().err


def test_a_row_that_stands_there_twice_is_refused(
    sheet: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = sheet[0].read_text(encoding="utf-8-sig")
    sheet[0].write_text(lines + lines.partition("\n")[2], encoding="utf-8")
    assert main([*EXPERIMENT, "import", str(sheet[0]), "--key", str(sheet[1])]) == 2
    assert "'r001' stands in line 2 too" in capsys.readouterr().err


def test_what_cannot_be_put_in_order_is_said(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["-o", str(tmp_path)]
    assert main([*EXPERIMENT, "order", str(tmp_path / "none"), *told]) == 2
    assert "has no bootstrap.json; give the output of" in capsys.readouterr().err
    assert main([*EXPERIMENT, "order", str(data), *told, "--limit", "0"]) == 2
    assert "--limit: expected 1 or more, got 0" in capsys.readouterr().err
    assert main([*EXPERIMENT, "order", str(data), *told, "--engine", "opennai"]) == 2
    assert "Did you mean 'openai'?" in capsys.readouterr().err
    (data / "shards" / "00000.jsonl").write_text("")
    assert main([*EXPERIMENT, "order", str(data), *told]) == 2
    assert (
        "expected an instruction with all five rated responses, got none" in capsys.readouterr().err
    )
