"""lmms-eval's own models as judges: same prompts, same numbers as through our model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from chat_server import Request, chat_server, count_images, text_of
from running import (
    Ran,
    assert_leaderboard_has,
    assert_numbers_are_plain,
    evaluation,
    once,
    run,
    run_once,
)

from videojudge_bench import goldsets
from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.goldsets.view import view_of
from videojudge_bench.items import Example, Item
from videojudge_bench.prompts import PROMPTS_FOLDER, RenderedPrompt, load_prompt

VATEX, NEXTQA = "videojudge_vatex", "videojudge_nextqa"
SETS = {VATEX: "vatex", NEXTQA: "nextqa"}
LIMIT = 30
REFERENCES = 2
FRAMES = 2
SECRET = "sk-never-to-be-written-down"
EVERYTHING = ",".join(SETS)
SAMPLES = {
    "videojudge_llava": "rating",
    "videojudge_vcg": "rating",
    "videojudge_longvideobench": "rating",
    "videojudge_pairwise": "p_first",
    "videojudge_pairwise_h": "p_first",
}
"""The sets with videos of their own, and what a verdict is there."""
SAMPLE_LIMIT = 6


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """Both sets through lmms-eval's `async_openai`, then the same replies through our model."""

    def make(here: Path) -> dict[str, Ran]:
        video_id = _asked("vatex")[0].item.video_id
        _write_video(here / "videos" / f"{video_id}.mp4")
        variables = {"VIDEOJUDGE_REFERENCES": str(REFERENCES), "VIDEOJUDGE_VIDEOS": "videos"}
        with chat_server(lambda prompt: _reply(_response(prompt))) as server:
            arguments = (
                f"model=made-up,base_url={server.base_url},api_key={SECRET},"
                f"nframes={FRAMES},num_cpus=2,max_retries=1"
            )
            command = evaluation(arguments, tasks=EVERYTHING, limit=LIMIT, model="async_openai")
            stock = run(command, here, variables=variables)
        (here / "requests.json").write_text(json.dumps(server.requests), encoding="utf-8")
        ours = here / "ours"
        ours.mkdir()
        items = [example.item for name in SETS.values() for example in _asked(name)]
        replies = [{"id": i.id, "reply": _reply(_text(i))} for i in items]
        (ours / "replies.jsonl").write_text("\n".join(map(json.dumps, replies)), encoding="utf-8")
        arguments = f"judge=scripted,replies=replies.jsonl,references={REFERENCES}"
        command = evaluation(arguments, tasks=EVERYTHING, limit=LIMIT)
        return {"stock": stock, "ours": run(command, ours)}

    return once(tmp_path_factory, "stock", make)


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """The samples through `async_openai`, on their own videos; then the replies through ours."""

    def make(here: Path) -> dict[str, Ran]:
        with chat_server(_said_of) as server:
            arguments = f"model=made-up,base_url={server.base_url},nframes={FRAMES},num_cpus=2"
            command = evaluation(
                arguments, tasks=",".join(SAMPLES), limit=SAMPLE_LIMIT, model="async_openai"
            )
            stock = run(command, here, variables={"OPENAI_API_KEY": SECRET})
        assert stock.code == 0, stock.output
        (here / "requests.json").write_text(json.dumps(server.requests), encoding="utf-8")
        ours = here / "ours"
        ours.mkdir()
        verdicts = [verdict for task in SAMPLES for verdict in _verdicts(stock, task, whole=True)]
        said = {v["id"]: v["reply"] for v in verdicts}  # a pair may be in both sets
        replies = [json.dumps({"id": item_id, "reply": reply}) for item_id, reply in said.items()]
        (ours / "replies.jsonl").write_text("\n".join(replies), encoding="utf-8")
        command = evaluation(
            "judge=scripted,replies=replies.jsonl", tasks=",".join(SAMPLES), limit=SAMPLE_LIMIT
        )
        return {"stock": stock, "ours": run(command, ours)}

    return once(tmp_path_factory, "stock_samples", make)


@pytest.fixture(scope="session")
def stock(runs: dict[str, Ran]) -> Ran:
    return runs["stock"]


