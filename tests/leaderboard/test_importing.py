"""Every number of an imported run is worked out from its verdicts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from boards import RESAMPLES, board_set, found, noise, perfect
from measured_runs import score
from registered import registered

from videojudge_bench import registry
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import part_of
from videojudge_bench.leaderboard import importing
from videojudge_bench.leaderboard.stored import RUN_FILE, read_run, write_run
from videojudge_bench.run.runner import Run, RunOptions
from videojudge_bench.verdicts import Judgement, Rating, Unparsed

SECRET = "sk-never-to-be-written-down"
KEYED = '''\
from videojudge_bench import Judge, Rating


class Keyed(Judge):
    """Asks a service that wants a key."""

    def __init__(self, *, api_key: str) -> None:
        self._api_key = api_key

    def rate(self, item):
        return Rating(1 + len(item.response) % 5)
'''


@pytest.fixture
def gold_set() -> Iterator[GoldSet]:
    with registered(board_set()) as gold_set:
        yield gold_set


def judged(
    gold_set: GoldSet,
    folder: Path,
    judge: str = "longest",
    *,
    limit: int | None = None,
    **options: Scalar,
) -> Run:
    """Run a judge; its journal lies below the folder."""
    run = Run(registry.build(judge, options), gold_set, RunOptions(journal=folder))
    run.judge([example.item.id for example in gold_set.examples[:limit]])
    return run


def stock(
    folder: Path,
    samples: list[object],
    *,
    model: str = "async_openai",
    model_args: str = "model=x",
    task: str = "videojudge_tinyboard",
) -> Path:
    """Write what lmms-eval writes of a run with --log_samples, and return the samples' file."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model": model, "model_args": model_args, "gen_kwargs": ""}
    results = json.dumps({"results": {}, "config": config})
    (folder / "20261123_101112_results.json").write_text(results, encoding="utf-8")
    path = folder / f"20261123_101112_samples_{task}.jsonl"
    path.write_text("".join(json.dumps(s) + "\n" for s in samples), encoding="utf-8")
    return path


def sample(item_id: str, rating: float, references: int = 1) -> dict[str, object]:
    verdict = Judgement(item_id, Rating(rating), reply="a text that is not kept").to_json()
    return {"judgement": {"id": item_id, "gold": "5", "references": references, "verdict": verdict}}


def test_a_journal_gives_the_numbers_of_its_judgements(gold_set: GoldSet, tmp_path: Path) -> None:
    run = judged(gold_set, tmp_path)
    (one,) = importing.find_runs(tmp_path)
    kept = importing.to_stored(one, resamples=RESAMPLES)
    ids = [example.item.id for example in gold_set.examples]
    expected = score(gold_set, run.judge(ids), on_scale=False, resamples=RESAMPLES)
    assert kept.numbers == expected.numbers()
    assert kept.name == "longest"
    assert kept.signature == run.signature(ids)
    assert kept.versions["lmms-eval"].startswith("0.7.")


def test_a_part_of_a_set_has_another_signature(gold_set: GoldSet, tmp_path: Path) -> None:
    whole = importing.to_stored(found(gold_set, perfect), resamples=RESAMPLES)
    judged(gold_set, tmp_path, limit=60)
    (one,) = importing.find_runs(tmp_path)
    some = importing.to_stored(one, resamples=RESAMPLES)
    assert some.numbers["n"] == len(some.verdicts) == 60
    assert some.signature.measurement["items"] != whole.signature.measurement["items"]


def test_a_fitted_judge_is_scored_on_the_test_part(gold_set: GoldSet, tmp_path: Path) -> None:
    judged(gold_set, tmp_path, "constant")
    (one,) = importing.find_runs(tmp_path)
    kept = importing.to_stored(one, resamples=RESAMPLES)
    tested = [e for e in gold_set.examples if part_of(e.item.video_id) == "test"]
    assert (kept.part, kept.numbers["n"]) == ("test", len(tested))
    assert len(kept.verdicts) == len(gold_set.examples)


def test_a_folder_of_journals_holds_several_runs(gold_set: GoldSet, tmp_path: Path) -> None:
    judged(gold_set, tmp_path, "longest")
    judged(gold_set, tmp_path, "random", seed=3)
    runs = {run.name: run for run in importing.find_runs(tmp_path)}
    assert set(runs) == {"longest", "random"}
    assert runs["random"].judge == {"judge": "random", "seed": 3}


def test_failures_count_as_unparsed(gold_set: GoldSet, tmp_path: Path) -> None:
    run = judged(gold_set, tmp_path)
    (path,) = run.folder.glob("judgements-*.jsonl")
    lines = path.read_text(encoding="utf-8").splitlines()
    first = json.loads(lines[0])
    broken = Judgement(first["id"], Unparsed("judge failed"), failed=True).to_json()
    path.write_text("\n".join([json.dumps({"key": first["key"], **broken}), *lines[1:], ""]))
    (one,) = importing.find_runs(tmp_path)
    numbers = importing.to_stored(one, resamples=RESAMPLES).numbers
    assert (numbers["n"], numbers["n_parsed"]) == (len(lines), len(lines) - 1)


