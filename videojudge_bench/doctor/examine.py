"""All sections of `videojudge doctor`: of this machine, or of what is asked about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from videojudge_bench._util.options import Scalar
from videojudge_bench.doctor.decoders import decoders
from videojudge_bench.doctor.findings import Section
from videojudge_bench.doctor.goldsets import gold_sets
from videojudge_bench.doctor.host import Probe
from videojudge_bench.doctor.installed import installed
from videojudge_bench.doctor.judges import asked_judges, judges
from videojudge_bench.doctor.machine import machine
from videojudge_bench.doctor.scan import Scan
from videojudge_bench.doctor.servers import servers
from videojudge_bench.version import __version__

_LABELS = {"ok": "ok", "note": "–", "broken": "BROKEN", "damaged": "DAMAGED"}


def examine(
    named: Sequence[tuple[str, Mapping[str, Scalar]]],
    addresses: Sequence[str],
    model: str | None,
    videos: Path | None,
) -> Iterator[Section]:
    """Yield sections on judges, servers or videos that are given, else all about this machine.

    `model` is that of the servers; None is the first that each lists.
    """
    if not (named or addresses or videos):
        with closing(Probe()) as probe:  # it imports torch in the meantime
            yield decoders()
            yield gold_sets(None)
            host = probe.result()
        yield machine(host)
        yield installed(host)
        yield judges(host)
    if named:
        yield asked_judges(named)
    if addresses:
        yield servers(addresses, model)
    if videos:
        yield gold_sets(videos)


def to_json(sections: list[Section], scan: Scan | None, *, usable: bool) -> dict[str, object]:
    """Return the findings as a program reads them; of a scan, every video that is not sound."""
    return {
        "format": 1,
        "version": __version__,
        "usable": usable,
        "sections": {
            section.name: [asdict(finding) for finding in section.findings] for section in sections
        },
        "videos": [] if scan is None else [asdict(video) for video in scan.problems],
    }


def section_rows(section: Section) -> list[dict[str, str]]:
    """Return the findings of a section as rows of text."""
    return [
        {"": _LABELS[f.status], "what": f.name, "found": _sentence(f.found, f.fix)}
        for f in section.findings
    ]


def problem_rows(scan: Scan) -> list[dict[str, str]]:
    """Return the videos that are not sound as rows of text."""
    return [
        {
            "": _LABELS[video.state],
            "file": video.file,
            "coverage": f"{video.coverage:.2f}",
            "codec": video.codec or "-",
            "duration": "-" if (s := video.duration_seconds) is None else f"{s:.1f} s",
            "what is wrong": _sentence(video.found, video.fix),
        }
        for video in scan.problems
    ]


def _sentence(text: str, fix: str) -> str:
    return f"{text}. {fix}" if fix else text
