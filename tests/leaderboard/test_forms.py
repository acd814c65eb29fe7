"""Sets with a sample and full data, and runs whose set is not on this machine any more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from boards import RESAMPLES, TWO_FORMS, noise, perfect, stored, two_forms, write_rows

from videojudge_bench import goldsets, registry
from videojudge_bench.cli.main import main
from videojudge_bench.errors import DataError, NoDataError
from videojudge_bench.goldsets import adding, verify
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.goldsets.released import ReleasedSet
from videojudge_bench.leaderboard import importing, rows
from videojudge_bench.leaderboard.stored import RUN_FILE, StoredRun, read_run, write_run
from videojudge_bench.run.runner import Run, RunOptions
from videojudge_bench.verdicts import Judgement, Rating

SELF_REPORTED = (
    "‡ Self-reported: the set is not on this machine, so its numbers were not worked out again."
)


@pytest.fixture
def form(tmp_path: Path) -> Iterator[ReleasedSet]:
    with two_forms(tmp_path) as form:
        yield form


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def mine(tmp_path: Path) -> GoldSet:
    """A set of the user's own."""
    return add_mine(tmp_path)


def add_mine(folder: Path, *, prefix: str = "video") -> GoldSet:
    file = write_rows(folder / "mine.jsonl", prefix=prefix)
    adding.add(adding.Request(file, "mine", title="What I rated", overwrite=True))
    return goldsets.load("mine")


def prepare(folder: Path) -> GoldSet:
    verify.prepare_released(TWO_FORMS, write_rows(folder / "release.jsonl"), None, None)
    return goldsets.load(TWO_FORMS)


def journal(gold_set: GoldSet, folder: Path) -> Path:
    run = Run(registry.build("random", {}), gold_set, RunOptions(journal=folder))
    run.judge([example.item.id for example in gold_set.examples])
    return folder


def build(results: Path) -> list[dict[str, object]]:
    assert main(["leaderboard", "--results", str(results)]) == 0
    found: list[dict[str, object]] = json.loads((results / "leaderboard.json").read_text("utf-8"))
    return found


def markdown(results: Path) -> str:
    return (results / "leaderboard.md").read_text(encoding="utf-8")


def changed(folder: Path, **changes: object) -> None:
    path = folder / RUN_FILE
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["set"].update(changes)
    path.write_text(json.dumps(facts), encoding="utf-8")


