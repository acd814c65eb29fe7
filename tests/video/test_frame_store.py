"""The frame store: once per video and policy, bounded, and safe for several processes."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from clips import Maker, numbers_of, spread
from video_fixtures import clip_maker, no_process_left  # noqa: F401 - fixtures

from videojudge_bench.errors import ConfigError, VideoError
from videojudge_bench.video import FramePolicy, FrameStore, default_frame_folder, load_frames

ENTRY = 4 * 96 * 160 * 3 + 128
"""Bytes of four frames of a clip, with numpy's header."""


@pytest.fixture
def store(tmp_path: Path) -> FrameStore:
    return FrameStore(tmp_path / "frames")


def entries(store: FrameStore) -> list[str]:
    return sorted(path.name for path in (store.folder / "entries").iterdir())


def decoded_again(store: FrameStore, path: Path, policy: FramePolicy) -> bool:
    """Whether asking once more writes a new entry."""
    entry = store.folder / "entries" / f"{store.key(path, policy)}.npy"
    before = entry.stat().st_ino if entry.exists() else None
    store.load(path, policy)
    return entry.stat().st_ino != before


def test_what_comes_out_is_what_was_decoded(store: FrameStore, clips: Maker) -> None:
    fresh = load_frames(clips("cfr.mp4"), spread(4), timeout_seconds=None)
    for _ in range(2):
        kept = load_frames(clips("cfr.mp4"), spread(4), store=store)
        np.testing.assert_array_equal(kept.frames, fresh.frames)
        assert kept.times_seconds == fresh.times_seconds
        assert (kept.coverage, kept.requested, kept.decoder) == (1.0, 4, fresh.decoder)
        assert kept.duration_seconds == fresh.duration_seconds
        assert isinstance(kept.frames, np.memmap)
        assert not kept.frames.flags.writeable
    assert store.size_bytes == ENTRY


def test_a_video_is_decoded_once_per_policy(store: FrameStore, clips: Maker) -> None:
    assert decoded_again(store, clips("cfr.mp4"), spread(4))
    assert not decoded_again(store, clips("cfr.mp4"), spread(4))
    assert decoded_again(store, clips("cfr.mp4"), spread(5))
    assert len(entries(store)) == 4


def test_a_renamed_video_keeps_its_entry_and_a_changed_one_gets_another(
    store: FrameStore, clips: Maker, tmp_path: Path
) -> None:
    video = tmp_path / "a.mp4"
    shutil.copy(clips("cfr.mp4"), video)
    store.load(video, spread(4))
    video = video.rename(tmp_path / "b.mp4")
    assert not decoded_again(store, video, spread(4))
    shutil.copy(clips("edit.mp4"), video)
    assert decoded_again(store, video, spread(4))
    assert numbers_of(store.load(video, spread(4)).frames)[0] == 33


def test_a_video_that_is_replaced_under_its_old_time_and_size_is_noticed(
    store: FrameStore, clips: Maker, tmp_path: Path
) -> None:
    old, new = (clips(name).read_bytes() for name in ("cfr.mp4", "edit.mp4"))
    size = max(len(old), len(new))
    video = tmp_path / "a.mp4"
    for content, first in ((old, 0), (new, 33)):
        video.write_bytes(content.ljust(size, b"\0"))
        os.utime(video, (1_700_000_000, 1_700_000_000))
        assert numbers_of(store.load(video, spread(4)).frames)[0] == first


def test_a_failure_leaves_nothing_behind(store: FrameStore, tmp_path: Path) -> None:
    broken = tmp_path / "noise.mp4"
    broken.write_bytes(b"noise" * 1000)
    for _ in range(2):
        with pytest.raises(VideoError, match="no video that can be opened"):
            store.load(broken, spread(4))
    assert entries(store) == []
    assert list((store.folder / "parts").iterdir()) == []