def test_tampered_numbers_do_not_outlive_rescoring(gold_set: GoldSet, tmp_path: Path) -> None:
    honest = importing.to_stored(found(gold_set, noise), resamples=RESAMPLES)
    folder = write_run(honest, tmp_path)
    facts = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    facts["numbers"] |= {"spearman": 0.99, "coverage": 1.0, "n": 10**6}
    (folder / RUN_FILE).write_text(json.dumps(facts), encoding="utf-8")
    assert read_run(folder).numbers["spearman"] == 0.99
    assert importing.rescored(read_run(folder), resamples=RESAMPLES) == honest


def test_a_journal_of_another_version_of_the_set_is_refused(
    gold_set: GoldSet, tmp_path: Path
) -> None:
    run = judged(gold_set, tmp_path)
    _change_facts(run.folder, gold_set_hash="0" * 64)
    with pytest.raises(DataError, match="made with another version of videojudge_tinyboard") as e:
        importing.find_runs(tmp_path)
    assert "content 000000000000, here " in str(e.value)
    assert "run the judge again" in str(e.value)


@pytest.mark.parametrize("field", ["gold_set", "references", "part", "signature", "judge"])
def test_a_field_that_is_missing_from_a_journal_is_named(
    gold_set: GoldSet, tmp_path: Path, field: str
) -> None:
    run = judged(gold_set, tmp_path)
    facts = json.loads((run.folder / RUN_FILE).read_text(encoding="utf-8"))
    del facts[field]
    (run.folder / RUN_FILE).write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(DataError, match=f"field '{field}': the field is missing"):
        importing.find_runs(tmp_path)


@pytest.mark.parametrize("value", ["nine", None, [1]])
def test_a_number_of_references_that_is_none_is_refused(
    gold_set: GoldSet, tmp_path: Path, value: object
) -> None:
    run = judged(gold_set, tmp_path)
    _change_facts(run.folder, references=value)
    with pytest.raises(DataError, match="references"):
        importing.find_runs(tmp_path)


def test_a_journal_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / RUN_FILE).write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="not a JSON object"):
        importing.find_runs(tmp_path)


def test_a_journal_without_judgements_says_so(gold_set: GoldSet, tmp_path: Path) -> None:
    run = judged(gold_set, tmp_path)
    for path in run.folder.glob("judgements-*.jsonl"):
        path.unlink()
    with pytest.raises((ConfigError, DataError), match="no judgements"):
        importing.to_stored(importing.find_runs(tmp_path)[0], resamples=RESAMPLES)


def test_judgements_of_other_items_are_refused(gold_set: GoldSet) -> None:
    run = found(gold_set, perfect)
    strange = {**run.judgements, "elsewhere/1": Judgement("elsewhere/1", Rating(1.0))}
    with pytest.raises(DataError, match="1 of 121 judgements are about items") as caught:
        importing.to_stored(replace(run, judgements=strange), resamples=RESAMPLES)
    assert "such as 'elsewhere/1'" in str(caught.value)


def test_samples_of_a_stock_model_are_a_run(gold_set: GoldSet, tmp_path: Path) -> None:
    samples: list[object] = [sample(e.item.id, 4.0) for e in gold_set.examples]
    stock(tmp_path / "out" / "model", samples, model_args="model=x,nframes=8")
    (run,) = importing.find_runs(tmp_path / "out")
    assert (run.name, run.gold_set, run.references) == ("async_openai", "tinyboard", 1)
    assert (run.part, run.on_scale) == ("all", True)
    assert run.judge["model_args"] == "model=x,nframes=8"
    assert run.judge["frames"] == "chosen by the model"
    kept = importing.to_stored(run, resamples=RESAMPLES)
    assert kept.numbers["spearman"] == "undefined (constant judge)"
    write_run(kept, tmp_path / "runs")


def test_the_placeholder_of_a_set_without_data_is_no_run(gold_set: GoldSet, tmp_path: Path) -> None:
    """`--tasks 'videojudge_*'` always has one: a set without data is one document."""
    stock(tmp_path, [sample(e.item.id, 4.0) for e in gold_set.examples])
    stock(tmp_path, [{"judgement": {"id": "no data"}}], task="videojudge_videoautoarena")
    assert [run.gold_set for run in importing.find_runs(tmp_path)] == ["tinyboard"]


def test_samples_of_an_unknown_task_are_named(tmp_path: Path) -> None:
    stock(tmp_path, [sample("a", 4.0)], task="videojudge_tinybord")
    with pytest.raises(ConfigError, match="unknown gold set 'tinybord'"):
        importing.find_runs(tmp_path)


