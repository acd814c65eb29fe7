"""Tuning the encoder of `compact`, on a tiny network made on the spot."""

from __future__ import annotations

import csv
import json
import resource
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from videojudge_bench._util.tabular import as_written
from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.goldsets import vatex
from videojudge_bench.items import Item, part_of
from videojudge_bench.judges.compact import Compact
from videojudge_bench.judges.compact_encoder import CompactEncoder, Form, Weights, read_tokenizer
from videojudge_bench.leaderboard.stored import read_run
from videojudge_bench.metrics.compare import compare
from videojudge_bench.training.compact import __main__ as command
from videojudge_bench.training.compact import against, crossfit, tune
from videojudge_bench.training.compact.against import differences
from videojudge_bench.training.compact.captions import (
    LADDER,
    Batches,
    BatchSizes,
    Group,
    fold_of,
    held_out,
    ladders,
    read_coco,
    vatex_groups,
)
from videojudge_bench.training.compact.tune import TuneOptions
from videojudge_bench.training.compact.weights import (
    balanced,
    between,
    start_weights,
    token_weights,
)
from videojudge_bench.verdicts import Rating

WHO = ("A man", "A woman", "A boy", "A girl", "A dog")
DOES = ("rides a red bike", "throws a small ball", "paints a white fence", "cuts green grass")
WHERE = ("in the park.", "on the beach.", "near a big house.", "in a dark room.")
RUNS = Path(__file__).parents[2] / "results" / "runs" / "vatex"
SIZES = BatchSizes(pairs=6, ladders=2)


@pytest.fixture(scope="module")
def groups() -> list[Group]:
    return [
        (f"{who} {does} {where}", f"{does.capitalize()} {where} That is {who.lower()}.")
        for who in WHO
        for does in DOES
        for where in WHERE
    ]


