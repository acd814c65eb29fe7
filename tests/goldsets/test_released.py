"""Sets with a sample and a release: which of the two is served, and what is put into the store."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from videojudge_bench import goldsets
from videojudge_bench.errors import ConfigError, DataError, NoDataError, UnknownNameError
from videojudge_bench.goldsets import schema, store
from videojudge_bench.goldsets.base import GoldSetInfo
from videojudge_bench.goldsets.released import (
    SAMPLE_LICENCE,
    SAMPLE_SOURCE,
    ReleasedSet,
)

FULL = GoldSetInfo(
    name="tinypairs",
    title="Tiny pairs",
    kind="human",
    shape="pairs",
    licence="not stated",
    source="its paper",
    how_to_get="ask its authors",
    version="3",
)
OURS = ["llava", "longvideobench", "pairwise", "pairwise_h", "vcg", "videoautoarena"]
Values = dict[str, Any]


def pair(number: int, **changes: Any) -> Values:
    return {
        "video_id": f"v{number}",
        "instruction": "do",
        "response_a": "x",
        "response_b": "y",
        "preferences": ["a", "tie"],
        **changes,
    }


def file_of(path: Path, *lines: Values) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of `tasks/`."""
    folder = tmp_path / "package"
    module = importlib.import_module("videojudge_bench.goldsets.released")
    monkeypatch.setattr(module, "packaged", lambda name: folder / name.removeprefix("tasks."))
    return folder


@pytest.fixture
def tiny(package: Path) -> ReleasedSet:
    """A set with a sample of two pairs, whose release has three."""
    file_of(package / "sample" / "tinypairs.jsonl", pair(0), pair(1))
    return ReleasedSet(FULL, sample_file="tinypairs.jsonl", units=3)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return file_of(tmp_path / "release.jsonl", *map(pair, range(3)))


def test_without_the_release_the_sample_is_served(tiny: ReleasedSet, package: Path) -> None:
    found = tiny.load()
    assert found.info == replace(
        FULL,
        kind="model",
        data="sample-2",
        licence=SAMPLE_LICENCE,
        source=SAMPLE_SOURCE,
    )
    assert not found.info.has_dev
    assert len(found.examples) == 4
    assert found.videos == package / "sample" / "videos"


def test_the_release_takes_the_place_of_the_sample(
    tiny: ReleasedSet, release: Path, videos: Path
) -> None:
    prepared = tiny.prepare(release, videos, None)
    assert prepared == tiny.load()
    assert (prepared.info, prepared.videos) == (FULL, videos)
    assert prepared.info.has_dev
    assert len(prepared.examples) == 6
    assert tiny.sample.info.data == "sample-2"
    assert store.remove("tinypairs")
    assert tiny.load() == tiny.sample


@pytest.mark.parametrize(("count", "data"), [(2, "part-2"), (3, "full"), (4, "part-4")])
def test_a_part_of_the_release_is_called_a_part(
    tiny: ReleasedSet, tmp_path: Path, count: int, data: str
) -> None:
    part = file_of(tmp_path / "part.jsonl", *map(pair, range(count)))
    prepared = tiny.prepare(part, None, None)
    assert prepared.info == replace(FULL, data=data)
    assert prepared.info.has_dev


def test_a_release_of_unknown_size_is_taken_as_the_whole(tiny: ReleasedSet, release: Path) -> None:
    assert replace(tiny, units=None).prepare(release, None, None).info.data == "full"


def test_without_a_sample_and_a_release_it_says_how_to_get_them(
    tiny: ReleasedSet, release: Path
) -> None:
    for form in (
        replace(tiny, sample_file=None),
        replace(tiny, sample_file="gone.jsonl"),
    ):
        with pytest.raises(NoDataError, match="gold set 'tinypairs' has no data here: ask its aut"):
            form.load()
    without = replace(tiny, sample_file=None)
    assert len(without.prepare(release, None, None).examples) == 6
    with pytest.raises(NoDataError):
        _ = without.sample


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (pair(9, preferences=["c"]), "line 4, field 'preferences[0]': Input should be 'a', 'b' or"),
        (pair(0, preferences=["b", "b"]), "line 4, field 'id': duplicate of line 1 ("),
        (pair(0, response_a="y", response_b="x"), "line 4, field 'id': duplicate of line 1 ("),
        (pair(9, video="../v9.mp4"), "line 4, field 'video': a path inside its folder is needed"),
    ],
)
def test_a_release_with_a_fault_changes_nothing(
    tiny: ReleasedSet, tmp_path: Path, bad: Values, text: str
) -> None:
    broken = file_of(tmp_path / "broken.jsonl", *map(pair, range(3)), bad)
    with pytest.raises(DataError, match=re.escape(f"{broken}, {text}")):
        tiny.prepare(broken, None, None)
    assert tiny.load() == tiny.sample
    assert store.names() == []


