"""`load_frames`: policy, budget of pixels, the decoding process and what kills it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from clips import FRAMES, Maker, cut, numbers_of, spread
from hypothesis import given
from hypothesis import strategies as st
from qwen_vl_utils.vision_process import (  # type: ignore[import-untyped]
    smart_resize as qwens_resize,
)
from video_fixtures import clip_maker, no_process_left  # noqa: F401 - fixtures

from videojudge_bench.errors import ConfigError, UnknownNameError, VideoError
from videojudge_bench.video import FramePolicy, load_frames, smart_resize
from videojudge_bench.video.pool import POOL, decode_to_file

posix = pytest.mark.skipif(os.name != "posix", reason="signals")


# The policy.


def test_the_default_is_the_papers_evaluation() -> None:
    policy = FramePolicy()
    assert (policy.max_frames, policy.fps, policy.decoder) == (180, 1.0, "pyav")


def test_everything_that_changes_pixels_is_in_the_signature() -> None:
    base = FramePolicy()
    changed = [
        FramePolicy(max_frames=60),
        FramePolicy(fps=None),
        FramePolicy(min_pixels=0),
        FramePolicy(max_pixels=200_000),
        FramePolicy(total_pixels=30_000_000),
        FramePolicy(factor=32),
        FramePolicy(resampling="area"),
        FramePolicy(decoder="decord"),
    ]
    assert len(changed) == len(FramePolicy.__dataclass_fields__)
    settings = [tuple(policy.settings().items()) for policy in (base, *changed)]
    assert len(set(settings)) == len(settings)


def test_all_problems_of_a_policy_are_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        FramePolicy(max_frames=0, fps=-1.0, min_pixels=500_000)
    assert str(caught.value) == (
        "frames, 3 problems:\n"
        "  - max_frames=0: expected a number from 1 up\n"
        "  - fps=-1.0: expected a number above 0, or none for an even spread\n"
        "  - min_pixels=500000: expected a number from 0 to max_pixels=151200"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor": 0}, "factor=0: expected a number from 1 up"),
        ({"fps": 0.0}, "fps=0.0: expected a number above 0, or none for an even spread"),
        ({"fps": float("inf")}, "fps=inf: expected a number above 0"),
        ({"max_pixels": 700, "min_pixels": 0}, r"less than one square of factor=28 \(784 pixels\)"),
        ({"total_pixels": 10}, "too little for max_frames=180 of min_pixels=100352: give at least"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FramePolicy(**options)  # type: ignore[arg-type]


def test_an_unknown_resampling_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown resampling 'cubic'.*'bicubic'"):
        FramePolicy(resampling="cubic")  # type: ignore[arg-type]


# Pixels.

sides = st.integers(28, 4000)


@given(sides, sides, st.sampled_from([28, 32]))
def test_sizes_are_qwens_where_its_own_keep_the_limits(tall: int, wide: int, factor: int) -> None:
    low, high = 128 * 28 * 28, 768 * 28 * 28
    if max(tall, wide) > 20 * min(tall, wide):
        return  # there one side is a single factor, and Qwen's size may be over the limit
    theirs = qwens_resize(tall, wide, factor=factor, min_pixels=low, max_pixels=high)
    assert smart_resize(tall, wide, factor=factor, min_pixels=low, max_pixels=high) == theirs


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 40), st.integers(0, 300_000))
def test_sizes_are_multiples_within_the_limit(
    tall: int, wide: int, factor: int, spare: int
) -> None:
    most = factor**2 + spare
    if max(tall, wide) > 200 * min(tall, wide):
        with pytest.raises(ConfigError, match="more oblong than 200 to 1"):
            smart_resize(tall, wide, factor=factor, min_pixels=0, max_pixels=most)
        return
    height, width = smart_resize(tall, wide, factor=factor, min_pixels=0, max_pixels=most)
    assert height % factor == width % factor == 0
    assert factor**2 <= height * width <= most


@pytest.mark.parametrize(("frames", "size"), [(1, (280, 504)), (50, (252, 448)), (100, (168, 308))])
def test_the_total_is_shared_by_the_frames(frames: int, size: tuple[int, int]) -> None:
    policy = FramePolicy(max_frames=100, min_pixels=0, total_pixels=6_000_000)
    assert policy.frame_size(720, 1280, frames=frames) == size
    assert frames * size[0] * size[1] <= 6_000_000


def test_a_video_that_is_too_oblong_is_named(clips: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videojudge_bench.video.policy.MAX_ASPECT_RATIO", 1)
    with pytest.raises(VideoError, match=r"cfr\.mp4: a picture of 160 x 96 pixels is more oblong"):
        load_frames(clips("cfr.mp4"), timeout_seconds=None)


# What comes back.


def test_one_frame_per_second_with_times_and_rates(clips: Maker) -> None:
    batch = load_frames(clips("cfr.mp4"), timeout_seconds=None)
    assert batch.frames.shape == (12, 252, 420, 3)  # enlarged to Qwen's least
    assert batch.frames.dtype == np.uint8
    assert batch.times_seconds == tuple(map(float, range(12)))
    assert numbers_of(batch.frames) == list(range(0, FRAMES, 25))
    assert (batch.coverage, batch.requested, batch.duration_seconds) == (1.0, 12, 12.0)
    assert (batch.sample_fps, batch.source_fps) == (1.0, 25.0)
    assert batch.decoder.startswith("pyav (av ")


def test_the_rate_of_a_single_frame_is_the_videos(clips: Maker) -> None:
    batch = load_frames(clips("cfr.mp4"), spread(1), timeout_seconds=None)
    assert (len(batch.frames), batch.sample_fps) == (1, 25.0)
    assert numbers_of(batch.frames) == [149]


# The process.


@pytest.mark.parametrize("name", ["cfr.mp4", "cut"])
def test_the_process_gives_what_this_process_gives(name: str, clips: Maker) -> None:
    path = clips.damaged("cut.mp4", "fast.mp4", cut(0.5)) if name == "cut" else clips(name)
    here = load_frames(path, spread(20), timeout_seconds=None)
    there = load_frames(path, spread(20))
    np.testing.assert_array_equal(there.frames, here.frames)
    assert there.times_seconds == here.times_seconds
    assert there.coverage == here.coverage
    assert (here.coverage < 1) == (name == "cut")


def test_errors_come_out_of_the_process_as_they_are(tmp_path: Path, clips: Maker) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(VideoError) as caught:
        load_frames(tmp_path / "empty.mp4")
    assert str(caught.value) == (
        f"{tmp_path / 'empty.mp4'}: the file is empty (0 bytes). "
        "Get the file anew from its source, or leave the video out"
    )
    assert (caught.value.path, caught.value.problem) == (
        tmp_path / "empty.mp4",
        "the file is empty (0 bytes)",
    )


def idle_pid() -> int:
    """Let there be one idle process; its id."""
    worker = POOL.take()
    POOL.give_back(worker)
    return worker.pid


def test_the_process_is_kept(clips: Maker) -> None:
    load_frames(clips("cfr.mp4"), spread(2))
    before = idle_pid()
    load_frames(clips("cfr.mp4"), spread(2))
    assert idle_pid() == before


def test_a_limit_that_is_no_limit_is_refused(clips: Maker) -> None:
    with pytest.raises(ConfigError, match=r"timeout_seconds=0: expected a number above 0, or none"):
        load_frames(clips("cfr.mp4"), timeout_seconds=0)


def test_a_folder_that_takes_no_frames_is_said(tmp_path: Path, clips: Maker) -> None:
    target = tmp_path / "missing" / "frames.npy"
    with pytest.raises(ConfigError) as caught:
        decode_to_file(clips("cfr.mp4"), spread(2), target, timeout_seconds=60)
    assert f"cannot be written to {target.parent} (FileNotFoundError" in str(caught.value)
    assert "make room there, or name another folder" in str(caught.value)


def test_frames_of_the_process_may_be_changed_and_leave_no_file(clips: Maker) -> None:
    before = left_behind()
    batches = [load_frames(clips("cfr.mp4"), spread(2)) for _ in range(2)]
    batches[0].frames[:] = 0
    assert numbers_of(batches[1].frames) == [0, 299]
    assert left_behind() == before


def left_behind() -> set[Path]:
    """What lies in the folders that frames may go through."""
    folders = (Path(tempfile.gettempdir()), Path("/dev/shm"))
    return {path for folder in folders for path in folder.glob("videojudge-[!b]*/frames.npy")}


@posix
def test_a_process_that_hangs_is_stopped_and_replaced(clips: Maker) -> None:
    load_frames(clips("cfr.mp4"), spread(2))
    pid = idle_pid()
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(VideoError) as caught:
        load_frames(clips("cfr.mp4"), spread(2), timeout_seconds=0.5)
    assert str(caught.value) == (
        f"{clips('cfr.mp4')}: decoding took more than 0.5 s and was stopped. Get the file anew or "
        "convert it (ffmpeg -i IN OUT.mp4), or leave the video out, or give it more timeout_seconds"
    )
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert len(load_frames(clips("cfr.mp4"), spread(2)).frames) == 2


@posix
def test_a_crash_is_an_error_of_that_video(clips: Maker) -> None:
    load_frames(clips("cfr.mp4"), spread(2))
    pid = idle_pid()
    os.kill(pid, signal.SIGSTOP)
    killer = threading.Timer(0.3, os.kill, (pid, signal.SIGKILL))
    killer.start()
    with pytest.raises(VideoError, match=r"the decoding process crashed on it \(signal 9\)"):
        load_frames(clips("cfr.mp4"), spread(2))
    killer.join()
    assert len(load_frames(clips("cfr.mp4"), spread(2)).frames) == 2


def test_several_threads_have_a_process_each(clips: Maker) -> None:
    batches: dict[str, list[int]] = {}

    def load(name: str) -> None:
        batches[name] = numbers_of(load_frames(clips(name), spread(4)).frames)

    names = ("cfr.mp4", "edit.mp4")
    expected = {n: numbers_of(load_frames(clips(n), spread(4)).frames) for n in names}
    threads = [threading.Thread(target=load, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert batches == expected


FORKED = """
import os, sys
from pathlib import Path
from videojudge_bench.video import FramePolicy, load_frames
first, second = sys.argv[1:]
def times(path):
    return load_frames(path, FramePolicy(4, None)).times_seconds
