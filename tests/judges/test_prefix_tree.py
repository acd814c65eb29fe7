"""A packed row gives each continuation the numbers that it has alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from videojudge_bench.judges.engines.prefix_tree import (
    PREFIX,
    Branch,
    VisionBlock,
    additive,
    common_prefix,
    nested_mask,
    owners_of,
    pack,
    pack_nested,
    positions,
    tree_mask,
)
from videojudge_bench.judges.tiny_qwen import FAMILIES, Family, build

TEXT, VIDEO = 7, 2


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[Family, Any]:
    from transformers import AutoModelForImageTextToText

    auto: Any = AutoModelForImageTextToText
    root = tmp_path_factory.mktemp("models")
    return {f: auto.from_pretrained(build(root / f, family=f)).eval() for f in FAMILIES}


def test_a_long_video_has_the_positions_that_both_versions_were_seen_to_give() -> None:
    # 90 steps of 6.67 s behind 4 tokens, 10 x 18 tokens each: run in 4.57.1 and in 5.23.0.
    block = VisionBlock(start=4, time=90, height=10, width=18, step_seconds=20 / 3)
    old = positions(4 + block.tokens, [block], rule=4, tokens_per_second=2)
    new = positions(4 + block.tokens, [block], rule=5, tokens_per_second=2)
    assert (int(old.ids[0].max()), old.following) == (1072, 1073)
    assert (int(new.ids[0].max()), new.following) == (1190, 22)


def test_positions_by_hand() -> None:
    block = VisionBlock(start=1, time=2, height=1, width=2, step_seconds=1.5)
    old = positions(6, [block], rule=4, tokens_per_second=2)
    assert old.ids.tolist() == [[0, 1, 1, 3, 3, 4], [0, 1, 1, 1, 1, 4], [0, 1, 2, 1, 2, 4]]
    new = positions(6, [block], rule=5, tokens_per_second=2)
    assert new.ids.tolist() == [[0, 1, 1, 4, 4, 3], [0, 1, 1, 1, 1, 3], [0, 1, 2, 1, 2, 3]]
    assert (old.following, new.following) == (5, 4)


def test_text_alone_counts_up() -> None:
    assert positions(3, [], rule=5).ids.tolist() == [[0, 1, 2]] * 3
    empty = positions(0, [], rule=4)
    assert (empty.ids.shape, empty.following) == ((3, 0), 0)


@pytest.mark.parametrize("starts", [(0, 3), (5,)])
def test_blocks_that_do_not_fit_are_refused(starts: tuple[int, ...]) -> None:
    blocks = [VisionBlock(start, 1, 2, 2) for start in starts]
    with pytest.raises(ValueError, match=r"a block of 4 tokens at . does not fit into a row of 8"):
        positions(8, blocks, rule=5)


@settings(max_examples=40)
@given(
    sides=st.tuples(st.integers(1, 12), st.integers(1, 6), st.integers(1, 6)),
    around=st.tuples(st.integers(1, 9), st.integers(0, 9)),
    seconds=st.floats(0.05, 9.0),
)
@pytest.mark.parametrize("family", FAMILIES)
def test_positions_are_those_of_the_installed_transformers(
    models: dict[Family, Any],
    family: Family,
    sides: tuple[int, int, int],
    around: tuple[int, int],
    seconds: float,
) -> None:
    time, height, width = sides
    before, after = around
    config = models[family].config
    frames = [time] if family == "qwen2_5_vl" else [1] * time
    ids, blocks = [TEXT] * before, []
    for steps in frames:
        ids.append(config.vision_start_token_id)
        blocks.append(VisionBlock(len(ids), steps, height, width, seconds))
        ids += [config.video_token_id] * (steps * height * width)
    ids += [TEXT] * after
    row = torch.tensor([ids])
    extra: dict[str, Any] = {"second_per_grid_ts": torch.tensor([seconds])}
    if _rule() == 5:
        extra["mm_token_type_ids"] = torch.where(row == config.video_token_id, VIDEO, 0)
    if family == "qwen3_vl":
        del extra["second_per_grid_ts"]
    grid = torch.tensor([[time, 2 * height, 2 * width]])
    expected, _ = models[family].model.get_rope_index(row, video_grid_thw=grid, **extra)
    found = positions(len(ids), blocks, rule=_rule(), tokens_per_second=2)
    assert torch.equal(found.ids[:, None], expected)


@given(
    prefix=st.integers(0, 4),
    owners=st.lists(st.integers(PREFIX, 3), min_size=1, max_size=12),
    data=st.data(),
)
def test_a_token_sees_the_prefix_and_its_own(
    prefix: int, owners: list[int], data: st.DataObject
) -> None:
    queries = data.draw(st.integers(1, len(owners)))
    mask = tree_mask(torch.tensor(owners), queries=queries, prefix=prefix)
    assert mask.shape == (1, 1, queries, prefix + len(owners))
    for row in range(queries):
        at = len(owners) - queries + row
        for key, owner in enumerate(owners):
            expected = key <= at and owner in (PREFIX, owners[at])
            assert bool(mask[0, 0, row, prefix + key]) is expected
        assert bool(mask[0, 0, row, :prefix].all())


def test_a_mask_as_numbers() -> None:
    made = additive(torch.tensor([[True, False]]), torch.float16)
    assert made.dtype == torch.float16
    assert made.tolist() == [[0.0, -65504.0]]


def test_owners_follow_the_lengths() -> None:
    assert owners_of([2, 0, 1]).tolist() == [0, 0, 2]
    assert owners_of([]).tolist() == []


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(1, 2, 3), (1, 2, 4)], 2),
        ([(1, 2), (1, 2, 3)], 1),  # one token of the shorter row is left to it
        ([(1, 2), (1, 2)], 1),
        ([(1,), (2,)], 0),
        ([(5, 6, 7)], 2),
        ([(9, 1), (10, 1)], 0),
    ],
)
def test_rows_share_what_all_begin_with(rows: list[tuple[int, ...]], expected: int) -> None:
    assert common_prefix(rows) == expected


@pytest.mark.parametrize("rows", [[], [()], [(1,), ()]])
def test_rows_without_tokens_share_nothing(rows: list[tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="rows must have tokens to share a prefix"):
        common_prefix(rows)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_packed_row_gives_the_logits_of_each_row_alone(
    models: dict[Family, Any], family: Family
) -> None:
    prefix, tails = [5, 6, 7, 8, 9], [[10, 11, 12], [20], [30, 31]]
    placed = positions(len(prefix), [], rule=5)
    row = pack(prefix, tails, placed)
    assert row.tokens.tolist() == [[*prefix, 10, 11, 12, 20, 30, 31]]
    assert row.owners.tolist() == [PREFIX] * 5 + [0, 0, 0, 1, 2, 2]
    assert row.positions[0, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 5, 5, 6]
    with torch.inference_mode():
        packed = models[family](
            input_ids=row.tokens,
            position_ids=row.positions,
            attention_mask=tree_mask(row.owners),
            use_cache=False,
        ).logits[0]
        for number, tail in enumerate(tails):
            alone = models[family](input_ids=torch.tensor([prefix + tail])).logits[0]
            expected = alone[len(prefix) :]
            assert float((packed[row.owners == number] - expected).abs().max()) < 1e-4


def _rule() -> Any:
    import transformers

    return 4 if transformers.__version__.startswith("4.") else 5


def test_a_row_may_end_with_its_video() -> None:
    block = VisionBlock(0, 1, 1, 3)
    assert positions(3, [block], rule=5).ids.tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 2]]


# Trees with more than one level.

_leaves = st.builds(Branch, st.lists(st.integers(10, 99), min_size=1, max_size=4))
_trees = st.recursive(
    _leaves,
    lambda inner: st.builds(
        Branch,
        st.lists(st.integers(10, 99), max_size=3),
        st.lists(inner, min_size=1, max_size=3).map(tuple),
    ),
    max_leaves=6,
)


def _ways(branches: Iterable[Branch], way: tuple[int, ...], at: int) -> Iterator[tuple[int, ...]]:
    """The indices on the way to each leaf, in the order in which the row lays them."""
    for branch in branches:
        own = tuple(range(at, at + len(branch.tokens)))
        at += len(own)
        if branch.branches:
            found = list(_ways(branch.branches, (*way, *own), at))
            yield from found
            at = max(max(each, default=at - 1) for each in found) + 1
        else:
            yield (*way, *own)


@given(
    prefix=st.lists(st.integers(1, 9), max_size=4),
    branches=st.lists(_trees, min_size=1, max_size=3),
    following=st.integers(0, 3),
)
def test_a_nested_row_is_each_way_to_a_leaf_as_it_stands_alone(
    prefix: list[int], branches: list[Branch], following: int
) -> None:
    placed = positions(len(prefix), [], rule=5)
    placed = replace(placed, following=placed.following + following)
    row = pack_nested(prefix, branches, placed)
    seen = nested_mask(row.until[None])[0, 0]
    shared = tuple(range(len(prefix)))
    ways = list(_ways(branches, shared, len(prefix)))
    assert len(row.leaves) == len(ways)
    places = [*range(len(prefix)), *range(placed.following, placed.following + len(row.tokens))]
    for way, leaf in zip(ways, row.leaves, strict=True):
        assert leaf in way
        order = torch.tensor(way)
        alone = torch.ones(len(way), len(way), dtype=torch.bool).tril()
        assert torch.equal(seen[order][:, order], alone)
        assert row.positions[:, order].tolist() == [places[: len(way)]] * 3
        others = sorted(set(range(len(row.tokens))) - set(way))
        assert not seen[order[len(prefix) :]][:, others].any()
    assert sorted(set().union(*ways)) == list(range(len(row.tokens)))


def test_a_nested_row_by_hand() -> None:
    tree = [Branch((3,), (Branch((4, 5)), Branch((6,)))), Branch((7,))]
    row = pack_nested([1, 2], tree, positions(2, [], rule=5))
    assert row.tokens.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert row.positions[0].tolist() == [0, 1, 2, 3, 4, 3, 2]
    assert row.until.tolist() == [7, 7, 6, 5, 5, 6, 7]
    assert row.leaves == (3, 5, 6)


def test_what_a_row_is_filled_up_with_sees_itself_alone() -> None:
    mask = nested_mask(torch.tensor([[2, 2, 0, 0], [4, 4, 4, 4]]))
    assert mask.shape == (2, 1, 4, 4)
    assert mask[0, 0].int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert torch.equal(mask[1, 0], torch.ones(4, 4, dtype=torch.bool).tril())
