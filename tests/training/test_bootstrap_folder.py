"""What is written comes back: JSON forms, shards by offset, and memory that does not grow."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from talk import made_seed, outputs

from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import DataError
from videojudge_bench.training.bootstrap.calls import Limits, Meter
from videojudge_bench.training.bootstrap.contracts import (
    Attempt,
    Draft,
    Evaluation,
    Outcome,
    Rated,
    Seed,
    from_json,
    to_json,
)
from videojudge_bench.training.bootstrap.executors import ShardWork, Tally
from videojudge_bench.training.bootstrap.options import load_options
from videojudge_bench.training.bootstrap.roles import Roles
from videojudge_bench.training.bootstrap.run_folder import RunFolder
from videojudge_bench.verdicts import Usage

_texts = st.text(max_size=20)
_usages = st.builds(
    Usage,
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.floats(0, 1e3),
    st.floats(0, 9, allow_subnormal=False),
)
_drafts = st.builds(
    Draft, _texts, st.none() | st.integers(1, 5), st.lists(_texts, max_size=2).map(tuple), _usages
)
_evaluations = st.builds(Evaluation, st.none() | st.floats(1, 5), _texts, _usages)
_seeds = st.builds(
    Seed,
    *[_texts] * 5,
    st.none() | _texts,
    st.lists(_texts, max_size=2).map(tuple),
    st.none() | _texts,
    st.dictionaries(_texts, _texts, max_size=2),
)
_rated = st.builds(
    Rated,
    st.integers(1, 4),
    st.lists(st.builds(Attempt, _drafts, _evaluations), max_size=2).map(tuple),
    st.booleans(),
    _texts,
)
_outcomes = st.builds(
    Outcome, _seeds, st.lists(_rated, max_size=4).map(tuple), st.booleans(), _texts
)


@settings(max_examples=100)
@given(_outcomes)
def test_an_outcome_comes_back_from_its_json(outcome: Outcome) -> None:
    data = json.loads(json.dumps(to_json(outcome)))
    assert from_json(Outcome, data, path=Path("shard"), line=1) == outcome
    assert from_json(Seed, data["seed"], path=Path("shard"), line=1) == outcome.seed


def test_the_form_has_plain_keys_and_leaves_defaults_out() -> None:
    assert to_json(Seed("s", "made", "v", "What?", "A cat.")) == {
        "id": "s",
        "source": "made",
        "video_id": "v",
        "instruction": "What?",
        "gold": "A cat.",
    }
    assert to_json(Draft("A dog.", usage=Usage(3, 4, 0.5))) == {
        "text": "A dog.",
        "usage": [3, 4, 0.5],
    }
    assert to_json(Evaluation(None, usage=Usage(3, 4, 0.5, 0.25))) == {
        "rating": None,
        "usage": [3, 4, 0.5, 0.25],
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gold": None}, "field 'gold': Input should be a valid string; found None"),
        ({"labels": {"type": 3}}, "field 'labels.type': Input should be a valid string; found 3"),
        ({"references": ["a", 1]}, "field 'references[1]': Input should be a valid string"),
        ({"references": "a"}, "field 'references': Input should be a valid tuple; found 'a'"),
    ],
)
def test_a_seed_that_is_none_says_where_and_which_part(
    change: dict[str, Json], message: str, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path)
    folder.write_seeds([made_seed(1)], {})
    line = json.dumps({**to_json(made_seed(1)), **change})
    (tmp_path / "seeds.jsonl").write_text(f"{line}\n")
    with pytest.raises(DataError) as caught:
        list(folder.seeds())
    assert f"seeds.jsonl, line 1, {message}" in str(caught.value)


def test_a_damaged_line_of_seeds_is_named(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_seeds((made_seed(number) for number in range(300)), {})
    path = tmp_path / "seeds.jsonl"
    lines = path.read_text().splitlines()
    lines[270] = lines[270].replace('"gold"', '"glod"')
    path.write_text("\n".join(lines) + "\n")
    _, second = folder.shards()
    with pytest.raises(DataError, match=r"line 271, field 'gold': the field is missing"):
        list(folder.seeds(second))


@pytest.mark.parametrize("count", [1, 255, 256, 257, 700])
def test_shards_cover_all_seeds_in_their_order(count: int, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    # A line separator of Unicode is no end of a line of JSON Lines.
    made = [replace(made_seed(number), gold=f"a\u2028b {number}") for number in range(count)]
    folder.write_seeds(made, {})
    shards = folder.shards()
    assert [shard.number for shard in shards] == list(range(-(-count // 256)))
    assert sum(shard.seeds for shard in shards) == count
    # From the last to the first: each is found by its offset.
    found = [list(folder.seeds(shard)) for shard in reversed(shards)]
    assert [seed for part in reversed(found) for seed in part] == made == list(folder.seeds())


class _Plain:
    """Writes and rates at once, and holds nothing."""

    async def write(self, seed: Seed, target: int, earlier: object) -> Draft:
        return Draft(f"It rolls past {seed.id} by {target} meters. {'So it goes. ' * 40}", target)

    async def rate(self, seed: Seed, draft: Draft, unread: object = ()) -> Evaluation:
        return Evaluation(float(draft.truth or 0), "Fine.")

    def settings(self) -> dict[str, str]:
        return {}

    def close(self) -> None:
        """Nothing to give back."""


def test_memory_does_not_grow_with_the_number_of_seeds(tmp_path: Path) -> None:
    options = load_options("embedded", ["concurrency=8"])

    def peak(count: int) -> int:
        folder = RunFolder(tmp_path / str(count))
        folder.write_seeds((made_seed(number) for number in range(count)), {})
        tally = Tally()
        tracemalloc.start()
        try:
            roles, meter = Roles(_Plain(), _Plain()), Meter(Limits())
            work = ShardWork(folder, roles, meter, options, on_outcome=tally.add)
            work.run(folder.shards())
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            assert tally.kept == count
            assert len(outputs(folder.path)) == 1 + count // 256

    few, many = peak(512), peak(4096)
    assert many < 1.2 * few