whole, cut = times(first), times(second)
child = os.fork()
for _ in range(4):  # both at once: with shared pipes each would read the other's answers
    assert times(first if child else second) == (whole if child else cut)
if not child:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("both right")
"""

KILLED = """
import sys, time
from videojudge_bench.video import FramePolicy, load_frames
from videojudge_bench.video.pool import POOL, decode_to_file
load_frames(sys.argv[1], FramePolicy(2, None))
worker = POOL.take()
print(worker.pid, flush=True)
time.sleep(60)
"""

LOADING = """
import sys
from videojudge_bench.video import FramePolicy, load_frames
while True:
    load_frames(sys.argv[1], FramePolicy(60, None))
    print("loaded", flush=True)
"""


def script(source: str, *arguments: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-c", source, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_has_processes_of_its_own(clips: Maker) -> None:
    with script(FORKED, clips("cfr.mp4"), clips("edit.mp4")) as process:
        assert process.communicate()[0] == "both right\n"


@posix
def test_the_process_ends_with_a_parent_that_was_killed(clips: Maker) -> None:
    with script(KILLED, clips("cfr.mp4")) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        os.kill(pid, 0)
        process.kill()
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists() or "\nState:\tZ" in Path(
            f"/proc/{pid}/status"
        ).read_text(encoding="utf-8"):
            return
        time.sleep(0.1)
    pytest.fail(f"process {pid} still runs")


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="files have names here")
def test_a_process_killed_while_it_loads_leaves_no_file(clips: Maker) -> None:
    before = left_behind()
    for delay_seconds in (0.0, 0.01, 0.03, 0.06, 0.1):
        with script(LOADING, clips("cfr.mp4")) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "loaded\n"
            time.sleep(delay_seconds)
            process.kill()
    assert left_behind() == before


def test_importing_it_imports_no_video_library() -> None:
    check = (
        "import sys, videojudge_bench.video as v; "
        "print(sorted({'av', 'numpy', 'torch', 'decord'} & set(sys.modules)))"
    )
    with script(check) as process:
        assert process.communicate()[0] == "[]\n"
