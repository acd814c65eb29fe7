"""CPU time and memory of choosing and decoding frames: ours and everybody else's.

Prints JSON. Every measurement is a process of its own, the methods in turn; importing libraries and
starting our decoding process are left out of CPU time (they happen once, not per video), and so is
making the clips. Memory is the peak of all processes of a method together, libraries included and
what they share counted once. The paths that take many gigabytes come last and once. A method that
cannot run here is said to be not measured, and why.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from videojudge_bench.video import FramePolicy

REPEATS = 3
SIZE = (280, 504)  # smart_resize of 1280 x 720 within 360 * 420 pixels
MAX_PIXELS = 360 * 420
CLIPS = Path(tempfile.gettempdir()) / "videojudge-bench-clips"
KEYFRAMES = {"30s": 250, "3min": 250, "10min": 60}  # a keyframe every so many frames, 30 a second
MINUTES = {"30s": 0.5, "3min": 3, "10min": 10}
CASES = {"30s_180": ("30s", 180), "10min_key2s_60": ("10min", 60), "3min_180": ("3min", 180)}
CACHED_LOADS = 30
VIDEOS = (5, 20, 60)


def ffmpeg_binary() -> str:
    """Return the path of the ffmpeg that tests and benchmarks use."""
    import imageio_ffmpeg  # type: ignore[import-untyped]

    return str(imageio_ffmpeg.get_ffmpeg_exe())


def make_clips() -> None:
    """Make the clips: a camera over a texture, a cut every 7 s; a minute, repeated by copying."""
    import av
    import numpy as np

    CLIPS.mkdir(exist_ok=True)
    rng = np.random.default_rng(7)
    texture = np.zeros((1440, 2560, 3))
    for scale in (4, 16, 80):
        coarse = rng.uniform(-1, 1, (1440 // scale, 2560 // scale, 3))
        texture += np.kron(coarse, np.ones((scale, scale, 1))) * scale**0.5
    pixels = np.clip(128 + texture * 9, 0, 255).astype(np.uint8)
    av.VideoFrame.from_ndarray(pixels, format="rgb24").save(str(CLIPS / "texture.png"))
    pan = (
        "crop=1280:720:x='mod(n*4+floor(n/210)*517,1280)':y='mod(n*2+floor(n/210)*331,720)',"
        "format=yuv420p"
    )
    for name, keyframes in KEYFRAMES.items():
        path = clip(name)
        if path.exists():
            continue
        minute = CLIPS / f"{name}_part.mp4"
        run = [ffmpeg_binary(), "-v", "error", "-y", "-nostdin"]
        still = ["-loop", "1", "-r", "30", "-i", str(CLIPS / "texture.png"), "-t", "60", "-vf", pan]
        x264 = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", str(keyframes)]
        subprocess.run([*run, *still, *x264, str(minute)], check=True)
        again, seconds = str(int(MINUTES[name])), str(60 * MINUTES[name])
        copy = ["-stream_loop", again, "-i", str(minute), "-c", "copy", "-t", seconds]
        subprocess.run([*run, *copy, str(path)], check=True)
        minute.unlink()


def clip(name: str) -> Path:
    """Return where a clip is."""
    return CLIPS / f"{name}.mp4"


def ours(path: Path, frames: int) -> Callable[[], object]:
    """Return what decodes by this package, its process already started; every byte is read."""
    from videojudge_bench.errors import VideoError
    from videojudge_bench.video import FrameBatch, load_frames

    with suppress(VideoError):  # a picture is no video: this starts the process
        load_frames(CLIPS / "texture.png")

    def decode() -> FrameBatch:
        batch = load_frames(path, policy_of(frames))
        batch.frames.max()  # what is only mapped would not count as memory
        return batch

    return decode


def ours_in_process(path: Path, frames: int) -> Callable[[], object]:
    """Return what decodes by this package without a process of its own."""
    import av  # noqa: F401 # imported before the clock starts
    import numpy as np  # noqa: F401

    from videojudge_bench.video import load_frames

    return lambda: load_frames(path, policy_of(frames), timeout_seconds=None)


def policy_of(frames: int) -> FramePolicy:
    """Return the policy of a case."""
    from videojudge_bench.video import FramePolicy

    return FramePolicy(max_frames=frames, fps=None, max_pixels=MAX_PIXELS)


def ffmpeg(path: Path, frames: int) -> Callable[[], object]:
    """Return what decodes the whole file by ffmpeg, on one thread as ours, and shows nothing."""
    command = [ffmpeg_binary(), "-v", "error", "-nostdin", "-threads", "1"]
    return lambda: subprocess.run([*command, "-i", str(path), "-f", "null", "-"], check=True)


def decord(path: Path, frames: int) -> Callable[[], object]:
    """Return what decodes the same number of frames by decord, scaling them itself."""
    import decord as library  # type: ignore[import-untyped]
    import numpy as np

    def decode() -> object:
        reader = library.VideoReader(str(path), width=SIZE[1], height=SIZE[0])
        return reader.get_batch(np.linspace(0, len(reader) - 1, frames, dtype=int)).asnumpy()

    return decode


def torchcodec(path: Path, frames: int) -> Callable[[], object]:
    """Return what decodes the same number of frames by torchcodec, scaling them itself."""
    import numpy as np
    from torchcodec.decoders import (  # type: ignore[import-not-found,unused-ignore]
        VideoDecoder,
    )
    from torchcodec.transforms import Resize  # type: ignore[import-not-found,unused-ignore]

    def decode() -> object:
        decoder = VideoDecoder(str(path), transforms=[Resize(SIZE)])
        return decoder.get_frames_at(np.linspace(0, len(decoder) - 1, frames, dtype=int).tolist())

    return decode


def qwen_vl_utils(path: Path, frames: int) -> Callable[[], object]:
    """Return what decodes as many frames as there are, at most `frames`, by Qwen's own package."""
    os.environ["FORCE_QWENVL_VIDEO_READER"] = "decord"
    from qwen_vl_utils import fetch_video  # type: ignore[import-untyped]

    video = {"video": str(path), "nframes": frames, "max_pixels": MAX_PIXELS}
    return lambda: fetch_video(video, image_patch_size=14)


