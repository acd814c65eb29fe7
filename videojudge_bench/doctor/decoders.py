"""Section `decoders`: each one decodes videos of the package."""

from __future__ import annotations

from pathlib import Path

from videojudge_bench._util.files import packaged
from videojudge_bench.doctor.findings import Finding, Section
from videojudge_bench.errors import VideoJudgeError
from videojudge_bench.video import load_frames
from videojudge_bench.video.decoders import decoder_named
from videojudge_bench.video.policy import DECODERS, DecoderName, FramePolicy

SAMPLES = ("nasa_13013.mp4", "mdn_frog.webm")  # H.264 and VP8
FRAMES = 4  # of each sample: enough to see that seeking works


def decoders() -> Section:
    """Return which decoders work; only `pyav` is needed, the others are a user's choice."""
    return Section("decoders", "Decoders", [_decoder(name) for name in DECODERS])


def sample_video(name: str) -> Path:
    """Return a video of the package."""
    return packaged("tasks.sample") / "videos" / name


def _decoder(name: DecoderName) -> Finding:
    policy = FramePolicy(max_frames=FRAMES, fps=None, decoder=name)
    try:
        version = decoder_named(name).version()
        batches = {sample: load_frames(sample_video(sample), policy) for sample in SAMPLES}
    except VideoJudgeError as error:
        if name == "pyav":
            fix = 'Install it anew: pip install --force-reinstall "av>=15,<16"'
            return Finding(name, "broken", str(error), fix)
        return Finding(name, "note", str(error))
    short = [sample for sample, batch in batches.items() if batch.coverage < 1]
    if short:
        return Finding(name, "broken", f"frames of {', '.join(short)} are missing", "Reinstall")
    return Finding(name, "ok", f"decoded {' and '.join(SAMPLES)}; {version}")