@pytest.fixture(scope="session")
def simple(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A model that takes one text, and answers every one alike."""
    command = evaluation("response=<score>4</score>", model="dummy")
    return run_once(tmp_path_factory, "simple", command)


@pytest.fixture(scope="session")
def requests(stock: Ran) -> list[Request]:
    found: list[Request] = json.loads((stock.folder / "requests.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("task", SETS)
def test_the_same_replies_give_the_same_numbers(runs: dict[str, Ran], task: str) -> None:
    for ran in runs.values():
        assert ran.code == 0, ran.output
    numbers = runs["stock"].numbers(task)
    assert numbers == runs["ours"].numbers(task)
    assert_numbers_are_plain(numbers)
    unreadable = sum(_is_unreadable(_text(e.item)) for e in _asked(SETS[task]))
    assert 0 < unreadable < LIMIT
    assert (numbers["n"], numbers["n_parsed"]) == (LIMIT, LIMIT - unreadable)


@pytest.mark.parametrize("task", SETS)
def test_the_same_replies_give_the_same_verdicts(runs: dict[str, Ran], task: str) -> None:
    """The raw reply differs where the host cut a `<think>` block; the verdict must not."""
    stock, ours = (_verdicts(runs[name], task) for name in ("stock", "ours"))
    assert stock == ours
    assert len(stock) == LIMIT


def test_the_server_saw_our_prompts(requests: list[Request]) -> None:
    expected = {(p.system, p.shared + p.response) for p in _prompts("vatex") + _prompts("nextqa")}
    seen = {(text_of(r["messages"][0]), text_of(r["messages"][1])) for r in requests}
    assert seen == expected
    assert {tuple(m["role"] for m in r["messages"]) for r in requests} == {("system", "user")}


def test_prompts_show_as_many_references_as_asked_for(requests: list[Request]) -> None:
    example = _asked("vatex")[0]
    (prompt,) = [text for r in requests if _is_about(text := text_of(r["messages"][1]), example)]
    shown = [reference in prompt for reference in example.item.references]
    assert shown == [True] * REFERENCES + [False] * (len(shown) - REFERENCES)


def test_prompts_never_hold_gold(requests: list[Request]) -> None:
    golds = {str(example.gold) for example in _asked("vatex")}
    assert len(golds) > 1
    body = json.dumps(requests)
    assert not [gold for gold in golds if gold in body]
    assert "distractor" not in body


def test_the_video_goes_to_the_server_as_frames(requests: list[Request]) -> None:
    first, *others = _asked("vatex")
    with_images = [request for request in requests if count_images(request)]
    assert [count_images(request) for request in with_images] == [FRAMES] * 6
    assert all("the video above" in text_of(r["messages"][1]) for r in with_images)
    of_first = {_text(e.item) for e in (first, *others) if e.item.video_id == first.item.video_id}
    assert {_response(text_of(r["messages"][1])) for r in with_images} == of_first


def test_decoding_is_greedy_and_replies_are_not_cut_short(requests: list[Request]) -> None:
    assert {(r["temperature"], r["max_tokens"]) for r in requests} == {(0, 1024)}
    assert not [r for r in requests if r.get("stop")]


def test_the_leaderboard_works_the_stock_runs_numbers_out_again(stock: Ran, tmp_path: Path) -> None:
    command = ["videojudge", "leaderboard", "add", f"{stock.folder}/out", "--results", "results"]
    added = run(command, tmp_path)
    assert added.code == 0, added.output
    for task, name in SETS.items():
        shown = REFERENCES if name == "vatex" else 0
        kept = tmp_path / "results" / "runs" / name / f"async_openai-{shown}ref"
        assert_leaderboard_has(kept, stock.numbers(task))
        facts = json.loads((kept / "run.json").read_text(encoding="utf-8"))
        assert facts["judge"]["frames"] == "chosen by the model"
        assert "model=made-up" in facts["judge"]["model_args"]


def test_secrets_do_not_reach_the_leaderboard(stock: Ran, tmp_path: Path) -> None:
    command = ["videojudge", "leaderboard", "add", f"{stock.folder}/out", "--results", "results"]
    assert run(command, tmp_path).code == 0
    written = [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("task", SAMPLES)
def test_a_sample_gives_the_same_numbers_and_verdicts(samples: dict[str, Ran], task: str) -> None:
    assert samples["ours"].code == 0, samples["ours"].output
    numbers = samples["stock"].numbers(task)
    assert numbers == samples["ours"].numbers(task)
    assert_numbers_are_plain(numbers)
    stock, ours = (_verdicts(samples[name], task, whole=True) for name in ("stock", "ours"))
    assert stock == ours
    kinds = {key for verdict in stock for key in verdict} - {"id", "reply"}
    assert SAMPLES[task] in kinds <= {SAMPLES[task], "unparsed"}
    assert len(stock) == SAMPLE_LIMIT


def test_the_samples_frames_reach_the_server(samples: dict[str, Ran]) -> None:
    text = (samples["stock"].folder / "requests.json").read_text(encoding="utf-8")
    requests: list[Request] = json.loads(text)
    assert len(requests) == SAMPLE_LIMIT * len(SAMPLES)
    assert {count_images(request) for request in requests} == {FRAMES}
    assert all("the video above" in text_of(r["messages"][1]) for r in requests)
    assert SECRET not in samples["stock"].output + text


def test_a_simple_model_gets_our_prompt_as_text(simple: Ran) -> None:
    assert simple.code == 0, simple.output
    prompt = _prompts("vatex", references=0, videos=None)[0]
    first = simple.samples(VATEX)[0]
    assert first["input"] == f"{prompt.system}\n\n{prompt.shared}{prompt.response}"


def test_a_judge_that_says_the_same_of_everything(simple: Ran) -> None:
    numbers = simple.numbers(VATEX)
    for key in ("pearson", "spearman", "kendall_tau_b", "emscore_tau_b", "emscore_rho"):
        assert numbers[key] == "undefined (constant judge)"
    golds = [sum(map(float, str(r["gold"]).split())) / 3 for r in simple.judgements(VATEX)]
    assert numbers["mae"] == pytest.approx(sum(abs(4 - gold) for gold in golds) / len(golds))


def _asked(name: str) -> list[Example]:
    return list(goldsets.load(name).examples[:LIMIT])


def _text(item: object) -> str:
    assert isinstance(item, Item)
    return item.response.strip()


def _reply(response: str) -> str:
    """Make up a reply that depends on the response alone: a rating, reasoning, or nothing."""
    rating = 1 + int(5 * unit_interval("rating", response))
    if _is_unreadable(response):
        return "That is hard to say."
    if unit_interval("style", response) < 0.5:
        return f"<think>At first sight <score>1</score></think>\n<score>{rating}</score>"
    return f"<thinking>It says enough.</thinking>\n\n<score>{rating}</score>"


def _said_of(prompt: str) -> str:
    """Make up a reply that depends on the prompt: a rating or a preference, or nothing."""
    if "The answer:" in prompt:
        return _reply(_response(prompt))
    if _is_unreadable(prompt):
        return "Both have something."
    return f"<answer>{'A' if unit_interval('preferred', prompt) < 0.5 else 'B'}</answer>"


def _is_unreadable(response: str) -> bool:
    return unit_interval("readable", response) < 0.3


def _response(prompt: str) -> str:
    return prompt.partition("The answer:")[2].strip()


def _is_about(prompt: str, example: Example) -> bool:
    return _response(prompt) == _text(example.item)


def _prompts(
    name: str, *, references: int = REFERENCES, videos: str | None = "made"
) -> list[RenderedPrompt]:
    """Render the prompts of the asked items; the first video of VATEX-EVAL has a file."""
    gold_set = goldsets.load(name)
    view = view_of(gold_set, references, None)
    if videos:
        video_id = _asked("vatex")[0].item.video_id
        view = replace(view, videos={**view.videos, video_id: Path(videos)})
    template = load_prompt(PROMPTS_FOLDER / "rate.jinja")
    return [template.render(view.item(e.item.id), gold_set.info.scale) for e in _asked(name)]


def _verdicts(ran: Ran, task: str, *, whole: bool = False) -> list[dict[str, object]]:
    """Return the verdicts, with the raw replies where they are wanted `whole`."""
    records = [record["verdict"] for record in ran.judgements(task)]
    return [
        {k: v for k, v in r.items() if whole or k != "reply"}
        for r in records
        if isinstance(r, dict)
    ]


def _write_video(path: Path) -> None:
    """Write one second of noise, 64 x 48."""
    path.parent.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (8, 48, 64, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for image in pixels:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
