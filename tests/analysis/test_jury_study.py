"""The rule of a jury and its study: against oracles, and where members or gold give nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from measured_runs import board_set, found
from registered import registered
from scipy.stats import rankdata, spearmanr
from sklearn.ensemble import GradientBoostingRegressor

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.analysis.jury import JuryOptions, Study
from videojudge_bench.analysis.jury_model import Combine, JuryModel, Tree, fit_model, read_jury
from videojudge_bench.analysis.jury_panel import Panel, open_panel
from videojudge_bench.cli.main import main
from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Example, RatingGold
from videojudge_bench.leaderboard import importing, stored
from videojudge_bench.metrics.bootstrap import Floats
from videojudge_bench.verdicts import Rating, Unparsed, Verdict

RATED = np.random.default_rng(0)
GOLD = RATED.integers(1, 6, size=300).astype(float)
CLOSE, FAR = GOLD + RATED.normal(size=300), 50 * (GOLD + 3 * RATED.normal(size=300))
NONE = np.full(300, np.nan)


def columns(*scores: Floats) -> Floats:
    return np.column_stack(scores)


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=30), st.integers(1, 4))
def test_a_jury_of_one_member_again_and_again_ranks_as_it_does(
    values: list[int], members: int
) -> None:
    scores = np.array(values, dtype=float)
    for combine in ("mean", "median"):
        panel = columns(*[scores] * members)
        model = fit_model(panel, None, combine)  # type: ignore[arg-type]
        assert rankdata(model(panel)).tolist() == rankdata(scores).tolist()


def test_members_on_different_scales_count_alike() -> None:
    panel = columns(CLOSE, FAR)
    model = fit_model(panel, None, "mean")
    expected = (rankdata(CLOSE) + rankdata(FAR)) / 2 / 300
    assert np.abs(model(panel) - expected).max() < 0.01
    assert np.array_equal(model(panel), fit_model(panel * 7 - 3, None, "mean")(panel * 7 - 3))


def test_weights_follow_what_members_know() -> None:
    contrary = -GOLD + RATED.normal(size=300)
    model = fit_model(columns(CLOSE, FAR, contrary), GOLD, "fitted")
    assert model.weights[0] > model.weights[1] >= 0 == model.weights[2]
    alone = spearmanr(CLOSE, GOLD).statistic
    assert spearmanr(model(columns(CLOSE, FAR, contrary)), GOLD).statistic >= alone - 0.01


def test_members_that_are_the_same_share_their_weight() -> None:
    (alone,) = fit_model(columns(CLOSE), GOLD, "fitted").weights
    one, other = fit_model(columns(CLOSE, CLOSE), GOLD, "fitted").weights
    assert one + other == pytest.approx(alone, rel=1e-3)
    assert one == pytest.approx(other, rel=1e-3)


@pytest.mark.parametrize("combine", ["fitted", "trees"])
def test_members_that_are_constant_or_never_parse_have_no_part(combine: Combine) -> None:
    panel = columns(CLOSE, np.full(300, 4.0), NONE)
    model = fit_model(panel, GOLD, combine, min_members=1)
    other = columns(CLOSE, np.full(300, -9.0), RATED.normal(size=300))
    assert np.array_equal(model(panel), model(other))
    if combine == "fitted":
        assert model.weights[1:] == [0, 0]


@pytest.mark.parametrize("scores", [np.full(300, 4.0), -GOLD])
def test_weights_that_cannot_be_fitted(scores: Floats) -> None:
    with pytest.raises(ConfigError, match="no member's scores rise with the gold"):
        fit_model(columns(scores), GOLD, "fitted")
    with pytest.raises(ConfigError, match="expected 2 rated items or more"):
        fit_model(columns(NONE), GOLD, "fitted")


def test_too_few_members_give_no_score() -> None:
    panel = columns(CLOSE, np.where(GOLD > 2, FAR, np.nan), NONE)
    for fewest, n_scored in ((1, 300), (2, int((GOLD > 2).sum())), (3, 0)):
        model = fit_model(panel, GOLD, "mean", min_members=fewest)
        assert (~np.isnan(model(panel))).sum() == n_scored
    with pytest.raises(ConfigError, match="min_members: expected 1 to 3, the members, got 4"):
        fit_model(panel, GOLD, "mean", min_members=4)


def test_stored_trees_are_those_of_scikit_learn() -> None:
    panel = columns(CLOSE, FAR)
    model = fit_model(panel, GOLD, "trees", seed=3)
    rows, target = model.common(panel), (rankdata(GOLD) - 0.5) / 300
    oracle = GradientBoostingRegressor(
        n_estimators=150, learning_rate=0.05, max_depth=3, subsample=0.5, min_samples_leaf=7,
        random_state=3,
    ).fit(rows, target)  # fmt: skip
    assert np.abs(model(panel) - oracle.predict(rows)).max() < 1e-3
    assert model == fit_model(panel, GOLD, "trees", seed=3)
    assert model.hash != fit_model(panel, GOLD, "trees", seed=4).hash
    again = JuryModel.model_validate_json(model.model_dump_json())
    assert np.array_equal(again(panel), model(panel))


def test_a_map_brings_scores_to_ratings() -> None:
    panel = columns(CLOSE, FAR)
    scores = fit_model(panel, GOLD, "mean", scales="map")(panel)
    assert 1 <= scores.min() < scores.max() <= 5
    assert abs(scores.mean() - GOLD.mean()) < 0.05


@pytest.mark.parametrize(
    ("left", "feature", "problem"),
    [([0, -1], [0, 0], "children after their node"), ([1, -1], [0], "for each node")],
)
def test_trees_that_would_not_end(left: list[int], feature: list[int], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Tree(feature=feature, threshold=[0.0] * 2, left=left, right=[1, -1], value=[0.0] * 2)


# Studies of stored runs.


def good(example: Example) -> Verdict:
    assert isinstance(example.gold, RatingGold)
    return Rating(example.gold.mean + 2 * unit_interval("good", example.item.id))


def weak(example: Example) -> Verdict:
    assert isinstance(example.gold, RatingGold)
    return Rating(100 * (example.gold.mean + 6 * unit_interval("weak", example.item.id)))


def noise(example: Example) -> Verdict:
    return Rating(unit_interval("noise", example.item.id))


def silent(_: Example) -> Verdict:
    return Unparsed("it never speaks")


@pytest.fixture
def board() -> Iterator[GoldSet]:
    with registered(board_set(videos=100)) as gold_set:
        yield gold_set


def folders(board: GoldSet, folder: Path, *judges: Callable[[Example], Verdict]) -> list[str]:
    runs = [importing.to_stored(found(board, judge), resamples=10) for judge in judges]
    return [str(stored.write_run(run, folder)) for run in runs]


@pytest.fixture
def panel(board: GoldSet, tmp_path: Path) -> Panel:
    return open_panel(folders(board, tmp_path, weak, noise, good))


def test_what_members_add_and_how_many_pay(panel: Panel) -> None:
    study = Study(panel, JuryOptions(resamples=50))
    facts = study.to_json()
    adds = {row["name"]: row["adds"] for row in facts["members"]}  # type: ignore[union-attr,index]
    assert adds["good"] > 0.05 > abs(adds["noise"])  # type: ignore[operator,arg-type]
    sizes = facts["sizes"]
    assert [row["members"][0] for row in sizes] == ["good"] * 3  # type: ignore[union-attr,index]
    assert {row["member"] for row in facts["against"]} == {"good", "weak"}  # type: ignore[union-attr,index]
    assert facts["looks_at_test"] == 3 + 3 + 2 * 3
    assert 0 < facts["alpha"] < 1  # type: ignore[operator]


def test_the_test_part_can_stay_closed(panel: Panel) -> None:
    facts = Study(panel, JuryOptions(dev_only=True)).to_json()
    assert (facts["looks_at_test"], facts["against"]) == (0, [])
    assert set(facts["jury"]["test"].values()) == {None}  # type: ignore[union-attr,index,call-overload]
    assert facts["jury"]["dev"] > 0.8  # type: ignore[index,operator,call-overload]


def test_what_is_fitted_does_not_depend_on_test(board: GoldSet, tmp_path: Path) -> None:
    sources = folders(board, tmp_path, good, weak)
    study = Study(open_panel(sources), JuryOptions("trees"))
    scores = np.where(study.panel.is_dev[:, None], study.panel.scores, 0)
    other = Study(Panel(study.panel.runs, study.panel.examples, scores), JuryOptions("trees"))
    assert study.saved().model == other.saved().model


def test_weak_members_hurt_a_mean(panel: Panel) -> None:
    sizes = Study(panel, JuryOptions("mean", dev_only=True)).subsets
    assert [round(value, 2) for _, value in sizes] == sorted(
        (round(value, 2) for _, value in sizes), reverse=True
    )


def test_a_jury_of_one(board: GoldSet, tmp_path: Path) -> None:
    facts = Study(open_panel(folders(board, tmp_path, good)), JuryOptions("mean")).to_json()
    (member,) = facts["members"]  # type: ignore[misc]
    assert (member["adds"], facts["alpha"], facts["against"]) == (None, None, [])  # type: ignore[index,call-overload]
    assert facts["jury"]["test"]["spearman"] > 0.8  # type: ignore[index,operator,call-overload]


@pytest.mark.parametrize("combine", ["mean", "fitted"])
def test_a_member_that_never_parses(board: GoldSet, tmp_path: Path, combine: Combine) -> None:
    study = Study(
        open_panel(folders(board, tmp_path, good, silent)), JuryOptions(combine, resamples=50)
    )
    facts = study.to_json()
    assert facts["members"][1]["missing"] == 300  # type: ignore[index,call-overload]
    assert facts["members"][1]["dev"] is None  # type: ignore[index,call-overload]
    assert facts["jury"]["test"]["spearman"] > 0.8  # type: ignore[index,operator,call-overload]
    both = Study(study.panel, JuryOptions(combine, min_members=2)).to_json()
    assert both["jury"]["test"]["spearman"] is None  # type: ignore[index,call-overload]


def test_scores_of_a_file_are_a_member(board: GoldSet, tmp_path: Path) -> None:
    scores = tmp_path / "scores.csv"
    lines = [f"{e.item.id},{good(e).value}" for e in board.examples[3:]]  # type: ignore[union-attr]
    scores.write_text("\n".join(["id,mine", *lines]), encoding="utf-8")
    panel = open_panel([*folders(board, tmp_path, weak), f"{scores}:mine"])
    assert panel.names == ["weak", "mine"]
    assert np.isnan(panel.scores[:, 1]).sum() == 3
    with pytest.raises(ConfigError, match="expected the folder of a run"):
        open_panel([f"{scores}:mine"])


def test_the_verb(board: GoldSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs, rule = folders(board, tmp_path, good, weak), tmp_path / "jury.json"
    assert main(["jury", *runs, "--resamples", "50", "-o", str(rule)]) == 0
    shown = capsys.readouterr()
    assert "The jury against its best members, on test" in shown.out
    assert f"wrote {rule}" in shown.out
    saved = read_jury(rule)
    assert [member.name for member in saved.members] == ["good", "weak"]
    assert main(["jury", *runs, "--resamples", "50", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["jury"]["hash"] == saved.model.hash
    assert main(["jury", *runs, "--dev-only", "--combine", "median"]) == 0
    assert "The test part was left closed." in capsys.readouterr().out


def test_files_that_are_no_jury(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        read_jury(tmp_path / "jury.json")
    (tmp_path / "jury.json").write_text('{"members": []}', encoding="utf-8")
    with pytest.raises(DataError, match="model"):
        read_jury(tmp_path / "jury.json")


def test_runs_that_no_rule_can_learn_from(board: GoldSet, tmp_path: Path) -> None:
    del board
    results = Path(__file__).parents[2] / "results" / "runs"
    sample = [str(results / "llava" / f"{name}-0ref-sample-105") for name in ("longest", "random")]
    with pytest.raises(ConfigError, match=r"expected ratings or options with a dev part"):
        Study(open_panel(sample), JuryOptions("fitted"))
    facts = Study(open_panel(sample), JuryOptions("mean", resamples=50)).to_json()
    assert facts["items"] == {"dev": 105, "test": 105}
    with pytest.raises(ConfigError, match="expected runs on one gold set"):
        open_panel([sample[0], str(results / "vcg" / "longest-0ref-sample-105")])
    pairs = [str(results / "pairwise" / f"{n}-0ref-sample-124") for n in ("longest", "random")]
    facts = Study(open_panel(pairs), JuryOptions("median", resamples=50)).to_json()
    assert facts["statistic"] == "accuracy"


def test_a_run_that_has_learned_from_dev_is_refused(board: GoldSet, tmp_path: Path) -> None:
    from dataclasses import replace

    run = importing.to_stored(replace(found(board, good), part="test"), resamples=10)
    runs = [str(stored.write_run(run, tmp_path)), *folders(board, tmp_path, weak)]
    with pytest.raises(ConfigError, match="good has itself learned from the gold of dev"):
        Study(open_panel(runs), JuryOptions())
