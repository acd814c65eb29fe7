"""Sets of ratings, options and pairs that a user added, through every way to evaluate them."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from chat_server import chat_server
from measured_runs import score
from running import Ran, assert_clean_failure, assert_numbers_are_plain, evaluation, once, run

from videojudge_bench import goldsets, metrics, registry
from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.items import Pair
from videojudge_bench.run.runner import Run

GRADES, QUIZ, DUELS = "videojudge_grades", "videojudge_quiz", "videojudge_duels"
OWN = f"{GRADES},{QUIZ},{DUELS}"
NO_DATA = "videojudge_videoautoarena"
EVERYTHING = 1000
PAIRS = 78
ASKED = 60  # documents of thirty pairs, of the server
WORDS = ("a", "cat", "dog", "runs", "over", "the", "green", "hill", "and", "sleeps")
Row = dict[str, object]

OWN_JUDGE = """\
from videojudge_bench import Judge, Preference


class OnlyPrefers(Judge):
    abilities = frozenset({"prefer"})

    def prefer(self, pair):
        return Preference(float(len(pair.first) > len(pair.second)))
"""
EVIL = """\
task: videojudge_evil
class: !function evil.run
doc_to_text: !!python/object/apply:os.system ["touch was_run"]
"""


def _pick(many: int, *names: object) -> int:
    return int(many * unit_interval(*map(str, names)))


def _text(*names: object) -> str:
    return " ".join(WORDS[_pick(10, n, *names)] for n in range(1 + _pick(9, "length", *names)))


def grade_rows() -> list[Row]:
    """24 videos, three systems, three raters who like long answers, from 0 to 10."""
    rows: list[Row] = []
    for video in range(24):
        for system in ("x", "y", "z"):
            response = _text("grades", video, system)
            liked = len(response.split())
            ratings = [min(10, liked + _pick(4, rater, response) - 1) for rater in range(3)]
            common: Row = {"video_id": f"v{video}", "instruction": "What happens?"}
            rows.append({**common, "response": response, "ratings": ratings, "system": system})
    return rows


def quiz_rows() -> list[Row]:
    """Two questions a video, with four options each, that no two have in common."""
    return [
        {
            "video_id": f"v{number // 2}",
            "instruction": f"Question {number}?",
            "options": [f"{_text('quiz', number, option)} {option}" for option in range(4)],
            "correct": _pick(4, "correct", number),
        }
        for number in range(44)
    ]


def duel_rows() -> list[Row]:
    """Three pairs a video, with two raters each, who may disagree."""
    return [
        {
            "video_id": f"v{number // 3}",
            "instruction": f"Task {number}.",
            "response_a": f"{_text('a', number)} first",
            "response_b": f"{_text('b', number)} second one",
            "preferences": [("a", "b", "tie")[_pick(3, rater, number)] for rater in range(2)],
        }
        for number in range(PAIRS)
    ]


ROWS = {"grades": grade_rows, "quiz": quiz_rows, "duels": duel_rows}


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """All that needs a process of its own; lmms-eval takes seconds to start."""
    return once(tmp_path_factory, "own", _runs)


def _runs(here: Path) -> dict[str, Ran]:
    made: dict[str, Ran] = {}
    data = {"XDG_DATA_HOME": str(here / "data")}

    def add(name: str, command: Sequence[str], variables: Mapping[str, str] = data) -> None:
        (here / name).mkdir()
        made[name] = run(command, here / name, variables=variables)

    for name, rows in ROWS.items():
        file = here / f"{name}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
        scale = ["--scale", "0-10"] if name == "grades" else []
        add(f"add {name}", ["videojudge", "data", "add", str(file), "--name", name, *scale])
    _drop_foreign_files(here / "data" / "videojudge_bench" / "goldsets")
    everything = evaluation("judge=longest", tasks=f"{OWN},{NO_DATA}", limit=EVERYTHING)
    add("longest", everything)
    host = (sys.executable, "-m", "lmms_eval")
    add("random", evaluation("judge=random", tasks=OWN, limit=3, program=host))
    (here / "one_sided.py").write_text(OWN_JUDGE, encoding="utf-8")
    one_sided = evaluation("judge=one_sided:OnlyPrefers", tasks=OWN, limit=EVERYTHING)
    add("one sided", one_sided, {**data, "PYTHONPATH": str(here)})
    add("no data", evaluation("judge=random", tasks=NO_DATA))
    program = ("torchrun", "--standalone", "--nproc-per-node", "2", "-m", "lmms_eval")
    tasks = f"{QUIZ},{DUELS}"
    add("torchrun", evaluation("judge=longest", tasks=tasks, limit=EVERYTHING, program=program))
    with chat_server(_reply) as server:
        arguments = f"model=made-up,base_url={server.base_url},api_key=none,num_cpus=2"
        # By the host's own command, which finds the added set too.
        command = evaluation(
            arguments, tasks=DUELS, limit=ASKED, model="async_openai", program=("lmms-eval",)
        )
        add("stock", command)
    (here / "requests.json").write_text(json.dumps(server.requests), encoding="utf-8")
    return made


@pytest.fixture
def own(runs: dict[str, Ran], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The added sets, in this process too; the folder that holds all runs."""
    here = runs["longest"].folder.parent
    monkeypatch.setenv("XDG_DATA_HOME", str(here / "data"))
    goldsets.load.cache_clear()
    yield here
    goldsets.load.cache_clear()


