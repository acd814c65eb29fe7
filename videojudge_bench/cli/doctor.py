"""The verb `videojudge doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from videojudge_bench._util.options import parse_judge
from videojudge_bench._util.terminal import EXIT_FAILED, say, say_json, show
from videojudge_bench.cli._options import JUDGE, Json, completed, judge_words

if TYPE_CHECKING:
    from videojudge_bench.doctor.findings import Section


def doctor(
    *,
    judge: Annotated[list[str] | None, completed(judge_words, f"{JUDGE}; repeatable")] = None,
    server: Annotated[list[str] | None, Parameter()] = None,
    model: str | None = None,
    videos: Path | None = None,
    jobs: int | None = None,
    json: Json = False,
) -> int:
    """Report what works on this machine, what does not, and how to fix it.

    Without options: what is installed, which decoders decode sample videos, which judges can run
    here and why the others cannot, GPUs, memory and room, and how many videos of each gold set are
    here. With --judge, --server or --videos: only that. Nothing is downloaded but the configuration
    of a --judge on the hub. Exit status: 0 all of it is usable; 1 something is broken. A line with
    – is no fault: it says what is not here.

    Args:
        server: ask this server (http://localhost:8000/v1) for its models and short replies, and
            whether it takes images, videos with their times and replies that are begun; the key is
            what OPENAI_API_KEY says; repeatable
        model: of the servers; default: the first that each lists
        videos: decode every video in this folder, as a judge would, list what is broken, and count
            the videos of each gold set
        jobs: videos at once; default: one a CPU core
    """
    from videojudge_bench.doctor.examine import examine, problem_rows, section_rows, to_json
    from videojudge_bench.doctor.scan import check_scan, scan_folder

    judges = [parse_judge(text) for text in judge or ()]
    check_scan(videos, jobs)
    sections: list[Section] = []
    for section in examine(judges, server or (), model, videos):
        sections.append(section)
        if not json:
            show(section_rows(section), as_json=False, title=section.title)
    scan = None if videos is None else scan_folder(videos, jobs)
    if scan is not None:
        sections.append(scan.section())
    usable = all(section.is_usable for section in sections)
    if json:
        say_json(to_json(sections, scan, usable=usable))
        return 0 if usable else EXIT_FAILED
    if scan is not None:
        show(section_rows(sections[-1]), as_json=False, title=sections[-1].title)
        if problems := problem_rows(scan):
            show(problems, as_json=False, fold=True)
    say(["Nothing is broken." if usable else "Something is BROKEN: see above."])
    return 0 if usable else EXIT_FAILED