def test_a_missing_video_is_said_to_be_missing(store: FrameStore, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no such file"):
        store.load(tmp_path / "no.mp4", spread(4))


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".json", lambda _: b'{"times'),
        (".json", lambda _: b"{}"),
        (".json", lambda good: good.replace(b"[0.0, ", b"[")),
        (".npy", lambda good: good[:6]),
        (".npy", lambda good: good[:-1]),
        (".npy", lambda _: b""),
    ],
)
def test_a_damaged_entry_is_made_anew_and_said_in_the_log(
    suffix: str,
    damage: Callable[[bytes], bytes],
    store: FrameStore,
    clips: Maker,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = clips("cfr.mp4")
    good = np.array(store.load(path, spread(4)).frames)
    damaged = store.folder / "entries" / f"{store.key(path, spread(4))}{suffix}"
    content = damage(damaged.read_bytes())
    damaged.unlink()
    damaged.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        again = store.load(path, spread(4))
    np.testing.assert_array_equal(again.frames, good)
    assert "is damaged" in caplog.text
    assert "it is made anew" in caplog.text


# The limit.


def test_the_longest_unused_goes_first(tmp_path: Path, clips: Maker) -> None:
    store = FrameStore(tmp_path / "frames", max_bytes=2 * ENTRY)
    names = ["cfr.mp4", "edit.mp4", "vfr.mp4"]
    keys = [store.key(clips(name), spread(4)) for name in names]
    store.load(clips(names[0]), spread(4))
    store.load(clips(names[1]), spread(4))
    for entry in (store.folder / "entries").iterdir():
        os.utime(entry, (1, 1))  # a file's times are no finer than milliseconds: uses may tie
    store.load(clips(names[0]), spread(4))  # used again: the second is now the oldest
    store.load(clips(names[2]), spread(4))
    kept = {Path(name).stem for name in entries(store)}
    assert kept == {keys[0], keys[2]}
    assert store.size_bytes == 2 * ENTRY


def test_entries_are_not_listed_again_after_every_video(tmp_path: Path, clips: Maker) -> None:
    for size, swept in ((None, False), (100 * ENTRY, True)):  # the second: 1 % is one entry
        store = FrameStore(tmp_path / f"frames-{size}", max_bytes=size)
        store.load(clips("cfr.mp4"), spread(4))
        left_behind = store.folder / "parts" / "0000.1.npy"
        left_behind.touch()
        for frames in (3, 5):
            store.load(clips("cfr.mp4"), spread(frames))
        assert left_behind.exists() != swept


def test_frames_in_use_outlive_their_entry(tmp_path: Path, clips: Maker) -> None:
    store = FrameStore(tmp_path / "frames", max_bytes=1)
    first = store.load(clips("cfr.mp4"), spread(4))
    store.load(clips("edit.mp4"), spread(4))
    assert [Path(n).stem for n in entries(store)] == [store.key(clips("edit.mp4"), spread(4))] * 2
    assert numbers_of(first.frames) == [0, 99, 199, 299]


def test_a_store_without_room_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="max_bytes=0: expected a number of bytes above 0"):
        FrameStore(tmp_path, max_bytes=0)


def test_the_folder_is_in_the_users_cache(
    cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIDEOJUDGE_FRAMES", raising=False)
    monkeypatch.delenv("VIDEOJUDGE_FRAMES_GB", raising=False)
    assert FrameStore().folder == default_frame_folder()
    assert default_frame_folder() == cache_home / "videojudge_bench" / "frames"
    assert FrameStore().max_bytes == 20_000_000_000


def test_the_environment_names_another_folder_and_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOJUDGE_FRAMES", str(tmp_path / "frames"))
    monkeypatch.setenv("VIDEOJUDGE_FRAMES_GB", "0.5")
    assert (FrameStore().folder, FrameStore().max_bytes) == (tmp_path / "frames", 500_000_000)
    for wrong in ("much", "0", "-1", "inf"):
        monkeypatch.setenv("VIDEOJUDGE_FRAMES_GB", wrong)
        with pytest.raises(
            ConfigError, match=f"VIDEOJUDGE_FRAMES_GB={wrong}: expected a number of"
        ):
            FrameStore()


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path: Path, clips: Maker) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError) as caught:
        FrameStore(tmp_path / "file").load(clips("cfr.mp4"), spread(4))
    assert str(caught.value) == (
        f"frames cannot be kept in {tmp_path / 'file'} (Not a directory): make room there, or "
        "name another folder (VIDEOJUDGE_FRAMES=DIR)"
    )


def test_nothing_is_evicted_from_an_empty_store(store: FrameStore) -> None:
    store.evict()
    assert store.size_bytes == 0


# Several processes.