def test_a_run_on_a_sample_stands_in_a_section_of_its_own(
    form: ReleasedSet, mine: GoldSet, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for gold_set in (goldsets.load(TWO_FORMS), mine):
        folder = journal(gold_set, results.parent / gold_set.info.name)
        assert main(["leaderboard", "add", str(folder), "--results", str(results)]) == 0
    assert (results / "runs" / TWO_FORMS / "random-0ref-sample-60" / RUN_FILE).is_file()
    capsys.readouterr()
    full, of_sample = build(results)
    assert [(r["gold_set"], r["data"]) for r in (full, of_sample)] == [
        ("mine", "full"),
        (TWO_FORMS, "sample-60"),
    ]
    assert (full["rank"], of_sample["rank"], of_sample["unranked"]) == (1, None, "a sample")
    assert (of_sample["verified"], of_sample["gold_kind"]) == (True, "model")
    above, heading, below = markdown(results).partition("\n## Samples\n")
    assert heading
    assert "videojudge_mine: What I rated" in above
    assert TWO_FORMS not in above
    assert below.startswith("\nGold written by a model, to try things out: nothing here is ranked")
    assert f"### videojudge_{TWO_FORMS} (sample-60): {form.INFO.title}" in below
    assert "Gold: model. Not ranked; ordered by `spearman`." in below
    assert "Without a rank" not in below
    printed = capsys.readouterr().out
    assert "(sample-60): twoforms, made for tests; a sample, gold written by a model" in printed


def test_a_sample_is_not_ranked_whatever_its_gold_is(form: ReleasedSet) -> None:
    run = stored(form.sample, perfect)
    claimed = replace(run, info=replace(run.info, kind="human"))
    assert [(row.rank, row.unranked) for row in rows.build([claimed]).rows] == [(None, "a sample")]


def test_a_journal_of_the_sample_is_taken_after_the_full_data_came(
    form: ReleasedSet, tmp_path: Path, results: Path
) -> None:
    of_sample = journal(goldsets.load(TWO_FORMS), tmp_path / "of the sample")
    full = prepare(tmp_path)
    assert (full.info.data, full.info.kind) == ("full", "human")
    of_full = journal(full, tmp_path / "of the full data")
    for folder in (of_sample, of_full):
        assert main(["leaderboard", "add", str(folder), "--results", str(results)]) == 0
    shown = [(r["data"], r["n"], r["rank"], r["verified"]) for r in build(results)]
    assert shown == [("full", 120, 1, True), ("sample-60", 60, None, True)]
    table = f"## videojudge_{TWO_FORMS}: {form.INFO.title}"
    assert markdown(results).index(table) < markdown(results).index("## Samples")


def test_a_journal_that_fits_no_form_is_refused(form: ReleasedSet, tmp_path: Path) -> None:
    folder = journal(prepare(tmp_path), tmp_path / "journal")
    adding.remove(TWO_FORMS)
    with pytest.raises(DataError, match="made with another version of videojudge_twoforms"):
        importing.find_runs(folder)


@pytest.mark.parametrize("data", ["full", "sample-60"])
def test_samples_of_a_stock_model_are_of_the_form_that_has_their_items(
    form: ReleasedSet, tmp_path: Path, data: str
) -> None:
    prepare(tmp_path)
    gold_set = goldsets.load(TWO_FORMS, data)
    folder = tmp_path / "out"
    folder.mkdir()
    config = json.dumps({"config": {"model": "async_openai", "model_args": "", "gen_kwargs": ""}})
    (folder / "20261123_results.json").write_text(config, encoding="utf-8")
    lines = [
        {"judgement": {"id": i, "references": 0, "verdict": Judgement(i, Rating(4.0)).to_json()}}
        for i in gold_set.by_id
    ]
    path = folder / f"20261123_samples_videojudge_{TWO_FORMS}.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    (found,) = importing.find_runs(folder)
    assert (found.gold_set, found.data) == (TWO_FORMS, data)
    kept = importing.to_stored(found, resamples=RESAMPLES)
    assert (kept.info.data, kept.examples) == (data, len(gold_set.examples))
    assert kept.signature.measurement["data"] == data


def test_a_run_of_a_set_that_was_removed_keeps_its_numbers(
    mine: GoldSet, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [stored(mine, rate) for rate in (perfect, noise)]
    for run in runs:
        write_run(run, results / "runs")
    assert [(r["judge"], r["rank"]) for r in build(results)] == [("perfect", 1), ("noise", 2)]
    assert "‡ Self-reported" not in markdown(results)
    assert not capsys.readouterr().err
    adding.remove("mine")
    shown = build(results)
    assert [(r["judge"], r["rank"], r["verified"]) for r in shown] == [
        ("perfect", None, False),
        ("noise", None, False),
    ]
    assert {r["unranked"] for r in shown} == {"self-reported: the set is not on this machine"}
    for row, run in zip(shown, runs, strict=True):
        metrics = row["metrics"]
        assert isinstance(metrics, dict)
        assert metrics["spearman"]["value"] == run.numbers["spearman"]
    assert json.loads((results / "comparisons.json").read_text(encoding="utf-8")) == []
    text = markdown(results)
    assert "## videojudge_mine: What I rated" in text
    assert "| – | perfect ‡ | 0 |" in text
    assert SELF_REPORTED in text.splitlines()
    assert "- noise (0 references): self-reported: the set is not on this machine" in text
    captured = capsys.readouterr()
    assert "perfect ‡" in captured.out
    for name in ("perfect", "noise"):
        assert (
            f"videojudge: warning: mine/{name}-0ref is self-reported: the set mine (data: full) is "
            "not on this machine, so its numbers were not worked out again and it has no rank\n"
        ) in captured.err


def test_a_run_of_a_form_that_is_not_here_keeps_its_numbers(
    form: ReleasedSet, tmp_path: Path, results: Path
) -> None:
    write_run(stored(prepare(tmp_path), perfect), results / "runs")
    write_run(stored(form.sample, perfect), results / "runs")
    adding.remove(TWO_FORMS)  # now its task serves the sample
    shown = [(r["data"], r["verified"], r["unranked"]) for r in build(results)]
    assert shown == [
        ("full", False, "self-reported: the set is not on this machine"),
        ("sample-60", True, "a sample"),
    ]
    above, _, below = markdown(results).partition("## Samples")
    assert SELF_REPORTED in above
    assert SELF_REPORTED not in below


def test_numbers_cannot_be_worked_out_without_the_set(mine: GoldSet) -> None:
    run = stored(mine, perfect)
    assert importing.check_numbers(run)
    adding.remove("mine")
    assert not importing.check_numbers(run)
    with pytest.raises(NoDataError, match="the form 'part-8' is wanted, and 'full' is here"):
        importing.rescored(replace(run, info=replace(run.info, name="nextqa", data="part-8")))


def test_a_set_of_the_same_name_with_other_contents_is_an_error(
    mine: GoldSet, tmp_path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(stored(mine, perfect), results / "runs")
    add_mine(tmp_path, prefix="film")
    assert main(["leaderboard", "--results", str(results)]) == 2
    error = capsys.readouterr().err
    assert "mine/perfect-0ref, field 'measurement.items': found " in error
    assert "and videojudge_mine has " in error
    assert "run the judge again and add it, or remove this folder" in error


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("kind", "options", "found options, and videojudge_mine has human here"),
        ("recipe", "emscore", "found emscore, and videojudge_mine has None here"),
        ("scale", [1, 10], "found 1-10, and videojudge_mine has 1-5 here"),
        ("examples", 3, "found 3, and videojudge_mine has 120 here"),
    ],
)
def test_a_run_that_tells_another_story_of_its_set_is_refused(
    mine: GoldSet, tmp_path: Path, field: str, value: object, text: str
) -> None:
    folder = write_run(stored(mine, perfect), tmp_path / "runs")
    changed(folder, **{field: value})
    with pytest.raises(DataError, match=f"field 'set.{field}'") as caught:
        importing.check_numbers(read_run(folder))
    assert text in str(caught.value)


def test_another_title_is_no_other_set(mine: GoldSet, tmp_path: Path) -> None:
    folder = write_run(stored(mine, perfect), tmp_path / "runs")
    changed(folder, title="What she rated")
    run: StoredRun = read_run(folder)
    assert importing.check_numbers(run)
    board = rows.build([run, stored(mine, noise)], permutations=500)
    assert [(row.judge, row.rank) for row in board.rows] == [("perfect", 1), ("noise", 2)]