def test_samples_of_our_own_model_are_left_to_its_journal(
    gold_set: GoldSet, tmp_path: Path
) -> None:
    run = judged(gold_set, tmp_path / "journal")
    stock(tmp_path / "out", [sample(gold_set.examples[0].item.id, 4.0)], model="videojudge")
    (one,) = importing.find_runs(tmp_path)
    assert one.judge == run.built.signature()
    shutil.rmtree(tmp_path / "journal")
    with pytest.raises(ConfigError, match="journal"):
        importing.find_runs(tmp_path)


def test_samples_without_results_are_refused(gold_set: GoldSet, tmp_path: Path) -> None:
    path = stock(tmp_path, [sample(gold_set.examples[0].item.id, 4.0)])
    results = path.with_name("20261123_101112_results.json")
    results.unlink()
    with pytest.raises(DataError, match="which name the model") as caught:
        importing.find_runs(tmp_path)
    assert str(results) in str(caught.value)


def test_a_sample_without_a_judgement_is_named(gold_set: GoldSet, tmp_path: Path) -> None:
    stock(tmp_path, [sample(gold_set.examples[0].item.id, 4.0), {"doc_id": 1}])
    with pytest.raises(DataError, match="line 2, field 'judgement': the field is missing"):
        importing.find_runs(tmp_path)


def test_a_sample_that_is_no_json_is_named(gold_set: GoldSet, tmp_path: Path) -> None:
    path = stock(tmp_path, [sample(gold_set.examples[0].item.id, 4.0)])
    with path.open("a") as file:
        file.write('{"judgement": {"id"\n')
    with pytest.raises(DataError, match="line 2"):
        importing.find_runs(tmp_path)


def test_a_sample_whose_verdict_is_none_is_refused(gold_set: GoldSet, tmp_path: Path) -> None:
    broken = sample(gold_set.examples[0].item.id, 4.0)
    broken["judgement"] = {"id": "x", "references": 0, "verdict": {"id": "x", "ratng": 4}}
    path = stock(tmp_path, [broken])
    with pytest.raises(DataError, match="expected one of rating, p_first, unparsed") as e:
        importing.find_runs(tmp_path)
    assert str(path) in str(e.value)


def test_samples_that_showed_different_references_are_refused(
    gold_set: GoldSet, tmp_path: Path
) -> None:
    ids = [example.item.id for example in gold_set.examples[:2]]
    stock(tmp_path, [sample(ids[0], 4.0, references=1), sample(ids[1], 4.0, references=2)])
    with pytest.raises(DataError, match="samples with different numbers of references"):
        importing.find_runs(tmp_path)


@pytest.mark.parametrize(
    "argument",
    [
        f"api_key={SECRET}",
        f"API_KEY={SECRET}",
        f"auth_token={SECRET}",
        f"client_secret={SECRET}",
        f"password={SECRET}",
        f'api_key="{SECRET},{SECRET}"',
        f"base_url=https://user:{SECRET}@example.org/v1",
    ],
)
def test_secrets_of_a_stock_model_are_not_kept(
    gold_set: GoldSet, tmp_path: Path, argument: str
) -> None:
    samples: list[object] = [sample(e.item.id, 4.0) for e in gold_set.examples]
    stock(tmp_path / "out", samples, model_args=f"model=x,{argument},nframes=8")
    (run,) = importing.find_runs(tmp_path / "out")
    folder = write_run(importing.to_stored(run, resamples=RESAMPLES), tmp_path / "runs")
    written = (folder / RUN_FILE).read_text(encoding="utf-8")
    assert SECRET not in written
    assert "model=x" in written
    assert "nframes=8" in written


def test_what_is_no_secret_is_kept(gold_set: GoldSet, tmp_path: Path) -> None:
    """Two runs that differ in one of these must not look the same."""
    arguments = "model=x,max_tokens=512,max_new_tokens=512,tokenizer=y,keyframes=4"
    samples: list[object] = [sample(e.item.id, 4.0) for e in gold_set.examples]
    stock(tmp_path, samples, model_args=arguments)
    (run,) = importing.find_runs(tmp_path)
    assert run.judge["model_args"] == arguments


def test_secrets_of_our_own_judges_are_not_kept(
    gold_set: GoldSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "judge_with_a_key.py").write_text(KEYED, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    judged(gold_set, tmp_path / "journal", "judge_with_a_key:Keyed", api_key=SECRET)
    (run,) = importing.find_runs(tmp_path / "journal")
    folder = write_run(importing.to_stored(run, resamples=RESAMPLES), tmp_path / "runs")
    assert SECRET not in (folder / RUN_FILE).read_text(encoding="utf-8")


def _change_facts(folder: Path, **changes: object) -> None:
    path = folder / RUN_FILE
    facts = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**facts, **changes}), encoding="utf-8")