LOAD = """
import json, sys
from pathlib import Path
from videojudge_bench.video import FramePolicy, FrameStore
folder, videos, rounds, limit = sys.argv[1], sys.argv[2].split(":"), int(sys.argv[3]), sys.argv[4]
store = FrameStore(Path(folder), max_bytes=int(limit))
sums = {}
for number in range(rounds):
    for video in videos:
        policy = FramePolicy(4, None, 96 * 160, 96 * 160, None, 2)
        timeout = None  # in this process: what is tested is the store
        batch = store.load(Path(video), policy, timeout_seconds=timeout)
        sums.setdefault(video, set()).add((int(batch.frames.sum()), len(batch.frames)))
print(json.dumps({k: sorted(v) for k, v in sums.items()}))
"""


def start(store: FrameStore, videos: list[Path], rounds: int) -> subprocess.Popen[str]:
    names = ":".join(map(str, videos))
    command = [sys.executable, "-c", LOAD, str(store.folder), names, str(rounds)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [*command, str(store.max_bytes)], stdout=subprocess.PIPE, text=True, env=environment
    )


def test_processes_that_want_the_same_video_decode_it_once(store: FrameStore, clips: Maker) -> None:
    processes = [start(store, [clips("cfr.mp4"), clips("edit.mp4")], 2) for _ in range(2)]
    outputs = [process.communicate()[0] for process in processes]
    assert outputs[0] == outputs[1]
    assert len(entries(store)) == 4


def test_threads_that_want_the_same_video_decode_it_once(store: FrameStore, clips: Maker) -> None:
    found: list[list[int]] = []

    def load() -> None:
        found.append(numbers_of(store.load(clips("cfr.mp4"), spread(4)).frames))

    clips("cfr.mp4")
    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[0, 99, 199, 299]] * 4
    assert len(entries(store)) == 2


def test_a_worker_that_outlives_its_process_cannot_spoil_the_entry(
    store: FrameStore, clips: Maker
) -> None:
    """The part of a process that was killed may still be open, and written to, elsewhere."""
    path, parts = clips("cfr.mp4"), store.folder / "parts"
    parts.mkdir(parents=True)
    with (parts / f"{store.key(path, spread(4))}.1.npy").open("wb") as orphan:
        batch = store.load(path, spread(4))
        orphan.write(bytes(ENTRY))
        orphan.flush()
        assert numbers_of(batch.frames) == [0, 99, 199, 299]
    assert list(parts.iterdir()) == []


def test_nobody_sees_half_an_entry_while_entries_come_and_go(tmp_path: Path, clips: Maker) -> None:
    """Room for one entry and three videos: every load evicts another's."""
    store = FrameStore(tmp_path / "frames", max_bytes=ENTRY)
    videos = [clips("cfr.mp4"), clips("edit.mp4"), clips("vfr.mp4")]
    processes = [start(store, order, 6) for order in (videos, videos[::-1])]
    found = [json.loads(process.communicate()[0]) for process in processes]
    for video in videos:
        frames = load_frames(video, spread(4), timeout_seconds=None).frames
        expected = [[int(frames.sum()), 4]]
        assert [answer[str(video)] for answer in found] == [expected, expected]


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_process_killed_while_it_writes_leaves_no_entry_and_no_rubbish(
    store: FrameStore, clips: Maker
) -> None:
    """The part is caught as it grows; the next process decodes and clears up."""
    path = clips("cfr.mp4")
    big = FramePolicy(300, None, 0, 1_000_000, None, 2)  # all frames
    command = (
        "import sys; from pathlib import Path; from videojudge_bench.video import *; "
        "p = FramePolicy(300, None, 600_000, 1_000_000, None, 2); "
        "FrameStore(Path(sys.argv[1])).load(Path(sys.argv[2]), p, timeout_seconds=None)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", command, str(store.folder), str(path)], env=environment
    ) as process:
        parts = store.folder / "parts"
        for _ in range(6000):
            if parts.is_dir() and any(p.stat().st_size > 10_000_000 for p in parts.iterdir()):
                break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert [p.suffix for p in parts.iterdir()] == [".npy"]
    assert entries(store) == []
    batch = store.load(path, big)
    assert len(batch.frames) == 300
    assert list(parts.iterdir()) == []
