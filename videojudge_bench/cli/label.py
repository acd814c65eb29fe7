"""The verb `videojudge label`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from videojudge_bench._util.command import STREAM, Flag
from videojudge_bench._util.files import check_output, write_whole
from videojudge_bench._util.terminal import note, say, say_json, table, warn
from videojudge_bench.cli._options import Json, Output
from videojudge_bench.errors import ConfigError

if TYPE_CHECKING:
    from videojudge_bench.labelling.page import Round
    from videojudge_bench.labelling.progress import Goal
    from videojudge_bench.labelling.server import Labels
    from videojudge_bench.labelling.session import Session


def label(
    answers: Path,
    /,
    *,
    verdicts: Path,
    output: Output | None = None,
    labels_so_far: list[Path] | None = None,
    labels: int = 60,
    pick: Literal["active", "random"] = "active",
    seed: int = 0,
    page: Path | None = None,
    serve: Flag = False,
    port: int = 0,
    videos: Path | None = None,
    scale: str = "1-5",
    width: float | None = None,
    apart: tuple[str, str] | None = None,
    json: Annotated[Json, Parameter(help="of what the labels give: print JSON")] = False,
) -> int:
    r"""Have people rate the answers whose labels narrow the corrected means most.

    A round picks answers by chance, those more often about which the judge is probably more wrong,
    and makes a page for annotators. Their labels, weighted by these chances, correct the judge's
    means in `videojudge judge --gold-subset human.jsonl`.

      videojudge label answers.jsonl --verdicts verdicts.jsonl --labels 60 \
        --videos DIR --page round1.html
      videojudge label answers.jsonl --verdicts verdicts.jsonl \
        --labels-so-far labels-ann.jsonl --labels-so-far labels-bob.jsonl \
        -o human.jsonl --width 0.2
      videojudge label answers.jsonl --verdicts verdicts.jsonl \
        --labels-so-far human.jsonl --labels 60 --apart x y --serve -o round2.jsonl

    The first writes a page to send to annotators, who export labels from it. The second puts their
    labels together, and prints Krippendorff's alpha, each system's corrected mean, the width of its
    interval, and how many more labels it takes for a width. The third picks a second round, by what
    the first one showed, and serves it on this machine; the same command resumes.

    Answers that nobody rated may be picked again. An answer is rated by all who open the page.

    Args:
        answers: JSON Lines, as for videojudge judge
        verdicts: what videojudge judge wrote about them
        output: the file of labels; one that is there is taken up
        labels_so_far: labels of earlier rounds, or exported from a page; repeatable
        labels: number of answers to pick
        pick: random: all answers with the same probability
        seed: of the draws
        page: the page to write, .html
        serve: serve the page on this machine until Ctrl-C; labels go to --output as they are given
        port: of --serve; 0: any that is free
        videos: folder with the video files
        scale: LOW-HIGH of the ratings, within 0-9
        width: print how many more labels it takes for intervals of this width
        apart: print how many more it takes to tell these two systems apart, and pick only theirs
    """
    from videojudge_bench.labelling.page import Round
    from videojudge_bench.labelling.progress import Goal
    from videojudge_bench.labelling.server import Labels
    from videojudge_bench.labelling.session import Session
    from videojudge_bench.scale import read_scale

    before = labels_so_far or []
    _check_files(output, before, page, serve=serve)
    goal, rating_scale = Goal(width, apart), read_scale(scale)
    session = Session.of(answers, verdicts, before, rating_scale)
    _warn(session)
    asked: Round | None = None
    if page is not None or serve:
        equal = pick == "random"
        picked = session.picked(labels, seed=seed, equal=equal, systems=apart or ())
        asked = Round.of(session, picked, videos, rating_scale)
        _note_picks(asked)
    if output is not None and output.exists():
        session = Session.of(answers, verdicts, [output, *before], rating_scale)
    if page is not None and asked is not None:
        write_whole(page, asked.html(page))
        note(f"wrote {page}")
    if serve and output is not None and asked is not None:
        session = _serve(Labels(session, asked, output), port, goal)
    elif output is not None and session.human.means:
        _write(session, output)
    if session.human.means:
        _print(session, goal, json=json)
    return 0


def _check_files(
    output: Path | None, before: list[Path], page: Path | None, *, serve: bool
) -> None:
    if serve and output is None:
        raise ConfigError("--serve writes labels as they are given; name their file: -o FILE")
    if page is None and not serve and not before:
        raise ConfigError(
            "expected --page FILE.html or --serve to ask for labels, or --labels-so-far FILE to "
            "look at those there are; got none of them"
        )
    if output is not None:
        if output == STREAM:
            raise ConfigError("-o -: expected a file, which later rounds take up")
        check_output(output)
        if output.resolve() in {path.resolve() for path in before}:
            raise ConfigError(
                f"-o {output}: also in --labels-so-far; name another file for this round, so that "
                "the same command picks the same answers (earlier labels go into it too)"
            )
    if page is not None:
        check_output(page, ".html", option="--page")


def _warn(session: Session) -> None:
    if session.n_without_score:
        warn(
            f"{session.n_without_score} of {len(session.units)} answers have no score; they are "
            "picked as often as others on average, and count as scored with their system's mean"
        )
    if session.n_strange:
        warn(f"{session.n_strange} verdicts are about no answer here")
    if session.human.unmatched:
        warn(f"{session.human.unmatched} labels are about no answer here")
    if session.human.replaced:
        warn(f"{session.human.replaced} ratings are replaced by a later one of the same annotator")


def _serve(labels: Labels, port: int, goal: Goal) -> Session:
    from videojudge_bench.labelling.progress import sheet_of
    from videojudge_bench.labelling.server import Server

    with Server(labels, port, lambda session: str(sheet_of(session, goal, 1_000))) as server:
        say([f"{server.address} (this machine only; Ctrl-C ends it)"])
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            note(f"labels are in {labels.output}" if labels.output.exists() else "no labels yet")
    return labels.session


def _note_picks(asked: Round) -> None:
    videos = [each.unit.item.video_id for each in asked.picked]
    missing = {name for name, path in zip(videos, asked.videos, strict=True) if path is None}
    n = len({*videos})
    note(f"round {asked.picked[0].pick.round}: {len(videos)} answers about {n} videos")
    if missing:
        warn(f"no file of {len(missing)} of {n} videos, such as {min(missing)}; give --videos DIR")


def _write(session: Session, output: Path) -> None:
    from videojudge_bench.answers.verdict_lines import write_lines

    lines = session.label_lines(session.human)
    write_lines(lines, output)
    note(f"wrote {output}")
    counts = {len(given) for given in session.human.ratings.values()}
    if len(counts) > 1:
        warn(
            f"answers have {min(counts)} to {max(counts)} ratings: --gold-subset takes them; "
            "videojudge data add wants as many of each"
        )


def _print(session: Session, goal: Goal, *, json: bool) -> None:
    from videojudge_bench.labelling.progress import alpha, estimates, sheet_of

    if json:
        rows = [row.to_json() for row in estimates(session, goal)]
        say_json({"alpha": alpha(session.human), "estimates": rows})
        return
    sheet = sheet_of(session, goal)
    table(sheet.head, sheet.rows, title=sheet.title)
    say(sheet.notes)
