"""Content hashes of videos: what is read again, and what is not."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from videojudge_bench.video import FramePolicy, FrameStore, content
from videojudge_bench.video.content import HASHES_FILE, ContentHashes, content_hashes


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "v.mp4"
    path.write_bytes(b"one")
    return path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read, each time; files are an hour old."""
    found: list[Path] = []

    def hashed(path: Path) -> str:
        found.append(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    now = time.time_ns() + 3600 * 10**9
    monkeypatch.setattr(content, "file_hash", hashed)
    monkeypatch.setattr("time.time_ns", lambda: now)
    return found


def test_a_file_is_read_once_whoever_asks(tmp_path: Path, video: Path, read: list[Path]) -> None:
    expected = hashlib.sha256(b"one").hexdigest()
    hashes = ContentHashes(tmp_path / "kept" / HASHES_FILE)
    assert [hashes.of(video), hashes.of(video)] == [expected] * 2
    assert ContentHashes(tmp_path / "kept" / HASHES_FILE).of(video) == expected
    assert read == [video]


def test_a_thousand_known_files_are_not_opened(
    tmp_path: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = [tmp_path / f"{number}.mp4" for number in range(1000)]
    for number, path in enumerate(videos):
        path.write_text(str(number))
    kept = tmp_path / HASHES_FILE
    hashes = ContentHashes(kept)
    first = [hashes.of(path) for path in videos]
    assert len(read) == 1000

    def refuse(path: Path) -> str:
        pytest.fail(f"{path} is read again")

    monkeypatch.setattr(content, "file_hash", refuse)
    again = ContentHashes(kept)
    assert [again.of(path) for path in videos] == first


def test_a_changed_file_is_read_again_whatever_its_size_and_time(
    tmp_path: Path, video: Path, read: list[Path]
) -> None:
    hashes = ContentHashes(tmp_path / HASHES_FILE)
    before, state = hashes.of(video), video.stat()
    time.sleep(0.02)  # the change time is the file system's own
    video.write_bytes(b"two")
    os.utime(video, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert hashes.of(video) != before
    assert len(read) == 2


def test_a_file_that_is_put_in_the_place_of_another_is_read_again(
    tmp_path: Path, video: Path, read: list[Path]
) -> None:
    hashes = ContentHashes(tmp_path / HASHES_FILE)
    before = hashes.of(video)
    other = tmp_path / "other"
    other.write_bytes(b"two")
    other.replace(video)
    assert hashes.of(video) != before
    assert len(read) == 2


def test_a_young_file_is_hashed_again_next_time(
    tmp_path: Path, video: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time_ns", lambda: video.stat().st_ctime_ns + 1_999_999_999)
    hashes = ContentHashes(tmp_path / HASHES_FILE)
    assert hashes.of(video) == hashes.of(video)
    assert len(read) == 2
    monkeypatch.setattr("time.time_ns", lambda: video.stat().st_ctime_ns + 2_000_000_000)
    assert hashes.of(video) == hashes.of(video)
    assert len(read) == 3


@pytest.mark.parametrize("line", [b"", b"[", b"null", b"{}", b'["a"]', b"\xff", b'["a", 3, "b"]'])
def test_damaged_lines_are_left_out(
    tmp_path: Path, video: Path, read: list[Path], line: bytes
) -> None:
    kept = tmp_path / HASHES_FILE
    ContentHashes(kept).of(video)
    kept.write_bytes(line + b"\n" + kept.read_bytes() + line)
    ContentHashes(kept).of(video)
    assert len(read) == 1


def test_too_many_lines_are_forgotten(
    tmp_path: Path, video: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / HASHES_FILE
    ContentHashes(kept).of(video)
    monkeypatch.setattr(content, "MAX_LINES", 0)
    ContentHashes(kept).of(video)
    assert len(read) == 2
    assert len(kept.read_bytes().splitlines()) == 1


def test_where_nothing_can_be_kept_hashes_are_in_memory(
    tmp_path: Path, video: Path, read: list[Path]
) -> None:
    (tmp_path / "file").touch()
    hashes = ContentHashes(tmp_path / "file" / HASHES_FILE)
    assert hashes.of(video) == hashes.of(video)
    assert read == [video]


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ContentHashes(tmp_path / HASHES_FILE).of(tmp_path / "none.mp4")


def test_the_frame_store_asks_the_same_hashes(
    tmp_path: Path, video: Path, read: list[Path]
) -> None:
    store = FrameStore(tmp_path / "frames")
    store.key(video, FramePolicy())
    content_hashes(store.folder).of(video)
    assert read == [video]
