"""Section `gold_sets`: how many videos of each gold set are on this machine."""

from __future__ import annotations

from pathlib import Path

from videojudge_bench import goldsets
from videojudge_bench.doctor.findings import Finding, Section
from videojudge_bench.errors import ConfigError, DataError, NoDataError
from videojudge_bench.goldsets.view import view_of


def gold_sets(videos: Path | None) -> Section:
    """Return how many videos of each set are there, in its own folder or in `videos`."""
    return Section("gold_sets", "Gold sets", [_set(name, videos) for name in goldsets.names()])


def _set(name: str, videos: Path | None) -> Finding:
    try:
        gold_set = goldsets.load(name)
    except NoDataError as error:
        return Finding(name, "note", "no data here", error.how_to_get)
    except (DataError, ConfigError) as error:
        fix = f"Look at it with: videojudge data verify {name}"
        return Finding(name, "broken", str(error), fix)
    ids = {example.item.video_id for example in gold_set.examples}
    own = gold_set.videos
    is_gone = own is not None and not own.is_dir()
    there = {} if is_gone and videos is None else view_of(gold_set, 0, videos).videos
    present = len(ids & there.keys())
    values = {"videos": len(ids), "found": present, "folder": None if own is None else str(own)}
    words = f"{gold_set.info.data}: {present} of {len(ids)} videos found"
    if is_gone:
        words += f"; its folder, {own}, is gone"
    if present == len(ids):
        return Finding(name, "ok", words, values=values)
    fix = "Judges that look at videos want videos=DIR; to count those in a folder: --videos DIR"
    return Finding(name, "note", words, fix, values)