def test_the_sets_are_added(runs: dict[str, Ran]) -> None:
    for name, said in {
        "grades": "videojudge_grades: 72 rows of ratings by 3 raters on the scale 0-10; 24 videos",
        "quiz": "videojudge_quiz: 44 rows of options; 22 videos",
        "duels": "videojudge_duels: 78 rows of pairs; 26 videos",
    }.items():
        added = runs[f"add {name}"]
        assert added.code == 0, added.output
        assert said in added.output


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.usefixtures("own")
def test_the_numbers_are_those_of_the_judgements(name: str, runs: dict[str, Ran]) -> None:
    ran = runs["longest"]
    assert ran.code == 0, ran.output
    expected = _numbers(name, "longest", EVERYTHING)
    # Sums of another order of threads may differ in the last digit.
    found = _without_count(ran.numbers(f"videojudge_{name}"))
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        same = pytest.approx(value, rel=1e-12) if isinstance(value, float) else value
        assert found[key] == same, key
    assert_numbers_are_plain(expected)
    assert isinstance(expected[f"{metrics.primary_key(goldsets.info(name))}_low"], float)


def test_the_primary_numbers_follow_from_the_rows(runs: dict[str, Ran]) -> None:
    """Worked out from the files themselves, without our items, judge or statistics."""
    numbers = {task: runs["longest"].numbers(task) for task in (GRADES, QUIZ, DUELS)}
    said = [len(str(row["response"]).split()) for row in grade_rows()]
    gold = [fmean(_list(row, "ratings")) for row in grade_rows()]
    assert numbers[GRADES]["pearson"] == pytest.approx(np.corrcoef(said, gold)[0, 1])
    assert numbers[QUIZ]["psup"] == pytest.approx(fmean(map(_psup, quiz_rows())))
    judged = [row for row in duel_rows() if _gold_lead(row)]
    assert numbers[DUELS]["accuracy"] == pytest.approx(fmean(map(_accuracy, judged)))
    assert (numbers[DUELS]["n"], numbers[DUELS]["n_left_out"]) == (len(judged), PAIRS - len(judged))
    assert 0 < len(judged) < PAIRS
    assert numbers[GRADES]["rmse"] == "undefined (not on the rating scale)"


def test_the_three_raters_are_averaged_and_the_systems_known(runs: dict[str, Ran]) -> None:
    means = Counter[str]()
    words = Counter[str]()
    for row in grade_rows():
        means[str(row["system"])] += sum(_list(row, "ratings"))  # type: ignore[assignment]
        words[str(row["system"])] += len(str(row["response"]).split())
    pairs = [("x", "y"), ("x", "z"), ("y", "z")]
    agree = [(means[a] > means[b]) == (words[a] > words[b]) for a, b in pairs]
    assert runs["longest"].numbers(GRADES)["system_accuracy"] == pytest.approx(fmean(agree))


def test_a_pair_is_two_adjacent_documents(runs: dict[str, Ran]) -> None:
    samples = runs["longest"].samples(DUELS)
    assert [sample["doc_id"] for sample in samples] == list(range(2 * PAIRS))
    ids = [str(record["id"]) for record in runs["longest"].judgements(DUELS)]
    assert [item_id.rpartition("/")[2] for item_id in ids] == ["ab", "ba"] * PAIRS
    assert [i.rpartition("/")[0] for i in ids[::2]] == [i.rpartition("/")[0] for i in ids[1::2]]


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.usefixtures("own")
def test_a_limit_cuts_a_pair_and_a_question_apart(name: str, runs: dict[str, Ran]) -> None:
    ran = runs["random"]
    assert ran.code == 0, ran.output
    numbers = _without_count(ran.numbers(f"videojudge_{name}"))
    assert numbers == _numbers(name, "random", 3)
    if name == "duels":
        assert _gold_lead(duel_rows()[0]), "the first pair is no tie, and the second lacks an order"
        assert (numbers["n"], numbers["n_left_out"]) == (1, 1)
    else:
        assert numbers["n"] == 3