def lmms_eval(path: Path, frames: int) -> Callable[[], object]:
    """Return the video part of lmms-eval's `qwen2_5_vl` (simple), line by line.

    It cannot be called alone: it stands in the middle of `generate_until`.
    """
    os.environ["FORCE_QWENVL_VIDEO_READER"] = "decord"
    import decord as library
    import numpy as np
    from qwen_vl_utils import process_vision_info

    def decode() -> object:
        reader = library.VideoReader(str(path))
        reader[0].asnumpy()
        video = {"type": "video", "video": str(path), "max_pixels": MAX_PIXELS}
        _, videos = process_vision_info([{"role": "user", "content": [video]}])
        total = videos[0].shape[0]
        return videos[0][np.unique(np.linspace(0, total - 1, frames, dtype=int))]

    return decode


def lmms_eval_chat(path: Path, frames: int) -> Callable[[], object]:
    """Return the video part of lmms-eval's `qwen2_5_vl` (chat), with its own message class."""
    os.environ["FORCE_QWENVL_VIDEO_READER"] = "decord"
    import decord as library
    from lmms_eval.protocol import ChatMessages
    from qwen_vl_utils import process_vision_info

    def decode() -> object:
        reader = library.VideoReader(str(path))
        content = [{"type": "video", "url": str(path)}]
        chat = ChatMessages(messages=[{"role": "user", "content": content}])
        options = {"max_pixels": MAX_PIXELS, "nframes": min(frames, len(reader))}
        messages = chat.to_hf_messages(video_kwargs=options)
        return process_vision_info(
            [messages], return_video_kwargs=True, return_video_metadata=True, image_patch_size=14
        )

    return decode


METHODS = {
    f.__name__: f
    for f in (
        ours, ours_in_process, ffmpeg, decord, torchcodec, qwen_vl_utils, lmms_eval_chat, lmms_eval
    )
}  # fmt: skip
ONCE = {"lmms_eval"}
# Seen for 3 min: it decodes 2 frames a second at full size, and makes floats of them.
NEEDS_GB = {("lmms_eval", "3min_180"): 18, ("lmms_eval", "10min_key2s_60"): 40}


