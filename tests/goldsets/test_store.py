"""The user's own sets: what is kept, that it is whole, and that nothing else gets in."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from videojudge_bench import goldsets
from videojudge_bench.errors import ConfigError, DataError, JournalBusyError, UnknownNameError
from videojudge_bench.goldsets import schema, store
from videojudge_bench.goldsets.base import GoldSetInfo
from videojudge_bench.harness import plugin
from videojudge_bench.scale import RatingScale

INFO = GoldSetInfo(
    name="mine",
    title="Mine: «ratings» & more",
    kind="human",
    shape="ratings",
    licence="CC BY 4.0",
    source="added from mine.jsonl",
    how_to_get="add it again: videojudge data add FILE.jsonl --name mine --overwrite",
    scale=RatingScale(0, 10),
    systems=True,
)


@pytest.fixture(autouse=True)
def fresh_sets() -> Iterator[None]:
    goldsets.load.cache_clear()
    yield
    goldsets.load.cache_clear()


def rating_rows(*ratings: float) -> list[schema.Row]:
    return [
        schema.RatingRow(
            id=f"row {number}",
            video_id="v",
            video="deep/v one.mp4",
            instruction="do",
            response=f"é {number}\n",
            ratings=(rating, 10.0),
            system="s",
            references=("r",),
            subtitles=(schema.SubtitleRow(start_seconds=0.25, end_seconds=1.0, text="\u2028"),),
            labels={"kind": "k"},
        )
        for number, rating in enumerate(ratings)
    ]


def kept(name: str = "mine") -> Path:
    return store.root() / name


def test_what_is_written_is_read_again(videos: Path) -> None:
    found = rating_rows(0, 2.5)
    assert store.write(INFO, found, videos) == kept()
    assert store.read("mine") == store.StoredSet(INFO, videos)
    loaded, made = store.load("mine"), schema.gold_set(found, INFO, videos)
    assert loaded == made
    assert loaded.content_hash == made.content_hash
    assert (loaded.videos, loaded.video_files) == (videos, {"v": "deep/v one.mp4"})
    assert (store.names(), store.contains("mine")) == (["mine"], True)


def test_the_folder_is_that_of_the_users_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.root() == tmp_path / "xdg-data" / "videojudge_bench" / "goldsets"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert store.root() == tmp_path / ".local" / "share" / "videojudge_bench" / "goldsets"
    assert store.names() == []
    assert not store.contains("mine")
    assert not store.remove("mine")
    assert not (tmp_path / ".local").exists()


def test_the_folder_of_videos_is_written_down_as_it_is(
    tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store.write(INFO, rating_rows(1), Path(videos.name))
    monkeypatch.chdir("/")
    assert store.read("mine").videos == videos
    store.write(INFO, rating_rows(1), None)
    assert store.read("mine").videos is None


def test_a_set_is_found_by_its_name_until_it_is_removed(videos: Path) -> None:
    store.write(INFO, rating_rows(1), videos)
    assert goldsets.extra_names() == ["mine"]
    assert goldsets.info("mine") == INFO
    assert len(goldsets.load("mine").examples) == 1
    assert store.remove("mine")
    assert videos.is_dir()
    assert not store.remove("mine")
    goldsets.load.cache_clear()
    with pytest.raises(UnknownNameError, match=r"unknown gold set 'mine'.*videojudge data list"):
        goldsets.load("mine")
    assert list(store.root().iterdir()) == []


def test_a_set_takes_the_place_of_another_whole() -> None:
    store.write(INFO, rating_rows(1, 2), None)
    (kept() / "left over.txt").touch()
    store.write(replace(INFO, title="New"), rating_rows(3), None)
    assert [e.gold for e in store.load("mine").examples] == [
        e.gold for row in rating_rows(3) for e in row.examples({})
    ]
    assert store.read("mine").info.title == "New"
    assert sorted(path.name for path in kept().iterdir()) == ["rows.jsonl.gz", "set.json"]
    assert [path.name for path in store.root().iterdir()] == ["mine"]


def test_a_set_that_breaks_off_leaves_what_was_there() -> None:
    def broken() -> Iterator[schema.Row]:
        yield from rating_rows(3)
        raise DataError("a bad row", path="mine.jsonl", line=2)

    for before in ([], ["mine"]):
        with pytest.raises(DataError, match="a bad row"):
            store.write(INFO, broken(), None)
        assert [path.name for path in store.root().iterdir()] == before
        store.write(INFO, rating_rows(1, 2), None)
    assert len(store.load("mine").examples) == 2


@pytest.mark.parametrize("left", ["rows.jsonl.gz", "other"])
def test_half_a_set_is_in_nobodys_way(left: str) -> None:
    """As a removal leaves it that was killed half-way: no set, and no reason to fail."""
    kept().mkdir(parents=True)
    (kept() / left).touch()
    assert (store.names(), store.contains("mine")) == ([], False)
    store.write(INFO, rating_rows(1), None)
    assert len(store.load("mine").examples) == 1
    assert not (kept() / "other").exists()


def test_what_a_killed_process_left_is_removed() -> None:
    work = store.root() / ".mine" / "new"
    work.mkdir(parents=True)
    (work / "rows.jsonl.gz.part").touch()
    store.write(INFO, rating_rows(1), None)
    assert [path.name for path in store.root().iterdir()] == ["mine"]


def test_two_writers_of_a_set_do_not_meet() -> None:
    store.root().mkdir(parents=True)
    with FileLock(store.root().parent / ".goldsets.mine.lock"):
        with pytest.raises(JournalBusyError) as caught:
            store.write(INFO, rating_rows(1), None)
        assert str(caught.value) == (
            f"another process is writing the set 'mine' in {store.root()}; run this again when it "
            "is done"
        )
        store.write(replace(INFO, name="other"), rating_rows(1), None)
    assert [path.name for path in store.root().iterdir()] == ["other"]


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    store.write(INFO, rating_rows(1), None)
    elsewhere = tmp_path / "elsewhere"
    shutil.move(kept(), elsewhere)
    kept().symlink_to(elsewhere)
    assert len(store.load("mine").examples) == 1
    store.write(INFO, rating_rows(1, 2), None)
    assert len(store.load("mine").examples) == 2
    kept().rename(kept("moved"))
    kept().symlink_to(elsewhere)
    assert store.remove("mine")
    assert sorted(path.name for path in elsewhere.iterdir()) == ["rows.jsonl.gz", "set.json"]


def test_the_videos_must_be_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none", Path(__file__)):
        text = f"the folder of videos {str(path)!r} does not exist or is no folder"
        with pytest.raises(ConfigError, match=re.escape(text)):
            store.write(INFO, rating_rows(1), path)
    assert store.names() == []


@pytest.mark.parametrize(
    "name",
    ["..", ".", "", "Mine", "9lives", "a-b", "a b", "a/b", "a.b", "é", "a\n", "x" * 65, "mine:"],
)
def test_a_folder_of_another_name_is_no_set(name: str) -> None:
    store.write(INFO, rating_rows(1), None)
    if name not in ("..", ".", ""):
        shutil.copytree(kept(), kept(name), dirs_exist_ok=True)
    assert store.names() == ["mine"]
    assert not store.contains(name)
    assert not store.remove(name)
    with pytest.raises(UnknownNameError):
        goldsets.load(name)
    assert store.contains("mine")


def test_a_name_leads_nowhere_else(tmp_path: Path) -> None:
    store.write(INFO, rating_rows(1), None)
    outside = store.root().parent / "outside"
    shutil.copytree(kept(), outside)
    for name in ("../outside", str(outside), "mine/../../outside"):
        assert not store.contains(name)
        assert not store.remove(name)
    assert outside.is_dir()


def change(**fields: Any) -> None:
    path = kept() / "set.json"
    values = {**json.loads(path.read_text(encoding="utf-8")), **fields}
    path.write_text(json.dumps(values), encoding="utf-8")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"format": 2}, "set.json, field 'format': Input should be 1; found 2"),
        ({"name": "other"}, "field 'name': the set is called 'other', and its folder 'mine'; add"),
        ({"kind": "guess"}, "field 'kind': Input should be 'human', 'constructed', 'options' or"),
        ({"kind": "none"}, "field 'kind': Input should be 'human', 'constructed', 'options' or"),
        ({"scale": [5, 1]}, "field 'scale': a rating scale needs low < high, got 5 and 1"),
        ({"scale": [1]}, "field 'scale[1]': the field is missing"),
        ({"recipe": "emscore"}, "field 'recipe': the field is unknown"),
        ({"videos": 3}, "field 'videos': Input should be a valid string; found 3"),
    ],
)
def test_a_set_that_someone_changed(fields: dict[str, Any], text: str) -> None:
    store.write(INFO, rating_rows(1), None)
    change(**fields)
    for use in (store.read, store.load, goldsets.info, goldsets.load):
        with pytest.raises(DataError, match=re.escape(text)):
            use("mine")
    assert goldsets.names().count("mine") == 1


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{"])
def test_a_file_that_describes_nothing(content: bytes) -> None:
    store.write(INFO, rating_rows(1), None)
    (kept() / "set.json").write_bytes(content)
    with pytest.raises(DataError, match=r"set\.json: (not a JSON object|cannot be read|Input sh)"):
        store.load("mine")


def test_rows_that_are_gone_or_cut_or_changed() -> None:
    store.write(INFO, rating_rows(1), None)
    path = kept() / "rows.jsonl.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(DataError, match="line 1: the compressed data end or break"):
        store.load("mine")
    path.write_bytes(gzip.compress(gzip.decompress(whole).replace(b"[1.0,", b"[11.0,")))
    with pytest.raises(DataError, match="line 1, field 'ratings': found 11, outside the scale 0-1"):
        store.load("mine")
    path.unlink()
    with pytest.raises(DataError, match=re.escape("cannot be read (No such file or directory)")):
        store.load("mine")
    assert store.read("mine").info == INFO


def test_no_yaml_of_a_sets_folder_is_ever_loaded(tmp_path: Path) -> None:
    """What a set brings is text: a task file names functions, and is written by us alone."""
    done = tmp_path / "done"
    hostile = (
        f"task: !!python/object/apply:os.system ['touch {done}']\nclass: !function os.system\n"
    )
    store.write(replace(INFO, title=hostile, source=hostile, licence=hostile), rating_rows(1), None)
    for folder in (kept(), store.root(), store.root() / "evil"):
        folder.mkdir(exist_ok=True)
        for name in ("evil.yaml", "videojudge_mine.yaml", "set.yaml"):
            (folder / name).write_text(hostile, encoding="utf-8")
    assert "videojudge_mine" in plugin.our_task_names()
    assert "evil" not in " ".join(plugin.our_task_names())
    into = tmp_path / "tasks"
    into.mkdir()
    (written,) = plugin.write_extra_tasks(into)
    assert "os.system" not in written.read_text(encoding="utf-8")
    assert list(into.iterdir()) == [written]
    assert goldsets.load("mine").info.title == hostile
    assert not done.exists()
    # The oracle: these files are hostile, a loader that trusts them runs them.
    yaml.load(hostile.splitlines()[0], yaml.UnsafeLoader)
    assert done.exists()
