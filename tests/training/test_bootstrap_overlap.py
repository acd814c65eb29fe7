"""Videos of gold sets are known again: by where they come from, and by what they show."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

import av
import imageio_ffmpeg  # type: ignore[import-untyped]
import numpy as np
import pytest
from encoders import encoded

from videojudge_bench import goldsets, tasks
from videojudge_bench.errors import VideoError
from videojudge_bench.goldsets import nextqa, vatex
from videojudge_bench.training.bootstrap.overlap import canonical_id, gold_videos, origin
from videojudge_bench.training.bootstrap.seed_videos import BITS, FRAMES, LookAlikes, fingerprint

SAMPLES = sorted(
    path
    for path in (Path(tasks.__path__[0]) / "sample" / "videos").iterdir()
    if path.suffix in (".mp4", ".webm")
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("v_k_ZXmr8pmrs", "k_ZXmr8pmrs"),  # ActivityNet, VideoInstruct
        ("activitynet/v_k_ZXmr8pmrs.mp4", "k_ZXmr8pmrs"),
        ("k_ZXmr8pmrs.MKV", "k_ZXmr8pmrs"),
        ("k600/--07WQ2iBlw_000001_000011.mp4", "--07WQ2iBlw_000001_000011"),
        ("--07WQ2iBlw_1.5_11", "--07WQ2iBlw_1.5_11"),
        ("1164/3238737531.mp4", "3238737531"),  # VidOR
        ("10109006686.mp4", "10109006686"),  # 11 digits, and no YouTube id
        ("ssv2/12345.webm", "ssv2/12345"),  # numbers as short as this are many sets'
        ("clips\\a\\001.avi", "clips/a/001"),
        ("mr.bean", "mr.bean"),  # not an extension
    ],
)
def test_one_video_has_one_id(name: str, expected: str) -> None:
    assert canonical_id(name) == expected
    assert canonical_id(canonical_id(name)) == expected
    clip = canonical_id(name, (1.5, 20.0))
    assert clip == f"{expected}#t=1.5,20"
    assert origin(clip) == origin(expected)


def test_parts_of_a_video_have_its_origin_and_other_videos_have_others() -> None:
    parts = ["v_k_ZXmr8pmrs", "k_ZXmr8pmrs_000010_000020", "k_ZXmr8pmrs_2", "a/k_ZXmr8pmrs.mp4"]
    assert {origin(canonical_id(part)) for part in parts} == {"youtube k_ZXmr8pmrs"}
    # A name of 11 letters and a number: two videos of somebody's own, not parts of one.
    assert origin("two_kittens_1") != origin("two_kittens_2")
    assert origin("v_k_ZXmr8pmrx") != origin("v_k_ZXmr8pmrs")
    assert origin("1164/3238737531") == origin("3238737531")


def test_every_video_of_vatex_is_known_by_its_youtube_id() -> None:
    rows = list(vatex.rows())
    assert {origin(row.video_id) for row in rows} == {f"youtube {row.youtube_id}" for row in rows}


def test_the_videos_of_all_gold_sets_here_are_known() -> None:
    gold = gold_videos()
    assert set(gold.files) | set(gold.absent) == set(goldsets.names())
    assert "videoautoarena" in gold.absent
    row = next(vatex.rows())
    for name in (row.video_id, f"v_{row.youtube_id}.mp4", f"{row.youtube_id}_0_5.5"):
        assert gold.sets_with(canonical_id(name)) == {"vatex"}
    seed_half = {row.video_id for row in nextqa.seed_rows()}
    assert not any(gold.sets_with(video_id) for video_id in seed_half)
    assert gold.sets_with("10001787725") == {"nextqa"}
    assert gold.sets_with("mdn_frog") >= {"llava", "vcg", "pairwise", "longvideobench"}
    assert gold.sets_with("k_ZXmr8pmrx") == frozenset()


def altered(path: Path, folder: Path, *filters: str, cut: float = 0.0, crf: int = 23) -> Path:
    """Encode a video anew as H.264, with filters, and a share of it cut off at both ends."""
    with av.open(str(path)) as container:
        assert container.duration is not None
        seconds = container.duration / 1_000_000
    even = "scale=trunc(iw/2)*2:trunc(ih/2)*2"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(path)]
    command += ["-ss", str(cut * seconds), "-t", str((1 - 2 * cut) * seconds)]
    coded = encoded("libx264", "-crf", str(crf), "-preset", "ultrafast")
    command += ["-vf", ",".join((*filters, even)), "-an", *coded]
    target = folder / f"{path.stem}.mp4"
    subprocess.run([*command, str(target)], check=True)
    return target


@pytest.fixture(scope="module")
def known() -> LookAlikes:
    return LookAlikes({path.stem: [path] for path in SAMPLES})


CROP = "crop=iw*0.96:ih*0.96"
"""Two per cent off each edge."""


@pytest.mark.parametrize(
    ("filters", "cut", "crf"),
    [
        pytest.param((), 0.0, 38, id="encoded anew, coarsely"),
        pytest.param(("scale=176:-2",), 0.0, 23, id="made small"),
        pytest.param(("fps=11",), 0.0, 23, id="another frame rate"),
        pytest.param(("eq=brightness=0.08:contrast=1.15",), 0.0, 23, id="brighter"),
        pytest.param((CROP,), 0.0, 23, id="edges cut off"),
        pytest.param((), 0.02, 23, id="ends cut off"),
        pytest.param((CROP, "scale=200:-2", "fps=15"), 0.02, 34, id="all at once"),
    ],
)
def test_a_video_is_known_again_however_it_was_altered(
    filters: tuple[str, ...], cut: float, crf: int, known: LookAlikes, tmp_path: Path
) -> None:
    for path in SAMPLES:
        changed = altered(path, tmp_path, *filters, cut=cut, crf=crf)
        assert known.sets_like(fingerprint(changed)) == {path.stem}


def test_other_videos_are_not_taken_for_known_ones(tmp_path: Path, known: LookAlikes) -> None:
    assert len(SAMPLES) == 7
    for path in SAMPLES:
        others = LookAlikes({other.stem: [other] for other in SAMPLES if other != path})
        assert others.sets_like(fingerprint(path)) == frozenset()
    mirrored = altered(SAMPLES[0], tmp_path, "hflip")
    assert known.sets_like(fingerprint(mirrored)) == frozenset()
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    for source in ("mandelbrot", "testsrc2", "life=s=320x240:mold=10:seed=1"):
        target = tmp_path / "made.mp4"
        command = [ffmpeg, "-v", "error", "-y", "-f", "lavfi", "-i", source, "-t", "4"]
        coded = encoded("libx264", "-pix_fmt", "yuv420p")
        subprocess.run([*command, *coded, str(target)], check=True)
        assert known.sets_like(fingerprint(target)) == frozenset()


def test_blank_videos_are_like_none_not_even_each_other(tmp_path: Path) -> None:
    blank = [tmp_path / "black.mp4", tmp_path / "grey.mp4"]
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    for target, colour in zip(blank, ("black", "gray"), strict=True):
        command = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", f"color={colour}:s=64x48", "-t", "1"]
        coded = encoded("libx264", "-pix_fmt", "yuv420p")
        subprocess.run([*command, *coded, str(target)], check=True)
    hashes = fingerprint(blank[0])
    assert not hashes.any()
    assert LookAlikes({"grey": [blank[1]]}).sets_like(hashes) == frozenset()


def test_a_fingerprint_has_one_row_of_signs_for_each_frame() -> None:
    for path in SAMPLES[:2]:
        hashes = fingerprint(path)
        assert hashes.shape == (FRAMES, BITS)
        assert set(np.unique(hashes)) <= {-1.0, 0.0, 1.0}
        # The median parts the signs evenly: 31 above it, 31 below, and itself.
        assert {int(row.sum()) for row in hashes} <= {-1, 0}


def test_sets_are_told_apart_and_a_shared_video_is_in_both() -> None:
    first, second, third = SAMPLES[:3]
    known = LookAlikes({"one": [first, second], "two": [second], "none": []})
    assert known.sets_like(fingerprint(first)) == {"one"}
    assert known.sets_like(fingerprint(second)) == {"one", "two"}
    assert known.sets_like(fingerprint(third)) == frozenset()
    assert LookAlikes({}).sets_like(fingerprint(first)) == frozenset()


def test_a_video_that_cannot_be_decoded_is_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"<html>not found</html>")
    with pytest.raises(VideoError, match="a web page"):
        fingerprint(broken)
    with pytest.raises(VideoError, match="a web page"):
        LookAlikes({"one": [broken]})


def test_frames_drift_apart_slowly() -> None:
    """Neighbours in one video are nearer than frames of two: what the shift by one rests on."""
    within = [int((BITS - a @ b) / 2) for p in SAMPLES for a, b in pairwise(fingerprint(p))]
    prints = [fingerprint(path) for path in SAMPLES]
    across = [int((BITS - a @ b) / 2) for x, y in pairwise(prints) for a in x for b in y]
    assert np.median(within) + 10 < np.median(across)