@pytest.mark.parametrize("task", [QUIZ, DUELS])
def test_two_processes_give_the_same_numbers(task: str, runs: dict[str, Ran]) -> None:
    assert runs["torchrun"].code == 0, runs["torchrun"].output
    assert runs["torchrun"].numbers(task) == runs["longest"].numbers(task)
    assert len(runs["torchrun"].samples(task)) == len(runs["longest"].samples(task))


@pytest.mark.usefixtures("own")
def test_a_judge_without_an_ability_is_not_applicable(runs: dict[str, Ran]) -> None:
    ran = runs["one sided"]
    assert ran.code == 0, ran.output
    for task, shape in ((GRADES, "ratings"), (QUIZ, "options")):
        reason = f"judge one_sided:OnlyPrefers cannot rate; {task} consists of {shape}"
        assert f"{task}: not applicable: {reason}" in ran.output
        primary = metrics.primary_key(goldsets.info(task.removeprefix("videojudge_")))
        assert ran.numbers(task)[primary] == f"undefined (not applicable: {reason})"
        assert ran.numbers(task)["n"] == 0
    assert isinstance(ran.numbers(DUELS)["accuracy"], float)


@pytest.mark.usefixtures("own")
def test_the_same_replies_give_the_same_numbers_of_pairs(
    runs: dict[str, Ran], tmp_path: Path
) -> None:
    """Through the host's `async_openai` and `lmms-eval`, and through our runner."""
    stock = runs["stock"]
    assert stock.code == 0, stock.output
    gold_set = goldsets.load("duels")
    examples = gold_set.examples[:ASKED]
    pairs = [example.item for example in examples if isinstance(example.item, Pair)]
    replies = [{"id": pair.id, "reply": _answer(pair.first, pair.second)} for pair in pairs]
    path = tmp_path / "replies.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in replies), encoding="utf-8")
    scripted = Run(registry.build("scripted", {"replies": str(path)}), gold_set)
    judged = scripted.judge([pair.id for pair in pairs])
    numbers = _without_count(stock.numbers(DUELS))
    assert numbers == score(gold_set, judged, on_scale=True).flat()
    assert isinstance(numbers["accuracy"], float)
    assert 0 < float(numbers["coverage"]) < 1, "some replies cannot be read"
    assert 0 < float(numbers["order_consistency"]) < 1
    assert [r["verdict"] for r in stock.judgements(DUELS)] == [
        judged[pair.id].to_json() for pair in pairs
    ]


