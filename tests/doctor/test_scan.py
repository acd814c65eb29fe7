"""A folder of sound, damaged and broken videos: what is said of each."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from videojudge_bench.doctor.decoders import sample_video
from videojudge_bench.doctor.scan import Scan, ScannedVideo, check_scan, scan_folder
from videojudge_bench.errors import ConfigError, VideoError
from videojudge_bench.video.pool import POOL, look_into

SOUND = "mdn_frog.webm"
OTHER = "nasa_13013.mp4"


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scan]:
    """A folder with all that a folder of downloads may hold."""
    folder = tmp_path_factory.mktemp("downloads")
    shutil.copy(sample_video(SOUND), folder)
    (folder / "UPPER.MP4").symlink_to(sample_video(OTHER))
    whole = sample_video("mdn_elf.webm").read_bytes()
    inner = folder / "inner"
    inner.mkdir()
    (inner / "cut.webm").write_bytes(whole[: len(whole) // 2])
    (folder / "no_index.mp4").write_bytes(sample_video(OTHER).read_bytes()[:200_000])
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("hello", encoding="utf-8")
    (folder / "page.mkv").write_text("<html>404</html>", encoding="utf-8")
    (folder / "folder.mp4").mkdir()
    (folder / "gone.avi").symlink_to(folder / "nowhere")
    (folder / "notes.txt").touch()
    (folder / "mp4").touch()  # a name without an extension
    yield scan_folder(folder, jobs=2)
    POOL.close()


@pytest.fixture(scope="module")
def by_file(scan: Scan) -> dict[str, ScannedVideo]:
    return {video.file: video for video in scan.videos}


def test_every_file_that_should_be_a_video_is_looked_at_once(scan: Scan) -> None:
    assert [video.file for video in scan.videos] == [
        "UPPER.MP4",
        "empty.mp4",
        "folder.mp4",
        "gone.avi",
        "inner/cut.webm",
        SOUND,
        "no_index.mp4",
        "page.mkv",
        "text.mp4",
    ]
    assert scan.others == 2


@pytest.mark.parametrize(
    ("file", "codec", "seconds"), [(SOUND, "vp8", 8.266), ("UPPER.MP4", "h264", 13.056)]
)
def test_a_sound_video(
    file: str, codec: str, seconds: float, by_file: dict[str, ScannedVideo]
) -> None:
    found = by_file[file]
    assert (found.state, found.found, found.coverage, found.codec) == ("sound", "", 1.0, codec)
    assert found.duration_seconds == pytest.approx(seconds, abs=0.1)


def test_half_a_video_is_damaged_and_its_header_is_believed(
    by_file: dict[str, ScannedVideo],
) -> None:
    found = by_file["inner/cut.webm"]
    assert (found.state, found.codec) == ("damaged", "vp8")
    assert 0.2 < found.coverage < 0.8
    assert found.duration_seconds == pytest.approx(8.033, abs=0.1)
    assert found.found == (
        f"{100 * found.coverage:.0f} % of the frames can be decoded; the file is damaged or cut off"
    )
    assert found.fix == "Get the file anew from its source, or leave the video out"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("empty.mp4", "the file is empty (0 bytes)"),
        ("text.mp4", "no video that can be opened"),
        ("page.mkv", "no video but a web page or XML"),
        ("no_index.mp4", "or cut off before its index"),
        ("folder.mp4", "a folder or a device, not a file"),
        ("gone.avi", "no such file"),
    ],
)
def test_a_broken_one(file: str, text: str, by_file: dict[str, ScannedVideo]) -> None:
    found = by_file[file]
    assert text in found.found
    assert found.fix
    assert (found.state, found.coverage, found.codec) == ("broken", 0.0, None)


def test_the_summary_counts(scan: Scan) -> None:
    (found,) = scan.section().findings
    assert found.status == "broken"
    assert found.found == (
        "2 of 9 videos are sound; 1 damaged, 6 broken; 0.01 hours; 2 vp8, 1 h264; "
        "other files, not looked at: 2"
    )
    assert found.values == {"sound": 2, "damaged": 1, "broken": 6}
    assert not scan.section().is_usable


def test_a_folder_with_sound_videos_only(tmp_path: Path) -> None:
    shutil.copy(sample_video(SOUND), tmp_path)
    scan = scan_folder(tmp_path)
    assert scan.section().is_usable
    assert scan.problems == []
    (found,) = scan.section().findings
    assert found.fix == ""


def test_a_folder_without_videos_is_not_what_was_meant(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    (found,) = scan_folder(tmp_path).section().findings
    assert found.status == "broken"
    assert found.found.startswith("no video in it (mp4, webm,")
    assert found.fix == "Name the folder in which the videos lie"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name")
def test_a_name_that_is_no_utf8_can_be_printed(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4")).touch()
    (video,) = scan_folder(tmp_path).videos
    assert video.file == "caf�.mp4"
    assert video.found == "the file is empty (0 bytes)"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file"
)
def test_what_may_not_be_read(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    shutil.copy(sample_video(SOUND), tmp_path / "a.webm")
    (tmp_path / "a.webm").chmod(0)
    video, folder = scan_folder(tmp_path).videos
    assert video.found == "cannot be read (Permission denied)"
    assert (folder.file, folder.found) == ("closed", "cannot be read (Permission denied)")
    closed.chmod(0o700)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that fails")
def test_a_disk_that_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").symlink_to("/proc/self/mem")  # there, and an error at its first byte
    (tmp_path / "bad").mkdir()
    scandir = os.scandir

    def broken(path: str) -> object:
        if Path(path).name == "bad":
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", broken)
    video, folder = scan_folder(tmp_path).videos
    assert (video.file, video.found) == ("a.mp4", "cannot be read (Input/output error)")
    assert (folder.file, folder.found) == ("bad", "cannot be read (Input/output error)")


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist, is no folder or cannot be read"):
        check_scan(tmp_path / "nowhere", None)
    with pytest.raises(ConfigError, match="--jobs 0: expected a number from 1 up"):
        check_scan(None, 0)


def test_looking_into_a_file_has_a_time_limit() -> None:
    with pytest.raises(VideoError, match=r"took more than 1e-06 s and was stopped"):
        look_into(sample_video(SOUND), timeout_seconds=1e-6)


def test_what_a_file_says_of_its_video() -> None:
    found = look_into(sample_video("bigbuckbunny.mp4"))
    assert (found.codec, found.width, found.height) == ("h264", 1280, 720)
    assert found.frames / found.duration_seconds == pytest.approx(25, abs=5.5)
