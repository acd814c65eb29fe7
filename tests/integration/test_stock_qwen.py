"""lmms-eval's own `qwen2_5_vl` as a judge: a real Qwen2.5-VL, made tiny, on real video frames."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from running import Ran, assert_numbers_are_plain, evaluation, once, run

from videojudge_bench import goldsets
from videojudge_bench.goldsets.view import view_of
from videojudge_bench.judges.tiny_qwen import build
from videojudge_bench.prompts import PROMPTS_FOLDER, load_prompt

VATEX = "videojudge_vatex"
SAMPLES = {
    "videojudge_llava": "spearman",
    "videojudge_vcg": "spearman",
    "videojudge_longvideobench": "psup",
    "videojudge_pairwise": "accuracy",
    "videojudge_pairwise_h": "accuracy",
}
PRIMARY = {VATEX: "emscore_tau_b", **SAMPLES}
TASKS = tuple(PRIMARY)
LIMIT = 2
REFERENCES = 2
NEW_TOKENS = 24

# A frame is 3 x 4 tokens of 28 x 28 pixels: nobody needs to resize it.
HEIGHT, WIDTH, FPS, SECONDS = 84, 112, 8, 2
SHOWN = [0, 5, 10, 15]  # four of sixteen, evenly from the first to the last
PIXELS = {"min_pixels": 3_136, "max_pixels": 12_544}

Frames = NDArray[np.uint8]


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """VATEX-EVAL with a made video, the samples with their own; then the replies through ours."""

    def make(here: Path) -> dict[str, Ran]:
        build(here / "tiny")
        _write_video(_video(here))
        settings = {"device_map": "cpu", "max_num_frames": len(SHOWN), **PIXELS}
        arguments = ",".join(f"{key}={value}" for key, value in settings.items())
        command = _command(f"pretrained=tiny,{arguments}", "qwen2_5_vl")
        command += ["--device", "cpu", "--gen_kwargs", f"max_new_tokens={NEW_TOKENS}"]
        variables = {"VIDEOJUDGE_REFERENCES": str(REFERENCES), "VIDEOJUDGE_VIDEOS": "videos"}
        stock = run(command, here, variables=variables)
        assert stock.code == 0, stock.output
        ours = here / "ours"
        ours.mkdir()
        said = [(_verdict(r)["id"], _verdict(r)["reply"]) for t in TASKS for r in _judged(stock, t)]
        lines = [json.dumps({"id": number, "reply": reply}) for number, reply in said]
        (ours / "replies.jsonl").write_text("\n".join(lines), encoding="utf-8")
        arguments = f"judge=scripted,replies=replies.jsonl,references={REFERENCES}"
        return {"stock": stock, "ours": run(_command(arguments, "videojudge"), ours)}

    return once(tmp_path_factory, "stock_qwen", make)


@pytest.mark.parametrize("task", TASKS)
def test_the_same_replies_give_the_same_numbers(runs: dict[str, Ran], task: str) -> None:
    for ran in runs.values():
        assert ran.code == 0, ran.output
    numbers = runs["stock"].numbers(task)
    assert numbers == runs["ours"].numbers(task)
    assert_numbers_are_plain(numbers)
    replayed = [_verdict(record) for record in _judged(runs["ours"], task)]
    assert replayed == [_verdict(record) for record in _judged(runs["stock"], task)]


@pytest.mark.parametrize("task", TASKS)
def test_noise_is_unparsed_not_a_score(runs: dict[str, Ran], task: str) -> None:
    verdicts = [_verdict(record) for record in _judged(runs["stock"], task)]
    assert [set(verdict) for verdict in verdicts] == [{"id", "unparsed", "reply"}] * LIMIT
    numbers = runs["stock"].numbers(task)
    units = LIMIT // 2 if PRIMARY[task] == "accuracy" else LIMIT
    assert (numbers["n"], numbers["n_parsed"], numbers["coverage"]) == (units, 0, 0)
    assert numbers[PRIMARY[task]] == "undefined (no parsed verdict)"


@pytest.mark.parametrize("task", TASKS)
def test_every_reply_is_stored_as_it_was(runs: dict[str, Ran], task: str) -> None:
    samples = runs["stock"].samples(task)
    assert len({str(sample["filtered_resps"]) for sample in samples}) == LIMIT
    for sample, record in zip(samples, _judged(runs["stock"], task), strict=True):
        assert sample["filtered_resps"] == _verdict(record)["reply"] != ""
        assert sample["token_counts"] == [{"output_tokens": NEW_TOKENS}]


@pytest.mark.parametrize("task", SAMPLES)
def test_the_samples_show_their_own_videos(runs: dict[str, Ran], task: str) -> None:
    """Two videos of the package, without a word about folders: the prompt counts their frames."""
    for sample in runs["stock"].samples(task):
        assert "about the video above" in str(sample["input"]), sample["input"]


def test_the_model_saw_our_prompt_and_the_right_frames(runs: dict[str, Ran]) -> None:
    """The reply is what the model writes on frames that we decode ourselves, and only on those."""
    folder = runs["stock"].folder
    with av.open(str(_video(folder))) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    frames = np.asarray(decoded, dtype=np.uint8)
    assert frames.shape == (FPS * SECONDS, HEIGHT, WIDTH, 3)
    for number, record in enumerate(_judged(runs["stock"], VATEX)):
        reply = _verdict(record)["reply"]
        assert _written(folder, number, frames[SHOWN]) == reply
        assert _written(folder, number, frames[[0, 5, 10, 14]]) != reply


def _command(arguments: str, model: str) -> list[str]:
    return evaluation(arguments, tasks=",".join(TASKS), limit=LIMIT, model=model)


def _judged(ran: Ran, task: str) -> list[dict[str, object]]:
    return ran.judgements(task)


def _verdict(record: dict[str, object]) -> dict[str, str]:
    verdict = record["verdict"]
    assert isinstance(verdict, dict)
    return verdict


def _video(folder: Path) -> Path:
    video_id = goldsets.load("vatex").examples[0].item.video_id
    return folder / "videos" / f"{video_id}.mp4"


def _write_video(path: Path) -> None:
    """Write a video of grey blocks that change with every frame."""
    path.parent.mkdir()
    draw = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for _ in range(FPS * SECONDS):
            blocks = draw.integers(0, 256, (HEIGHT // 14, WIDTH // 14, 1), dtype=np.uint8)
            pixels = blocks.repeat(14, axis=0).repeat(14, axis=1).repeat(3, axis=2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def _written(folder: Path, number: int, frames: Frames) -> str:
    """Return what the tiny model writes of an item of VATEX-EVAL with a video of these frames."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor
    from transformers.video_utils import VideoMetadata

    models: Any = AutoModelForImageTextToText
    processors: Any = AutoProcessor
    model = models.from_pretrained(folder / "tiny", dtype=torch.bfloat16).eval()
    processor = processors.from_pretrained(folder / "tiny")
    inputs = processor(
        text=[_prompt(processor, folder, number)],
        videos=[np.moveaxis(frames, -1, 1)],
        video_metadata=[
            VideoMetadata(total_num_frames=FPS * SECONDS, fps=FPS, frames_indices=list(SHOWN))
        ],
        do_sample_frames=False,
        return_tensors="pt",
    )
    tokens = model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False)
    new = tokens[0, inputs["input_ids"].shape[1] :]
    text: str = processor.tokenizer.decode(new, skip_special_tokens=True)
    return text.strip()  # as lmms-eval does


def _prompt(processor: Any, folder: Path, number: int) -> str:
    gold_set = goldsets.load("vatex")
    view = view_of(gold_set, REFERENCES, folder / "videos")
    item = view.item(gold_set.examples[number].item.id)
    prompt = load_prompt(PROMPTS_FOLDER / "rate.jinja").render(item, gold_set.info.scale)
    text = {"type": "text", "text": prompt.shared + prompt.response}
    messages = [
        {"role": "system", "content": [{"type": "text", "text": prompt.system}]},
        {"role": "user", "content": [{"type": "video"}, text]},
    ]
    rendered: str = processor.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True
    )
    return rendered
