"""The seeds of a run: what is kept out, what is drawn, and that the counts tell."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from videojudge_bench import tasks
from videojudge_bench.errors import ConfigError, DataError, NoDataError
from videojudge_bench.goldsets import adding, vatex
from videojudge_bench.training.bootstrap.contracts import Seed
from videojudge_bench.training.bootstrap.seeds import SeedDraw, SeedOptions, collect_seeds

SAMPLES = Path(tasks.__path__[0]) / "sample" / "videos"
Row = dict[str, object]


def row(number: int, kind: str = "a", **others: object) -> Row:
    """A seed with texts of its own on a video of its own."""
    return {
        "video_id": f"film{number}",
        "instruction": f"Who crosses street {number}?",
        "gold": f"A cat crosses street {number}.",
        "labels": {"type": kind},
        **others,
    }


def source(folder: Path, rows: list[Row], name: str = "mine") -> str:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in rows), encoding="utf-8")
    return f"jsonl={path}"


def drawn(*sources: str, **options: object) -> SeedDraw:
    return collect_seeds(SeedOptions(sources, **options))  # type: ignore[arg-type] # a test's own


def types(seeds: list[Seed]) -> Counter[str]:
    return Counter(seed.labels["type"] for seed in seeds)


@pytest.fixture
def strata(tmp_path: Path) -> str:
    """600 seeds of type a, 300 of b, 97 of c, 3 of d."""
    kinds = "a" * 600 + "b" * 300 + "c" * 97 + "d" * 3
    return source(tmp_path, [row(number, kind) for number, kind in enumerate(kinds)])


def test_a_draw_takes_the_same_share_of_every_stratum(strata: str) -> None:
    found = drawn(strata, n=100)
    assert types(found.seeds) == {"a": 60, "b": 30, "c": 10}
    assert found.counts.to_json()["strata"] == {
        "mine, type=a": {"usable": 600, "drawn": 60},
        "mine, type=b": {"usable": 300, "drawn": 30},
        "mine, type=c": {"usable": 97, "drawn": 10},
        "mine, type=d": {"usable": 3, "drawn": 0},
    }
    # Any beginning of it has the same shares: a run that stops early has no holes.
    assert types(found.seeds[:50]) == {"a": 30, "b": 15, "c": 5}
    assert types(drawn(strata, n=1000).seeds) == {"a": 600, "b": 300, "c": 97, "d": 3}


def test_a_draw_is_the_beginning_of_every_larger_one(strata: str) -> None:
    every = drawn(strata).seeds
    assert len({seed.id for seed in every}) == 1000
    for n in (1, 7, 64, 501):
        assert drawn(strata, n=n).seeds == every[:n]
    assert len(drawn(strata, n=5000).seeds) == 1000


def test_a_draw_depends_on_its_seed_and_not_on_the_order_of_the_file(
    strata: str, tmp_path: Path
) -> None:
    first = drawn(strata, n=200).seeds
    other = drawn(strata, n=200, seed=1).seeds
    assert 0.1 < len({s.id for s in first} & {s.id for s in other}) / 200 < 0.35
    rows = [json.loads(line) for line in Path(strata.partition("=")[2]).read_text().splitlines()]
    (tmp_path / "other").mkdir()
    shuffled = np.random.default_rng(0).permutation(len(rows))
    assert drawn(source(tmp_path / "other", [rows[n] for n in shuffled]), n=200).seeds == first


def test_strata_are_by_source_and_by_the_labels_asked_for(strata: str, tmp_path: Path) -> None:
    small = source(tmp_path, [row(number, "x") for number in range(5000, 5010)], "small")
    found = drawn(strata, small, n=101, stratify_by=())
    assert Counter(seed.source for seed in found.seeds) == {"mine": 100, "small": 1}
    assert set(found.counts.strata) == {"mine", "small"}
    assert {n: c.drawn for n, c in found.counts.by_source.items()} == {"mine": 100, "small": 1}


def test_what_is_dropped_is_counted_by_reason(tmp_path: Path) -> None:
    long_gold = "A grey cat with a torn ear crosses the wet street slowly, looks back once at the "
    long_gold += "red van, then vanishes under the hedge of the corner house."
    rows = [
        row(0),
        row(1, instruction=" "),
        row(2, gold=""),
        row(3, gold="A cat."),
        row(4, gold=long_gold),
        row(0, instruction="who crosses street 0"),
        row(0, instruction="Which animal is it?"),
        row(5, gold=f"{long_gold} Indeed."),
        row(6, gold=long_gold, instruction="Which pan holds the onions and the garlic?"),
        row(7, video_id="v_" + next(vatex.rows()).youtube_id),
        row(8, video="k600/10001787725.mp4"),
    ]
    counts = drawn(source(tmp_path, rows)).counts.to_json()
    assert counts["dropped"] == {
        "near-duplicate of an earlier seed": 2,
        "no instruction": 1,
        "no answer": 1,
        "answer of fewer than 4 words": 1,
        "instruction shares no content word with answer or description": 1,
        "video of the gold set vatex": 1,
        "video of the gold set nextqa": 1,
    }
    assert (counts["read"], counts["drawn"], counts["asked"]) == (11, 3, None)
    json.dumps(counts)  # it is written as it is


def test_near_duplicates_are_found_across_sources(tmp_path: Path) -> None:
    said = {"q": "Who cuts the pear?", "a": "An old cook cuts it in two."}
    instruct = tmp_path / "VideoInstruct100K.json"
    instruct.write_text(json.dumps([{**said, "video_id": "v_k_ZXmr8pmrs"}]))
    turns = [("human", "<image>\nwho cuts the PEAR"), ("gpt", "The cook does that.")]
    plus = tmp_path / "vcg.json"
    talk = [{"from": who, "value": value} for who, value in turns]
    plus.write_text(json.dumps([{"video": "v_k_ZXmr8pmrs.mp4", "conversations": talk}]))
    found = drawn(f"videoinstruct={instruct}", f"vcg_plus={plus}")
    assert [seed.source for seed in found.seeds] == ["videoinstruct"]
    counts = found.counts.by_source
    assert counts["vcg_plus"].dropped == {"near-duplicate of an earlier seed": 1}
    assert (counts["videoinstruct"].licence, counts["vcg_plus"].licence) == ("CC BY-SA 4.0", "MIT")


def test_seeds_of_gold_videos_are_kept_only_when_allowed_and_then_counted() -> None:
    with pytest.raises(DataError) as caught:
        drawn("vatex")
    assert "none of 3000 seeds is usable (video of the gold set vatex: 2986" in str(caught.value)
    found = drawn("vatex", "nextqa", n=300, allow_overlap=frozenset({"vatex", "llava"}))
    of_vatex = sum(seed.source == "vatex" for seed in found.seeds)
    assert 100 < of_vatex < 200
    counts = found.counts.to_json()
    assert counts["overlap"] == {"llava": 0, "vatex": of_vatex}
    sets = counts["gold_sets"]
    assert isinstance(sets, dict)
    assert "vatex" not in sets["compared"]
    assert "nextqa" in sets["compared"]
    assert sets["not_here"] == ["videoautoarena"]


def test_the_videos_of_a_set_that_a_user_added_are_kept_out(tmp_path: Path) -> None:
    mine = tmp_path / "ratings.jsonl"
    rating = {"video_id": "film3", "instruction": "Who?", "response": "A cat.", "ratings": [4]}
    mine.write_text(json.dumps(rating))
    adding.add(adding.Request(mine, "kept_out"))
    try:
        found = drawn(source(tmp_path, [row(number) for number in range(5)]))
    finally:
        adding.remove("kept_out")
    assert sorted(seed.video_id for seed in found.seeds) == ["film0", "film1", "film2", "film4"]
    assert found.counts.by_source["mine"].dropped == {"video of the gold set kept_out": 1}


def copied(name: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(SAMPLES / name, target)


def test_videos_are_found_in_their_folder_and_missing_ones_dropped(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    for place in ("part1/v_k_ZXmr8pmrs.mp4", "one/001.mp4", "two/001.mp4", "film2.webm"):
        (videos / place).parent.mkdir(parents=True, exist_ok=True)
        (videos / place).write_bytes(b"")
    rows = [
        row(0, video_id="k_ZXmr8pmrs"),
        row(1, video_id="two", video="two/001.mp4"),
        row(2),
        row(3, video_id="001"),  # one/001.mp4 or two/001.mp4
        row(4),
    ]
    # Files of no bytes are found; whether they can be decoded is asked of gold sets' folders only.
    with pytest.raises(DataError, match="video that cannot be decoded: 3, no video file in"):
        drawn(source(tmp_path, rows), videos=videos)
    texts_only = drawn(source(tmp_path, rows)).seeds
    assert {seed.video for seed in texts_only} == {None, "two/001.mp4"}


def test_a_seed_whose_video_looks_like_a_gold_one_is_dropped(tmp_path: Path) -> None:
    videos, gold = tmp_path / "videos", tmp_path / "gold"
    for name, target in {
        "mdn_pig.webm": videos / "film0.webm",
        "mdn_rabbit.webm": videos / "deep/film1.webm",
        "nasa_13013.mp4": videos / "film2.mp4",
    }.items():
        copied(name, target)
    (videos / "film3.mp4").write_bytes(b"not a video")
    rows = [row(number) for number in range(4)]
    everywhere = "llava, longvideobench, pairwise, pairwise_h, vcg"
    with pytest.raises(DataError) as caught:
        drawn(source(tmp_path, rows), videos=videos)
    assert f"looks like a video of {everywhere}: 3" in str(caught.value)
    assert "video that cannot be decoded: 1" in str(caught.value)
    sets = frozenset(everywhere.split(", "))
    found = drawn(source(tmp_path, rows), videos=videos, allow_overlap=sets)
    assert [s.video for s in sorted(found.seeds, key=lambda s: s.video_id)] == [
        "film0.webm", "deep/film1.webm", "film2.mp4",
    ]  # fmt: skip
    assert found.counts.overlap == dict.fromkeys(sets, 3)
    assert found.counts.sets_looked_at == dict.fromkeys(sets, 7)
    copied("mdn_pig.webm", gold / f"{next(vatex.rows()).video_id}.webm")
    options = {"videos": videos, "allow_overlap": sets, "gold_videos": (f"vatex={gold}",)}
    found = drawn(source(tmp_path, rows), **options)
    assert {seed.video_id for seed in found.seeds} == {"film1", "film2"}
    assert found.counts.by_source["mine"].dropped["looks like a video of vatex"] == 1
    assert drawn(source(tmp_path, rows), n=1, **options).seeds == found.seeds[:1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sources": ()}, "sources: name one of jsonl, nextqa, vatex"),
        ({"sources": ("vatx",)}, "unknown source of seeds 'vatx'. Did you mean 'vatex'"),
        ({"sources": ("jsonl",)}, "the source 'jsonl' needs its path: jsonl=PATH (a .jsonl file"),
        ({"n": 0}, "n=0: expected a number from 1 up, or none for all"),
        ({"min_gold_words": 0}, "min_gold_words=0: expected a number from 1 up"),
        ({"allow_overlap": frozenset({"vtex"})}, "unknown gold set 'vtex'. Did you mean 'vatex'"),
        ({"gold_videos": ("vatex",), "videos": Path()}, "gold_videos: 'vatex' is not set=folder"),
        ({"gold_videos": ("vatex=x",)}, "gold_videos needs videos, the folder of the seeds' own"),
    ],
)
def test_options_that_cannot_work(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SeedOptions(**{"sources": ("vatex",), **options})  # type: ignore[arg-type] # a test's own
    assert said in str(caught.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigError, match="seeds, 3 problems:"):
        SeedOptions(("vatx",), n=-1, min_gold_words=0)


def test_folders_that_are_not_there_are_named(tmp_path: Path) -> None:
    lines = source(tmp_path, [row(0)])
    with pytest.raises(ConfigError, match=r"the folder of videos '.*nowhere' does not exist"):
        drawn(lines, videos=tmp_path / "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ConfigError, match="holds no video of the gold set 'vatex'; its files are"):
        drawn(lines, videos=empty, gold_videos=(f"vatex={empty}",))
    with pytest.raises(NoDataError, match="leave it out of gold_videos"):
        drawn(lines, videos=empty, gold_videos=(f"videoautoarena={empty}",))


def test_texts_are_not_held_while_seeds_are_read(tmp_path: Path) -> None:
    """Memory of the first pass, for rows of 8 kB each: their texts would be 16 MB a time."""
    drawn(source(tmp_path, [row(0)]), n=1)  # what is loaded once
    peaks = []
    for rows in (1000, 3000):
        path = tmp_path / f"{rows}.json"
        answers = (
            f"Cat {number} sits still and says m" + "e" * 8000 + "ow." for number in range(rows)
        )
        made = [
            {"q": f"Who sits at {n}?", "a": answer, "video_id": f"v{n}"}
            for n, answer in enumerate(answers)
        ]
        path.write_text(json.dumps(made))
        del made
        tracemalloc.start()
        found = drawn(f"videoinstruct={path}", n=5, relevance=False)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(found.seeds) == 5
    assert (peaks[1] - peaks[0]) / 2000 < 2000  # bytes a row
