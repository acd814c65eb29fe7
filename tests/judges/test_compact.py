"""Judge `compact`: against the formula written out, and what odd texts get."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from videojudge_bench.analysis.conformance import check
from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.goldsets import vatex
from videojudge_bench.items import Item, Pair
from videojudge_bench.judges import compact, compact_encoder
from videojudge_bench.judges.compact import Compact
from videojudge_bench.judges.compact_encoder import (
    CompactEncoder,
    EncodedText,
    Form,
    References,
    Weights,
    packaged_weights,
    read_weights,
    write_weights,
)
from videojudge_bench.leaderboard.stored import overlap_of
from videojudge_bench.registry import build
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed

REFERENCES = (
    "A man chops carrots on a wooden board.",
    "Someone is cutting vegetables in a kitchen.",
    "A chef slices a carrot with a big knife!",
)
RESPONSES = ("A man is cutting carrots.", "Two cats sleep on a sofa.", "carrots carrots")


@pytest.fixture(scope="module")
def judge() -> Compact:
    return Compact()


def item(response: str, *references: str, number: int = 0) -> Item:
    return Item(f"v{number}/r", f"v{number}", "Describe the video.", response, references)


def value(judge: Compact, response: str, *references: str) -> float:
    verdict = judge.rate(item(response, *references))
    assert isinstance(verdict, Rating)
    return verdict.value


def values(judgements: Sequence[Judgement]) -> dict[str, float]:
    return {j.item_id: j.verdict.value for j in judgements if isinstance(j.verdict, Rating)}


class Plain:
    """The score as the module says it, one text and one pair of tokens at a time."""

    def __init__(self) -> None:
        weights = read_weights(packaged_weights())
        self.form, self.counts = weights.form, weights.token_weights.tolist()
        self.tokenizer = compact_encoder.read_tokenizer()
        self.network = compact_encoder.network_of(weights)
        self.known: dict[str, tuple[list[int], Any]] = {}

    def states(self, text: str) -> tuple[list[int], Any]:
        import torch

        if text not in self.known:
            ids = self.tokenizer.encode(text).ids
            with torch.inference_mode():
                states = self.network(input_ids=torch.tensor([ids])).last_hidden_state[0]
            self.known[text] = ids, states.double()
        return self.known[text]

    def cosine(self, one: Any, other: Any) -> float:
        return float(one @ other / (one.norm() * other.norm()))

    def closeness(self, text: str, others: Sequence[str], nearest: int) -> float:
        mean = self.states(text)[1].mean(dim=0)
        cosines = sorted(self.cosine(mean, self.states(o)[1].mean(dim=0)) for o in others)
        return sum(cosines[-nearest:]) / len(cosines[-nearest:])

    def support(self, text: str, others: Sequence[str]) -> float:
        ids, states = self.states(text)
        total = weight = 0.0
        for at in range(1, len(ids) - 1):
            best = max(
                self.cosine(states[at], state)
                for other in others
                for state in self.states(other)[1][1:-1]
            )
            total += self.counts[ids[at]] * best
            weight += self.counts[ids[at]]
        return total / weight

    def score(self, text: str, references: Sequence[str]) -> float:
        if len(references) == 1:
            share, taken = self.form.closeness_of_one, (0.0, 0.0)
        else:
            share = self.form.closeness_of_many
            others = [[o for o in references if o != reference] for reference in references]
            pairs = list(zip(references, others, strict=True))
            taken = (
                sum(self.closeness(r, o, 1) for r, o in pairs) / len(pairs),
                sum(self.support(r, o) for r, o in pairs) / len(pairs),
            )
        closeness = self.closeness(text, references, 2) - taken[0] / 4
        support = self.support(text, references) - taken[1] / 4
        return share * closeness + (1 - share) * support


def test_the_score_is_the_formula_written_out(judge: Compact) -> None:
    plain = Plain()
    for references in (REFERENCES[:1], REFERENCES[:2], REFERENCES):
        for response in RESPONSES:
            expected = plain.score(response, references)
            assert value(judge, response, *references) == pytest.approx(expected, abs=3e-6)


def test_the_form_by_hand() -> None:
    one = EncodedText(*(np.array(x, np.float32) for x in ([1, 0], [[1, 0], [0, 1]], [1, 3])))
    other = EncodedText(*(np.array(x, np.float32) for x in ([0, 1], [[0.6, 0.8]], [2])))
    # Closeness: cosines 1 and 0, mean .5. Support of `one`'s tokens by all tokens of both: 1.
    # Of each other: closeness 0; support (1*.6 + 3*.8)/4 = .75 and .8, mean .775.
    both = References([one, other], Form(closeness_of_one=1.0, closeness_of_many=0.25))
    assert both.score(one) == pytest.approx(0.25 * 0.5 + 0.75 * (1 - 0.775 / 4))
    assert both.score(None) == pytest.approx(-1 - 0.75 * 0.775 / 4)
    assert References([other], Form(0.5, 0.25)).score(one) == pytest.approx(0.5 * 0 + 0.5 * 0.75)
    # Tokens that all say nothing count alike.
    silent = replace(one, weights=np.zeros(2, np.float32))
    assert References([other], Form(0.0, 0.0)).score(silent) == pytest.approx(0.7)


def test_a_response_that_is_the_reference_gets_the_most(judge: Compact) -> None:
    assert value(judge, REFERENCES[0], REFERENCES[0]) == pytest.approx(1.0, abs=1e-5)
    for references in (REFERENCES[:1], REFERENCES):
        ranked = sorted(RESPONSES, key=lambda response: value(judge, response, *references))
        assert ranked[0] == "Two cats sleep on a sofa."
        assert value(judge, REFERENCES[0], *references) > value(judge, ranked[-1], *references)


def test_what_is_missing_has_a_defined_result(judge: Compact) -> None:
    assert judge.requires == {"references"}
    assert judge.scale is None
    assert value(judge, " ", REFERENCES[0]) == -1.0
    assert value(judge, "", *REFERENCES) < value(judge, "Two cats sleep.", *REFERENCES)
    for references in ((), ("", " \n")):
        verdict = judge.rate(item("A man.", *references))
        assert verdict == Unparsed("no reference to compare the response with")
    # A blank reference is none.
    assert value(judge, "A man.", "", REFERENCES[0]) == value(judge, "A man.", REFERENCES[0])


def test_odd_texts_get_a_number(judge: Compact) -> None:
    odd = (
        "?!",
        "...",
        "\ud83d",
        "日本語の文",
        "🎬🎬",
        "a\x00b",
        "ﬁlm ＣＡＦＥ\u0301",
        "word " * 3_000,
    )
    for text in odd:
        for references in ((text,), REFERENCES[:1], (*REFERENCES, text)):
            assert -1 <= value(judge, text, *references) <= 1.0001
            assert -1 <= value(judge, RESPONSES[0], *references) <= 1.0001


def test_long_texts_are_cut(judge: Compact) -> None:
    # 256 tokens with the two marks: 254 words are read.
    same = "word " * 254
    assert value(judge, same, f"{same} and much more") == pytest.approx(1.0, abs=1e-5)


def test_verdicts_are_equal_whatever_else_is_encoded(
    judge: Compact, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = vatex.load().examples[:60]
    items = [e.item for e in examples if isinstance(e.item, Item)]
    items = [replace(each, references=each.references[: 1 + n % 3]) for n, each in enumerate(items)]
    expected = values(list(judge.judge(items)))
    assert len(expected) == 60
    monkeypatch.setattr(compact, "_CHUNK_ITEMS", 7)
    shuffled = random.Random(0).sample(items, 60)
    assert values(list(Compact(batch_size=3).judge(shuffled))) == expected
    judge.close()
    for each in items[:5]:
        assert judge.rate(each) == Rating(expected[each.id])


def test_pairs_are_compared_by_their_two_scores(judge: Compact) -> None:
    pair = Pair("p", "v", "?", RESPONSES[0], RESPONSES[1], references=REFERENCES)
    swapped = replace(pair, id="q", first=RESPONSES[1], second=RESPONSES[0])
    tie = replace(pair, id="t", second=RESPONSES[0])
    verdicts = [judgement.verdict for judgement in judge.judge([pair, swapped, tie])]
    assert verdicts == [Preference(1.0), Preference(0.0), Preference(0.5)]


def test_it_keeps_the_contract() -> None:
    assert [result for result in check("compact", {}) if not result.passed] == []


def test_bfloat16_is_near(judge: Compact) -> None:
    quick = Compact(dtype="bfloat16")
    for response in RESPONSES:
        exact = value(judge, response, *REFERENCES)
        assert value(quick, response, *REFERENCES) == pytest.approx(exact, abs=0.02)


def test_eight_bits_are_off_by_half_a_step_at_most(tmp_path: Path) -> None:
    import torch

    start = read_weights(packaged_weights())
    generator = torch.Generator().manual_seed(0)
    exact = {n: torch.randn(v.shape, generator=generator) for n, v in start.network.items()}
    path = tmp_path / "w.safetensors"
    about = {"overlap": "vatex"}
    made = Weights(start.config, Form(0.5, 0.25), exact, start.token_weights, about)
    write_weights(made, path)
    again = read_weights(path)
    assert (again.config, again.form, again.about) == (start.config, Form(0.5, 0.25), about)
    assert torch.equal(again.token_weights, start.token_weights)
    for name, values in exact.items():
        error = (again.network[name] - values).abs()
        if values.ndim == 2:
            step = values.abs().amax(dim=1, keepdim=True) / 127
            assert bool((error <= step / 2 * 1.001).all()), name
        else:
            assert torch.equal(again.network[name], values)
    assert overlap_of(build("compact", {"weights": str(path)}).signature()) == ("vatex",)
    # What has been rounded once stays as it is.
    write_weights(again, path)
    twice = read_weights(path).network
    assert all(torch.allclose(twice[n], again.network[n], atol=1e-6) for n in twice)


def test_the_packaged_weights_are_small_and_of_no_gold_set() -> None:
    folder = packaged_weights().parent
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 25_000_000
    signature = build("compact", {}).signature()
    assert "overlap" not in signature
    assert signature["weights"] == "compact.safetensors"
    assert str(signature["revision"]).startswith("sha256:")


def test_eight_bits_change_little() -> None:
    weights = read_weights(packaged_weights())
    rng = np.random.default_rng(0)
    # As if the weights had been anywhere within half a step of what was kept.
    moved = {
        name: values + (values.abs().amax(dim=-1, keepdim=True) / 127) * _half(rng, values)
        if values.ndim == 2
        else values
        for name, values in weights.network.items()
    }
    texts = [*REFERENCES, *RESPONSES]
    one, other = (
        CompactEncoder(each).encode(texts) for each in (weights, replace(weights, network=moved))
    )
    for text in texts:
        first, second = one[text], other[text]
        assert first is not None
        assert second is not None
        assert float(first.vector @ second.vector) > 0.995


def _half(rng: np.random.Generator, values: Any) -> Any:
    import torch

    return torch.tensor(rng.uniform(-0.5, 0.5, tuple(values.shape)), dtype=torch.float32)


def test_options_that_cannot_work(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError) as unknown:
        Compact(dtype="float16")
    assert str(unknown.value) == (
        "unknown dtype 'float16'. Did you mean 'bfloat16' or 'float32'? Known: bfloat16, float32."
    )
    with pytest.raises(ConfigError) as caught:
        Compact(batch_size=0)
    assert str(caught.value) == "batch_size=0: at least one text has to be encoded"
    with pytest.raises(ConfigError) as missing:
        Compact(weights=str(tmp_path / "no"))
    expected = f"judge compact: weights={str(tmp_path / 'no')!r}: there is no such file"
    assert str(missing.value) == expected
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"not weights")
    with pytest.raises(ConfigError, match="is no file of weights for it") as broken:
        Compact(weights=str(other))
    assert str(broken.value).endswith(
        "; `python -m videojudge_bench.training.compact` writes such files"
    )