def save_bert(path: Path, tokenizer: Tokenizer, *, pooler: bool = True) -> Path:
    """Write a random BERT of one layer, with a tokenizer, as transformers does."""
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=64,
            initializer_range=0.5,
        )
        BertModel(config, add_pooling_layer=pooler).save_pretrained(path)
    fast: Any = PreTrainedTokenizerFast
    fast(tokenizer_object=tokenizer).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of one layer, with the tokenizer that all weights share."""
    return save_bert(tmp_path_factory.mktemp("model"), read_tokenizer())


@pytest.fixture(scope="module")
def start(folder: Path, groups: list[Group]) -> Weights:
    return start_weights(str(folder), [text for group in groups for text in group])


def other_than(start: Weights) -> Weights:
    """Another encoder."""
    name = "embeddings.word_embeddings.weight"
    return replace(start, network={**start.network, name: -start.network[name]})


def coco(path: Path, groups: Sequence[Group]) -> Path:
    rows = [
        {"id": 10 * image + at, "image_id": image, "caption": text}
        for image, group in enumerate(groups)
        for at, text in enumerate(group)
    ]
    path.write_text(json.dumps({"annotations": rows[::-1], "info": {}}), encoding="utf-8")
    return path


def test_captions_of_a_coco_file(tmp_path: Path, groups: list[Group]) -> None:
    path = coco(tmp_path / "captions.json", [*groups, ("only one",)])
    assert read_coco(path) == groups
    lonely = coco(tmp_path / "lonely.json", [("one",), ("two",)])
    with pytest.raises(DataError, match="no image with two captions: nothing to compare"):
        read_coco(lonely)
    lonely.write_text('{"annotations": [{"id": 1}]}', encoding="utf-8")
    with pytest.raises(DataError, match="no captions in COCO's format") as caught:
        read_coco(lonely)
    assert "annotations.0.image_id" in str(caught.value)


def test_ladders_go_down_from_the_caption(groups: list[Group]) -> None:
    found = ladders(groups)
    assert len(found) > len(groups) / 2
    for ladder in found:
        group = groups[ladder.group]
        assert ladder.steps[0] == group[0]
        assert ladder.others == group[1:]
        shared = [len(set(group[0].split()) & set(step.split())) for step in ladder.steps]
        assert shared[0] > shared[1] >= shared[4]


def test_batches_hold_what_is_alike_and_nothing_held_out(groups: list[Group]) -> None:
    # Groups lie on a circle: the nearest of each are those beside it.
    angles = np.linspace(0, 2 * np.pi, len(groups), endpoint=False)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    sizes = BatchSizes(pairs=8, ladders=3)
    kept = {t for n, g in enumerate(groups) if held_out(n) for t in g}
    batches, again = (
        Batches(groups, vectors, ladders(groups), sizes=sizes, keep_some=True, seed=1)
        for _ in range(2)
    )
    for _ in range(5):
        texts, pairs, count = batches.draw()
        assert (texts, pairs, count) == again.draw()
        assert len(texts) == 2 * pairs + LADDER * count
        assert kept.isdisjoint(texts[: 2 * pairs])  # a draft may turn out to be some caption
        of = {text: n for n, group in enumerate(groups) for text in group}
        one, other = texts[:pairs], texts[pairs : 2 * pairs]
        assert [of[t] for t in one] == [of[t] for t in other]
        assert all(a != b for a, b in zip(one, other, strict=True))
        assert len({of[t] for t in one}) == pairs
        apart = [min((of[t] - of[one[0]]) % 80, (of[one[0]] - of[t]) % 80) for t in one]
        assert max(apart) <= 9


def test_tokens_that_all_captions_have_count_nothing() -> None:
    counts = token_weights(["a cat.", "a dog.", "a cat [SEP]"]).tolist()
    tokenizer = read_tokenizer()
    by_word = {
        word: counts[tokenizer.token_to_id(word)] for word in ("a", "cat", "dog", "[SEP]", ".")
    }
    assert by_word == pytest.approx(
        {"a": 0.0, "cat": np.log(4 / 3), "dog": np.log(4 / 2), "[SEP]": 0.0, ".": 0.0}
    )
    assert counts[tokenizer.token_to_id("horse")] == pytest.approx(np.log(4))
    assert token_weights(["x"] * 100)[tokenizer.token_to_id("horse")] == 2.0


def test_tuning_goes_on_where_it_was_stopped(
    tmp_path: Path, start: Weights, groups: list[Group], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(tune, "_KEPT_EVERY", 2)
    options = TuneOptions(steps=6, sizes=SIZES, learning_rate=1e-3)
    made_wrong = ladders(groups)
    whole = tune.tune(start, groups, made_wrong, tmp_path / "whole", options)

    class StoppedError(Exception):
        pass

    def stop(progress: tune.Progress) -> None:
        if progress.step == 5:
            raise StoppedError

    with pytest.raises(StoppedError):
        tune.tune(start, groups, made_wrong, tmp_path / "parts", options, on_step=stop)
    seen: list[int] = []
    resumed = tune.tune(
        start,
        groups,
        made_wrong,
        tmp_path / "parts",
        options,
        on_step=lambda p: seen.append(p.step),
    )
    assert seen == [5, 6]
    assert whole.keys() == resumed.keys() == start.network.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    moved = {name for name in whole if not torch.equal(whole[name], start.network[name])}
    assert moved
    assert not any(name.startswith("embeddings.") for name in moved)
    with pytest.raises(ConfigError, match="was made from other captions or options"):
        tune.tune(start, groups, (), tmp_path / "parts", options)
    with pytest.raises(ConfigError, match="or of another encoder; give another folder, or delete"):
        tune.tune(other_than(start), groups, made_wrong, tmp_path / "parts", options)


def test_tuning_brings_captions_of_one_thing_together(
    tmp_path: Path, start: Weights, groups: list[Group]
) -> None:
    losses: list[tuple[float, float]] = []
    options = TuneOptions(steps=30, sizes=SIZES, learning_rate=3e-3)
    tune.tune(
        start, groups, ladders(groups), tmp_path, options,
        on_step=lambda p: losses.append((p.pairs, p.ladders)),
    )  # fmt: skip
    first, last = np.mean(losses[:5], axis=0), np.mean(losses[-5:], axis=0)
    assert last[0] < 0.93 * first[0]
    assert last[1] < first[1]


def test_between_two_encoders(start: Weights) -> None:
    import torch

    other = {name: values + 1 for name, values in start.network.items()}
    half = between(start.network, other, 0.25)
    assert all(torch.allclose(half[n], start.network[n] + 0.25) for n in half)


def test_both_figures_get_the_same_spread(start: Weights, groups: list[Group]) -> None:
    form = balanced(start, ladders(groups)[:10]).form
    assert form.closeness_of_one == pytest.approx(2 / 3)
    assert 0 < form.closeness_of_many < 1
    assert form != Form(2 / 3, 0.5)


def test_the_command_makes_weights_that_judge(
    tmp_path: Path, folder: Path, groups: list[Group], capsys: pytest.CaptureFixture[str]
) -> None:
    path = coco(tmp_path / "captions.json", groups)
    out = tmp_path / "out"
    given = [str(path), "--output", str(out), "--model", str(folder), "--steps", "2"]
    assert command.main(["tune", *given]) == 0
    assert capsys.readouterr().out.endswith(f"wrote {out / 'compact.safetensors'}\n")
    assert (
        command.main(["against", str(RUNS / "gas-nv-embed-9ref"), str(RUNS / "minilm-9ref")]) == 0
    )
    (head, _, first, *_) = capsys.readouterr().out.splitlines()
    assert head == "| test videos, x 100 | figure | GAS (NV-Embed) | difference, 95 % |"
    assert first.startswith("| minilm: emscore_tau_b | ")
    judge = Compact(weights=str(out / "compact.safetensors"))
    said = groups[0][0]
    assert judge.rate(Item("i", "v", "?", said, (said,))) == Rating(1.0)
    assert command.main(["tune", str(tmp_path / "no"), "--output", str(out)]) == 2
    assert "compact: error: " in capsys.readouterr().err


def test_paired_differences_agree_with_the_paired_test() -> None:
    minilm, gas = (read_run(RUNS / name) for name in ("minilm-9ref", "gas-nv-embed-9ref"))
    found = {row.key: row for row in differences(minilm, gas, resamples=200)}
    assert list(found) == list(against.KEYS)
    gold_set = vatex.load()
    for key in ("emscore_tau_b", "emscore_rho"):
        test = compare(
            gold_set, minilm.judgements, gas.judgements,
            statistic=key, part="test", permutations=1,
        )  # fmt: skip
        row = found[key]
        assert (row.one, row.other) == pytest.approx((test.a, test.b), abs=1e-9)
        assert row.low < row.one - row.other < row.high < 0
        assert row.high - row.low < 0.03
    same = differences(gas, gas, resamples=20)
    assert all(row.low == row.high == 0.0 for row in same)


def test_crossfit_judges_each_fold_by_the_other(
    tmp_path: Path, start: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [e.item for e in vatex.load().examples[:240] if isinstance(e.item, Item)]
    monkeypatch.setattr(
        crossfit, "items_of", lambda fold: [i for i in few if fold_of(i.video_id) == fold]
    )
    videos = {row.references: row.video_id for row in vatex.rows()}
    for fold in (0, 1):
        assert {fold_of(videos[group]) for group in vatex_groups(fold)} == {1 - fold}
    options = TuneOptions(steps=1, sizes=BatchSizes(pairs=4, ladders=0))
    said: list[str] = []
    path = crossfit.crossfit(start, tmp_path, options, said.append)
    with path.open(encoding="utf-8", newline="") as file:
        rows = {as_written(row["id"]): row for row in csv.DictReader(file)}
    assert rows.keys() == {each.id for each in few}
    for column in ("compact_1ref", "compact_9ref"):
        for fold in (0, 1):
            of_fold = [i for i in few if fold_of(i.video_id) == fold]
            ranks = [float(rows[i.id][column]) for i in of_fold if part_of(i.video_id) == "dev"]
            assert min(ranks) == 0
            assert max(ranks) <= 1
            assert np.mean(ranks) == pytest.approx(0.5, abs=0.05)
    before = path.read_bytes()
    said.clear()
    crossfit.crossfit(start, tmp_path, options, said.append)
    assert path.read_bytes() == before
    assert said == []
    # Without its checkpoints a folder is tuned anew: nothing is taken of the encoder before.
    for checkpoint in tmp_path.rglob(tune.CHECKPOINT):
        checkpoint.unlink()
    other = other_than(start)
    crossfit.crossfit(other, tmp_path, options, said.append)
    anew = crossfit.crossfit(other, tmp_path / "anew", options, said.append)
    assert path.read_bytes() == anew.read_bytes() != before


def renumbered(tokenizer: Tokenizer, by: int) -> Tokenizer:
    """The same tokenizer with other numbers: each `by` higher, the last ones at the beginning."""
    told = json.loads(tokenizer.to_str())
    size = tokenizer.get_vocab_size()
    vocabulary: dict[str, int] = told["model"]["vocab"]
    told["model"]["vocab"] = {token: (at + by) % size for token, at in vocabulary.items()}
    for added in told["added_tokens"]:
        added["id"] = (added["id"] + by) % size
    for mark in told["post_processor"]["special_tokens"].values():
        mark["ids"] = [(at + by) % size for at in mark["ids"]]
    return Tokenizer.from_str(json.dumps(told))


def test_an_encoder_beside_counts_tokens_by_how_they_are_spelt(
    tmp_path: Path, start: Weights
) -> None:
    other = renumbered(read_tokenizer(), 5)
    beside = crossfit.scorer_beside(str(save_bert(tmp_path, other)), start)
    texts = ("A man rides a red bike in the park.", "A girl.", "Cut (green) grass!")
    own, theirs = CompactEncoder(start).encode(texts), beside.encoder().encode(texts)
    for text in texts:
        one, two = own[text], theirs[text]
        assert one is not None
        assert two is not None
        assert np.array_equal(one.weights, two.weights)
        assert one.weights.any()
        assert two.tokens.shape == one.tokens.shape
        assert not np.array_equal(one.tokens, two.tokens)


def test_an_encoder_beside_is_the_one_of_its_folder(folder: Path, start: Weights) -> None:
    beside = crossfit.scorer_beside(str(folder), start)
    text = "A man rides a red bike in the park."
    one = CompactEncoder(start, bfloat16=True).encode([text])[text]
    two = beside.encoder().encode([text])[text]
    assert one is not None
    assert two is not None
    assert np.array_equal(one.tokens, two.tokens)
    assert np.array_equal(one.vector, two.vector)


def test_the_name_of_an_encoder_beside_is_that_of_its_weights(
    tmp_path: Path, start: Weights
) -> None:
    """Even where what pools is made up anew each time, since its folder has none."""
    bare = str(save_bert(tmp_path, read_tokenizer(), pooler=False))
    names = [crossfit.scorer_beside(bare, start).name for _ in range(2)]
    assert names[0] == names[1]
    counted = replace(start, token_weights=2 * start.token_weights)
    assert crossfit.scorer_beside(bare, counted).name != names[0]
    assert crossfit.scorer_beside(bare, other_than(start)).name == names[0]


def test_an_encoder_with_other_tokens_cannot_stand_beside(tmp_path: Path, start: Weights) -> None:
    words = {f"qx{number}": number for number in range(18)} | {"man": 18, "[UNK]": 19}
    other = save_bert(tmp_path, Tokenizer(WordLevel(words, unk_token="[UNK]")))
    with pytest.raises(ConfigError, match=r"2 of the 20 entries .* all-mpnet-base-v2"):
        crossfit.scorer_beside(str(other), start)


def test_a_folder_without_an_encoder_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["crossfit", "--output", str(tmp_path / "out"), "--beside", str(tmp_path)]
    assert command.main(given) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"compact: error: {tmp_path}: no sentence encoder can be read there; ")
    assert "minilm" not in said


def test_an_encoder_beside_counts_as_much_as_the_others(
    tmp_path: Path, start: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [e.item for e in vatex.load().examples[:120] if isinstance(e.item, Item)]
    monkeypatch.setattr(
        crossfit, "items_of", lambda fold: [i for i in few if fold_of(i.video_id) == fold]
    )
    other = other_than(start)
    beside = crossfit.Scorer("beside-x", lambda: CompactEncoder(other, bfloat16=True))
    options = TuneOptions(steps=1, sizes=BatchSizes(pairs=4, ladders=0))
    path = crossfit.crossfit(start, tmp_path, options, lambda _: None, beside)
    with path.open(encoding="utf-8", newline="") as file:
        found = {as_written(row["id"]): float(row["compact_9ref"]) for row in csv.DictReader(file)}
    items = crossfit.items_of(0)
    kept = [np.load(each) for each in sorted((tmp_path / "fold0").glob("*.npy"))]
    assert len(kept) == 3
    ranks = crossfit.ranks_on_dev(kept, items)[:, 1]
    assert [found[item.id] for item in items] == pytest.approx(ranks, abs=1e-6)


def test_scores_are_kept_whole_or_not_at_all(tmp_path: Path, start: Weights) -> None:
    items = [e.item for e in vatex.load().examples[:20] if isinstance(e.item, Item)]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            crossfit.scores(
                lambda: CompactEncoder(start), start.form, items, tmp_path / "start.npy", print
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
