"""The order of systems under several judges: against scipy, with ties and missing systems."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from videojudge_bench.answers.system_ranks import (
    DIFFER,
    HOLDS,
    SAME,
    TIED,
    SystemRanks,
    Verdicts,
    read_verdicts,
)
from videojudge_bench.cli.main import main
from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.metrics.bootstrap import Resampling

FEW = Resampling(200)
VIDEOS = 30


def verdicts(name: str, means: Mapping[str, float], noise: float = 0.0) -> Verdicts:
    rng = np.random.default_rng(len(name))
    rows = [
        (system, f"v{k}", mean + noise * float(rng.normal()))
        for system, mean in means.items()
        for k in range(VIDEOS)
    ]
    return Verdicts(name, tuple(rows), 0)


def conclusions(ranks: SystemRanks) -> dict[tuple[object, object], object]:
    return {
        (row["system_a"], row["system_b"]): row["conclusion"] for row in ranks.conclusion_rows()
    }


def test_conclusions_that_hold_and_that_do_not() -> None:
    one = verdicts("one", {"a": 4, "b": 3, "c": 2.9, "d": 1}, noise=0.5)
    other = verdicts("other", {"a": 5, "b": 2.8, "c": 3.0, "d": 2.8}, noise=0.5)
    ranks = SystemRanks([one, other], FEW)
    known = conclusions(ranks)
    assert [known[pair] for pair in (("a", "b"), ("a", "c"), ("a", "d"))] == [HOLDS] * 3
    assert known["b", "c"] == DIFFER
    (agreement,) = ranks.agreement_rows()
    means = ranks.means
    assert agreement["tau_b"] == pytest.approx(kendalltau(means[0], means[1]).statistic)
    low, high = agreement["low"], agreement["high"]
    assert isinstance(low, float)
    assert isinstance(high, float)
    assert -1 <= low <= high <= 1
    shifts = {row["system"]: row["shift"] for row in ranks.system_rows()}
    assert (shifts["a"], shifts["b"] != 0) == (0, True)


def test_a_judge_agrees_with_itself() -> None:
    one = verdicts("one", {"a": 4, "b": 3, "c": 2}, noise=1)
    ranks = SystemRanks([one, one], FEW)
    (agreement,) = ranks.agreement_rows()
    assert (agreement["tau_b"], agreement["low"], agreement["high"]) == (1, 1, 1)
    assert ranks.names == ["one (1)", "one (2)"]
    assert {row["shift"] for row in ranks.system_rows()} == {0}


def test_an_order_that_is_not_separated() -> None:
    rows = [("a", f"v{k}", 1.0 if k % 2 else -0.8) for k in range(VIDEOS)]
    rows += [("b", f"v{k}", 0.0) for k in range(VIDEOS)]
    near = Verdicts("near", tuple(rows), 0)
    ranks = SystemRanks([verdicts("clear", {"a": 4, "b": 3}), near], FEW)
    assert conclusions(ranks) == {("a", "b"): SAME}


def test_ties() -> None:
    one = verdicts("one", {"a": 0.1 + 0.2, "b": 0.3, "c": 0.1})
    other = verdicts("other", {"a": 3, "b": 2, "c": 1})
    ranks = SystemRanks([one, other], FEW)
    assert conclusions(ranks)["a", "b"] == TIED
    (agreement,) = ranks.agreement_rows()
    assert agreement["tau_b"] == pytest.approx(kendalltau([2, 2, 1], [3, 2, 1]).statistic)
    ranks_of_one = [row["one rank"] for row in ranks.system_rows()]
    assert ranks_of_one == [1, 1, 3]
    flat = SystemRanks([verdicts("flat", {"a": 3, "b": 3}), other], FEW)
    assert flat.agreement_rows()[0]["tau_b"] is None


def test_a_system_that_one_judge_lacks() -> None:
    one = verdicts("one", {"a": 4, "b": 3, "new": 5})
    other = verdicts("other", {"a": 4, "b": 3, "old": 1})
    ranks = SystemRanks([one, other], FEW)
    rows = {row["system"]: row for row in ranks.system_rows()}
    assert (rows["new"]["one mean"], rows["new"]["one rank"], rows["new"]["shift"]) == (
        5,
        None,
        None,
    )
    assert (rows["a"]["one rank"], rows["b"]["other rank"]) == (1, 2)
    assert list(conclusions(ranks)) == [("a", "b")]
    with pytest.raises(ConfigError, match="two systems or more with verdicts in every file, got 1"):
        SystemRanks([one, verdicts("third", {"new": 1, "old": 2})], FEW)
    with pytest.raises(ConfigError, match="expected two files of verdicts or more, got 1"):
        SystemRanks([one], FEW)


def test_few_videos_have_no_intervals() -> None:
    few = [Verdicts(n, (("a", "v", 2.0), ("b", "v", 1.0)), 0) for n in ("x", "y")]
    ranks = SystemRanks(few, FEW)
    assert ranks.to_json()["resamples"] == 0
    (row,) = ranks.conclusion_rows()
    assert (row["x low"], row["conclusion"]) == (None, SAME)


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def lines(judge: str) -> list[dict[str, object]]:
    return [
        {"id": f"{s}{k}", "video_id": f"v{k}", "system": s, "reply": judge,
         "score": None if k == 0 else 3.0 + (s == "a") + (k % 3)}
        for s in "ab" for k in range(25)
    ]  # fmt: skip


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(write(tmp_path / f"{name}.jsonl", lines(name))) for name in ("monday", "friday")]
    out = tmp_path / "conclusions.csv"
    assert main(["rank-systems", *files, "--resamples", "100", "-o", str(out)]) == 0
    shown = capsys.readouterr().out
    assert f"{HOLDS}: 1" in shown
    assert "monday: 2 answers without a verdict are left out" in shown
    assert out.read_text("utf-8").startswith("system_a,system_b,monday,monday low,")
    assert main(["rank-systems", *files, "--resamples", "100", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["conclusions"][0]["monday"] == 1.0
    assert main(["rank-systems", files[0]]) == 2


def test_verdicts_on_pairs_count_as_wins(tmp_path: Path) -> None:
    rows = [
        {"id": k, "video_id": f"v{k}", "system_a": "a", "system_b": "b", "p_a": p}
        for k, p in enumerate([1.0, 0.5, None])
    ]
    for row in rows:
        row["id"] = str(row["id"])
    read = read_verdicts(write(tmp_path / "pairs.jsonl", rows))
    assert read.missing == 2
    assert sorted(read.rows) == [
        ("a", "v0", 1.0), ("a", "v1", 0.5), ("b", "v0", 0.0), ("b", "v1", 0.5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"video_id": "v", "score": 3.0}, "expected the field system"),
        ({"video_id": "v", "system": "a", "score": "high"}, "score"),
        ({"video_id": "v", "system": "a", "score": None}, "expected verdicts, got none"),
    ],
)
def test_files_that_cannot_be_ranked(
    tmp_path: Path, row: Mapping[str, object], problem: str
) -> None:
    with pytest.raises(DataError, match=problem):
        read_verdicts(write(tmp_path / "bad.jsonl", [row]))