def test_the_server_saw_both_orders_and_no_gold(runs: dict[str, Ran]) -> None:
    requests = json.loads((runs["stock"].folder.parent / "requests.json").read_text("utf-8"))
    prompts = [request["messages"][-1]["content"] for request in requests]
    texts = [p if isinstance(p, str) else "".join(part["text"] for part in p) for p in prompts]
    shown = [_answers(text) for text in texts]
    rows = duel_rows()[: ASKED // 2]
    pairs = {(str(row["response_a"]), str(row["response_b"])) for row in rows}
    assert set(shown) == pairs | {(b, a) for a, b in pairs}
    assert len(shown) == ASKED
    body = json.dumps(requests)
    assert [word for word in ("preference", "p_first", "gold") if word in body] == []


def test_a_set_without_data_fails_alone_and_not_among_others(runs: dict[str, Ran]) -> None:
    how = goldsets.info("videoautoarena").how_to_get
    alone, among = runs["no data"], runs["longest"]
    assert_clean_failure(alone, "gold set 'videoautoarena' has no data here: ", how)
    assert among.numbers(NO_DATA)["accuracy"] == f"undefined (no data: {how})"
    assert f"{NO_DATA}: no data: {how}" in among.output


def test_a_foreign_task_file_in_the_store_is_never_loaded(
    runs: dict[str, Ran], own: Path, tmp_path: Path
) -> None:
    assert list((own / "data").rglob("*.yaml")), "they lie where the sets are"
    variables = {"XDG_DATA_HOME": str(own / "data")}
    ran = run(evaluation("judge=random", tasks="videojudge_evil"), tmp_path, variables=variables)
    assert_clean_failure(ran, "unknown task 'videojudge_evil'")
    assert not [path for folder in (own, tmp_path) for path in folder.rglob("was_*")]
    assert "evil" not in runs["longest"].output


@pytest.fixture
def damaged(tmp_path: Path) -> dict[str, str]:
    """The variables of a data folder with a good set, and one whose rows are cut off."""
    variables = {"XDG_DATA_HOME": str(tmp_path / "data")}
    for name in ("good", "broken"):
        file = tmp_path / f"{name}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in quiz_rows()), encoding="utf-8")
        added = run(
            ["videojudge", "data", "add", str(file), "--name", name], tmp_path, variables=variables
        )
        assert added.code == 0, added.output
    rows = tmp_path / "data" / "videojudge_bench" / "goldsets" / "broken" / "rows.jsonl.gz"
    rows.write_bytes(rows.read_bytes()[:200])
    return variables


def test_a_damaged_set_is_named_and_can_be_removed(damaged: dict[str, str], tmp_path: Path) -> None:
    def data(*arguments: str) -> Ran:
        return run(["videojudge", "data", *arguments], tmp_path, variables=damaged)

    # By its name the set is looked at before anything heavy is loaded, by a wildcard after that.
    for tasks in ("videojudge_good,videojudge_broken", "videojudge_br*"):
        ran = run(evaluation("judge=longest", tasks=tasks), tmp_path, variables=damaged)
        assert_clean_failure(ran, "broken/rows.jsonl.gz, line ", "the compressed data end or break")
    listed = data("list")
    assert listed.code == 0, listed.output
    assert "broken: see videojudge data verify broken" in listed.output
    assert_clean_failure(data("verify", "broken"), "broken/rows.jsonl.gz, line ")
    everything = data("verify")
    assert everything.code == 1
    assert "broken: BROKEN: " in everything.output
    assert "good: examples 176" in everything.output.splitlines()
    removed = data("remove", "broken")
    assert (removed.code, removed.output[:15]) == (0, "removed broken;"), removed.output
    assert "broken" not in data("list").output


def _numbers(name: str, judge: str, limit: int) -> dict[str, float | int | str]:
    """The numbers of a judge on the first items of a set, worked out in this process."""
    gold_set = goldsets.load(name)
    built = registry.build(judge, {}).judge
    judged = {j.item_id: j for j in built.judge(e.item for e in gold_set.examples[:limit])}
    on_scale = built.scale == gold_set.info.scale
    return score(gold_set, judged, on_scale=on_scale).flat()


def _without_count(numbers: Mapping[str, float | int | str]) -> dict[str, float | int | str]:
    return {key: value for key, value in numbers.items() if key != "judgement"}


def _list(row: Row, field: str) -> list[float]:
    values = row[field]
    assert isinstance(values, list)
    return values


def _psup(row: Row) -> float:
    """Share of the distractors with fewer words than the correct option, equal ones half."""
    lengths = [len(str(text).split()) for text in _list(row, "options")]
    right = lengths.pop(int(str(row["correct"])))
    return fmean(0.5 * (other == right) + (other < right) for other in lengths)


def _gold_lead(row: Row) -> int:
    """By how many raters the first response leads; 0 is a tie."""
    said = Counter(map(str, _list(row, "preferences")))
    return said["a"] - said["b"]


def _accuracy(row: Row) -> float:
    """1 where the better response has more words, a half where both have as many."""
    a, b = (len(str(row[key]).split()) for key in ("response_a", "response_b"))
    return 0.5 if a == b else float((a > b) == (_gold_lead(row) > 0))


def _answers(prompt: str) -> tuple[str, str]:
    first, _, second = prompt.partition("Answer A:")[2].partition("Answer B:")
    return first.strip(), second.strip()


def _reply(prompt: str) -> str:
    return _answer(*_answers(prompt))


def _answer(first: str, second: str) -> str:
    """Prefer the longer answer, or the first one, or say nothing that can be read."""
    if _pick(8, "unreadable", first, second) == 0:
        return "Hard to say."
    is_first = len(first) > len(second) or _pick(3, "first", first, second) == 0
    return f"<thinking>So it seems.</thinking>\n<answer>{'A' if is_first else 'B'}</answer>"


def _drop_foreign_files(store: Path) -> None:
    """Put task files, and a module that they name, where the sets are kept."""
    for folder in (store, store / "grades"):
        (folder / "videojudge_evil.yaml").write_text(EVIL, encoding="utf-8")
        (folder / "evil.py").write_text("open('was_imported', 'w').close()\n", encoding="utf-8")
