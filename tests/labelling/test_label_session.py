"""Labels of several annotators and rounds: read, picked again, and written."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from label_cases import SCALE, answers, content, export, files, truth, verdicts

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.answers.human import HumanRatings
from videojudge_bench.answers.verdict_lines import write_lines
from videojudge_bench.errors import ConfigError, DataError, UnknownNameError
from videojudge_bench.goldsets.schema import checked_rows
from videojudge_bench.labelling.page import Round
from videojudge_bench.labelling.progress import (
    Estimate,
    Goal,
    alpha,
    estimates,
    labels_for,
    sheet_of,
)
from videojudge_bench.labelling.session import Session
from videojudge_bench.scale import RatingScale

sys.path.insert(0, str(Path(__file__).parents[1] / "answers"))
from answer_rows import Row, read, write


def session(folder: Path, *labels: Path, videos: int = 30, questions: int = 1) -> Session:
    return Session.of(*files(folder, videos, questions), labels, SCALE)


def page(folder: Path, of: Session, n: int, **options: object) -> Path:
    picked = of.picked(n, seed=0, **options)  # type: ignore[arg-type]
    path = folder / f"round{picked[0].pick.round}.html"
    path.write_bytes(Round.of(of, picked, None, SCALE).html(path))
    return path


def test_two_rounds_of_two_annotators(tmp_path: Path) -> None:
    first = page(tmp_path, session(tmp_path), 20)
    ann = export(first, "ann", tmp_path / "ann.jsonl")
    bob = export(first, "bob", tmp_path / "bob.jsonl", skipped=range(4))
    after = session(tmp_path, ann, bob)
    assert len(after.human.means) == 20
    assert {pick.round for pick in after.human.picks.values()} == {1}
    human = tmp_path / "human.jsonl"
    write_lines(after.label_lines(after.human), human)
    again = session(tmp_path, human)
    assert again.human == after.human
    second = page(tmp_path, again, 16)
    rows = [each["row"] for each in content(second.read_text(encoding="utf-8"))["rows"]]
    assert {row["labels"]["pick_round"] for row in rows} == {"2"}
    assert not {row["id"] for row in rows} & again.human.means.keys()
    both = session(tmp_path, human, export(second, "ann", tmp_path / "ann2.jsonl"))
    assert sorted(len(given) for given in both.human.ratings.values()) == [1] * 20 + [2] * 16
    lines = both.label_lines(both.human)
    assert {line["system"] for line in lines} == {"x", "y"}


def test_data_add_reads_what_a_page_exports_and_what_is_put_together(tmp_path: Path) -> None:
    path = page(tmp_path, session(tmp_path), 10)
    ann = export(path, "ann", tmp_path / "ann.jsonl", skipped=[3])
    assert len([*checked_rows(ann, "ratings", SCALE)]) == 9
    together = session(tmp_path, ann, export(path, "bob", tmp_path / "bob.jsonl", skipped=[3]))
    write_lines(together.label_lines(together.human), tmp_path / "human.jsonl")
    (row, *_) = checked_rows(tmp_path / "human.jsonl", "ratings", SCALE)
    assert row.labels["annotators"] == "ann, bob"


def test_a_page_tells_nothing_of_systems_and_the_order_is_shuffled(tmp_path: Path) -> None:
    of = session(tmp_path, videos=12, questions=2)
    text = page(tmp_path, of, 40).read_text(encoding="utf-8")
    rows = [each["row"] for each in content(text)["rows"]]
    assert {*rows[0]} <= {"id", "video_id", "instruction", "response", "references", "labels"}
    assert "<b>answer" not in text
    videos = [row["video_id"] for row in rows]
    assert videos != sorted(videos)
    changes = sum(a != b for a, b in pairwise(videos))
    assert changes == len({*videos}) - 1, "answers about one video stand together"
    assert len({row["id"][0] for row in rows[:: len(rows) // 8]}) == 2


def test_the_same_seed_picks_the_same_answers(tmp_path: Path) -> None:
    of = session(tmp_path)
    one, two, other = (of.picked(10, seed=seed) for seed in (0, 0, 1))
    assert one == two != other
    assert {each.pick.probability for each in of.picked(10, seed=0, equal=True)} == {1 / 6}


def test_two_systems_alone(tmp_path: Path) -> None:
    of = session(tmp_path)
    assert {each.unit.systems[0] for each in of.picked(5, seed=0, systems=("x",))} == {"x"}
    with pytest.raises(UnknownNameError, match="xx"):
        of.picked(5, seed=0, systems=("x", "xx"))


def test_a_judges_doubt_tells_where_labels_count(tmp_path: Path) -> None:
    rows = [
        {**row, "probabilities": {"1": 0.5, "5": 0.5} if str(row["id"])[0] == "x" else {"3": 1.0}}
        for row in verdicts(answers(30))
    ]
    files(tmp_path)
    of = Session.of(tmp_path / "answers.jsonl", write(tmp_path / "v.jsonl", rows), [], SCALE)
    assert {*of.pool().spread.tolist()} == {2.0, 0.0}
    yes = [{**row, "probabilities": {"yes": 0.4, "no": 0.6}} for row in rows]
    of = Session.of(tmp_path / "answers.jsonl", write(tmp_path / "v.jsonl", yes), [], SCALE)
    assert {str(value) for value in of.pool().spread.tolist()} == {"nan"}


def test_verdicts_without_score_are_counted_and_picked(tmp_path: Path) -> None:
    source, path = files(tmp_path)
    lines = verdicts(answers(30), lambda key: None if key[0] == "x" else float(truth(key)))
    of = Session.of(source, write(path, [*lines[:-1], {"id": "no", "score": 1.0}]), [], SCALE)
    assert (of.n_without_score, of.n_strange) == (31, 1)
    assert {each.unit.systems[0] for each in of.picked(6, seed=0)} == {"x", "y"}
    human = HumanRatings({unit.id: float(truth(unit.id)) for unit in of.units}, 0)
    x, _ = estimates(replace(of, human=human), Goal(), 200)
    assert x.corrected.value == pytest.approx(sum(truth(f"x{k:02}.0") for k in range(30)) / 30)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "v.jsonl: the file is empty; it needs one JSON object per line"),
        ([{"id": "no", "score": 2}], "none of its 1 verdicts is about one of the 60 answers"),
        ([{"id": "x00.0", "preference": "a"}], "line 1, field 'score': the field is missing"),
        ([{"id": "x00.0", "score": 1}] * 2, "line 2, field 'id': duplicate of line 1"),
    ],
)
def test_bad_verdicts(tmp_path: Path, rows: list[Row], message: str) -> None:
    source, path = files(tmp_path)
    with pytest.raises(DataError, match=message):
        Session.of(source, write(path, rows), [], SCALE)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"ratings": [7]}, "line 1, field 'ratings': found 7, outside the scale 1-5"),
        ({"id": "no"}, "none of its 1 rows is about one of the 60 answers"),
        ({"labels": {"annotators": "ann, bob"}}, "expected 1 different names .* got 'ann, bob'"),
        (
            {"labels": {"pick_round": "1", "pick_probability": "0"}},
            "expected pick_round from 1 and pick_probability above 0, at most 1, got 1 and 0",
        ),
        ({"labels": {"pick_round": "1", "pick_probability": "nan"}}, "above 0, at most 1, got 1"),
    ],
)
def test_bad_labels(tmp_path: Path, row: Row, message: str) -> None:
    path = write(tmp_path / "h.jsonl", [{"id": "x00.0", "ratings": [3], **row}])
    with pytest.raises(DataError, match=message):
        session(tmp_path, path)


def test_of_two_labels_by_one_annotator_the_last_counts(tmp_path: Path) -> None:
    def row(rating: int, name: str) -> Row:
        return {"id": "x00.0", "ratings": [rating], "labels": {"annotators": name}}

    path = write(tmp_path / "h.jsonl", [row(1, "ann"), row(5, "bob"), row(3, "ann")])
    human = session(tmp_path, path, path).human
    assert (human.means, human.ratings) == ({"x00.0": 4}, {"x00.0": {"ann": 3, "bob": 5}})
    assert human.replaced == 3  # ann's 1, and in the second reading her 3 and her 1


def test_nothing_left_and_numbers_that_cannot_be(tmp_path: Path) -> None:
    of = session(tmp_path, videos=2)
    with pytest.raises(ConfigError, match="--labels 0: expected at least 1"):
        of.picked(0, seed=0)
    everything = {unit.id: 3.0 for unit in of.units}
    with pytest.raises(ConfigError, match="every answer has a label"):
        replace(of, human=HumanRatings(everything, 0)).picked(1, seed=0)
    with pytest.raises(ConfigError, match="--width 0: expected a width above 0"):
        Goal(width=0)
    with pytest.raises(ConfigError, match="--scale 0-100: expected a scale within 0-9"):
        Round.of(of, of.picked(1, seed=0), None, RatingScale(0, 100))


def test_alpha_is_that_of_the_package(tmp_path: Path) -> None:
    import krippendorff

    ratings = {"1": {"ann": 1.0, "bob": 2.0}, "2": {"ann": 4.0, "bob": 4.0}, "3": {"ann": 5.0}}
    expected = krippendorff.alpha([[1, 4], [2, 4]], level_of_measurement="ordinal")
    assert alpha(HumanRatings({}, 0, ratings=ratings)) == pytest.approx(expected)
    assert alpha(HumanRatings({}, 0, ratings={"3": {"ann": 5.0}})) is None
    assert alpha(HumanRatings({}, 0, ratings={"3": {"ann": 5.0, "bob": 5.0}})) is None


def test_how_many_labels_by_hand() -> None:
    # D = 0.01 with 25 of 100: 1/25 - 1/100 = 0.03. Half of D is left where 1/n - 1/100 = 0.015.
    total = 0.01 + 0.03
    now = 3.92 * total**0.5
    assert labels_for(3.92 * (total - 0.005) ** 0.5, now, 0.01, 25, 100) == 40
    assert labels_for(now, now, 0.01, 25, 100) == 25
    assert labels_for(3.92 * 0.03**0.5 * 1.0001, now, 0.01, 25, 100) == 100
    assert labels_for(3.92 * 0.03**0.5 * 0.999, now, 0.01, 25, 100) is None
    assert labels_for(0.1, now, 0.0, 25, 100) is None


def test_the_forecast_holds(tmp_path: Path) -> None:
    """Labels that 60 forecast for the width of 120, on average over draws; a judge that guesses."""
    source, path = files(tmp_path, videos=100)
    write(path, verdicts(answers(100), lambda key: unit_interval("guess", key)))
    of = Session.of(source, path, [], SCALE)

    def first(n: int, seed: int, goal: float | None = None) -> Estimate:
        picks = {unit.id: pick for unit, pick in of.picked(n, seed=seed)}
        human = HumanRatings({key: float(truth(key)) for key in picks}, 0, picks)
        return estimates(replace(of, human=human), Goal(goal), 500)[0]

    widths = [first(120, seed).width_so_far or 0 for seed in range(8)]
    forecast = [first(60, seed, sum(widths) / 8).more or 0 for seed in range(8)]
    assert 20 <= sum(forecast) / 8 <= 40, "half of 60 is this system's"


def test_the_table_and_two_systems_apart(tmp_path: Path) -> None:
    of = session(tmp_path)
    human = HumanRatings({unit.id: float(truth(unit.id)) for unit in of.units[:44]}, 0)
    sheet = sheet_of(replace(of, human=human), Goal(0.01, ("y", "x")), 200)
    assert [row[0] for row in sheet.rows] == ["x", "y", "x - y"]
    assert sheet.rows[0][1:3] == ("22", "30")
    assert sheet.rows[0][-1].startswith("all 30 give ")
    assert sheet_of(of, Goal()).rows == ()
    few = HumanRatings({of.units[0].id: 3.0}, 0)
    assert sheet_of(replace(of, human=few), Goal(0.2), 200).rows[0][-1] == "not known yet"


def test_the_lines_keep_labels_of_the_answers(tmp_path: Path) -> None:
    rows = [{**row, "labels": {"topic": "food"}} for row in answers(3)]
    source = write(tmp_path / "a.jsonl", rows)
    of = Session.of(source, write(tmp_path / "v.jsonl", verdicts(rows)), [], SCALE)
    human = HumanRatings({"x00.0": 4.0}, 0)
    (line,) = of.label_lines(human)
    assert (line["labels"], line["ratings"]) == ({"topic": "food"}, [4.0])
    write_lines([line], tmp_path / "h.jsonl")
    assert read(tmp_path / "h.jsonl")[0]["id"] == "x00.0"
