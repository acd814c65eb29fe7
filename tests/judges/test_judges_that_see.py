"""The adapters of Qwen, VideoJudge and text models, on tiny models and the shipped videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from engine_cases import VIDEOS, tiny_models

from videojudge_bench import goldsets, registry
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.items import Item, Pair
from videojudge_bench.judges import qwen_vl, videojudge
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.registry import BuiltJudge
from videojudge_bench.run.runner import Run, RunOptions
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed

__all__ = ["tiny_models"]

SMALL: Mapping[str, Scalar] = {
    "device": "cpu",
    "max_frames": 4,
    "min_pixels": 0,
    "max_pixels": 96 * 96,
    "keep_frames": False,
}
# Random weights give one word as much as another: what is left for the verdicts is enough here.
AT_ONCE: Mapping[str, Scalar] = {"score": "expected", "feedback": False, "lost_mass": 1}
Maker = Callable[..., BuiltJudge]


@pytest.fixture
def make(models: dict[str, Path]) -> Iterator[Maker]:
    """A maker of judges that are closed at the end."""
    made: list[BuiltJudge] = []

    def maker(name: str, model: str, **options: Scalar) -> BuiltJudge:
        built = registry.build(name, {"pretrained": str(models[model]), **options})
        made.append(built)
        return built

    yield maker
    for built in made:
        built.judge.close()


def _items() -> list[Item]:
    videos = sorted(VIDEOS.iterdir())[:3]
    return [
        Item(
            f"{path.stem}/{n}", path.stem, "What happens?", text,
            description=f"A film called {path.stem}.", video=path,
        )
        for path in videos
        for n, text in enumerate(("A pig eats.", "Two cars race in the rain."))
    ]  # fmt: skip


def _probabilities(built: BuiltJudge) -> dict[str, dict[str, float]]:
    items = _items()
    built.judge.fit(items)
    found = {j.item_id: j for j in built.judge.judge(items)}
    assert all(isinstance(j.verdict, Rating) for j in found.values()), found
    return {i: dict(found[i].probabilities) for i in sorted(found)}


@pytest.mark.parametrize(
    ("name", "family"), [("qwen2_5_vl", "qwen2_5_vl"), ("qwen3_vl", "qwen3_vl")]
)
def test_what_is_known_of_the_video_changes_the_verdict_and_nothing_else_does(
    make: Maker, name: str, family: str
) -> None:
    """The matched control: same backbone, same prompt, other knowledge of the video."""
    seen = {
        video: _probabilities(make(name, family, video=video, **AT_ONCE, **SMALL))
        for video in ("frames", "description", "none", "shuffled")
    }
    again = _probabilities(make(name, family, **AT_ONCE, **SMALL))
    assert again == seen["frames"]
    assert len({str(probabilities) for probabilities in seen.values()}) == len(seen)
    assert {len(p) for p in again.values()} == {5}


def test_the_shared_prefix_changes_no_number(make: Maker) -> None:
    shared = _probabilities(make("qwen2_5_vl", "qwen2_5_vl", **AT_ONCE, **SMALL))
    alone = make("qwen2_5_vl", "qwen2_5_vl", share_prefix=False, **AT_ONCE, **SMALL)
    plain = _probabilities(alone)
    for item_id, probabilities in shared.items():
        assert probabilities == pytest.approx(plain[item_id], rel=1e-3, abs=1e-6)


def test_a_judge_reasons_first_and_prefers(make: Maker) -> None:
    built = make("qwen2_5_vl", "qwen2_5_vl", max_tokens=12, **SMALL)
    video = VIDEOS / "mdn_pig.webm"
    pair = Pair("p", "v", "What happens?", "A pig eats.", "A car.", video=video)
    (text,) = built.judge.judge([pair])
    assert text.verdict == Unparsed("cut off at max_tokens")
    assert text.usage.output_tokens == 12
    assert text.reply
    expected = make("qwen2_5_vl", "qwen2_5_vl", **AT_ONCE, **SMALL)
    (found,) = expected.judge.judge([pair])
    assert isinstance(found.verdict, Preference)
    assert set(found.probabilities) == {"A", "B"}


def test_a_run_over_a_sample_with_its_own_videos(make: Maker, tmp_path: Path) -> None:
    built = make("videojudge", "qwen2_5_vl", **AT_ONCE, **SMALL)
    sample = goldsets.load("llava")
    ids = list(sample.by_id)[:10]
    run = Run(built, sample, RunOptions(journal=tmp_path))
    found = run.judge(ids)
    assert all(isinstance(j.verdict, Rating) for j in found.values())
    again = Run(built, sample, RunOptions(journal=tmp_path)).judge(ids)
    assert again == found
    assert sum(len(p.read_text().splitlines()) for p in run.folder.glob("*.jsonl")) == 10


def test_signatures_say_model_frames_and_prompts_and_no_path(
    make: Maker, models: dict[str, Path]
) -> None:
    built = make("qwen2_5_vl", "qwen2_5_vl", **SMALL)
    signature = built.signature()
    expected = {
        "judge": "qwen2_5_vl",
        "video": "frames",
        "frames": 4,
        "fps": 1.0,
        "dtype": "float32",
    }
    assert expected.items() <= signature.items()
    assert str(models["qwen2_5_vl"].parent) not in str(signature)
    for unsigned in (
        "size",
        "device",
        "keep_frames",
        "share_prefix",
        "verify_prefix",
        "batch_tokens",
    ):
        assert unsigned not in signature
    other = make("qwen2_5_vl", "qwen2_5_vl", **{**SMALL, "share_prefix": False, "concurrency": 2})
    assert other.signature() == signature


# Models of text.


def test_a_text_model_reads_descriptions(make: Maker, tmp_path: Path) -> None:
    assert registry.judge_class("text_llm").requires == {"description"}  # `videojudge judges list`
    reads = make("text_llm", "text", device="cpu", **AT_ONCE)
    assert reads.judge.requires == {"description"}
    blind = make("text_llm", "text", device="cpu", video="none", **AT_ONCE)
    assert blind.judge.requires == frozenset()
    assert _probabilities(reads) != _probabilities(blind)
    sample = goldsets.load("llava")
    refused = Run(reads, sample, RunOptions(journal=tmp_path))
    assert refused.refusal == (
        "judge text_llm requires descriptions of the videos; videojudge_llava has none. Write "
        "them with `videojudge describe` and give descriptions=FILE"
    )
    described = tmp_path / "descriptions.jsonl"
    video = next(iter(sample.examples)).item.video_id
    described.write_text(f'{{"video_id": "{video}", "description": "A pig eats."}}')
    run = Run(reads, sample, RunOptions(journal=tmp_path, descriptions=described))
    assert run.refusal is None
    found = run.judge(list(sample.by_id)[:40])
    by_video = {sample.by_id[i].item.video_id: j for i, j in found.items()}
    assert isinstance(by_video[video].verdict, Rating)
    others = {v: j for v, j in by_video.items() if v != video}
    assert others
    assert {j.verdict for j in others.values()} == {
        Unparsed(f"description missing: none of video {v}") for v in others
    }


def test_a_text_model_cannot_be_a_judge_that_sees(make: Maker) -> None:
    with pytest.raises(ConfigError) as caught:
        make("qwen2_5_vl", "text", device="cpu")
    assert str(caught.value) == (
        "judge Qwen2_5VL takes video input, but its engine takes text alone here; choose a model "
        "that takes videos, or give video=description or video=none"
    )


# A family of one's own.


def test_the_family_of_the_contributors_page_judges(models: dict[str, Path]) -> None:
    page = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (source,) = [part for part in page.split("```python\n") if "class OtherVL" in part]
    space: dict[str, type[PromptedJudge]] = {}
    exec(source.partition("```")[0], space)
    judge = space["OtherVL"](pretrained=str(models["qwen3_vl"]), **AT_ONCE, **SMALL)  # type: ignore[arg-type]
    try:
        verdicts = [judgement.verdict for judgement in judge.judge(_items())]
        assert all(isinstance(verdict, Rating) for verdict in verdicts)
        assert {"pretrained", "share_prefix", "samples", "max_frames"} <= set(
            registry.options_of(type(judge))
        )
    finally:
        judge.close()


# What is known by name.


def test_the_presets_of_videojudge(make: Maker) -> None:
    texts = {}
    for preset in videojudge.PRESETS:
        built = make("videojudge", "qwen2_5_vl", preset=preset, **SMALL)
        assert isinstance(built.judge, PromptedJudge)
        texts[preset] = built.judge.config.rubric == "write", built.judge.config.max_tokens
        signed = built.signature()
        assert (signed["rubric"] == "write", signed["max_tokens"]) == texts[preset]
    assert texts == {"3b": (False, 1024), "7b": (False, 1024), "r-3b": (True, 2048)}
    own = make("videojudge", "qwen2_5_vl", preset="r-3b", rubric="none", max_tokens=9, **SMALL)
    assert (own.signature()["rubric"], own.signature()["max_tokens"]) == ("none", 9)


def test_videojudge_asks_for_its_weights() -> None:
    with pytest.raises(
        ConfigError, match=r"preset 3b: give pretrained=<folder or hub id>\. It is a "
    ):
        registry.build("videojudge", {"preset": "3b"})
    with pytest.raises(UnknownNameError, match="unknown preset '72b'"):
        registry.build("videojudge", {"preset": "72b"})


def test_sizes_are_names_on_the_hub() -> None:
    assert dict(qwen_vl.Qwen2_5VL.sizes)["32b"] == "Qwen/Qwen2.5-VL-32B-Instruct"
    assert dict(qwen_vl.Qwen3VL.sizes)["8b"] == "Qwen/Qwen3-VL-8B-Instruct"
    with pytest.raises(UnknownNameError, match=r"unknown size '8b'\. Known: 32b, 3b, 72b, 7b\."):
        registry.build("qwen2_5_vl", {"size": "8b"})


@pytest.mark.parametrize("name", ["videojudge", "qwen2_5_vl", "qwen3_vl", "openai"])
def test_a_misspelt_option_of_judge_or_engine_is_refused_with_both_named(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        registry.build(name, {"max_frame": 3, "sample": 2})
    assert "unknown option 'max_frame'. Did you mean 'max_frames'" in str(caught.value)
    assert "unknown option 'sample'. Did you mean 'samples'" in str(caught.value)


def test_every_judgement_survives_the_journal(make: Maker) -> None:
    built = make("qwen2_5_vl", "qwen2_5_vl", **AT_ONCE, **SMALL)
    found = list(built.judge.judge(_items()))
    assert [Judgement.from_json(j.to_json()) for j in found] == found