def test_a_release_that_makes_no_set_is_not_kept(tiny: ReleasedSet, release: Path) -> None:
    """What each row says is right, and together they are no set: two files of one video."""
    files = iter(["a.mp4", "b.mp4", "c.mp4"])

    def read(release: Path, subtitles: Path | None = None) -> Iterator[schema.Row]:
        del subtitles
        for row in schema.checked_rows(release, FULL.shape, FULL.scale):
            yield row.model_copy(update={"video_id": "v", "video": next(files)})

    with pytest.raises(DataError, match="a video has one file"):
        replace(tiny, read=read).prepare(release, None, None)
    assert store.names() == []


def test_a_folder_of_videos_that_is_none(tiny: ReleasedSet, release: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"the folder of videos .* does not exist or is no folder"
    ):
        tiny.prepare(release, tmp_path / "none", None)
    assert store.names() == []


def test_a_stored_set_of_another_shape_is_refused(tiny: ReleasedSet, release: Path) -> None:
    tiny.prepare(release, None, None)
    path = store.root() / "tinypairs" / "set.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"pairs"', '"ratings"'), "utf-8")
    with pytest.raises(DataError, match=r"rows\.jsonl\.gz, line 1, field 'response': the field is"):
        tiny.load()


# The sets of this package.


def test_the_sets_with_a_release() -> None:
    assert goldsets.released_names() == OURS
    for name in OURS:
        form = goldsets.released_set(name)
        assert form.INFO.name == name
        assert goldsets.info(name) == form.INFO
        assert form.INFO.data == "full"
    with pytest.raises(UnknownNameError, match="unknown set with a release 'vatex'"):
        goldsets.released_set("vatex")
    with pytest.raises(UnknownNameError, match="Did you mean 'pairwise'"):
        goldsets.released_set("pairwize")


@pytest.mark.parametrize("name", OURS)
def test_how_to_get_them_names_no_invented_place(name: str) -> None:
    """For VideoJudge's own sets no release was found: no hub id stands in for one."""
    info = goldsets.info(name)
    assert f"videojudge data prepare {name} --release" in info.how_to_get
    if name in ("llava", "vcg", "pairwise", "pairwise_h"):
        assert "no public release is known" in info.how_to_get
        assert not re.search(r"https?:|\.co/|github", info.how_to_get + info.source)


@pytest.mark.parametrize(
    ("name", "kind", "shape", "units"),
    [
        ("llava", "constructed", "ratings", None),
        ("vcg", "constructed", "ratings", None),
        ("pairwise", "constructed", "pairs", 500),
        ("pairwise_h", "human", "pairs", 237),
        ("longvideobench", "options", "options", 1_337),
        ("videoautoarena", "human", "pairs", 255),
    ],
)
def test_what_they_are(name: str, kind: str, shape: str, units: int | None) -> None:
    # The sizes are those of the papers: 237 of 250 pairs two people agree on, 1,337 questions of
    # the validation split, 255 benchmark questions.
    form = goldsets.released_set(name)
    assert (form.INFO.kind, form.INFO.shape, form.units) == (kind, shape, units)


def test_a_rated_release_of_ours_is_prepared(tmp_path: Path, videos: Path) -> None:
    lines = [
        {"video_id": "v0", "instruction": "do", "response": f"r{n}", "ratings": [n]}
        for n in range(1, 6)
    ]
    form = goldsets.released_set("llava")
    made = form.prepare(file_of(tmp_path / "llava.jsonl", *lines), videos, None)
    assert (made.info, made.max_references) == (form.INFO, 0)
    assert {example.unit for example in made.examples} == {made.examples[0].unit}
    goldsets.load.cache_clear()
    assert goldsets.load("llava") == made
    assert goldsets.load("llava", "full") == made
    with pytest.raises(NoDataError, match="gold set 'llava' has no data here: "):
        goldsets.load("llava", "part-8")
    goldsets.load.cache_clear()


def test_the_pipelines_own_label_is_never_gold(tmp_path: Path) -> None:
    """In VideoJudge-Pairwise-H gold is what people prefer, whatever the pair was made for."""
    line = pair(0, preferences=["b", "b"], labels={"pipeline": "a"})
    made = goldsets.released_set("pairwise_h").prepare(
        file_of(tmp_path / "h.jsonl", line), None, None
    )
    for example in made.examples:
        shown = example.item.content()
        assert example.content()["gold"] == (1.0 if shown["first"] == "y" else 0.0)
        assert example.labels == {"pipeline": "a"}
        assert "pipeline" not in shown