def children() -> list[int]:
    """Return the processes that this one has started and that run."""
    tasks = Path("/proc/self/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text(encoding="ascii").split()]


def cpu_seconds() -> float:
    """Return CPU seconds of this process, of those it waited for and of those that run."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(who)
        total += used.ru_utime + used.ru_stime
    for pid in children():
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        total += (int(text[11]) + int(text[12])) / os.sysconf("SC_CLK_TCK")
    return total


def memory_mb() -> float:
    """Return the memory of this process and its children now; what they share counts once."""
    kilobytes = 0
    for pid in ("self", *children()):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
            kilobytes += int(rollup.partition("\nPss:")[2].split()[0])
    return kilobytes / 1024


class Watch(threading.Thread):
    """Looks at the memory of all processes together, 50 times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_mb = self.cpu_seconds = 0.0
        self._over = threading.Event()

    def run(self) -> None:
        """Look until `stop` is called."""
        while not self._over.wait(0.02):
            self.peak_mb = max(self.peak_mb, memory_mb())
        self.cpu_seconds = time.thread_time()

    def stop(self) -> float:
        """Return the most that was seen."""
        self._over.set()
        self.join()
        return max(self.peak_mb, memory_mb())


Result = dict[str, float]


def in_a_process(*arguments: str) -> Result | str:
    """Return what this file prints with these arguments, or why it could not."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        return f"not measured: {(done.stderr.strip().splitlines() or ['it was killed'])[-1]}"
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def if_there_is_room(method: str, case: str) -> Result | str:
    """Return `in_a_process`, unless this machine has too little memory left for it."""
    memory = Path("/proc/meminfo").read_text(encoding="ascii").partition("MemAvailable:")[2]
    needed, free = NEEDS_GB.get((method, case), 0), int(memory.split()[0]) / 1e6
    if free < needed:
        return f"not measured: it needs {needed} GB of memory, and {free:.0f} GB are free"
    return in_a_process(method, case)


def run_one(method: str, case: str) -> Result:
    """Measure a method in this process."""
    name, frames = CASES[case]
    decode = METHODS[method](clip(name), frames)
    before, base = cpu_seconds(), memory_mb()
    watch = Watch()
    watch.start()
    result = decode()
    peak = watch.stop()
    used = cpu_seconds() - before - watch.cpu_seconds
    del result  # it counts until here
    return {"cpu_seconds": used, "peak_mb": peak, "before_mb": base}


def run_cached() -> Result:
    """Measure CPU time to get 180 frames from the store, and to read every byte of them too."""
    import numpy as np

    from videojudge_bench.video import FrameStore

    path, policy = clip("3min"), policy_of(180)
    mapped, read = [], []
    with tempfile.TemporaryDirectory() as folder:
        room = np.empty_like(FrameStore(Path(folder)).load(path, policy).frames)
        for _ in range(CACHED_LOADS):
            start = time.process_time()
            batch = FrameStore(Path(folder)).load(path, policy)
            mapped.append(1000 * (time.process_time() - start))
            np.copyto(room, batch.frames)
            read.append(1000 * (time.process_time() - start))
    return {
        "cpu_ms": round(statistics.median(mapped), 2),
        "cpu_ms_with_every_byte_copied": round(statistics.median(read), 2),
    }


def run_many() -> Result:
    """Measure the peak of memory after so many videos, one after another, in this process."""
    decode, peaks = ours(clip("30s"), 180), {}
    watch = Watch()
    watch.start()
    for number in range(1, max(VIDEOS) + 1):
        decode()
        if number in VIDEOS:
            peaks[f"peak_mb_after_{number}_videos"] = round(watch.peak_mb, 1)
    watch.stop()
    return peaks


def summary(runs: list[Result | str]) -> Result | str:
    """Return medians, with the least and the most CPU time; or why there are none."""
    good = [run for run in runs if not isinstance(run, str)]
    if len(good) < len(runs):
        return next(run for run in runs if isinstance(run, str))
    cpu = sorted(run["cpu_seconds"] for run in good)
    return {
        "cpu_seconds": round(statistics.median(cpu), 2),
        "cpu_least": round(cpu[0], 2),
        "cpu_most": round(cpu[-1], 2),
        "peak_mb": round(statistics.median(run["peak_mb"] for run in good)),
        "before_mb": round(statistics.median(run["before_mb"] for run in good)),
        "runs": len(good),
    }


def report_of(case: str) -> dict[str, object]:
    """Measure all methods on one clip."""
    found: dict[str, list[Result | str]] = {method: [] for method in METHODS}
    for number in range(REPEATS):
        for method in METHODS:
            if method not in ONCE:
                found[method].append(in_a_process(method, case))
            elif number == REPEATS - 1:
                found[method].append(if_there_is_room(method, case))
    middle = {method: summary(runs) for method, runs in found.items()}
    mine = middle["ours"]
    assert not isinstance(mine, str), mine
    others = {m: r for m, r in middle.items() if m != "ours" and not isinstance(r, str)}
    return {
        **middle,
        "our_cpu_by_theirs": {
            m: round(mine["cpu_seconds"] / r["cpu_seconds"], 3) for m, r in others.items()
        },
        "their_memory_by_ours": {
            m: round(r["peak_mb"] / mine["peak_mb"], 1) for m, r in others.items()
        },
    }


def main() -> None:
    """Measure and print."""
    single = {"cached": run_cached, "many": run_many}
    if sys.argv[1:]:
        arguments = sys.argv[1:]
        result = run_one(*arguments) if len(arguments) == 2 else single[arguments[0]]()
        sys.stdout.write("\n" + json.dumps(result) + "\n")
        return
    make_clips()
    report: dict[str, object] = {
        "what": "CPU seconds and peak memory of all processes; medians of methods in turn",
        "clips": "1280 x 720, 30 frames a second, H.264; frames of 504 x 280",
        "repeats": REPEATS,
        "cached_180_frames": in_a_process("cached"),
        "many_videos": in_a_process("many"),
        **{case: report_of(case) for case in CASES},
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
